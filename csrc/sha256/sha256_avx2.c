/* sha256_avx2.c - eight streams, one a lane: for CPUs without the SHA extensions. */
#include "sha256.h"

#if defined(__x86_64__)
#include "../target.h"
#include "../util.h"
#include <immintrin.h>

KSF_TARGET_BEGIN_AVX2

#include "../v32_avx2.h"
#include "sha256_impl.h"

static void ksf_sha256_compress_many_avx2(uint32_t (*states)[8], const uint8_t *const *blocks, size_t n_blocks, size_t n) {
    for (; n >= KSF_V32_LANES; n -= KSF_V32_LANES, states += KSF_V32_LANES, blocks += KSF_V32_LANES)
        ksf_sha256_compress_lanes(states, blocks, n_blocks, KSF_V32_LANES);
    if (n > 1) ksf_sha256_compress_lanes(states, blocks, n_blocks, n);
    if (n == 1) ksf_sha256_portable.compress_many(states, blocks, n_blocks, n); /* in words: half the time of the lanes */
}

KSF_TARGET_END

const ksf_sha256_impl ksf_sha256_avx2 = {
    {"avx2", "AVX2, eight streams in lanes", KSF_CPU_AVX2},
    KSF_V32_LANES,
    ksf_sha256_compress_many_avx2,
};
#endif
