/* time_ecmult.c - the key chain in C, one thread: ns a hop, minimum over rounds.
 *
 *     time_ecmult <implementation> [onions] [hops] [keys] [window] [block] [rounds] [sha256 implementation]
 *
 * Onions are built block by block, as the batch layer does; the result is compared with the portable implementation first. */
#include "support.h"

static const ksf_sha256_impl *sha256_by_name(const char *name) {
    static const ksf_sha256_impl *const all[] = {&ksf_sha256_portable, &ksf_sha256_shani};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i]->info.name, name)) return (all[i]->info.cpu & ~ksf_cpu_features()) ? NULL : all[i];
    return NULL;
}
static size_t argument(int argc, char **argv, int i, size_t otherwise) { return argc > i ? strtoul(argv[i], NULL, 0) : otherwise; }

int main(int argc, char **argv) {
    KSF_REQUIRE(argc >= 2, "usage: time_ecmult <implementation> [onions] [hops] [keys] [window] [block] [rounds] [sha256]");
    const ksf_ecmult_impl *impl = ksf_test_impl(argv[1]);
    if (!impl) return printf("%s: not applicable on this machine\n", argv[1]), 77;
    const size_t n = argument(argc, argv, 2, 512), hops = argument(argc, argv, 3, 4), n_keys = argument(argc, argv, 4, 8);
    const size_t window = argument(argc, argv, 5, 7), block = argument(argc, argv, 6, impl->block), rounds = argument(argc, argv, 7, 30);
    const ksf_sha256_impl *sha256 = sha256_by_name(argc > 8 ? argv[8] : ksf_cpu_features() & KSF_CPU_SHANI ? "shani" : "portable");
    KSF_REQUIRE(sha256, "no such SHA-256 here");
    ksf_node_key *keys = ksf_test_alloc(n_keys * sizeof *keys), *plain = ksf_test_alloc(n_keys * sizeof *keys);
    uint16_t *n_hops = ksf_test_alloc(n * sizeof *n_hops);
    uint32_t *first_row = ksf_test_alloc(n * sizeof *first_row), *row_key = ksf_test_alloc(n * hops * sizeof *row_key);
    uint8_t *session = ksf_test_alloc(32 * n), *ephemeral = ksf_test_alloc(33 * n), *secrets = ksf_test_alloc(32 * n * hops),
            *want = ksf_test_alloc(32 * n * hops);
    ksf_status *statuses = ksf_test_alloc(n * sizeof *statuses);
    void *scratch = ksf_test_alloc(impl->scratch_bytes(block > n_keys ? block : n_keys)),
         *other = ksf_test_alloc(ksf_ecmult_portable.scratch_bytes(n));
    KSF_REQUIRE(impl->init() == 0 && ksf_ecmult_portable.init() == 0, "init");

    uint8_t *scalars = ksf_test_alloc(32 * n_keys), *points = ksf_test_alloc(33 * n_keys);
    ksf_status *ok = ksf_test_alloc(n_keys * sizeof *ok);
    for (size_t i = 0; i < n_keys; i++) ksf_test_scalar(scalars + 32 * i);
    impl->point_mul(&(ksf_point_mul){n_keys, scalars, NULL, NULL, points, ok}, scratch);
    for (size_t i = 0; i < n_keys; i++) memcpy(keys[i].id, points + 33 * i, 33);
    impl->load_keys(keys, n_keys, scratch);
    double t = ksf_test_now();
    ksf_test_tables(impl, keys, n_keys, (unsigned)window);
    const double build = (ksf_test_now() - t) / (double)n_keys;
    for (size_t i = 0; i < n_keys; i++) memcpy(plain[i].id, points + 33 * i, 33);
    ksf_ecmult_portable.load_keys(plain, n_keys, other);

    for (size_t i = 0; i < n; i++) {
        n_hops[i] = (uint16_t)hops, first_row[i] = (uint32_t)(i * hops);
        for (size_t h = 0; h < hops; h++) row_key[i * hops + h] = (uint32_t)(ksf_test_random() % n_keys);
        ksf_test_scalar(session + 32 * i);
    }
    double best = 1e18;
    for (size_t r = 0; r <= rounds; r++) {
        t = ksf_test_now();
        for (size_t at = 0; at < n; at += block)
            impl->key_chain(&(ksf_key_chain){n - at < block ? n - at : block, n_hops + at, first_row + at, row_key, keys, session + 32 * at,
                                             ephemeral + 33 * at, secrets, statuses + at, sha256},
                            scratch);
        t = ksf_test_now() - t;
        if (t < best) best = t;
    }
    ksf_ecmult_portable.key_chain(
        &(ksf_key_chain){n, n_hops, first_row, row_key, plain, session, ephemeral, want, statuses, &ksf_sha256_portable}, other);
    for (size_t i = 0; i < n; i++) KSF_REQUIRE(statuses[i].code == KSF_OK, "status of %zu", i);
    KSF_REQUIRE(!memcmp(secrets, want, 32 * n * hops), "wrong result");
    printf("%s %zu onions, %zu hops, %zu keys, window %zu, block %zu, sha256 %s: %.0f ns a hop; table build %.1f us a key\n",
           impl->info.name, n, hops, n_keys, window, block, sha256->info.name, best / (double)(n * hops), build / 1e3);
    return 0;
}
