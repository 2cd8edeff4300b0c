/* complete_addition.c - the one place where an addition of var_impl.h can be exceptional, met on purpose.
 *
 * Compiled once per tier, as exhaustive.c is. With e = k1 + lambda k2 and T_0 = digits 0 and 13 of both halves, the last addition
 * doubles where (k1, k2) - 2 T_0 is in the lattice; exceptional_scalars.py finds all such scalars: there is one, and its negative is
 * not another (the halves' digits are made odd by adding lattice vectors, which treats signs differently). */
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <stdio.h>
#include "../../csrc/target.h"
#include "../../csrc/cpu.h"
#include "../../csrc/secp256k1/ecmult.h"
#include "naive.h"

KSF_EXHAUSTIVE_TARGET_BEGIN
#include KSF_EXHAUSTIVE_TIER
#include "../../csrc/secp256k1/group_impl.h"

/* Stands between var_impl.h and group_impl.h: counts the lanes that need the doubling, and can withhold it. */
static unsigned lanes_completed;
static int withhold;
static void counting_cmov(ksf_gej *r, const ksf_gej *a, ksf_lane_mask mask) {
    for (unsigned bits = ksf_lane_mask_bits(mask); bits; bits &= bits - 1) lanes_completed++;
    if (!withhold) ksf_gej_cmov(r, a, mask);
}
#define ksf_gej_cmov counting_cmov
#include "../../csrc/secp256k1/var_impl.h"
#undef ksf_gej_cmov

#define REQUIRE(condition, ...)                                                       \
    do {                                                                              \
        if (!(condition)) fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), exit(1); \
    } while (0)

static const ksf_scalar exceptional = {{0xA4B965B17B0BD6F2ULL, 0x06DA7CFC54B8721AULL, 0x3ED0DC053046C76CULL, 0xB8DDEC2D07F3AD8DULL}};

static naive_point naive_mul_point(const ksf_scalar *e, naive_point p) {
    naive_point r = p;
    int top = 255;
    while (!(e->d[top / 64] >> top % 64 & 1)) top--;
    for (int i = top - 1; i >= 0; i--) {
        r = naive_point_double(r);
        if (e->d[i / 64] >> i % 64 & 1) r = naive_point_add(r, p); /* r = +-p needs a scalar near n: not here */
    }
    return r;
}

int main(void) {
    if (KSF_EXHAUSTIVE_CPU & ~ksf_cpu_features()) return printf("not applicable on this machine\n"), 77;
    enum { FES = 3, LANES = FES * KSF_LANES };
    ksf_var_space s;
    const size_t bytes = (size_t)ksf_var_layout(&s, NULL, FES);
    uint8_t *memory = aligned_alloc(64, ksf_round_up(bytes, 64));
    ksf_ge *prepared = aligned_alloc(64, FES * KSF_VAR_PREPARED * sizeof *prepared), points[FES], out[FES];
    REQUIRE(memory && prepared, "out of memory");
    ksf_var_layout(&s, memory, FES);

    static const naive_point g = {{KSF_GX}, {KSF_GY}};
    naive_point p[LANES];
    ksf_scalar e[LANES];
    ksf_glv glv[FES];
    uint64_t seed = 1;
    for (unsigned l = 0; l < LANES; l++) {
        p[l] = l ? naive_point_add(l == 1 ? naive_point_double(p[0]) : p[l - 1], g) : g;
        for (int i = 0; i < 4; i++) seed = seed * 6364136223846793005ULL + 1442695040888963407ULL, e[l].d[i] = seed ^ seed >> 31;
        e[l].d[3] >>= 1;
    }
    for (withhold = 0; withhold < 2; withhold++)
        for (unsigned at = 0; at < LANES; at++) {
            const ksf_scalar other = e[at];
            e[at] = exceptional;
            for (unsigned l = 0; l < LANES; l++) {
                if (l % KSF_LANES == 0) ksf_ge_set_base(&points[l / KSF_LANES]);
                uint64_t words[8];
                memcpy(words, &p[l], sizeof words);
                ksf_ge_set_lane(&points[l / KSF_LANES], l % KSF_LANES, words);
                ksf_glv_set_lane(&glv[l / KSF_LANES], l % KSF_LANES, &e[l]);
            }
            lanes_completed = 0;
            ksf_var_prepare(prepared, points, FES, &s);
            ksf_var_mul(out, prepared, glv, 1, FES, &s);
            /* an odd vector out runs twice side by side where two do */
            REQUIRE(lanes_completed == 1 || (lanes_completed == 2 && KSF_ABREAST == 2 && at / KSF_LANES == FES - 1),
                    "%u lanes were completed with the exceptional scalar in lane %u", lanes_completed, at);
            unsigned wrong = 0;
            for (unsigned l = 0; l < LANES; l++) {
                const naive_point want = naive_mul_point(&e[l], p[l]);
                uint64_t x[4], y[4];
                if (l % KSF_LANES == 0) ksf_fe_normalize(&out[l / KSF_LANES].x), ksf_fe_normalize(&out[l / KSF_LANES].y);
                ksf_fe_get_lane(x, &out[l / KSF_LANES].x, l % KSF_LANES), ksf_fe_get_lane(y, &out[l / KSF_LANES].y, l % KSF_LANES);
                wrong += memcmp(x, &want.x, 32) || memcmp(y, &want.y, 32);
            }
            /* withheld, z = 0 spoils every product that shares the lane, or the inversion: that is what completing prevents */
            REQUIRE(withhold ? wrong > 0 : wrong == 0, "lane %u: %u wrong%s", at, wrong, withhold ? " without the doubling" : "");
            e[at] = other;
        }
    printf("exceptional scalar right in each of %d lanes\n", LANES);
    free(memory), free(prepared);
    return 0;
}
KSF_EXHAUSTIVE_TARGET_END
