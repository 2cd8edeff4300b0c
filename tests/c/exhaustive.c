/* exhaustive.c - the lanes over a curve so small that every scalar can be tried (after libsecp256k1's exhaustive tests).
 *
 * Compiled once per tier and order: -DKSF_EXHAUSTIVE_TIER='"lanes_portable.h"' -DKSF_EXHAUSTIVE_ORDER=10903. The tier, the field,
 * table building, recoding, selection, the tree with its shared inversions, decompression and serialisation are the product's;
 * the curve's constants and the combs' shapes are small_curve.h's. Every scalar in [1, n-1] times the given number of points
 * (all of them by default up to 199), with every admissible window, in passes of uniform and mixed groups, against naive.h.
 *
 * What depends on the real order is not reached: products mod n, and the endomorphism's halves (diff_libsecp.c has those).
 *
 *     exhaustive [points] */
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <stdio.h>
#define KSF_SMALL_CURVE "../../tests/c/small_curve.h"
#include "../../csrc/target.h"
#include "../../csrc/cpu.h"
#include "../../csrc/secp256k1/ecmult.h"
#include "naive.h"

KSF_EXHAUSTIVE_TARGET_BEGIN
#include KSF_EXHAUSTIVE_TIER
#include "../../csrc/secp256k1/comb_impl.h"

#define REQUIRE(condition, ...)                                                                \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            fprintf(stderr, "order %d: ", KSF_EXHAUSTIVE_ORDER), fprintf(stderr, __VA_ARGS__); \
            fputc('\n', stderr), exit(1);                                                      \
        }                                                                                      \
    } while (0)

enum { ORDER = KSF_EXHAUSTIVE_ORDER, GROUPS = 24, LANES = KSF_GROUP_LANES, TABLES = 3 * KSF_LANES + 1 };

static naive_point *multiples;
static size_t compared;

static void compress(uint8_t out[33], naive_point p) {
    out[0] = (uint8_t)(2 + (p.y.w[0] & 1));
    for (int i = 0; i < 32; i++) out[1 + i] = (uint8_t)(p.x.w[3 - i / 8] >> (56 - 8 * (i % 8)));
}

/* Every point of the group comes through bytes, either parity; an x off the curve does not. */
static void check_load(void) {
    enum { MANY = 997 };
    static ksf_node_key keys[MANY];
    for (size_t first = 1; first < ORDER; first += MANY) {
        const size_t n = ORDER - first < MANY ? ORDER - first : MANY;
        memset(keys, 0, sizeof keys);
        for (size_t i = 0; i < n; i++) {
            compress(keys[i].id, multiples[first + i]);
            if (i % 9 == 4) memset(keys[i].id + 1, 0xFF, 32);
        }
        ksf_keys_load(keys, n, NULL);
        for (size_t i = 0; i < n; i++) {
            REQUIRE(keys[i].valid == (i % 9 != 4), "point %zu: valid %d", first + i, keys[i].valid);
            if (keys[i].valid) REQUIRE(!memcmp(keys[i].point, &multiples[first + i], 64), "point %zu changed", first + i);
        }
    }
}

/* All scalars times points[0..n), as multiples of the generator; group by group with one table, or (mixed) with one a lane. */
static void check_window(const ksf_comb *comb, const size_t *points, size_t n, int mixed) {
    static ksf_comb_group groups[GROUPS];
    static ksf_scalar scalars[GROUPS * LANES];
    static uint8_t out[GROUPS * LANES][33];
    static size_t expect[GROUPS * LANES];
    ksf_comb_space space;
    uint8_t *memory = aligned_alloc(64, ksf_round_up((size_t)ksf_comb_layout(&space, NULL, GROUPS), 64));
    void *tables[TABLES], *scratch = aligned_alloc(64, ksf_round_up(ksf_table_scratch_bytes(comb->w), 64));
    ksf_node_key keys[TABLES];
    const ksf_node_key *pointers[TABLES];
    memset(keys, 0, sizeof keys);
    REQUIRE(memory && scratch, "out of memory");
    ksf_comb_layout(&space, memory, GROUPS);
    for (size_t first = 0; first < n; first += TABLES) {
        const size_t count = n - first < TABLES ? n - first : TABLES;
        for (size_t t = 0; t < count; t++) {
            memcpy(keys[t].point, &multiples[points[first + t]], 64);
            pointers[t] = &keys[t];
            tables[t] = aligned_alloc(64, ksf_table_bytes(comb->w));
            REQUIRE(tables[t], "out of memory");
        }
        ksf_table_build(tables, pointers, count, comb->w, scratch);
        for (size_t t = 0; t < count; t++)
            for (size_t at = 1; at < ORDER;) {
                size_t g = 0, k = 0;
                for (; g < GROUPS && at < ORDER; g++) {
                    groups[g] = (ksf_comb_group){.comb = *comb, .uniform = !mixed, .out = out[0], .stride = 33};
                    size_t table = t;
                    for (unsigned l = 0; l < LANES; l++) {
                        if (at < ORDER) { /* the last lanes repeat the last scalar */
                            if (mixed) table = (t + l + g) % count;
                            scalars[k] = (ksf_scalar){{at, 0, 0, 0}};
                            expect[k] = (size_t)((uint64_t)at * points[first + table] % ORDER);
                            groups[g].lanes++, at++, k++;
                        }
                        groups[g].index[l] = (uint32_t)(k - 1);
                        groups[g].table[l] = tables[table];
                    }
                }
                ksf_comb_pass(&space, groups, g, scalars);
                for (size_t i = 0; i < k; i++) {
                    uint8_t want[33];
                    compress(want, multiples[expect[i]]);
                    REQUIRE(!memcmp(out[i], want, 33), "window %d, split %d: scalar %llu is wrong", comb->w, comb->split,
                            (unsigned long long)scalars[i].d[0]);
                }
                compared += k;
            }
        for (size_t t = 0; t < count; t++) free(tables[t]);
    }
    free(memory), free(scratch);
}

/* A split at a one bit of the order has one exceptional addition: the upper half is B = 2^s floor(n / 2^s), an odd multiple of 2^s, and
 * the lower one B - n, for the scalar 2B - n and, recoded to the same digits, its negative. They and no others must come out wrong,
 * or this program could not see what it looks for. */
static void check_negative_control(void) {
#if KSF_EXHAUSTIVE_ORDER == 109903
    const ksf_comb comb = {5, 4, 2}; /* bit 10 of 109903 is 1 */
    const size_t high = (size_t)ORDER >> 10 << 10, odd = 2 * high - ORDER;
    ksf_comb_space space;
    uint8_t *memory = aligned_alloc(64, ksf_round_up((size_t)ksf_comb_layout(&space, NULL, 1), 64)), out[33], want[33];
    void *table = aligned_alloc(64, ksf_table_bytes(comb.w)),
         *scratch = aligned_alloc(64, ksf_round_up(ksf_table_scratch_bytes(comb.w), 64));
    REQUIRE(memory && table && scratch, "out of memory");
    ksf_node_key key;
    const ksf_node_key *pointer = &key;
    memset(&key, 0, sizeof key), memcpy(key.point, &multiples[1], 64);
    ksf_comb_layout(&space, memory, 1);
    ksf_table_build(&table, &pointer, 1, comb.w, scratch);
    ksf_comb_group group = {.comb = comb, .uniform = 1, .lanes = 1, .out = out, .stride = 33};
    for (unsigned l = 0; l < LANES; l++) group.table[l] = table;
    for (size_t e = 1; e < ORDER; e++) {
        ksf_comb_pass(&space, &group, 1, &(ksf_scalar){{e, 0, 0, 0}});
        compress(want, multiples[e]);
        REQUIRE(!memcmp(out, want, 33) == (e != odd && e != ORDER - odd), "negative control: scalar %zu", e);
    }
    printf("order %d: an inadmissible split fails where predicted, at %zu and %zu\n", ORDER, ORDER - odd, odd);
    free(memory), free(table), free(scratch);
#endif
}

int main(int argc, char **argv) {
    if (KSF_EXHAUSTIVE_CPU & ~ksf_cpu_features()) return printf("not applicable on this machine\n"), 77;
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 0) : ORDER - 1;
    if (n > ORDER - 1) n = ORDER - 1;
    static const naive_point g = {{KSF_GX}, {KSF_GY}};
    multiples = naive_multiples(g, ORDER);
    const naive_point last = multiples[ORDER - 1];
    REQUIRE(!memcmp(&last.x, &g.x, 32) && naive_is_zero(naive_add(last.y, g.y)), "the generator's order is another");
    size_t *points = malloc(n * sizeof *points);
    REQUIRE(points, "out of memory");
    for (size_t i = 0; i < n; i++) points[i] = n == ORDER - 1 ? i + 1 : (i * (ORDER / (n + 1)) + 1) % (ORDER - 1) + 1;
    check_load();
    check_negative_control();
#define CHECK_WINDOW(w, nw, split) \
    check_window(&(ksf_comb){w, nw, split}, points, n, 0), check_window(&(ksf_comb){w, nw, split}, points, n, 1);
    KSF_COMB_WINDOWS(CHECK_WINDOW)
    printf("order %d: %zu products right\n", ORDER, compared);
    free(points), free(multiples);
    return 0;
}
KSF_EXHAUSTIVE_TARGET_END
