/* fe_impl.h - what field elements need beyond the tier's vocabulary: one inversion for all lanes, square roots, bytes. */
#ifndef KSF_FE_IMPL_H
#define KSF_FE_IMPL_H
#include "lanes.h"
#include "modinv_impl.h"

KSF_INLINE void ksf_fe_set_small(ksf_fe *r, uint64_t a) {
    const uint64_t words[4] = {a, 0, 0, 0};
    ksf_fe_set_all(r, words);
}

/* r = a^-1 in every lane, by one inversion: products across the lanes as a butterfly (Montgomery's trick), so that every lane
 * holds the product of all of them and the product of the others. A zero in one lane makes all lanes zero: callers prove that
 * there is none. Constant time. a: factor; r: (1, 1). */
static __attribute__((noinline)) void ksf_fe_inverse(ksf_fe *r, const ksf_fe *a) {
    ksf_fe all = *a, others, t;
    ksf_fe_set_small(&others, 1);
    for (unsigned distance = 1; distance < KSF_LANES; distance *= 2) {
        ksf_fe_swap_lanes(&t, &all, distance);
        ksf_fe_mul(&others, &others, &t);
        ksf_fe_mul(&all, &all, &t);
    }
    uint64_t words[4];
    ksf_fe_normalize(&all);
    ksf_fe_get_lane(words, &all, 0);
    ksf_modinv(words, words);
    ksf_fe_set_all(&all, words);
    ksf_fe_mul(r, &others, &all);
    ksf_wipe(words, sizeof words);
}

/* r[k] = a candidate for sqrt(a[k]), a[k]^((p+1)/4), k < KSF_ABREAST: its square is a[k] or -a[k]. The exponent's bits are runs
 * of 223, 22 and 2 ones and zeroes: check-magic: (2**223 - 1) * 2**31 + (2**22 - 1) * 2**8 + 12 == (p + 1) // 4
 * a: factors of magnitude 1, not r. */
static void ksf_fe_sqrt(ksf_fe *r, const ksf_fe *a) {
    enum { N = KSF_ABREAST };
    ksf_fe x2[N], x3[N], x6[N], x9[N], x11[N], x22[N], x44[N], x88[N], x176[N], x220[N], x223[N], t[N];
/* out[k] = from[k]^(2^n) * by[k] */
#define KSF_POWER(out, from, n, by)                                         \
    do {                                                                    \
        for (int k = 0; k < N; k++) ksf_fe_sqr(&t[k], &(from)[k]);          \
        for (int i = 1; i < (n); i++)                                       \
            for (int k = 0; k < N; k++) ksf_fe_sqr(&t[k], &t[k]);           \
        for (int k = 0; k < N; k++) ksf_fe_mul(&(out)[k], &t[k], &(by)[k]); \
    } while (0)
    KSF_POWER(x2, a, 1, a);
    KSF_POWER(x3, x2, 1, a);
    KSF_POWER(x6, x3, 3, x3);
    KSF_POWER(x9, x6, 3, x3);
    KSF_POWER(x11, x9, 2, x2);
    KSF_POWER(x22, x11, 11, x11);
    KSF_POWER(x44, x22, 22, x22);
    KSF_POWER(x88, x44, 44, x44);
    KSF_POWER(x176, x88, 88, x88);
    KSF_POWER(x220, x176, 44, x44);
    KSF_POWER(x223, x220, 3, x3);
    KSF_POWER(r, x223, 23, x22);
    KSF_POWER(r, r, 6, x2);
    for (int k = 0; k < N; k++) ksf_fe_sqr(&r[k], &r[k]), ksf_fe_sqr(&r[k], &r[k]);
#undef KSF_POWER
}

#endif
