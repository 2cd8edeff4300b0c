#include "selftest.h"

#include <stdlib.h>

#include "chacha20/chacha20.h"
#include "secp256k1/ecmult.h"
#include "sha256/sha256.h"
#include "util.h"

/* The largest sizes below cross every lane count in use (16) with a remainder; messages are as long as a payment's HMAC input,
 * hop_payloads and associated data. */
enum { STREAMS = 19, MESSAGE = 1332, ONIONS = 19, KEYS = 5, TABLED = 3, MAX_HOPS = 4 };

/* Fixed, unremarkable input. */
static void fill(uint8_t *p, size_t n, uint32_t seed) {
    uint32_t x = seed * 2654435761u + 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        p[i] = (uint8_t)(x >> 24);
    }
}

/* SHA256("abc"): FIPS 180-4's example. */
static const uint8_t SHA256_ABC[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                       0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};

int ksf_selftest_sha256(const ksf_sha256_impl *impl) {
    static const uint8_t abc[3] = {'a', 'b', 'c'};
    uint8_t data[STREAMS][MESSAGE], out[STREAMS][32], expect[STREAMS][32];
    const uint8_t *messages[STREAMS] = {abc};
    size_t lengths[STREAMS] = {3};
    ksf_sha256_many(impl, out[0], messages, lengths, 1);
    if (memcmp(out[0], SHA256_ABC, 32) != 0) return 0;
    for (size_t i = 0; i < STREAMS; i++) {
        fill(data[i], MESSAGE, (uint32_t)i);
        messages[i] = data[i];
        lengths[i] = MESSAGE;
    }
    ksf_sha256_many(&ksf_sha256_portable, expect[0], messages, lengths, STREAMS);
    for (size_t n = 1; n <= STREAMS; n += 3) {
        memset(out, 0, sizeof out);
        ksf_sha256_many(impl, out[0], messages, lengths, n);
        if (memcmp(out, expect, 32 * n) != 0) return 0;
    }
    return 1;
}

/* First block of the key stream of the all-zero key: RFC 8439, Appendix A.1, test vector 1 (first 32 bytes). */
static const uint8_t CHACHA20_ZERO[32] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28,
                                          0xbd, 0xd2, 0x19, 0xb8, 0xa0, 0x8d, 0xed, 0x1a, 0xa8, 0x36, 0xef, 0xcc, 0x8b, 0x77, 0x0d, 0xc7};

int ksf_selftest_chacha20(const ksf_chacha20_impl *impl) {
    uint8_t keys[STREAMS][32], out[STREAMS][MESSAGE], expect[STREAMS][MESSAGE];
    uint8_t *to[STREAMS];
    uint32_t counters[STREAMS];
    for (size_t i = 0; i < STREAMS; i++) {
        to[i] = out[i];
        counters[i] = (uint32_t)(3 * i);
    }
    memset(keys, 0, 32);
    impl->stream_many(to, keys[0], NULL, 32, 1);
    if (memcmp(out[0], CHACHA20_ZERO, 32) != 0) return 0;
    for (size_t i = 0; i < STREAMS; i++) fill(keys[i], 32, (uint32_t)i);
    for (size_t n = 1; n <= STREAMS; n += 3) {
        memset(out, 0, sizeof out);
        ksf_chacha20_portable.stream_many(to, keys[0], counters, MESSAGE - n, n);
        memcpy(expect, out, sizeof out);
        memset(out, 0, sizeof out);
        impl->stream_many(to, keys[0], counters, MESSAGE - n, n);
        if (memcmp(out, expect, sizeof out) != 0) return 0;
    }
    return 1;
}

/* SHA-256 over the answers of the fixed block below, from tools/selftest_answers.py. */
static const uint8_t ECMULT_CHAIN[32] = {0x52, 0xc7, 0x28, 0xdc, 0xe3, 0xaf, 0x33, 0xee, 0xbb, 0xe3, 0x74, 0xf5, 0xff, 0xd6, 0xe3, 0xc0,
                                         0xce, 0x4d, 0x0c, 0xb4, 0x9f, 0xd6, 0xe3, 0xb6, 0x45, 0x3d, 0x81, 0x18, 0xcc, 0x22, 0x7f, 0x08};
static const uint8_t ECMULT_PEEL[32] = {0x45, 0xd3, 0xbe, 0x18, 0x06, 0x0b, 0xdd, 0x1a, 0x70, 0x45, 0xcd, 0xcf, 0xd4, 0xfc, 0x1d, 0x08,
                                        0x27, 0xc5, 0x7b, 0xd6, 0x42, 0xf6, 0xc8, 0xfa, 0x3b, 0xc4, 0xd1, 0xb7, 0x7c, 0x3d, 0xc8, 0xf4};
static const uint8_t ECMULT_MUL[32] = {0x1f, 0x55, 0xed, 0x9e, 0xf2, 0x64, 0x39, 0xe3, 0xba, 0x66, 0x68, 0xd5, 0x50, 0x3e, 0x61, 0x5a,
                                       0x92, 0x8c, 0x65, 0xb4, 0x9b, 0x46, 0x59, 0x00, 0x74, 0x35, 0x57, 0xb0, 0xb2, 0x0f, 0x88, 0xf9};

typedef struct {
    uint8_t scalars[ONIONS][32];
    ksf_node_key keys[KEYS];
    uint16_t n_hops[ONIONS];
    uint32_t first_row[ONIONS], row_key[ONIONS * MAX_HOPS], index[ONIONS];
    ksf_status statuses[ONIONS];
    uint8_t chain[ONIONS * 33 + ONIONS * MAX_HOPS * 32]; /* E of each onion, then the shared secrets */
    uint8_t peel[ONIONS * 32 + ONIONS * 33];
    uint8_t mul[ONIONS * 33];
    uint8_t ids[KEYS * 33];
} ecmult_test;

static int digest_is(const uint8_t expect[32], const uint8_t *p, size_t n) {
    uint8_t d[32];
    ksf_sha256_many(&ksf_sha256_portable, d, &p, &n, 1);
    return memcmp(d, expect, 32) == 0;
}

static int all_ok(const ksf_status *s, size_t n) {
    int ok = 1;
    for (size_t i = 0; i < n; i++) ok &= s[i].code == KSF_OK;
    return ok;
}

static int run_chain(ecmult_test *t, const ksf_ecmult_impl *impl, const ksf_sha256_impl *sha256, void *scratch) {
    uint32_t rows = 0;
    for (uint32_t i = 0; i < ONIONS; i++) {
        t->n_hops[i] = (uint16_t)(1 + i % MAX_HOPS);
        t->first_row[i] = rows;
        for (uint32_t h = 0; h < t->n_hops[i]; h++, rows++) t->row_key[rows] = (i + 2 * h) % KEYS;
    }
    memset(t->statuses, 0, sizeof t->statuses);
    memset(t->chain, 0, sizeof t->chain);
    const ksf_key_chain chain = {.n = ONIONS,
                                 .n_hops = t->n_hops,
                                 .first_row = t->first_row,
                                 .row_key = t->row_key,
                                 .keys = t->keys,
                                 .session_keys = t->scalars[0],
                                 .ephemeral = t->chain,
                                 .shared_secrets = t->chain + ONIONS * 33,
                                 .statuses = t->statuses,
                                 .sha256 = sha256};
    impl->key_chain(&chain, scratch);
    return all_ok(t->statuses, ONIONS) && digest_is(ECMULT_CHAIN, t->chain, sizeof t->chain);
}

static int run_peel(ecmult_test *t, const ksf_ecmult_impl *impl, const ksf_sha256_impl *sha256, void *scratch) {
    size_t m = 0;
    memset(t->statuses, 0, sizeof t->statuses);
    memset(t->peel, 0, sizeof t->peel);
    const ksf_peel_block peel = {.n = ONIONS,
                                 .node_privkey = t->scalars[0],
                                 .ephemeral = t->chain,
                                 .stride = 33,
                                 .shared_secrets = t->peel,
                                 .next_ephemeral = t->peel + ONIONS * 32,
                                 .statuses = t->statuses,
                                 .sha256 = sha256};
    impl->peel_shared(&peel, scratch);
    for (uint32_t i = 0; i < ONIONS; i += 2) t->index[m++] = i;
    impl->peel_next(&peel, t->index, m, scratch);
    return all_ok(t->statuses, ONIONS) && digest_is(ECMULT_PEEL, t->peel, sizeof t->peel);
}

static int run_mul(ecmult_test *t, const ksf_ecmult_impl *impl, void *scratch) {
    memset(t->statuses, 0, sizeof t->statuses);
    for (uint32_t i = 0; i < ONIONS; i++) t->index[i] = (i * i) % KEYS;
    const ksf_point_mul mul = {
        .n = ONIONS, .scalars = t->scalars[0], .keys = t->keys, .key_index = t->index, .out = t->mul, .statuses = t->statuses};
    impl->point_mul(&mul, scratch);
    return all_ok(t->statuses, ONIONS) && digest_is(ECMULT_MUL, t->mul, sizeof t->mul);
}

static int run_ecmult(ecmult_test *t, const ksf_ecmult_impl *impl, const ksf_sha256_impl *sha256, void *scratch) {
    for (uint32_t i = 0; i < ONIONS; i++) {
        fill(t->scalars[i], 32, 1000 + i);
        t->scalars[i][0] &= 0x7f; /* below the order */
    }
    memset(t->statuses, 0, sizeof t->statuses);
    const ksf_point_mul base = {.n = KEYS, .scalars = t->scalars[0], .out = t->ids, .statuses = t->statuses};
    impl->point_mul(&base, scratch);
    memset(t->keys, 0, sizeof t->keys);
    for (size_t i = 0; i < KEYS; i++) memcpy(t->keys[i].id, t->ids + 33 * i, 33);
    impl->load_keys(t->keys, KEYS, scratch);
    for (size_t i = 0; i < KEYS; i++)
        if (!t->keys[i].valid) return 0;
    return run_chain(t, impl, sha256, scratch) && run_peel(t, impl, sha256, scratch) && run_mul(t, impl, scratch);
}

/* The same again with tables for some of the keys. */
static int run_tables(ecmult_test *t, const ksf_ecmult_impl *impl, const ksf_sha256_impl *sha256, void *scratch) {
    const unsigned window = impl->window_default;
    const size_t bytes = ksf_round_up(impl->table_bytes(window), 64);
    uint8_t *tables = aligned_alloc(64, bytes * TABLED);
    void *build = aligned_alloc(64, ksf_round_up(impl->table_scratch_bytes(window) + 1, 64));
    int ok = 0;
    if (tables && build) {
        void *to[TABLED];
        const ksf_node_key *from[TABLED];
        for (size_t i = 0; i < TABLED; i++) {
            to[i] = tables + i * bytes;
            from[i] = &t->keys[i];
        }
        impl->table_build(to, from, TABLED, window, build);
        for (size_t i = 0; i < TABLED; i++) {
            t->keys[i].table = to[i];
            t->keys[i].window = (uint8_t)window;
        }
        ok = run_chain(t, impl, sha256, scratch) && run_mul(t, impl, scratch);
    }
    free(build);
    free(tables);
    return ok;
}

int ksf_selftest_ecmult(const ksf_ecmult_impl *impl, const ksf_sha256_impl *sha256) {
    void *scratch = aligned_alloc(64, ksf_round_up(impl->scratch_bytes(ONIONS) + 1, 64));
    ecmult_test *t = malloc(sizeof *t);
    int ok = scratch && t && run_ecmult(t, impl, sha256, scratch) && (impl->window_max == 0 || run_tables(t, impl, sha256, scratch));
    free(t);
    free(scratch);
    return ok;
}
