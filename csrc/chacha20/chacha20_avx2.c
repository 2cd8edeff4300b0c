/* chacha20_avx2.c - eight blocks a vector. */
#include "chacha20.h"

#if defined(__x86_64__)
#include "../target.h"
#include "../util.h"
#include <immintrin.h>

KSF_TARGET_BEGIN_AVX2

#define KSF_CC_LANES 8
typedef uint32_t ksf_cc_vec __attribute__((vector_size(32)));
/* AVX2 has no rotation: by whole bytes it is one shuffle, else two shifts. */
KSF_INLINE ksf_cc_vec ksf_cc_rol16(ksf_cc_vec v) {
    const __m256i by = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0d0c0f0e09080b0aLL, 0x0504070601000302LL));
    return (ksf_cc_vec)_mm256_shuffle_epi8((__m256i)v, by);
}
KSF_INLINE ksf_cc_vec ksf_cc_rol8(ksf_cc_vec v) {
    const __m256i by = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0e0d0c0f0a09080bLL, 0x0605040702010003LL));
    return (ksf_cc_vec)_mm256_shuffle_epi8((__m256i)v, by);
}
#define KSF_CC_ROL(v, r) ((r) == 16 ? ksf_cc_rol16(v) : (r) == 8 ? ksf_cc_rol8(v) : (v) << (r) | (v) >> (32 - (r)))

/* x[i] lane l <-> x[l] lane i, i and l < 8. */
KSF_INLINE void ksf_cc_transpose8(__m256i x[8]) {
    __m256i t[8], u[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_epi32(x[2 * i], x[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_epi32(x[2 * i], x[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        u[4 * i] = _mm256_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 1] = _mm256_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 2] = _mm256_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        u[4 * i + 3] = _mm256_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        x[i] = _mm256_permute2x128_si256(u[i], u[4 + i], 0x20);
        x[4 + i] = _mm256_permute2x128_si256(u[i], u[4 + i], 0x31);
    }
}

KSF_INLINE void ksf_cc_load_keys(ksf_cc_vec k[8], const uint8_t *const keys[KSF_CC_LANES]) {
    __m256i t[8];
    for (int l = 0; l < 8; l++) t[l] = _mm256_loadu_si256((const __m256i *)keys[l]);
    ksf_cc_transpose8(t);
    for (int i = 0; i < 8; i++) k[i] = (ksf_cc_vec)t[i];
}

/* Words 0-7 and 8-15 are transposed apart; block l is then row l of both. */
KSF_INLINE void ksf_cc_rows(ksf_cc_vec x[16]) {
    __m256i low[8], high[8];
    for (int i = 0; i < 8; i++) low[i] = (__m256i)x[i], high[i] = (__m256i)x[8 + i];
    ksf_cc_transpose8(low);
    ksf_cc_transpose8(high);
    for (int l = 0; l < 8; l++) x[2 * l] = (ksf_cc_vec)low[l], x[2 * l + 1] = (ksf_cc_vec)high[l];
}

#include "chacha20_impl.h"

KSF_TARGET_END

const ksf_chacha20_impl ksf_chacha20_avx2 = {
    {"avx2", "AVX2, eight blocks in lanes", KSF_CPU_AVX2},
    KSF_CC_LANES,
    ksf_cc_stream_many,
};
#endif
