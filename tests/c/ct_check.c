/* ct_check.c - does any branch or address depend on a secret? Secrets are marked undefined (csrc/checkmem.h), and valgrind's memcheck or
 * clang's MemorySanitizer complains where undefined bytes decide something. Run by ct.sh, which tries the planted leaks first.
 *
 *     ct_check <ecmult> <sha256> <chacha20>     all cases with these implementations
 *     ct_check planted-branch|planted-address   a leak that the tool must report
 *
 * Exit status 0: nothing was found (and a tool was watching); 77: this CPU cannot run one of them; 2: no tool is watching. */
#include "../../csrc/chacha20/chacha20.h"
#include "../../csrc/checkmem.h"
#include "../../csrc/sphinx/sphinx.h"
#include "ct_failures.h"
#include "ct_symm.h"
#include "support.h"

static struct ksf_suite suite;

/* -- planted leaks: what a broken check would not see ---------------------------------------------------------------- */
static volatile uint8_t sink, shelf[256];
static __attribute__((noinline)) void planted_branch(const uint8_t *secret) {
    if (secret[0] & 1) sink = 1;
}
static __attribute__((noinline)) void planted_address(const uint8_t *secret) { sink = shelf[secret[0]]; }

/* -- secrets --------------------------------------------------------------------------------------------------------- */
/* n random scalars of 32 bytes, in [1, n-1], marked secret. */
static uint8_t *secret_scalars(size_t n) {
    uint8_t *p = ksf_test_alloc(32 * n);
    for (size_t i = 0; i < n; i++) ksf_test_scalar(p + 32 * i);
    KSF_SECRET(p, 32 * n);
    return p;
}
static uint8_t *secret_bytes(size_t n) {
    uint8_t *p = ksf_test_alloc(n);
    ksf_test_fill(p, n);
    KSF_SECRET(p, n);
    return p;
}
/* Statuses are public: every function must have said so where they come from secrets. */
static void all_ok(const ksf_status *statuses, size_t n) {
    for (size_t i = 0; i < n; i++) KSF_REQUIRE(statuses[i].code == KSF_OK, "status %zu is %d", i, statuses[i].code);
}

/* What was computed from secrets is secret in every byte, unless the tool has lost track on the way and saw nothing after that. */
static void still_secret(const uint8_t *p, size_t n, const char *what) {
#if defined(KSF_CHECKMEM_MSAN)
    for (size_t i = 0; i < n; i++) KSF_REQUIRE(__msan_test_shadow(p + i, 1) == 0, "%s: byte %zu is taken for public", what, i);
#elif defined(KSF_VALGRIND)
    for (size_t i = 0; i < n; i++) {
        uint8_t bits = 0;
        KSF_REQUIRE(VALGRIND_GET_VBITS(p + i, &bits, 1) == 1, "vbits");
        KSF_REQUIRE(bits != 0, "%s: byte %zu is taken for public", what, i);
    }
#else
    (void)p, (void)n, (void)what;
#endif
}

/* -- the curve slot -------------------------------------------------------------------------------------------------- */
enum { KEYS = 12, ONIONS = 19, HOPS = 3 };
static ksf_node_key keys[KEYS];

static void make_keys(void) {
    const ksf_ecmult_impl *e = suite.ecmult;
    uint8_t *scalars = ksf_test_alloc(32 * KEYS), *points = ksf_test_alloc(33 * KEYS), *scratch = ksf_test_alloc(e->scratch_bytes(KEYS));
    ksf_status statuses[KEYS] = {{0}};
    for (int i = 0; i < KEYS; i++) ksf_test_scalar(scalars + 32 * i);
    e->point_mul(&(ksf_point_mul){KEYS, scalars, NULL, NULL, points, statuses}, scratch);
    KSF_DECLASSIFY(points, 33 * KEYS); /* node keys are public */
    memset(keys, 0, sizeof keys);
    for (int i = 0; i < KEYS; i++) memcpy(keys[i].id, points + 33 * i, 33);
    e->load_keys(keys, KEYS, scratch);
    free(scalars), free(points), free(scratch);
}
/* Tables of every window for the keys that have none yet, so that lanes share tables and do not; every fifth key goes without. */
static void make_tables(int all) {
    for (int i = 0; i < KEYS; i++) {
        const unsigned window = suite.ecmult->window_min + (unsigned)(i + 4) % 5;
        if (!keys[i].table && (all || i % 5)) ksf_test_tables(suite.ecmult, &keys[i], 1, i % 5 ? window : suite.ecmult->window_default);
    }
}
static void check_key_chain(size_t n) {
    uint16_t n_hops[ONIONS];
    uint32_t first_row[ONIONS], row_key[ONIONS * HOPS], rows = 0;
    ksf_status statuses[ONIONS] = {{0}};
    for (size_t i = 0; i < n; i++) {
        n_hops[i] = (uint16_t)(1 + i % HOPS), first_row[i] = rows;
        for (int h = 0; h < n_hops[i]; h++) row_key[rows++] = (uint32_t)(ksf_test_random() % KEYS);
    }
    uint8_t *session = secret_scalars(n), *ephemeral = ksf_test_alloc(33 * n), *out = ksf_test_alloc(32 * (size_t)rows);
    void *scratch = ksf_test_alloc(suite.ecmult->scratch_bytes(n));
    suite.ecmult->key_chain(&(ksf_key_chain){n, n_hops, first_row, row_key, keys, session, ephemeral, out, statuses, suite.sha256},
                            scratch);
    all_ok(statuses, n);
    for (size_t i = 0; i < n; i++) KSF_REQUIRE((ephemeral[33 * i] | 1) == 3, "E of onion %zu", i); /* E is public */
    still_secret(out, 32 * (size_t)rows, "shared secrets");
    free(session), free(ephemeral), free(out), free(scratch);
}
static void check_point_mul(size_t n, const ksf_node_key *with) {
    uint32_t index[ONIONS];
    ksf_status statuses[ONIONS] = {{0}};
    for (size_t i = 0; i < n; i++) index[i] = (uint32_t)(i % KEYS);
    uint8_t *scalars = secret_scalars(n), *out = ksf_test_alloc(33 * n);
    void *scratch = ksf_test_alloc(suite.ecmult->scratch_bytes(n));
    suite.ecmult->point_mul(&(ksf_point_mul){n, scalars, with, with ? index : NULL, out, statuses}, scratch);
    all_ok(statuses, n);
    still_secret(out, 33 * n, "products");
    free(scalars), free(out), free(scratch);
}
static void check_peel(size_t n) {
    uint32_t asked[ONIONS];
    ksf_status statuses[ONIONS] = {{0}};
    uint8_t *privkey = secret_scalars(1), *ephemeral = ksf_test_alloc(33 * n), *out = ksf_test_alloc(32 * n),
            *next = ksf_test_alloc(33 * n);
    void *scratch = ksf_test_alloc(suite.ecmult->scratch_bytes(n));
    size_t m = 0;
    for (size_t i = 0; i < n; i++) memcpy(ephemeral + 33 * i, keys[i % KEYS].id, 33);
    for (size_t i = 0; i < n; i += 2) asked[m++] = (uint32_t)i;
    const ksf_peel_block peel = {n, privkey, ephemeral, 33, out, next, statuses, suite.sha256};
    suite.ecmult->peel_shared(&peel, scratch);
    suite.ecmult->peel_next(&peel, asked, m, scratch);
    all_ok(statuses, n);
    still_secret(out, 32 * n, "shared secrets");
    for (size_t j = 0; j < m; j++) KSF_REQUIRE((next[33 * asked[j]] | 1) == 3, "next key %zu", j); /* public */
    free(privkey), free(ephemeral), free(out), free(next), free(scratch);
}

/* -- the symmetric slots --------------------------------------------------------------------------------------------- */
static void check_symmetric(void) {
    ksf_ct_sha256(suite.sha256);
    ksf_ct_chacha20(suite.chacha20);
    uint8_t *secrets = secret_bytes(32 * ONIONS);
    for (int type = 0; type < KSF_KEY_TYPES; type++) ksf_sphinx_derive(suite.sha256, (ksf_key_type)type, secrets, secrets, ONIONS);
    still_secret(secrets, 32 * ONIONS, "derived keys");
    free(secrets);
}

/* -- whole onions ---------------------------------------------------------------------------------------------------- */
/* Keysends over routes of 1 to 3 hops, built with secret session keys and preimages; then their first layer, peeled with a
 * secret node key (whose packets then fail the MAC, but one: a wrong HMAC and a right one are both checked). */
static void check_onions(void) {
    enum { PACKET = KSF_PACKET_BYTES };
    ksf_hop hops[ONIONS][HOPS];
    ksf_keysend_request requests[ONIONS];
    uint32_t first_row[ONIONS + 1] = {0}, row_key[ONIONS * HOPS], buckets[256];
    ksf_status statuses[ONIONS] = {{0}};
    ksf_node_key *batch_keys = ksf_test_alloc(ONIONS * HOPS * sizeof *batch_keys);
    uint8_t privkey[32], point[33];
    ksf_test_scalar(privkey);
    void *scratch = ksf_test_alloc(suite.ecmult->scratch_bytes(ONIONS * HOPS));
    suite.ecmult->point_mul(&(ksf_point_mul){1, privkey, NULL, NULL, point, statuses}, scratch);
    KSF_DECLASSIFY(point, 33); /* a node id is public */
    memset(hops, 0, sizeof hops), memset(requests, 0, sizeof requests);
    for (size_t i = 0; i < ONIONS; i++) {
        const size_t n = 1 + i % HOPS;
        for (size_t h = 0; h < n; h++) {
            hops[i][h] = (ksf_hop){.short_channel_id = 1 + h, .amount_msat = 1000 + i, .cltv_delta = 45, .has_channel = 1};
            memcpy(hops[i][h].node_id, h || i % 2 ? keys[(i + h) % KEYS].id : point, 33);
        }
        requests[i] = (ksf_keysend_request){.hops = hops[i], .n_hops = (uint16_t)n};
        first_row[i + 1] = first_row[i] + (uint32_t)n;
    }
    uint8_t *session = secret_scalars(ONIONS), *preimages = secret_bytes(32 * ONIONS), *hashes = ksf_test_alloc(32 * ONIONS);
    uint8_t *secrets = ksf_test_alloc(32 * ONIONS * HOPS), *packets = ksf_test_alloc(PACKET * ONIONS);
    ksf_build_batch build = {.n = ONIONS,
                             .keysends = requests,
                             .suite = &suite,
                             .keys = batch_keys,
                             .row_key = row_key,
                             .first_row = first_row,
                             .session_keys = session,
                             .preimages = preimages,
                             .payment_hashes = hashes,
                             .shared_secrets = secrets,
                             .packets = packets,
                             .statuses = statuses,
                             .hop_payloads_bytes = KSF_HOP_PAYLOADS_BYTES,
                             .block_height = 900000};
    const size_t distinct = ksf_keys_collect(&build, ONIONS * HOPS, buckets, 256);
    suite.ecmult->load_keys(batch_keys, distinct, scratch);
    free(scratch), scratch = ksf_test_alloc(ksf_build_scratch(&build, ONIONS));
    ksf_build_block(&build, 0, ONIONS, scratch);
    all_ok(statuses, ONIONS);
    uint32_t sum = 0;
    for (size_t i = 0; i < PACKET * ONIONS; i++) sum += packets[i]; /* packets are public to the last byte */
    KSF_REQUIRE(sum != 0, "packets");
    free(scratch);

    uint8_t *payloads = ksf_test_alloc(KSF_HOP_PAYLOADS_BYTES * ONIONS), *next = ksf_test_alloc(PACKET * ONIONS), finals[ONIONS];
    uint32_t payload_lens[ONIONS];
    KSF_SECRET(privkey, 32);
    const ksf_peel_batch peel = {.n = ONIONS,
                                 .suite = &suite,
                                 .packets = packets,
                                 .associated_data = hashes,
                                 .ad_stride = 32,
                                 .ad_len = 32,
                                 .node_privkey = privkey,
                                 .shared_secrets = secrets,
                                 .payloads = payloads,
                                 .payload_lens = payload_lens,
                                 .next_packets = next,
                                 .finals = finals,
                                 .statuses = statuses,
                                 .hop_payloads_bytes = KSF_HOP_PAYLOADS_BYTES};
    scratch = ksf_test_alloc(ksf_peel_scratch(&peel, ONIONS));
    ksf_peel_block_run(&peel, 0, ONIONS, scratch);
    for (size_t i = 0; i < ONIONS; i++)
        KSF_REQUIRE(statuses[i].code == (i % 2 ? KSF_ERR_HMAC : KSF_OK), "peel of packet %zu: status %d", i, statuses[i].code);
    free(scratch), free(session), free(preimages), free(hashes), free(secrets), free(packets), free(payloads), free(next), free(batch_keys);
}

/* -- choosing -------------------------------------------------------------------------------------------------------- */
#define KSF_CHOOSE(name, ...)                                                                                \
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)                                                    \
        if (!strcmp(all[i]->info.name, name)) return all[i]->info.cpu & ~ksf_cpu_features() ? NULL : all[i]; \
    KSF_REQUIRE(0, "no implementation '%s'", name);                                                          \
    return NULL
static const ksf_sha256_impl *sha256_named(const char *name) {
    static const ksf_sha256_impl *const all[] = {
        &ksf_sha256_portable,
#if defined(__x86_64__)
        &ksf_sha256_shani,
        &ksf_sha256_avx2,
        &ksf_sha256_avx512,
#endif
    };
    KSF_CHOOSE(name);
}
static const ksf_chacha20_impl *chacha20_named(const char *name) {
    static const ksf_chacha20_impl *const all[] = {
        &ksf_chacha20_portable,
#if defined(__x86_64__)
        &ksf_chacha20_avx2,
        &ksf_chacha20_avx512,
#endif
    };
    KSF_CHOOSE(name);
}

int main(int argc, char **argv) {
    if (!KSF_CHECKMEM_RUNNING()) {
        fprintf(stderr, "ct_check: no tool is watching: run it by tests/c/ct.sh (make ct)\n");
        return 2;
    }
    if (argc == 2) {
        const uint8_t *secret = secret_bytes(1);
        KSF_REQUIRE(!strcmp(argv[1], "planted-branch") || !strcmp(argv[1], "planted-address"), "no such leak: %s", argv[1]);
        (!strcmp(argv[1], "planted-branch") ? planted_branch : planted_address)(secret);
        return 0;
    }
    KSF_REQUIRE(argc == 4, "usage: ct_check <ecmult> <sha256> <chacha20>");
    suite = (struct ksf_suite){ksf_test_impl(argv[1]), sha256_named(argv[2]), chacha20_named(argv[3])};
    if (!suite.ecmult || !suite.sha256 || !suite.chacha20) return printf("%s %s %s: not applicable here\n", argv[1], argv[2], argv[3]), 77;
    KSF_REQUIRE(suite.ecmult->init() == 0, "init");
    check_symmetric();
    make_keys();
    for (int tables = 0; tables < 3; tables++) { /* no key has a table, some have, all have (and few onions go by runs of windows) */
        if (tables) make_tables(tables == 2);
        static const size_t sizes[] = {1, 2, 4, ONIONS};
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) check_key_chain(sizes[s]), check_point_mul(sizes[s], keys);
        check_point_mul(ONIONS, NULL);
    }
    check_peel(1), check_peel(ONIONS);
    check_onions();
    ksf_ct_failures(&suite);
    printf("%s %s %s: no branch or address depends on a secret\n", argv[1], argv[2], argv[3]);
    return 0;
}
