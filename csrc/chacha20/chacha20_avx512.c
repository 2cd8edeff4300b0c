/* chacha20_avx512.c - sixteen blocks a vector. */
#include "chacha20.h"

#if defined(__x86_64__)
#include "../target.h"
#include "../util.h"
#include <immintrin.h>

KSF_TARGET_BEGIN_AVX512

#include "../v32_avx512.h"
#include "chacha20_impl.h"

KSF_TARGET_END

const ksf_chacha20_impl ksf_chacha20_avx512 = {
    {"avx512", "AVX-512, sixteen blocks in lanes", KSF_CPU_AVX512},
    KSF_V32_LANES,
    ksf_cc_stream_many,
};
#endif
