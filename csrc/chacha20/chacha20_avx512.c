/* chacha20_avx512.c - sixteen blocks a vector. */
#include "chacha20.h"

#if defined(__x86_64__)
#include "../target.h"
#include "../util.h"
#include <immintrin.h>

KSF_TARGET_BEGIN_AVX512

#include "../transpose16_avx512.h"

#define KSF_CC_LANES 16
typedef uint32_t ksf_cc_vec __attribute__((vector_size(64)));
#define KSF_CC_ROL(v, r) ((ksf_cc_vec)_mm512_rol_epi32((__m512i)(v), r))

KSF_INLINE void ksf_cc_load_keys(ksf_cc_vec k[8], const uint8_t *const keys[KSF_CC_LANES]) {
    __m512i t[16];
    for (int l = 0; l < KSF_CC_LANES; l++) t[l] = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)keys[l]));
    ksf_transpose16_avx512(t);
    for (int i = 0; i < 8; i++) k[i] = (ksf_cc_vec)t[i];
}

KSF_INLINE void ksf_cc_rows(ksf_cc_vec x[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i++) t[i] = (__m512i)x[i];
    ksf_transpose16_avx512(t);
    for (int i = 0; i < 16; i++) x[i] = (ksf_cc_vec)t[i];
}

#include "chacha20_impl.h"

KSF_TARGET_END

const ksf_chacha20_impl ksf_chacha20_avx512 = {
    {"avx512", "AVX-512, sixteen blocks in lanes", KSF_CPU_AVX512},
    KSF_CC_LANES,
    ksf_cc_stream_many,
};
#endif
