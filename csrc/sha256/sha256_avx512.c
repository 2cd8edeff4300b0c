/* sha256_avx512.c - sixteen streams, one a lane. */
#include "sha256.h"

#if defined(__x86_64__)
#include "../target.h"
#include "../util.h"
#include <immintrin.h>

KSF_TARGET_BEGIN_AVX512

#include "../v32_avx512.h"
#include "sha256_impl.h"

/* What a rest of so few streams is quicker in. Sixteen lanes take as long as eight streams in SHA-NI, or 1.4 in words. */
static const ksf_sha256_impl *ksf_sha256_for_rest(size_t n) {
    if (n <= 8 && ksf_cpu_features() & KSF_CPU_SHANI) return &ksf_sha256_shani;
    return n == 1 ? &ksf_sha256_portable : NULL;
}

static void ksf_sha256_compress_many_avx512(uint32_t (*states)[8], const uint8_t *const *blocks, size_t n_blocks, size_t n) {
    for (; n >= KSF_V32_LANES; n -= KSF_V32_LANES, states += KSF_V32_LANES, blocks += KSF_V32_LANES)
        ksf_sha256_compress_lanes(states, blocks, n_blocks, KSF_V32_LANES);
    if (n == 0) return;
    const ksf_sha256_impl *rest = ksf_sha256_for_rest(n);
    if (rest)
        rest->compress_many(states, blocks, n_blocks, n);
    else
        ksf_sha256_compress_lanes(states, blocks, n_blocks, n);
}

KSF_TARGET_END

const ksf_sha256_impl ksf_sha256_avx512 = {
    {"avx512", "AVX-512, sixteen streams in lanes; a rest of up to eight in SHA-NI where the CPU has it", KSF_CPU_AVX512},
    KSF_V32_LANES,
    ksf_sha256_compress_many_avx512,
};
#endif
