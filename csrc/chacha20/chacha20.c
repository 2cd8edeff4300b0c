/* chacha20.c - what is shared by the implementations. */
#include "chacha20.h"
#include "../util.h"

enum {
    KSF_LANES_MAX = 16,  /* segments that run side by side: a multiple of every implementation's streams */
    KSF_SEGMENT_MAX = 32 /* blocks of a segment: 16 segments are 32 KiB, and stay near the core while they are written */
};

/* One stream is cut into KSF_LANES_MAX segments of whole blocks, which are so many streams of one key with their own counters. */
void ksf_chacha20_stream(const ksf_chacha20_impl *impl, uint8_t *out, size_t len, const uint8_t key[32]) {
    uint8_t keys[KSF_LANES_MAX][KSF_CHACHA20_KEY], *lane_out[KSF_LANES_MAX];
    uint32_t counters[KSF_LANES_MAX];
    uint32_t counter = 0;
    for (int l = 0; l < KSF_LANES_MAX; l++) memcpy(keys[l], key, KSF_CHACHA20_KEY);
    for (size_t blocks; (blocks = len / KSF_CHACHA20_BLOCK / KSF_LANES_MAX) != 0;) {
        if (blocks > KSF_SEGMENT_MAX) blocks = KSF_SEGMENT_MAX;
        for (int l = 0; l < KSF_LANES_MAX; l++) {
            lane_out[l] = out + KSF_CHACHA20_BLOCK * blocks * (size_t)l;
            counters[l] = counter + (uint32_t)(blocks * (size_t)l);
        }
        impl->stream_many(lane_out, keys[0], counters, KSF_CHACHA20_BLOCK * blocks, KSF_LANES_MAX);
        out += KSF_CHACHA20_BLOCK * blocks * KSF_LANES_MAX;
        len -= KSF_CHACHA20_BLOCK * blocks * KSF_LANES_MAX;
        counter += (uint32_t)(blocks * KSF_LANES_MAX);
    }
    if (len) impl->stream_many(&out, keys[0], &counter, len, 1); /* fewer than KSF_LANES_MAX blocks and a part of one */
    ksf_wipe(keys, sizeof keys);
}
