/* chacha20_avx2.c - eight blocks a vector. */
#include "chacha20.h"

#if defined(__x86_64__)
#include "../target.h"
#include "../util.h"
#include <immintrin.h>

KSF_TARGET_BEGIN_AVX2

#include "../v32_avx2.h"
#include "chacha20_impl.h"

KSF_TARGET_END

const ksf_chacha20_impl ksf_chacha20_avx2 = {
    {"avx2", "AVX2, eight blocks in lanes", KSF_CPU_AVX2},
    KSF_V32_LANES,
    ksf_cc_stream_many,
};
#endif
