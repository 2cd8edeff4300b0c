/* sha256_portable.c - one stream at a time in plain C (FIPS 180-4, section 6.2.2). */
#include "sha256.h"
#include "../target.h"
#include "../util.h"

KSF_OPTIMIZE_BEGIN

#define KSF_ROR(x, r) ((x) >> (r) | (x) << (32 - (r)))
#define KSF_SIGMA0(x) (KSF_ROR(x, 7) ^ KSF_ROR(x, 18) ^ (x) >> 3)
#define KSF_SIGMA1(x) (KSF_ROR(x, 17) ^ KSF_ROR(x, 19) ^ (x) >> 10)

/* Round i with the words of the state named a..h; only d and h change, so the next round renames instead of moving. */
#define KSF_ROUND(a, b, c, d, e, f, g, h, i)                                                                                          \
    do {                                                                                                                              \
        const uint32_t t = h + (KSF_ROR(e, 6) ^ KSF_ROR(e, 11) ^ KSF_ROR(e, 25)) + (g ^ (e & (f ^ g))) + ksf_sha256_k[i] + w[(i)&15]; \
        d += t;                                                                                                                       \
        h = t + (KSF_ROR(a, 2) ^ KSF_ROR(a, 13) ^ KSF_ROR(a, 22)) + ((a & b) | (c & (a | b)));                                        \
    } while (0)
#define KSF_ROUNDS_8(i)                       \
    KSF_ROUND(a, b, c, d, e, f, g, h, i);     \
    KSF_ROUND(h, a, b, c, d, e, f, g, i + 1); \
    KSF_ROUND(g, h, a, b, c, d, e, f, i + 2); \
    KSF_ROUND(f, g, h, a, b, c, d, e, i + 3); \
    KSF_ROUND(e, f, g, h, a, b, c, d, i + 4); \
    KSF_ROUND(d, e, f, g, h, a, b, c, i + 5); \
    KSF_ROUND(c, d, e, f, g, h, a, b, i + 6); \
    KSF_ROUND(b, c, d, e, f, g, h, a, i + 7)

/* w: 16 words of scratch, left holding message words. */
static void ksf_sha256_compress(uint32_t s[8], const uint8_t *block, size_t n_blocks, uint32_t w[16]) {
    for (; n_blocks; n_blocks--, block += KSF_SHA256_BLOCK) {
        uint32_t a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
        for (int i = 0; i < 16; i++) w[i] = ksf_load32_be(block + 4 * i);
        for (int i = 0; i < 64; i += 16) {
            KSF_ROUNDS_8(i);
            KSF_ROUNDS_8(i + 8);
            /* the next sixteen words in place: w[j] is still the word 16 rounds back, those below j are new */
            for (int j = 0; i < 48 && j < 16; j++) w[j] += KSF_SIGMA0(w[(j + 1) & 15]) + w[(j + 9) & 15] + KSF_SIGMA1(w[(j + 14) & 15]);
        }
        s[0] += a;
        s[1] += b;
        s[2] += c;
        s[3] += d;
        s[4] += e;
        s[5] += f;
        s[6] += g;
        s[7] += h;
    }
}

static void ksf_sha256_compress_many_portable(uint32_t (*states)[8], const uint8_t *const *blocks, size_t n_blocks, size_t n) {
    uint32_t w[16];
    for (size_t i = 0; i < n; i++) ksf_sha256_compress(states[i], blocks[i], n_blocks, w);
    ksf_wipe(w, sizeof w);
}

KSF_OPTIMIZE_END

const ksf_sha256_impl ksf_sha256_portable = {
    {"portable", "plain C, one stream", 0},
    1,
    ksf_sha256_compress_many_portable,
};
