// SPDX-License-Identifier: MIT
// All that a client sends on one connection, in pieces, to a real server on a loop. What the
// handler is told must be what a strict reader of RFC 9112 makes of the same bytes, and what llhttp
// does: the same requests, in the same order, with the same fields and bodies; nothing behind one
// that was refused or was to be the last; and the answers come one for each, in order, readable.
// First byte: how the bytes are cut. Second and third: what the handler does.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../support/second_reader.h"
#include "../support/strict_request.h"
#include "base/log.h"
#include "proxy/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

#define HEADER_LIMIT 4096
#define REQUESTS_MAX 256
#define QUIET_TURNS  24
#define REPLY_LEN    10

enum {               // bits of the second byte, and of the third
    AT_HEAD = 1,     // replies before the body has come; else behind it
    LATE = 2,        // accepts, resumes, wakes and replies from outside the callbacks
    PULLED = 4,      // the reply's body is
    NO_LENGTH = 8,   // it has
    CLOSES = 16,     // the reply does
    NIBBLES = 32,    // takes a part of what on_body offers
    ABORTS = 64,     // the second request, instead of replying
    HALF_SHUT = 128, // the client says when it has sent everything
    OVERLAPS = 256,  // replies in the midst of the body, and reads on
    INFORMS = 512,   // with 103, before it replies
    TRAILS = 1024,   // sends a trailer
    SWITCHES = 2048, // the protocol, for who asks for it
    TUNNELS = 4096,  // the server takes CONNECT
};

struct place {
    struct server *server;
    struct sockaddr_un address;
    socklen_t address_len;
};

static struct {
    struct loop *loop;
    struct place places[2]; // the second takes CONNECT
    struct {
        unsigned mode;
        struct str rest; // what the strict reader has not read
        bool is_over;    // no request may come any more
        bool was_refused, has_nul;
        bool is_lost;    // the body is another than was sent: it must not end
        unsigned events; // anything that happens
        unsigned announced, ended;
        bool is_complete[REQUESTS_MAX], is_head[REQUESTS_MAX];
        struct request *request; // under way
        struct strict_request strict;
        struct {
            bool accept, reply, resume, wake;
        } owed; // by the handler
        size_t body_len, pulled_len;
        bool has_replied, is_switched;
        int switched_fd;
        struct buf switched; // what came in the other protocol
        struct buf received;
    } run;
} fuzz;

// -- what llhttp makes of a request ------------------------------------------------------------

// It has a list of methods; and what targets may be is not the server's to say, but proxy/target's.
static bool is_comparable(const struct strict_request *strict)
{
    struct target target;
    const char *why;
    bool is_known = false;
    for (int i = 0; i <= HTTP_SOURCE; i++)
        is_known |= str_eq(strict->method, str_of(llhttp_method_name((llhttp_method_t)i)));
    return is_known && target_parse(strict->target, strict->method, &target, &why);
}

static void check_second_body(struct second_reader *second, const struct strict_request *strict,
                              struct str rest)
{
    struct buf data, plain;
    buf_init(&data, SECOND_BYTES_MAX);
    buf_init(&plain, SECOND_BYTES_MAX);
    if (strict->framing == BODY_CHUNKED && second_decode(rest, &data, &plain) == H1_DONE)
        rest = buf_str(&plain);
    second_feed(second, rest);
    REQUIRE(second->is_whole && str_eq(buf_str(&second->body), buf_str(&strict->body)));
    buf_fini(&data);
    buf_fini(&plain);
}

static void check_second(const struct strict_request *strict, struct str bytes)
{
    struct second_reader second;
    if (!is_comparable(strict))
        return;
    second_init(&second, HTTP_REQUEST);
    struct str head = {strict_skip_empty(bytes).ptr, strict->head_len};
    size_t used = second_feed(&second, head);
    if (second_minds_tab(&second, &strict->fields)) {
        second_fini(&second);
        return;
    }
    REQUIRE(used == head.len && second.has_head && !second.has_failed);
    REQUIRE(str_eq(buf_str(&second.method), strict->method));
    REQUIRE(str_eq(buf_str(&second.target), strict->target));
    REQUIRE(second_has_fields(&second, &strict->fields));
    struct str rest = {head.ptr + head.len, strict->len - strict->head_end};
    if (!second.is_other_protocol && strict->body_result == STRICT_DONE)
        check_second_body(&second, strict, rest);
    second_fini(&second);
}

// -- the handler -------------------------------------------------------------------------------

static void check_request(const struct request *request, const struct strict_request *strict)
{
    REQUIRE(str_eq(request->method, strict->method) && str_eq(request->target, strict->target));
    REQUIRE(request->minor == strict->minor && request->body == strict->framing);
    REQUIRE(request->body != BODY_LENGTH || request->content_length == strict->content_length);
    REQUIRE(request->fields.count == strict->fields.count);
    for (size_t i = 0; i < strict->fields.count; i++) {
        REQUIRE(str_eq(request->fields.items[i].name, strict->fields.items[i].name));
        REQUIRE(str_eq(request->fields.items[i].value, strict->fields.items[i].value));
    }
}

static void inform(struct request *request)
{
    struct fields fields = {.count = 0};
    REQUIRE(fields_add(&fields, STR("Link"), STR("</a>")));
    request_inform(request, 103, &fields);
}

static void reply(struct request *request, int status)
{
    unsigned mode = fuzz.run.mode;
    char number[16];
    int len = snprintf(number, sizeof number, "%u", fuzz.run.announced - 1);
    struct fields fields = {.count = 0};
    REQUIRE(fields_add(&fields, STR("X-Number"), (struct str){number, (size_t)len}));
    struct reply reply = {
        .status = status,
        .fields = &fields,
        .is_whole = status != 200 || !(mode & PULLED),
        .body = STR("0123456789"),
        .length = mode & NO_LENGTH ? REPLY_LENGTH_UNKNOWN : REPLY_LEN,
        .close = mode & CLOSES || status != 200,
        .overlaps = mode & OVERLAPS && status == 200 && request_may_overlap(request),
    };
    if (fuzz.run.has_replied)
        return;
    if (mode & INFORMS && status == 200)
        inform(request);
    fuzz.run.has_replied = true;
    fuzz.run.is_over |= reply.close || reply.overlaps;
    request_reply(request, &reply);
}

static bool wants_switch(const struct request *request)
{
    return request->may_tunnel || (request->body == BODY_NONE && request->minor == 1 &&
                                   fields_find(&request->fields, STR("Upgrade")));
}

static void answer(struct request *request)
{
    struct fields fields = {.count = 0};
    if (fuzz.run.mode & SWITCHES && wants_switch(request)) {
        REQUIRE(fields_add(&fields, STR("Upgrade"), STR("x")));
        fuzz.run.has_replied = fuzz.run.is_over = true;
        request_switch(request, 101, &fields);
    } else if (fuzz.run.mode & ABORTS && fuzz.run.announced == 2) {
        fuzz.run.has_replied = fuzz.run.is_over = true;
        request_abort(request);
    } else { // no tunnel: a success would have no body
        reply(request, str_eq(request->method, STR("CONNECT")) ? 501 : 200);
    }
}

static void begin(struct request *request)
{
    REQUIRE(!fuzz.run.request && !fuzz.run.is_over && fuzz.run.announced < REQUESTS_MAX);
    fuzz.run.request = request;
    fuzz.run.is_head[fuzz.run.announced++] = str_eq(request->method, STR("HEAD"));
    fuzz.run.has_replied = false;
    fuzz.run.body_len = fuzz.run.pulled_len = 0;
    fuzz.run.events++;
}

static void on_request(void *arg, struct request *request)
{
    (void)arg;
    struct strict_request *strict = &fuzz.run.strict;
    begin(request);
    REQUIRE(strict_read(fuzz.run.rest, strict) == STRICT_DONE);
    check_request(request, strict);
    check_second(strict, fuzz.run.rest);
    fuzz.run.rest = str_from(fuzz.run.rest, strict->len);
    fuzz.run.is_over = strict->is_last || strict->body_result != STRICT_DONE;
    bool at_head = fuzz.run.mode & AT_HEAD;
    if (fuzz.run.mode & LATE) {
        fuzz.run.owed.reply = at_head;
        fuzz.run.owed.accept = !at_head;
    } else if (at_head) {
        answer(request);
    } else {
        request_accept(request);
    }
}

static void on_refused(void *arg, struct request *request, int status, const char *why)
{
    (void)arg;
    REQUIRE(why && status >= 400 && status <= 599);
    begin(request);
    fuzz.run.is_over = fuzz.run.was_refused = true;
    buf_init(&fuzz.run.strict.body, 1); // for on_end
    reply(request, status);
}

static size_t on_body(struct request *request, struct str bytes)
{
    REQUIRE(request == fuzz.run.request && !fuzz.run.was_refused && bytes.len);
    struct str whole = buf_str(&fuzz.run.strict.body), got = bytes;
    if (fuzz.run.mode & NIBBLES) {
        got.len = (bytes.len + 1) / 2;
        fuzz.run.owed.resume = got.len < bytes.len;
    }
    // libmicrohttpd 0.9 bears with chunks that the strict reader gives up; up to there they agree.
    // 1.0.1 loses its place when an extension comes in pieces; it finds an end only where there is
    // none for others.
    struct str same = str_from(whole, fuzz.run.body_len);
    if (same.len > got.len)
        same.len = got.len;
    fuzz.run.is_lost |= (same.len != got.len && fuzz.run.strict.body_result != STRICT_BAD) ||
                        !str_eq(same, (struct str){got.ptr, same.len});
    REQUIRE(!fuzz.run.is_lost || !strncmp(server_library_version(), "1.0.1", 5));
    fuzz.run.body_len += got.len;
    fuzz.run.events++;
    if (fuzz.run.mode & OVERLAPS && !fuzz.run.has_replied && request_may_overlap(request))
        fuzz.run.owed.reply = true;
    return got.len;
}

static void check_trailers(struct request *request)
{
    const struct strict_request *strict = &fuzz.run.strict;
    struct fields trailers;
    if (!request_trailers(request, &trailers))
        return;
    if (strict->body_result == STRICT_BAD && !strict->has_bad_trailers)
        return;
    // Of bad ones libmicrohttpd 0.9 hides some, which are dropped or passed by themselves, and
    // never followed by a request: the last line may end with LF alone, and so may the section;
    // NULs in a value cannot be told from its end.
    if (strict->has_bad_trailers && fuzz.run.has_nul)
        return;
    REQUIRE(trailers.count == strict->trailers.count ||
            (strict->has_bad_trailers && trailers.count <= strict->trailers.count + 1));
    if (trailers.count > strict->trailers.count)
        trailers.count--;
    for (size_t i = 0; i < trailers.count; i++) {
        REQUIRE(str_eq(trailers.items[i].name, strict->trailers.items[i].name));
        REQUIRE(str_eq(str_trim(trailers.items[i].value), strict->trailers.items[i].value));
    }
}

static void on_body_end(struct request *request)
{
    REQUIRE(request == fuzz.run.request && !fuzz.run.was_refused);
    REQUIRE(!fuzz.run.is_lost || fuzz.run.strict.body_result == STRICT_BAD);
    if (fuzz.run.strict.body_result != STRICT_BAD)
        REQUIRE(fuzz.run.strict.body_result == STRICT_DONE &&
                fuzz.run.body_len == fuzz.run.strict.body.len);
    check_trailers(request);
    fuzz.run.events++;
    if (fuzz.run.mode & LATE)
        fuzz.run.owed.reply = true;
    else
        answer(request);
}

static ssize_t on_pull(struct request *request, char *out, size_t out_max)
{
    REQUIRE(request == fuzz.run.request);
    fuzz.run.events++;
    if (fuzz.run.pulled_len == REPLY_LEN) {
        if (fuzz.run.mode & TRAILS)
            request_add_trailer(request, &(struct field){STR("X-End"), STR("1")});
        return PULL_END;
    }
    if (fuzz.run.mode & LATE && fuzz.run.pulled_len == 5 && !fuzz.run.owed.wake) {
        fuzz.run.owed.wake = true;
        return PULL_WAIT;
    }
    fuzz.run.owed.wake = false;
    size_t len = out_max < 5 ? out_max : 5;
    if (len > REPLY_LEN - fuzz.run.pulled_len)
        len = REPLY_LEN - fuzz.run.pulled_len;
    memcpy(out, &"0123456789"[fuzz.run.pulled_len], len);
    fuzz.run.pulled_len += len;
    return (ssize_t)len;
}

static void on_switched(struct request *request, int fd, struct str early)
{
    REQUIRE(request == fuzz.run.request);
    fuzz.run.is_switched = true;
    fuzz.run.switched_fd = fd;
    REQUIRE(buf_append(&fuzz.run.switched, early));
    fuzz.run.events++;
}

static void on_end(struct request *request, bool is_complete)
{
    REQUIRE(request == fuzz.run.request);
    fuzz.run.is_complete[fuzz.run.ended++] = is_complete;
    fuzz.run.request = NULL;
    memset(&fuzz.run.owed, 0, sizeof fuzz.run.owed);
    buf_fini(&fuzz.run.strict.body);
    fuzz.run.events++;
}

static void read_switched(struct request *request)
{
    char bytes[4096];
    ssize_t got;
    while ((got = recv(fuzz.run.switched_fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        REQUIRE(buf_append(&fuzz.run.switched, (struct str){bytes, (size_t)got}));
    if (!got || errno != EAGAIN) {
        fuzz.run.switched_fd = -1;
        request_close(request);
    }
}

// What the handler owes, from outside the callbacks.
static void pay(void)
{
    struct request *request = fuzz.run.request;
    if (!request)
        return;
    if (fuzz.run.is_switched && fuzz.run.switched_fd >= 0)
        read_switched(request);
    if (fuzz.run.owed.wake) { // stays set until on_pull has seen it
        request_wake(request);
    } else if (fuzz.run.owed.accept) {
        fuzz.run.owed.accept = false;
        fuzz.run.events++;
        request_accept(request);
    } else if (fuzz.run.owed.resume) {
        fuzz.run.owed.resume = false;
        fuzz.run.events++;
        request_resume(request);
    } else if (fuzz.run.owed.reply) {
        fuzz.run.owed.reply = false;
        fuzz.run.events++;
        answer(request);
    }
}

// -- the client --------------------------------------------------------------------------------

// Takes what came; false once the server has closed.
static bool receive(int fd)
{
    char bytes[16384];
    ssize_t got;
    while ((got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        REQUIRE(buf_append(&fuzz.run.received, (struct str){bytes, (size_t)got}));
        fuzz.run.events++;
    }
    return got < 0 && errno == EAGAIN;
}

// Until nothing happens any more.
static bool settle(int fd)
{
    unsigned events = fuzz.run.events;
    bool is_open = true;
    for (int quiet = 0; quiet < QUIET_TURNS; quiet++) {
        loop_turn(fuzz.loop, 0);
        pay();
        is_open = receive(fd);
        if (events != fuzz.run.events)
            quiet = 0;
        events = fuzz.run.events;
    }
    return is_open;
}

static bool send_in_pieces(int fd, struct str bytes, uint32_t cut)
{
    bool is_open = true;
    uint32_t seed = cut, piece_max = cut == 1 ? 1 : 1 + cut * 2;
    while (bytes.len && is_open) {
        seed = seed * 1664525u + 1013904223u;
        size_t len = cut ? 1 + (seed >> 8) % piece_max : bytes.len;
        if (len > bytes.len)
            len = bytes.len;
        ssize_t sent = send(fd, bytes.ptr, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return false;
        bytes = str_from(bytes, (size_t)sent);
        is_open = settle(fd);
    }
    return is_open;
}

// One answer at the start of bytes, not counting interim ones.
static struct str read_reply(struct second_reader *second, struct str bytes, bool is_head)
{
    for (;;) {
        second_init(second, HTTP_RESPONSE);
        second->is_answer_to_head = is_head;
        bytes = str_from(bytes, second_feed(second, bytes));
        if (!second->is_whole || llhttp_get_status_code(&second->parser) >= 200)
            return bytes;
        second_fini(second);
    }
}

static bool has_number(const struct second_reader *second, unsigned number)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%u", number);
    for (size_t i = 0; i < second->field_count; i++)
        if (str_eq_nocase(second_span_of(second, second->names[i]), STR("X-Number")))
            return str_eq(second_span_of(second, second->values[i]),
                          (struct str){text, (size_t)len});
    return false;
}

static void check_replies(void)
{
    struct str bytes = buf_str(&fuzz.run.received);
    struct second_reader second;
    for (unsigned i = 0; i < fuzz.run.ended; i++) {
        bytes = read_reply(&second, bytes, fuzz.run.is_head[i]);
        bool is_whole = second.is_whole;
        if (!bytes.len) {
            second_finish(&second);
            is_whole = second.is_whole;
        }
        // The last one may be cut, or a page of libmicrohttpd's own (a malformed chunk).
        bool is_last = i + 1 == fuzz.run.ended;
        if (!is_last || (fuzz.run.is_complete[i] && !fuzz.run.is_switched))
            REQUIRE(is_whole && has_number(&second, i));
        second_fini(&second);
    }
}

// -- one input ---------------------------------------------------------------------------------

static void open_place(struct place *place, bool takes_connect)
{
    static const struct server_ops ops = {.on_request = on_request,
                                          .on_refused = on_refused,
                                          .on_body = on_body,
                                          .on_body_end = on_body_end,
                                          .on_pull = on_pull,
                                          .on_switched = on_switched,
                                          .on_end = on_end};
    struct server_config config = {.header_limit = HEADER_LIMIT,
                                   .max_connections = 10,
                                   .takes_connect = takes_connect,
                                   .header_timeout_ms = 60000,
                                   .body_timeout_ms = 60000,
                                   .keepalive_timeout_ms = 60000};
    place->server = server_new(fuzz.loop, &config, &ops, NULL, NULL);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    place->address.sun_family = AF_UNIX; // a name that the kernel chooses
    REQUIRE(!bind(fd, (const struct sockaddr *)&place->address, sizeof(sa_family_t)));
    place->address_len = sizeof place->address;
    REQUIRE(!getsockname(fd, (struct sockaddr *)&place->address, &place->address_len));
    REQUIRE(place->server && !listen(fd, 8) && server_listen(place->server, fd, NULL));
}

static void start(void)
{
    log_set_level(LOG_ERROR + 1);
    fuzz.loop = loop_new(NULL);
    REQUIRE(fuzz.loop);
    open_place(&fuzz.places[0], false);
    open_place(&fuzz.places[1], true);
}

// A bare LF together with what can make up for its missing CR (see guard.c).
static bool has_residual(struct str raw)
{
    bool has_bare = false, has_filler = str_has(raw, '\0');
    for (size_t i = 0; i < raw.len; i++) {
        bool is_lf = raw.ptr[i] == '\n';
        has_bare |= is_lf && (i == 0 || raw.ptr[i - 1] != '\r');
        has_filler |= is_lf && i + 1 < raw.len && raw.ptr[i + 1] == ':';
    }
    return has_bare && has_filler;
}

// Everything that was whole has been told of, if the connection is still open.
static void check_count(void)
{
    struct strict_request next;
    enum strict_result result = strict_read(fuzz.run.rest, &next);
    buf_fini(&next.body);
    REQUIRE(result != STRICT_DONE || fuzz.run.request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data + 3, size - 3};
    if (size < 4 || has_residual(bytes))
        return 0;
    if (!fuzz.loop)
        start();
    memset(&fuzz.run, 0, sizeof fuzz.run);
    fuzz.run.mode = data[1] | (unsigned)data[2] << 8;
    fuzz.run.rest = bytes;
    fuzz.run.has_nul = str_has(bytes, '\0');
    buf_init(&fuzz.run.received, SECOND_BYTES_MAX);
    buf_init(&fuzz.run.switched, SECOND_BYTES_MAX);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct place *place = &fuzz.places[fuzz.run.mode & TUNNELS ? 1 : 0];
    REQUIRE(!connect(fd, (const struct sockaddr *)&place->address, place->address_len));
    bool is_open = send_in_pieces(fd, bytes, data[0]);
    if (is_open)
        check_count();
    if (fuzz.run.mode & HALF_SHUT) {
        shutdown(fd, SHUT_WR);
        settle(fd);
    }
    close(fd);
    for (int i = 0; server_connection_count(place->server) || fuzz.run.request; i++) {
        loop_turn(fuzz.loop, i < 100 ? 0 : 1);
        pay();
        REQUIRE(i < 5000);
    }
    REQUIRE(fuzz.run.ended == fuzz.run.announced);
    check_replies();
    // All of the other protocol that was sent, unless the server was gone before.
    struct str switched = buf_str(&fuzz.run.switched);
    REQUIRE(str_starts(fuzz.run.rest, switched));
    REQUIRE(!fuzz.run.is_switched || !is_open || str_eq(switched, fuzz.run.rest));
    buf_fini(&fuzz.run.received);
    buf_fini(&fuzz.run.switched);
    return 0;
}
