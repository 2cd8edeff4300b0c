/* support.h - what the C test programs share: implementations by name, reproducible random bytes, keys with tables. */
#ifndef KSF_TEST_SUPPORT_H
#define KSF_TEST_SUPPORT_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../../csrc/cpu.h"
#include "../../csrc/secp256k1/ecmult.h"
#include "../../csrc/sha256/sha256.h"
#include "../../csrc/util.h"

#define KSF_REQUIRE(condition, ...)                                         \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                   \
            fputc('\n', stderr);                                            \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

/* Those of this build; ksf_test_impl knows which this CPU runs. */
static const ksf_ecmult_impl *const ksf_test_impls[] = {
#if defined(__x86_64__)
    &ksf_ecmult_avx512ifma,
    &ksf_ecmult_avx2,
#endif
    &ksf_ecmult_portable,
};
enum { KSF_TEST_IMPLS = sizeof ksf_test_impls / sizeof *ksf_test_impls };

static inline int ksf_test_runs(const ksf_ecmult_impl *impl) { return (impl->info.cpu & ~ksf_cpu_features()) == 0; }

/* NULL where the build or the CPU has it not; then the caller says "not applicable". */
static inline const ksf_ecmult_impl *ksf_test_impl(const char *name) {
    for (int i = 0; i < KSF_TEST_IMPLS; i++)
        if (!strcmp(ksf_test_impls[i]->info.name, name)) return ksf_test_runs(ksf_test_impls[i]) ? ksf_test_impls[i] : NULL;
    return NULL;
}

/* splitmix64: reproducible, not secret */
static uint64_t ksf_test_seed = 1;
static inline uint64_t ksf_test_random(void) {
    uint64_t z = ksf_test_seed += 0x9E3779B97F4A7C15ULL;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
    return z ^ z >> 31;
}
static inline void ksf_test_fill(uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)ksf_test_random();
}
/* 32 bytes in [1, n-1] but with negligible probability */
static inline void ksf_test_scalar(uint8_t p[32]) {
    ksf_test_fill(p, 32);
    if (p[0] == 0xFF) p[0] = 0xFE;
}
static inline void *ksf_test_alloc(size_t n) {
    void *p = aligned_alloc(64, ksf_round_up(n ? n : 1, 64));
    KSF_REQUIRE(p, "out of memory");
    memset(p, 0, ksf_round_up(n ? n : 1, 64));
    return p;
}
static inline double ksf_test_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Builds tables of the window (0: none) for the n loaded keys. */
static inline void ksf_test_tables(const ksf_ecmult_impl *impl, ksf_node_key *keys, size_t n, unsigned window) {
    if (!window) return;
    void **tables = ksf_test_alloc(n * sizeof *tables);
    const ksf_node_key **pointers = ksf_test_alloc(n * sizeof *pointers);
    void *scratch = ksf_test_alloc(impl->table_scratch_bytes(window));
    for (size_t i = 0; i < n; i++) tables[i] = ksf_test_alloc(impl->table_bytes(window)), pointers[i] = &keys[i];
    impl->table_build(tables, pointers, n, window, scratch);
    for (size_t i = 0; i < n; i++) keys[i].table = tables[i], keys[i].window = (uint8_t)window;
    free(scratch), free(pointers), free(tables);
}

#endif
