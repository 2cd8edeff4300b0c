/* sha256_impl.h - SHA-256's rounds over the lanes of a vector, written once (FIPS 180-4, section 6.2.2).
 *
 * Included by each sha256_<isa>.c that runs one stream a lane, inside its target region, behind a v32 header. */

#define KSF_SHA256_ROR3(x, i, j, k) KSF_V32_XOR3(KSF_V32_ROL(x, 32 - (i)), KSF_V32_ROL(x, 32 - (j)), KSF_V32_ROL(x, 32 - (k)))
#define KSF_SHA256_ROR2_SHR(x, i, j, k) KSF_V32_XOR3(KSF_V32_ROL(x, 32 - (i)), KSF_V32_ROL(x, 32 - (j)), (x) >> (k))

/* Round i with the words of the state named a..h: only d and h change, so the next round renames instead of moving. */
#define KSF_SHA256_ROUND(T, a, b, c, d, e, f, g, h, i)                                                             \
    do {                                                                                                           \
        const T t = h + (w[(i)&15] + ksf_sha256_k[i]) + (KSF_SHA256_ROR3(e, 6, 11, 25) + KSF_V32_CHOOSE(e, f, g)); \
        d += t;                                                                                                    \
        h = t + (KSF_SHA256_ROR3(a, 2, 13, 22) + KSF_V32_MAJORITY(a, b, c));                                       \
    } while (0)
/* The message word of round i + 16, which takes the place of round i's. */
#define KSF_SHA256_EXPAND(i) \
    w[(i)&15] +=             \
        w[((i) + 9) & 15] + (KSF_SHA256_ROR2_SHR(w[((i) + 1) & 15], 7, 18, 3) + KSF_SHA256_ROR2_SHR(w[((i) + 14) & 15], 17, 19, 10))
#define KSF_SHA256_NOTHING(i) ((void)0)
#define KSF_SHA256_ROUNDS_8(T, AFTER, i)                  \
    KSF_SHA256_ROUND(T, a, b, c, d, e, f, g, h, (i) + 0); \
    AFTER((i) + 0);                                       \
    KSF_SHA256_ROUND(T, h, a, b, c, d, e, f, g, (i) + 1); \
    AFTER((i) + 1);                                       \
    KSF_SHA256_ROUND(T, g, h, a, b, c, d, e, f, (i) + 2); \
    AFTER((i) + 2);                                       \
    KSF_SHA256_ROUND(T, f, g, h, a, b, c, d, e, (i) + 3); \
    AFTER((i) + 3);                                       \
    KSF_SHA256_ROUND(T, e, f, g, h, a, b, c, d, (i) + 4); \
    AFTER((i) + 4);                                       \
    KSF_SHA256_ROUND(T, d, e, f, g, h, a, b, c, (i) + 5); \
    AFTER((i) + 5);                                       \
    KSF_SHA256_ROUND(T, c, d, e, f, g, h, a, b, (i) + 6); \
    AFTER((i) + 6);                                       \
    KSF_SHA256_ROUND(T, b, c, d, e, f, g, h, a, (i) + 7); \
    AFTER((i) + 7)

/* s (eight words of state) absorbs the block w (sixteen message words, overwritten). T: ksf_v32, or uint32_t for one stream. */
#define KSF_SHA256_COMPRESS(T, s, w)                                                            \
    do {                                                                                        \
        T a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];       \
        for (int i = 0; i < 48; i += 16) {                                                      \
            KSF_SHA256_ROUNDS_8(T, KSF_SHA256_EXPAND, i);                                       \
            KSF_SHA256_ROUNDS_8(T, KSF_SHA256_EXPAND, i + 8);                                   \
        }                                                                                       \
        KSF_SHA256_ROUNDS_8(T, KSF_SHA256_NOTHING, 48);                                         \
        KSF_SHA256_ROUNDS_8(T, KSF_SHA256_NOTHING, 56);                                         \
        s[0] += a, s[1] += b, s[2] += c, s[3] += d, s[4] += e, s[5] += f, s[6] += g, s[7] += h; \
    } while (0)

/* KSF_V32_LANES lanes, of which the first n are somebody's; the others repeat the first one and are dropped. */
static void ksf_sha256_compress_lanes(uint32_t (*states)[8], const uint8_t *const *blocks, size_t n_blocks, size_t n) {
    ksf_v32 s[8], w[16];
    const uint8_t *rows[KSF_V32_LANES];
    for (size_t l = 0; l < KSF_V32_LANES; l++) rows[l] = (const uint8_t *)states[l < n ? l : 0];
    ksf_v32_load8(s, rows);
    for (size_t l = 0; l < KSF_V32_LANES; l++) rows[l] = blocks[l < n ? l : 0];
    for (; n_blocks; n_blocks--) {
        ksf_v32_load16(w, rows);
        for (int i = 0; i < 16; i++) w[i] = ksf_v32_swap_bytes(w[i]);
        for (size_t l = 0; l < KSF_V32_LANES; l++) rows[l] += KSF_SHA256_BLOCK;
        KSF_SHA256_COMPRESS(ksf_v32, s, w);
    }
    ksf_v32_rows8(s);
    memcpy(states, s, n * sizeof *states);
    ksf_wipe(s, sizeof s);
    ksf_wipe(w, sizeof w);
}
