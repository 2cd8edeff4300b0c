/* chacha20_impl.h - ChaCha20 over vectors of KSF_V32_LANES blocks, written once (RFC 8439, section 2.3).
 *
 * Included by each chacha20_<isa>.c inside its target region, behind a v32 header.
 *
 * Vector w holds word w of all blocks, so a block is a lane and the rounds need no shuffles. The sixteen input words stay in
 * memory while the rounds run: that leaves every register to the state. */

/* Four quarter rounds side by side: a column round or a diagonal round. */
#define KSF_CC_STEP(a0, a1, a2, a3, b0, b1, b2, b3, d0, d1, d2, d3, r) \
    a0 += b0, a1 += b1, a2 += b2, a3 += b3;                            \
    d0 ^= a0, d1 ^= a1, d2 ^= a2, d3 ^= a3;                            \
    d0 = KSF_V32_ROL(d0, r), d1 = KSF_V32_ROL(d1, r), d2 = KSF_V32_ROL(d2, r), d3 = KSF_V32_ROL(d3, r)
#define KSF_CC_QUARTER_ROUNDS(a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3) \
    KSF_CC_STEP(a0, a1, a2, a3, b0, b1, b2, b3, d0, d1, d2, d3, 16);                          \
    KSF_CC_STEP(c0, c1, c2, c3, d0, d1, d2, d3, b0, b1, b2, b3, 12);                          \
    KSF_CC_STEP(a0, a1, a2, a3, b0, b1, b2, b3, d0, d1, d2, d3, 8);                           \
    KSF_CC_STEP(c0, c1, c2, c3, d0, d1, d2, d3, b0, b1, b2, b3, 7)

/* x = the blocks of the inputs `in`, as rows. */
KSF_INLINE void ksf_cc_blocks(ksf_v32 x[16], const ksf_v32 in[16]) {
    ksf_v32 x0 = in[0], x1 = in[1], x2 = in[2], x3 = in[3], x4 = in[4], x5 = in[5], x6 = in[6], x7 = in[7];
    ksf_v32 x8 = in[8], x9 = in[9], x10 = in[10], x11 = in[11], x12 = in[12], x13 = in[13], x14 = in[14], x15 = in[15];
    for (int r = 0; r < 10; r++) {
        KSF_CC_QUARTER_ROUNDS(x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15);
        KSF_CC_QUARTER_ROUNDS(x0, x1, x2, x3, x5, x6, x7, x4, x10, x11, x8, x9, x15, x12, x13, x14);
    }
    __asm__("" : : : "memory"); /* the inputs are read again, not kept in registers */
    x[0] = x0 + in[0], x[1] = x1 + in[1], x[2] = x2 + in[2], x[3] = x3 + in[3];
    x[4] = x4 + in[4], x[5] = x5 + in[5], x[6] = x6 + in[6], x[7] = x7 + in[7];
    x[8] = x8 + in[8], x[9] = x9 + in[9], x[10] = x10 + in[10], x[11] = x11 + in[11];
    x[12] = x12 + in[12], x[13] = x13 + in[13], x[14] = x14 + in[14], x[15] = x15 + in[15];
    ksf_v32_rows16(x);
}

/* Block l of x, straight from the registers. */
KSF_INLINE void ksf_cc_put(uint8_t *out, const ksf_v32 x[16], int l) {
    enum { PARTS = 16 / KSF_V32_LANES };
    for (int q = 0; q < PARTS; q++) memcpy(out + sizeof x[0] * (size_t)q, &x[PARTS * l + q], sizeof x[0]);
}

/* The constants, the zero nonce, and the keys; words 12 (the counters) are set block by block. */
KSF_INLINE void ksf_cc_inputs(ksf_v32 in[16], const uint8_t *const keys[KSF_V32_LANES]) {
    const ksf_v32 zero = {0};
    in[0] = zero + 0x61707865, in[1] = zero + 0x3320646e, in[2] = zero + 0x79622d32, in[3] = zero + 0x6b206574;
    ksf_v32_load8(in + 4, keys);
    in[12] = in[13] = in[14] = in[15] = zero;
}

/* KSF_V32_LANES keys, one a lane, block after block. */
static void ksf_cc_stream_lanes(uint8_t *const *out, const uint8_t *keys, const uint32_t *counters, size_t len) {
    ksf_v32 in[16];
    const uint8_t *lane_keys[KSF_V32_LANES];
    size_t at = 0;
    for (int l = 0; l < KSF_V32_LANES; l++) lane_keys[l] = keys + KSF_CHACHA20_KEY * l;
    ksf_cc_inputs(in, lane_keys);
    if (counters) memcpy(&in[12], counters, sizeof in[12]);
    for (; len - at >= KSF_CHACHA20_BLOCK; at += KSF_CHACHA20_BLOCK) {
        ksf_v32 x[16];
        ksf_cc_blocks(x, in);
        in[12] += 1;
        for (int l = 0; l < KSF_V32_LANES; l++) ksf_cc_put(out[l] + at, x, l);
    }
    if (at < len) {
        ksf_v32 x[16];
        ksf_cc_blocks(x, in);
        for (int l = 0; l < KSF_V32_LANES; l++) memcpy(out[l] + at, (const uint8_t *)x + KSF_CHACHA20_BLOCK * l, len - at);
        ksf_wipe(x, sizeof x);
    }
    ksf_wipe(in, sizeof in);
}

/* Fewer than KSF_V32_LANES keys: lanes take (key, block) pairs in turn, so that one key alone fills them too. */
static void ksf_cc_stream_pairs(uint8_t *const *out, const uint8_t *keys, const uint32_t *counters, size_t len, size_t n) {
    ksf_v32 in[16], x[16];
    uint32_t lane_counters[KSF_V32_LANES];
    const uint8_t *lane_keys[KSF_V32_LANES];
    uint8_t *lane_out[KSF_V32_LANES];
    size_t lane_len[KSF_V32_LANES];
    size_t key = 0, at = 0; /* the next pair: the block at byte `at` of key's stream */
    while (key < n) {
        int used = 0;
        for (; used < KSF_V32_LANES && key < n; used++) {
            lane_keys[used] = keys + KSF_CHACHA20_KEY * key;
            lane_counters[used] = (counters ? counters[key] : 0) + (uint32_t)(at / KSF_CHACHA20_BLOCK);
            lane_out[used] = out[key] + at;
            lane_len[used] = len - at < KSF_CHACHA20_BLOCK ? len - at : KSF_CHACHA20_BLOCK;
            at += KSF_CHACHA20_BLOCK;
            if (at >= len) key++, at = 0;
        }
        for (int l = used; l < KSF_V32_LANES; l++) lane_keys[l] = lane_keys[0], lane_counters[l] = 0; /* idle */
        ksf_cc_inputs(in, lane_keys);
        memcpy(&in[12], lane_counters, sizeof in[12]);
        ksf_cc_blocks(x, in);
        for (int l = 0; l < used; l++)
            if (KSF_LIKELY(lane_len[l] == KSF_CHACHA20_BLOCK))
                ksf_cc_put(lane_out[l], x, l);
            else
                memcpy(lane_out[l], (const uint8_t *)x + KSF_CHACHA20_BLOCK * l, lane_len[l]);
    }
    ksf_wipe(in, sizeof in);
    ksf_wipe(x, sizeof x);
}

static void ksf_cc_stream_many(uint8_t *const *out, const uint8_t *keys, const uint32_t *counters, size_t len, size_t n) {
    if (len == 0) return;
    size_t i = 0;
    for (; n - i >= KSF_V32_LANES; i += KSF_V32_LANES)
        ksf_cc_stream_lanes(out + i, keys + KSF_CHACHA20_KEY * i, counters ? counters + i : NULL, len);
    if (i < n) ksf_cc_stream_pairs(out + i, keys + KSF_CHACHA20_KEY * i, counters ? counters + i : NULL, len, n - i);
}
