/* api.c - the ksf_api table, and the primitives that are a loop over a slot. */
#include "chacha20/chacha20.h"
#include "checkmem.h"
#include "dispatch.h"
#include "secp256k1/ecmult.h"
#include "secp256k1/ecmult_libsecp.h"
#include "secp256k1/scalar_bytes.h"
#include "sha256/sha256.h"
#include "sphinx/failure.h"
#include "sphinx/sphinx.h"
#include "tlv/tlv.h"
#include "util.h"

/* Points a call to a slot's point_mul, which takes as many as its scratch was sized for. */
enum { POINTS = 128, STREAMS = 64 };

typedef struct {
    ksf_node_key keys[POINTS];
    uint32_t index[POINTS];
    uint8_t products[POINTS * 33];
} point_scratch;

static size_t ecmult_at(void) { return ksf_round_up(sizeof(point_scratch), 64); }
static size_t api_point_scratch(const ksf_suite *suite) { return ecmult_at() + suite->ecmult->scratch_bytes(POINTS); }

/* scalars[0..n) times public_keys (or the base point) into out, n <= POINTS. */
static void mul_piece(const ksf_suite *suite, uint8_t *out, const uint8_t *scalars, const uint8_t *public_keys, ksf_status *statuses,
                      size_t n, point_scratch *s) {
    void *scratch = (uint8_t *)s + ecmult_at();
    memset(statuses, 0, n * sizeof *statuses);
    if (public_keys) {
        memset(s->keys, 0, n * sizeof *s->keys);
        for (size_t i = 0; i < n; i++) {
            memcpy(s->keys[i].id, public_keys + 33 * i, 33);
            s->index[i] = (uint32_t)i;
        }
        suite->ecmult->load_keys(s->keys, n, scratch);
        for (size_t i = 0; i < n; i++)
            if (!s->keys[i].valid) statuses[i].code = KSF_ERR_POINT;
    }
    const ksf_point_mul mul = {.n = n,
                               .scalars = scalars,
                               .keys = public_keys ? s->keys : NULL,
                               .key_index = public_keys ? s->index : NULL,
                               .out = out,
                               .statuses = statuses};
    suite->ecmult->point_mul(&mul, scratch);
}

static void api_point_mul_many(const ksf_suite *suite, uint8_t *out, const uint8_t *scalars, const uint8_t *public_keys,
                               ksf_status *statuses, size_t n, void *scratch) {
    for (size_t i = 0; i < n; i += POINTS)
        mul_piece(suite, out + 33 * i, scalars + 32 * i, public_keys ? public_keys + 33 * i : NULL, statuses + i,
                  n - i < POINTS ? n - i : POINTS, scratch);
}

static void api_base_mul_many(const ksf_suite *suite, uint8_t *out, const uint8_t *scalars, ksf_status *statuses, size_t n, void *scratch) {
    api_point_mul_many(suite, out, scalars, NULL, statuses, n, scratch);
}

static void api_ecdh_many(const ksf_suite *suite, uint8_t *out, const uint8_t *scalars, const uint8_t *public_keys, ksf_status *statuses,
                          size_t n, void *scratch) {
    point_scratch *s = scratch;
    for (size_t i = 0; i < n; i += POINTS) {
        const size_t m = n - i < POINTS ? n - i : POINTS;
        mul_piece(suite, s->products, scalars + 32 * i, public_keys + 33 * i, statuses + i, m, s);
        ksf_sha256_rows(suite->sha256, out + 32 * i, s->products, 33, 33, m);
        for (size_t j = i; j < i + m; j++)
            if (statuses[j].code != KSF_OK) memset(out + 32 * j, 0, 32);
    }
    ksf_wipe(s->products, sizeof s->products);
}

static void api_chacha20_stream_many(const ksf_suite *suite, uint8_t *out, const uint8_t *keys, size_t len, size_t n) {
    for (size_t i = 0; i < n; i += STREAMS) {
        uint8_t *to[STREAMS];
        const size_t m = n - i < STREAMS ? n - i : STREAMS;
        for (size_t j = 0; j < m; j++) to[j] = out + len * (i + j);
        suite->chacha20->stream_many(to, keys + 32 * i, NULL, len, m);
    }
}

static void api_chacha20_stream(const ksf_suite *suite, uint8_t *out, size_t len, const uint8_t *key) {
    ksf_chacha20_stream(suite->chacha20, out, len, key);
}
static void api_sha256_many(const ksf_suite *suite, uint8_t *out, const uint8_t *const *messages, const size_t *lengths, size_t n) {
    ksf_sha256_many(suite->sha256, out, messages, lengths, n);
}
static void api_hmac_sha256_many(const ksf_suite *suite, uint8_t *out, const uint8_t *const *keys, const size_t *key_lengths,
                                 const uint8_t *const *messages, const size_t *lengths, size_t n) {
    ksf_hmac_sha256_many(suite->sha256, out, keys, key_lengths, messages, lengths, n);
}

static size_t api_keys_load_scratch(const ksf_suite *suite) { return suite->ecmult->scratch_bytes(POINTS); }
static void api_keys_load(const ksf_suite *suite, ksf_node_key *keys, size_t n, void *scratch) {
    for (size_t i = 0; i < n; i += POINTS) suite->ecmult->load_keys(keys + i, n - i < POINTS ? n - i : POINTS, scratch);
}
static size_t api_table_bytes(const ksf_suite *suite, unsigned window) { return suite->ecmult->table_bytes(window); }
static size_t api_table_scratch(const ksf_suite *suite, unsigned window) { return suite->ecmult->table_scratch_bytes(window); }
static void api_table_build(const ksf_suite *suite, void *const *tables, const ksf_node_key *const *keys, size_t n, unsigned window,
                            void *scratch) {
    suite->ecmult->table_build(tables, keys, n, window, scratch);
}

/* Branch-free and table-free, so that the compiler makes vectors of it and no address depends on a byte. */
static void api_hex_encode(char *out, const uint8_t *in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const uint8_t hi = in[i] >> 4, lo = in[i] & 15;
        out[2 * i] = (char)(hi + '0' + (('a' - '0' - 10) & -(hi > 9)));
        out[2 * i + 1] = (char)(lo + '0' + (('a' - '0' - 10) & -(lo > 9)));
    }
}

static int api_scalar_valid(const uint8_t *scalar) {
    int ok = ksf_scalar_valid(scalar);
    KSF_DECLASSIFY(&ok, sizeof ok);
    return ok;
}
static void api_wipe(void *p, size_t n) { ksf_wipe(p, n); }
static int api_equal(const uint8_t *a, const uint8_t *b, size_t n) { return (int)ksf_equal(a, b, n); }

static const ksf_api THE_API = {
    .version = KSF_API_VERSION,
    .size = sizeof(ksf_api),
    .suite_resolve = ksf_suite_resolve,
    .impl_list = ksf_impl_list,
    .suite_impl = ksf_suite_impl,
    .libsecp256k1_set = ksf_libsecp256k1_set,
    .keys_collect = ksf_keys_collect,
    .build_order = ksf_build_order,
    .keys_alike = ksf_keys_alike,
    .keys_load_scratch = api_keys_load_scratch,
    .keys_load = api_keys_load,
    .table_bytes = api_table_bytes,
    .table_scratch = api_table_scratch,
    .table_build = api_table_build,
    .build_scratch = ksf_build_scratch,
    .build_block = ksf_build_block,
    .peel_scratch = ksf_peel_scratch,
    .peel_block = ksf_peel_block_run,
    .keysend_plan = ksf_keysend_plan_make,
    .records_check = ksf_records_check,
    .point_scratch = api_point_scratch,
    .point_mul_many = api_point_mul_many,
    .base_mul_many = api_base_mul_many,
    .ecdh_many = api_ecdh_many,
    .chacha20_stream_many = api_chacha20_stream_many,
    .chacha20_stream = api_chacha20_stream,
    .sha256_many = api_sha256_many,
    .hmac_sha256_many = api_hmac_sha256_many,
    .tlv_scan = ksf_tlv_scan,
    .bigsize_write = ksf_bigsize_write,
    .bigsize_read = ksf_bigsize_read,
    .hex_encode = api_hex_encode,
    .scalar_valid = api_scalar_valid,
    .wipe = api_wipe,
    .equal = api_equal,
    .return_decode_scratch = ksf_return_decode_scratch,
    .return_decode_block = ksf_return_decode_block,
    .return_step_scratch = ksf_return_step_scratch,
    .return_step_block = ksf_return_step_block,
};

const ksf_api *ksf_get_api(void) { return &THE_API; }

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
const char *ksf_compiler(void) {
#if defined(__clang__)
    return "clang " TEXT(__clang_major__) "." TEXT(__clang_minor__) "." TEXT(__clang_patchlevel__);
#else
    return "gcc " TEXT(__GNUC__) "." TEXT(__GNUC_MINOR__) "." TEXT(__GNUC_PATCHLEVEL__);
#endif
}

uint32_t ksf_cpu_bits(void) { return ksf_cpu_features(); }
