// SPDX-License-Identifier: MIT
// The admin listener: who may call, which page, and the head of every answer. Pages are written
// whole, into memory, on the control thread; nothing but an order changes anything, and orders are
// POST alone.
#include "admin/admin.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/admin_private.h"
#include "admin/page.h"
#include "base/log.h"

#define BODY_MAX        ((size_t)64 * 1024 * 1024) // tens of thousands of routes
#define CONNECTIONS_MAX 64
#define SPARE_FDS       4
#define REPLY_MS        30000 // to read one
#define REPLY_FULL_MS   2000  // the same, while all connections are taken
#define LOOK_MS         1000
#define JSON            "application/json"
#define PROBLEM         "application/problem+json"

static int list_write(const struct admin_call *call, struct buf *out);
static int page_write(const struct admin_call *call, struct buf *out);

static const struct admin_page pages[] = {
    {"/", "GET", PAGE_READ, "text/plain; charset=utf-8", list_write, "this list"},
    {"/livez", "GET", PAGE_OPEN, JSON, health_live, "200: the process lives"},
    {"/readyz", "GET", PAGE_OPEN, JSON, health_ready,
     "200: requests are taken and no required token is missing; else 503, and why"},
    {"/startupz", "GET", PAGE_OPEN, JSON, health_started,
     "200: it has started; nothing answers here before"},
    {"/metrics", "GET", PAGE_READ, "text/plain; version=0.0.4; charset=utf-8", metrics_write,
     "counters, for Prometheus"},
    {"/status.json", "GET", PAGE_READ, JSON, status_write, "tokens, routes, upstreams, failures"},
    {"/status", "GET", PAGE_READ, "text/html; charset=utf-8", page_write,
     "the same for people: a page that keeps itself up to date"},
    {"/reload", "POST", PAGE_CHANGE, JSON, order_reload, "read the configuration again"},
    {"/drain", "POST", PAGE_CHANGE, JSON, order_drain,
     "end what is under way, take nothing new, and exit"},
    {"/log-level", "POST", PAGE_CHANGE, JSON, order_log_level,
     "?level=debug, info, warn or error: until the next reload"},
};

// Of a program that asks for anything, or for nothing in particular, nothing is known.
static bool is_browser(const struct request *request)
{
    const struct field *accept = fields_find(&request->fields, STR("Accept"));
    return accept && str_starts(accept->value, STR("text/html"));
}

static int list_write(const struct admin_call *call, struct buf *out)
{
    bool ok = buf_printf(out, "bearerd %s\n\n", BEARERD_VERSION);
    for (size_t i = 0; ok && i < ARRAY_LEN(pages); i++)
        ok = buf_printf(out, "%-4s %-13s %s\n", pages[i].method, pages[i].path, pages[i].what);
    if (!is_browser(call->visit->request))
        return ok ? 200 : 0;
    call->visit->location = "/status";
    return ok ? 303 : 0;
}

static int page_write(const struct admin_call *call, struct buf *out)
{
    call->visit->policy = page_status_policy;
    return buf_append(out, page_status) ? 200 : 0;
}

uint64_t admin_now_ms(void)
{
    return clock_boottime_us() / 1000;
}

int64_t admin_utc_ms(uint64_t boottime_ms)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t utc_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    return utc_ms + ((int64_t)boottime_ms - (int64_t)admin_now_ms());
}

int admin_problem(struct buf *out, int status, const char *type, const char *title,
                  const char *detail)
{
    char urn[96];
    struct json_out json;
    snprintf(urn, sizeof urn, "urn:bearerd:problem:%s", type);
    json_out_init(&json, out);
    json_open(&json, NULL, '{');
    json_text(&json, "type", urn);
    json_text(&json, "title", title);
    json_number(&json, "status", (uint64_t)status);
    json_text(&json, "detail", detail);
    json_close(&json, '}');
    return json_end(&json) ? status : 0;
}

// -- answers -----------------------------------------------------------------------------------

struct answer {
    int status;
    const char *content_type;
    const char *allow;             // with 405
    const char *policy, *location; // as of a visit
};

static bool answer_fields(const struct answer *answer, struct fields *fields)
{
    static const struct field always[] = {
        {{"Cache-Control", 13}, {"no-store", 8}},
        {{"X-Content-Type-Options", 22}, {"nosniff", 7}},
        {{"X-Frame-Options", 15}, {"DENY", 4}},
        {{"Referrer-Policy", 15}, {"no-referrer", 11}},
        {{"Cross-Origin-Resource-Policy", 28}, {"same-origin", 11}},
    };
    const char *policy =
        answer->policy ? answer->policy : "default-src 'none'; frame-ancestors 'none'";
    bool ok = fields_add(fields, STR("Content-Type"), str_of(answer->content_type)) &&
              fields_add(fields, STR("Content-Security-Policy"), str_of(policy));
    for (size_t i = 0; ok && i < ARRAY_LEN(always); i++)
        ok = fields_add(fields, always[i].name, always[i].value);
    if (answer->status == 401)
        ok =
            ok && fields_add(fields, STR("WWW-Authenticate"), STR("Basic realm=\"bearerd admin\""));
    if (answer->allow)
        ok = ok && fields_add(fields, STR("Allow"), str_of(answer->allow));
    if (answer->location)
        ok = ok && fields_add(fields, STR("Location"), str_of(answer->location));
    return ok;
}

// Whoever reads slowly has a connection for as long, and there are few: the proxy's operators are
// not to be locked out by them.
static void on_look(struct timer *timer)
{
    struct admin *admin = CONTAINER_OF(timer, struct admin, timer);
    bool is_full = server_connection_count(admin->server) >= CONNECTIONS_MAX;
    uint64_t now_ms = loop_now_us(admin->loop) / 1000;
    if (!list_is_empty(&admin->replies))
        timer_start(admin->loop, timer, LOOK_MS);
    for (struct list *link = admin->replies.next; link != &admin->replies; link = link->next) {
        const struct visit *visit = CONTAINER_OF(link, struct visit, link);
        if (now_ms - visit->replied_ms < (is_full ? REPLY_FULL_MS : REPLY_MS))
            break;
        request_abort(visit->request); // on_end follows from the loop
        is_full = false;               // there is a place now
    }
}

static void visit_watch(struct visit *visit)
{
    struct admin *admin = visit->admin;
    visit->replied_ms = loop_now_us(admin->loop) / 1000;
    if (list_is_empty(&admin->replies))
        timer_start(admin->loop, &admin->timer, LOOK_MS);
    list_append(&admin->replies, &visit->link);
}

static void visit_answer(struct visit *visit, const struct answer *answer)
{
    struct fields *fields = mem_alloc(sizeof *fields);
    struct request *request = visit->request;
    bool ok = answer_fields(answer, fields);
    visit_watch(visit);
    request_reply(request, &(struct reply){
                               .status = ok ? answer->status : 500,
                               .fields = fields,
                               .is_whole = true,
                               .body = buf_str(&visit->body),
                               // What follows a refused CONNECT or Upgrade may be no request.
                               .close = str_eq(request->method, STR("CONNECT")) ||
                                        fields_find(&request->fields, STR("Upgrade")),
                           });
    mem_free(fields);
}

static void visit_refuse(struct visit *visit, int status, const char *type, const char *title,
                         const char *detail, const char *allow)
{
    struct answer answer = {.status = status, .content_type = PROBLEM, .allow = allow};
    buf_clear(&visit->body);
    if (!admin_problem(&visit->body, status, type, title, detail))
        buf_clear(&visit->body); // cannot happen: a problem is small
    visit_answer(visit, &answer);
}

void visit_finish(struct visit *visit, int status)
{
    const struct admin_page *page = visit->page;
    bool is_problem = status >= 400 && page->access == PAGE_CHANGE;
    struct answer answer = {
        .status = status,
        .content_type = is_problem ? PROBLEM : page->content_type,
        .policy = visit->policy,
        .location = visit->location,
    };
    if (status) {
        visit_answer(visit, &answer);
        return;
    }
    log_error("admin.too_large", F_TEXT("page", page->path));
    visit_refuse(visit, 500, "internal", "bearerd could not do its part",
                 "the page is larger than it may be", NULL);
}

// -- requests ----------------------------------------------------------------------------------

static const struct admin_page *page_find(struct str path)
{
    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        if (str_eq(path, str_of(pages[i].path)))
            return &pages[i];
    return NULL;
}

static bool method_fits(const struct admin_page *page, struct str method)
{
    bool is_read = !strcmp(page->method, "GET");
    return str_eq(method, str_of(page->method)) || (is_read && str_eq(method, STR("HEAD")));
}

static bool visit_may(struct visit *visit, const struct facts_caller *caller)
{
    static const char title[] = "The admin key is required";
    enum page_access access = visit->page->access;
    const struct facts *facts = &visit->admin->facts;
    if (access == PAGE_OPEN || (access == PAGE_READ && caller->may_read) || caller->may_change)
        return true;
    if (facts->config(facts->arg)->admin.key)
        visit_refuse(visit, 401, "key-required", title,
                     "present [admin] key as Authorization: Bearer, as the password of Basic, or "
                     "as X-Bearerd-Key",
                     NULL);
    else
        visit_refuse(visit, 403, "key-required", title,
                     "without [admin] key, orders are taken over a unix: socket alone", NULL);
    return false;
}

// False: there is none, and that was answered.
static bool visit_find_page(struct visit *visit, struct str path)
{
    const struct admin_page *page = page_find(path);
    if (!page) {
        visit_refuse(visit, 404, "no-page", "There is no such page", "GET / lists what there is",
                     NULL);
        return false;
    }
    visit->page = page;
    if (method_fits(page, visit->request->method))
        return true;
    visit_refuse(visit, 405, "method-not-allowed", "This method is not for this page",
                 "GET / tells which is", !strcmp(page->method, "GET") ? "GET, HEAD" : page->method);
    return false;
}

static struct visit *visit_new(struct admin *admin, struct request *request)
{
    struct visit *visit = mem_alloc(sizeof *visit);
    visit->admin = admin;
    visit->request = request;
    request->user = visit;
    buf_init(&visit->body, BODY_MAX);
    return visit;
}

static void on_request(void *arg, struct request *request)
{
    struct admin *admin = arg;
    struct visit *visit = visit_new(admin, request);
    struct str query = request->target, path = STR_NONE;
    struct facts_caller caller;
    admin->facts.judge(admin->facts.arg, request, &caller);
    visit->uid = caller.uid;
    if (caller.status) {
        visit_refuse(visit, caller.status, caller.type, "This caller is not allowed", caller.why,
                     NULL);
        return;
    }
    if (!str_split(&query, '?', &path) || !visit_find_page(visit, path) ||
        !visit_may(visit, &caller))
        return;
    const struct admin_call call = {admin, query, visit};
    int status = visit->page->write(&call, &visit->body);
    if (status != PAGE_LATER)
        visit_finish(visit, status);
}

static void on_refused(void *arg, struct request *request, int status, const char *why)
{
    struct visit *visit = visit_new(arg, request);
    visit_refuse(visit, status, "malformed-request", "The request is malformed", why, NULL);
}

// Every request is answered from its head, so its body is of no use.
static size_t on_body(struct request *request, struct str bytes)
{
    (void)request;
    return bytes.len;
}

static void on_body_end(struct request *request)
{
    (void)request;
}

static ssize_t on_pull(struct request *request, char *out, size_t out_max)
{
    (void)request;
    (void)out;
    (void)out_max;
    return PULL_END; // not called: all answers are whole
}

static void on_end(struct request *request, bool is_complete)
{
    struct visit *visit = request->user;
    const struct facts *facts = &visit->admin->facts;
    (void)is_complete;
    if (list_is_linked(&visit->link))
        list_remove(&visit->link);
    facts->cancel(facts->arg, &visit->order);
    buf_fini(&visit->body);
    mem_free(visit);
}

static const struct server_ops ops = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_body = on_body,
    .on_body_end = on_body_end,
    .on_pull = on_pull,
    .on_end = on_end,
};

// -- life --------------------------------------------------------------------------------------

struct admin *admin_new(struct loop *loop, const struct facts *facts, struct err *err)
{
    struct admin *admin = mem_alloc(sizeof *admin);
    const struct server_config config = {
        .header_limit = (size_t)16 * 1024,
        .max_connections = CONNECTIONS_MAX,
        .spare_fds = SPARE_FDS,
        .header_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .keepalive_timeout_ms = 75000,
    };
    admin->loop = loop;
    admin->facts = *facts;
    list_init(&admin->replies);
    timer_init(&admin->timer, on_look);
    admin->process = process_new();
    admin->history = history_new(loop, &admin->facts);
    admin->server = server_new(loop, &config, &ops, admin, err);
    if (admin->server)
        return admin;
    admin_free(admin);
    return NULL;
}

void admin_free(struct admin *admin)
{
    if (!admin)
        return;
    server_free(admin->server);
    timer_stop(admin->loop, &admin->timer);
    history_free(admin->history);
    process_free(admin->process);
    mem_free(admin);
}

bool admin_listen(struct admin *admin, int fd, struct err *err)
{
    return server_listen(admin->server, fd, err);
}

void admin_lend(struct admin *admin, int fd)
{
    server_lend(admin->server, fd);
}

void admin_unlisten(struct admin *admin, int fd)
{
    server_unlisten(admin->server, fd);
}

void admin_on_token_failure(void *arg, const struct config_slot *slot,
                            const struct token_failure *failure)
{
    struct admin *admin = arg;
    failures_add_token(&admin->failures, slot->credential->name, slot->scope, failure);
}

void admin_on_upstream_failure(struct admin *admin, const char *upstream, const char *route,
                               enum traffic_failure failure, const char *why, uint64_t count)
{
    failures_add_upstream(&admin->failures, upstream, route, failure, why, count);
}
