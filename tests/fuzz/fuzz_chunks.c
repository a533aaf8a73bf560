// SPDX-License-Identifier: MIT
// Chunked bodies: fed whole, byte by byte and in pieces the input chooses, they give the same data,
// end and result; llhttp reads the same in them, or we refuse them; and the input cut into chunks
// by our own encoder comes back as it was, from both.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/second_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

struct decoded {
    enum h1_result result;
    size_t used, len;
    char *bytes; // as many as were fed
};

static void feed_piece(struct h1_chunks *chunks, struct str piece, struct decoded *out)
{
    while (piece.len && out->result == H1_MORE) {
        size_t used = 0;
        struct str run;
        out->result = h1_chunks_decode(chunks, piece, &used, &run);
        REQUIRE(used <= piece.len && (used || out->result != H1_MORE));
        REQUIRE(!run.len || (run.ptr >= piece.ptr && run.ptr + run.len <= piece.ptr + used));
        REQUIRE(!run.len || out->result == H1_MORE);
        if (run.len)
            memcpy(out->bytes + out->len, run.ptr, run.len);
        out->len += run.len;
        out->used += used;
        piece = str_from(piece, used);
    }
}

// Pieces of 1 to `piece_max` bytes, their sizes drawn from seed, each in memory of its own size.
static struct decoded decode(struct str in, size_t piece_max, uint32_t seed)
{
    struct decoded out = {.result = H1_MORE, .bytes = malloc(in.len ? in.len : 1)};
    struct h1_chunks chunks;
    h1_chunks_init(&chunks);
    REQUIRE(out.bytes);
    while (out.used < in.len && out.result == H1_MORE) {
        seed = seed * 1664525u + 1013904223u;
        size_t len = 1 + (seed >> 8) % piece_max;
        if (len > in.len - out.used)
            len = in.len - out.used;
        char *copy = malloc(len);
        REQUIRE(copy);
        memcpy(copy, in.ptr + out.used, len);
        feed_piece(&chunks, (struct str){copy, len}, &out);
        free(copy);
    }
    return out;
}

static void require_same(const struct decoded *a, const struct decoded *b)
{
    REQUIRE(a->result == b->result && a->used == b->used && a->len == b->len);
    REQUIRE(!a->len || !memcmp(a->bytes, b->bytes, a->len));
}

static void check_split(struct str in)
{
    struct decoded whole = {.result = H1_MORE, .bytes = malloc(in.len ? in.len : 1)};
    struct h1_chunks chunks;
    h1_chunks_init(&chunks);
    REQUIRE(whole.bytes);
    feed_piece(&chunks, in, &whole);
    struct decoded single = decode(in, 1, 0);
    struct decoded pieces = decode(in, 7, (uint32_t)in.len * 2654435761u);
    require_same(&whole, &single);
    require_same(&whole, &pieces);
    free(whole.bytes);
    free(single.bytes);
    free(pieces.bytes);
}

static void check_second(struct str in)
{
    struct second_reader second;
    struct buf data, plain;
    buf_init(&data, SECOND_BYTES_MAX);
    buf_init(&plain, SECOND_BYTES_MAX);
    second_init(&second, HTTP_RESPONSE);
    second_feed(&second, STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
    enum h1_result result = second_decode(in, &data, &plain);
    size_t used = second_feed(&second, buf_str(&plain));
    if (result != H1_ERROR) {
        REQUIRE(!second.has_failed && second.is_whole == (result == H1_DONE));
        REQUIRE(used == plain.len && str_eq(buf_str(&second.body), buf_str(&data)));
    }
    second_fini(&second);
    buf_fini(&data);
    buf_fini(&plain);
}

static void check_round_trip(struct str in, size_t chunk_len)
{
    char *encoded = malloc(in.len + (in.len / chunk_len + 2) * (H1_CHUNK_HEAD_MAX + 2));
    size_t at = 0;
    REQUIRE(encoded);
    for (struct str rest = in; rest.len;) {
        size_t len = rest.len < chunk_len ? rest.len : chunk_len;
        at += h1_chunk_head(encoded + at, len);
        memcpy(encoded + at, rest.ptr, len);
        memcpy(encoded + at + len, "\r\n", 2);
        at += len + 2;
        rest = str_from(rest, len);
    }
    memcpy(encoded + at, "0\r\n\r\n", 5);
    at += 5;
    struct decoded back = decode((struct str){encoded, at}, 64, 1);
    REQUIRE(back.result == H1_DONE && back.used == at && back.len == in.len);
    REQUIRE(!in.len || !memcmp(back.bytes, in.ptr, in.len));
    check_second((struct str){encoded, at});
    free(back.bytes);
    free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    check_split(in);
    check_second(in);
    check_round_trip(in, size ? 1u + data[0] : 1);
    return 0;
}
