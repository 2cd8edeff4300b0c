/* chacha20_portable.c - four blocks a vector in the compiler's generic vectors: SSE2 on x86-64, NEON on AArch64. */
#include "chacha20.h"
#include "../target.h"
#include "../util.h"

KSF_OPTIMIZE_BEGIN

#define KSF_CC_LANES 4
typedef uint32_t ksf_cc_vec __attribute__((vector_size(16)));
#define KSF_CC_ROL(v, r) ((v) << (r) | (v) >> (32 - (r)))

#if defined(__clang__)
#define KSF_CC_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define KSF_CC_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (ksf_cc_vec){i, j, k, l})
#endif

KSF_INLINE void ksf_cc_transpose4(ksf_cc_vec *r0, ksf_cc_vec *r1, ksf_cc_vec *r2, ksf_cc_vec *r3) {
    const ksf_cc_vec a = KSF_CC_SHUFFLE(*r0, *r1, 0, 4, 1, 5), b = KSF_CC_SHUFFLE(*r2, *r3, 0, 4, 1, 5);
    const ksf_cc_vec c = KSF_CC_SHUFFLE(*r0, *r1, 2, 6, 3, 7), d = KSF_CC_SHUFFLE(*r2, *r3, 2, 6, 3, 7);
    *r0 = KSF_CC_SHUFFLE(a, b, 0, 1, 4, 5), *r1 = KSF_CC_SHUFFLE(a, b, 2, 3, 6, 7);
    *r2 = KSF_CC_SHUFFLE(c, d, 0, 1, 4, 5), *r3 = KSF_CC_SHUFFLE(c, d, 2, 3, 6, 7);
}

KSF_INLINE void ksf_cc_load_keys(ksf_cc_vec k[8], const uint8_t *const keys[KSF_CC_LANES]) {
    for (int half = 0; half < 2; half++) {
        for (int l = 0; l < 4; l++) memcpy(&k[4 * half + l], keys[l] + 16 * half, 16);
        ksf_cc_transpose4(&k[4 * half], &k[4 * half + 1], &k[4 * half + 2], &k[4 * half + 3]);
    }
}

/* Four 4x4 transpositions; vector 4*q + l then holds words 4*q.. of block l and goes to place 4*l + q. */
KSF_INLINE void ksf_cc_rows(ksf_cc_vec x[16]) {
    ksf_cc_vec t[16];
    for (int q = 0; q < 4; q++) {
        for (int l = 0; l < 4; l++) t[4 * l + q] = x[4 * q + l];
        ksf_cc_transpose4(&t[q], &t[4 + q], &t[8 + q], &t[12 + q]);
    }
    for (int i = 0; i < 16; i++) x[i] = t[i];
}

#include "chacha20_impl.h"

KSF_OPTIMIZE_END

const ksf_chacha20_impl ksf_chacha20_portable = {
    {"portable", "plain C, four blocks in generic vectors", 0},
    KSF_CC_LANES,
    ksf_cc_stream_many,
};
