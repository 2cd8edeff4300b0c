/* sha256_portable.c - four streams in generic vectors; a single one in words, which takes half as long as the vectors do. */
#include "sha256.h"
#include "../target.h"
#include "../util.h"

KSF_OPTIMIZE_BEGIN

#include "../v32_portable.h"
#include "sha256_impl.h"

static void ksf_sha256_compress_words(uint32_t s[8], const uint8_t *block, size_t n_blocks) {
    uint32_t w[16];
    for (; n_blocks; n_blocks--, block += KSF_SHA256_BLOCK) {
        for (int i = 0; i < 16; i++) w[i] = ksf_load32_be(block + 4 * i);
        KSF_SHA256_COMPRESS(uint32_t, s, w);
    }
    ksf_wipe(w, sizeof w);
}

static void ksf_sha256_compress_many_portable(uint32_t (*states)[8], const uint8_t *const *blocks, size_t n_blocks, size_t n) {
    for (; n >= KSF_V32_LANES; n -= KSF_V32_LANES, states += KSF_V32_LANES, blocks += KSF_V32_LANES)
        ksf_sha256_compress_lanes(states, blocks, n_blocks, KSF_V32_LANES);
    if (n > 1) ksf_sha256_compress_lanes(states, blocks, n_blocks, n);
    if (n == 1) ksf_sha256_compress_words(*states, *blocks, n_blocks);
}

KSF_OPTIMIZE_END

const ksf_sha256_impl ksf_sha256_portable = {
    {"portable", "plain C, four streams in generic vectors", 0},
    KSF_V32_LANES,
    ksf_sha256_compress_many_portable,
};
