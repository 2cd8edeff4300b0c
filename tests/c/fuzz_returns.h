/* fuzz_returns.h - what the fuzzers of failure.c and attribution.c share: a suite, secrets, bytes of the input, exact buffers. */
#ifndef KSF_TEST_FUZZ_RETURNS_H
#define KSF_TEST_FUZZ_RETURNS_H
#include <stdlib.h>
#include <string.h>
#include "../../csrc/chacha20/chacha20.h"
#include "../../csrc/sphinx/failure.h"
#include "../../csrc/util.h"

#define KSF_REQUIRE(condition)     \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

/* The portable slots, counting: blocks compressed and streams begun say how much work was done. */
static size_t ksf_fuzz_blocks, ksf_fuzz_streams;
static inline void ksf_fuzz_compress(uint32_t (*states)[8], const uint8_t *const *blocks, size_t n_blocks, size_t n) {
    ksf_fuzz_blocks += n_blocks * n;
    ksf_sha256_portable.compress_many(states, blocks, n_blocks, n);
}
static inline void ksf_fuzz_stream(uint8_t *const *out, const uint8_t *keys, const uint32_t *counters, size_t len, size_t n) {
    ksf_fuzz_streams += n;
    ksf_chacha20_portable.stream_many(out, keys, counters, len, n);
}
static const ksf_sha256_impl ksf_fuzz_sha256 = {.info = {.name = "counting"}, .streams = 1, .compress_many = ksf_fuzz_compress};
static const ksf_chacha20_impl ksf_fuzz_chacha20 = {.info = {.name = "counting"}, .streams = 1, .stream_many = ksf_fuzz_stream};
static const ksf_suite ksf_fuzz_suite = {.sha256 = &ksf_fuzz_sha256, .chacha20 = &ksf_fuzz_chacha20};

/* The input, taken from the front; zeros behind its end. */
typedef struct {
    const uint8_t *data;
    size_t size;
} ksf_fuzz_input;

static inline uint8_t ksf_fuzz_byte(ksf_fuzz_input *in) {
    if (!in->size) return 0;
    in->size--;
    return *in->data++;
}
static inline size_t ksf_fuzz_u16(ksf_fuzz_input *in) {
    const size_t high = ksf_fuzz_byte(in);
    return high << 8 | ksf_fuzz_byte(in);
}
static inline void ksf_fuzz_take(ksf_fuzz_input *in, uint8_t *to, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] = ksf_fuzz_byte(in);
}

/* A block of exactly n bytes, so that the address sanitizer sees the first one too many. */
static inline uint8_t *ksf_fuzz_alloc(size_t n) {
    uint8_t *p = malloc(n ? n : 1);
    KSF_REQUIRE(p);
    memset(p, 0x5a, n ? n : 1);
    return p;
}
static inline void *ksf_fuzz_scratch(size_t n) {
    void *p = aligned_alloc(64, ksf_round_up(n + 1, 64));
    KSF_REQUIRE(p);
    return p;
}

/* Shared secrets of n hops; not secret here. */
static inline uint8_t *ksf_fuzz_secrets(size_t n, uint8_t seed) {
    uint8_t *p = ksf_fuzz_alloc(32 * n);
    for (size_t h = 0; h < n; h++) {
        memset(p + 32 * h, seed | 1, 32);
        ksf_store64_le(p + 32 * h, h);
    }
    return p;
}

static inline void ksf_fuzz_key(ksf_key_type type, uint8_t out[32], const uint8_t secret[32]) {
    ksf_sphinx_derive(&ksf_sha256_portable, type, out, secret, 1);
}

/* data[0..n) ^= the stream of the secret's key of this type. */
static inline void ksf_fuzz_layer(ksf_key_type type, uint8_t *data, size_t n, const uint8_t secret[32]) {
    uint8_t key[32], *stream = ksf_fuzz_alloc(n);
    ksf_fuzz_key(type, key, secret);
    ksf_chacha20_stream(&ksf_chacha20_portable, stream, n, key);
    ksf_xor(data, stream, n);
    free(stream);
}

/* out = HMAC of the secret's um key over a message. */
static inline void ksf_fuzz_um(uint8_t out[32], const uint8_t secret[32], const uint8_t *message, size_t n) {
    uint8_t key[32];
    const uint8_t *keys[1] = {key}, *messages[1] = {message};
    const size_t key_lengths[1] = {32}, lengths[1] = {n};
    ksf_fuzz_key(KSF_KEY_UM, key, secret);
    ksf_hmac_sha256_many(&ksf_sha256_portable, out, keys, key_lengths, messages, lengths, 1);
}

static inline void ksf_fuzz_step(const ksf_return_step *step) {
    const ksf_return_step_batch batch = {.n = 1, .suite = &ksf_fuzz_suite, .steps = step, .max_packet_len = step->packet_len};
    void *scratch = ksf_fuzz_scratch(ksf_return_step_scratch(&batch));
    ksf_return_step_block(&batch, 0, 1, scratch);
    free(scratch);
}

static inline void ksf_fuzz_decode(const ksf_return *returns, size_t n, ksf_return_report *reports, ksf_status *statuses) {
    ksf_return_batch batch = {.n = n, .suite = &ksf_fuzz_suite, .returns = returns, .reports = reports, .statuses = statuses};
    for (size_t i = 0; i < n; i++) {
        if (returns[i].packet_len > batch.max_packet_len) batch.max_packet_len = returns[i].packet_len;
        if (returns[i].n_hops > batch.max_hops) batch.max_hops = returns[i].n_hops;
    }
    void *scratch = ksf_fuzz_scratch(ksf_return_decode_scratch(&batch));
    memset(reports, 0x5a, n * sizeof *reports);
    memset(statuses, 0, n * sizeof *statuses);
    ksf_return_decode_block(&batch, 0, n, scratch);
    free(scratch);
}

#endif
