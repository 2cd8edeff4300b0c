/* Attribution data: BOLT 4, Returning Errors (option_attribution_data).
 *
 * The block is 230 fields of 4 bytes: 20 hold times, then the HMACs row by row. Row x is from the node x hops downstream of
 * the one that holds the block and has 20 - x of them: hmac_x_y, for the case that y more nodes follow that one, with
 * y = 19 - x first and 0 last. So hmac_x_y is c fields into its row, c = 19 - x - y, and all that hmac_0_y covers of other
 * rows, hmac_x_(y-x), has the same c = 19 - y. */
#include "../chacha20/chacha20.h"
#include "../checkmem.h"
#include "../util.h"
#include "failure.h"

enum { KSF_PAIRS = 4 * KSF_RETURN_GROUP, KSF_SLOTS = KSF_ATTRIBUTION_HOPS, KSF_FIELD = 4, KSF_COVERED = KSF_FIELD * (2 * KSF_SLOTS - 1) };

/* Field c of row x, counted from the start of the block. */
static size_t ksf_hmac_field(size_t x, size_t c) { return KSF_SLOTS + x * KSF_SLOTS - x * (x - 1) / 2 + c; }
static uint8_t *ksf_field(uint8_t *block, size_t field) { return block + KSF_FIELD * field; }

/* -- the origin ------------------------------------------------------------------------------------------------------- */

/* What the origin reads of a block is a hold time and one HMAC a node: at hop k of a route of n (at most 20 count), hmac_0_y
 * with y = n - 1 - k, and under it the hold times of the hops k .. n - 1 and their hmac_x_(y-x). Those are the same hold
 * times and HMACs at every k, only further up in the block, so nothing is shifted: they are picked out once and each hop's
 * stream is put on them where they stand in that hop's block.
 *
 * They are kept at the end of the arrays: hop j at slot j + 20 - n. Then the step that checks slot s has y = 19 - s for every
 * item of a group, whatever its route, covers as many bytes for all, and there are 20 of them: a shorter route idles under a
 * dummy key until its first slot comes. */
typedef struct {
    uint32_t hold_times[KSF_SLOTS], hmacs[KSF_SLOTS];
} ksf_slots;

static size_t ksf_first_slot(const ksf_return *item) { return item->n_hops < KSF_SLOTS ? KSF_SLOTS - item->n_hops : 0; }

static void ksf_slots_load(ksf_slots *slots, const uint8_t *block, size_t first) {
    memset(slots, 0, sizeof *slots);
    for (size_t t = first; t < KSF_SLOTS; t++) {
        slots->hold_times[t] = ksf_load32_le(block + KSF_FIELD * (t - first));
        slots->hmacs[t] = ksf_load32_le(block + KSF_FIELD * ksf_hmac_field(t - first, first));
    }
}

/* Puts the stream of the hop at slot s on what is still covered. */
static void ksf_slots_xor(ksf_slots *slots, const uint8_t *stream, size_t s) {
    for (size_t t = s; t < KSF_SLOTS; t++) {
        slots->hold_times[t] ^= ksf_load32_le(stream + KSF_FIELD * (t - s));
        slots->hmacs[t] ^= ksf_load32_le(stream + KSF_FIELD * ksf_hmac_field(t - s, s));
    }
}

void ksf_attribution_verify(const ksf_return_group *g, uint32_t *first_unverified, uint32_t (*hold_times)[KSF_SLOTS]) {
    const size_t stride = ksf_round_up(g->packet_len, 64);
    size_t who[KSF_RETURN_GROUP], n = 0;
    ksf_slots slots[KSF_RETURN_GROUP];
    uint8_t keys[3][KSF_RETURN_GROUP * 32], macs[KSF_RETURN_GROUP * 32], covered[KSF_RETURN_GROUP][KSF_COVERED];
    uint8_t *streams[KSF_RETURN_GROUP], *packets[KSF_RETURN_GROUP], *masks[KSF_RETURN_GROUP];
    const uint8_t *first[KSF_RETURN_GROUP], *second[KSF_RETURN_GROUP];
    for (size_t p = 0; p < g->n; p++) {
        if (!g->items[p]->attribution_data) continue;
        streams[n] = g->streams + n * KSF_ATTRIBUTION_STREAM;
        first[n] = packets[n] = g->packets + n * stride;
        masks[n] = g->packets + (KSF_RETURN_GROUP + n) * stride;
        second[n] = covered[n];
        first_unverified[p] = KSF_NO_HOP;
        who[n++] = p;
    }
    if (n == 0) return;
    memset(slots, 0, sizeof slots);
    memset(g->packets, 0, n * stride);
    for (size_t s = 0; s < KSF_SLOTS; s++) {
        const size_t tail = KSF_FIELD * (KSF_SLOTS - s);
        for (size_t j = 0; j < n; j++) {
            const ksf_return *item = g->items[who[j]];
            const size_t start = ksf_first_slot(item), row = 32 * ((s < start ? KSF_SLOTS - 1 : s - start) * g->n + who[j]);
            if (s == start) {
                ksf_slots_load(&slots[j], item->attribution_data, start);
                if (g->packet_len) memcpy(packets[j], item->packet, g->packet_len);
            }
            memcpy(keys[0] + 32 * j, g->ammagext + row, 32);
            memcpy(keys[1] + 32 * j, g->um + row, 32);
            if (g->packet_len) memcpy(keys[2] + 32 * j, g->ammag + row, 32);
        }
        g->suite->chacha20->stream_many(streams, keys[0], NULL, KSF_ATTRIBUTION_STREAM, n);
        if (g->packet_len) g->suite->chacha20->stream_many(masks, keys[2], NULL, stride, n);
        for (size_t j = 0; j < n; j++) {
            ksf_slots_xor(&slots[j], streams[j], s);
            ksf_xor(packets[j], masks[j], g->packet_len);
            memcpy(covered[j], slots[j].hold_times + s, tail);
            memcpy(covered[j] + tail, slots[j].hmacs + s + 1, tail - KSF_FIELD);
        }
        ksf_hmac_sha256_rows(g->suite->sha256, macs, keys[1], first, g->packet_len, second, 2 * tail - KSF_FIELD, n);
        for (size_t j = 0; j < n; j++) {
            const size_t start = ksf_first_slot(g->items[who[j]]);
            if (s < start) continue;
            uint32_t *verdict = &first_unverified[who[j]];
            const uint64_t same = ksf_is_zero(ksf_load32_le(macs + 32 * j) ^ slots[j].hmacs[s]);
            const uint64_t fresh = ksf_is_zero(*verdict ^ KSF_NO_HOP);
            *verdict = (uint32_t)ksf_select(ksf_mask(fresh & (same ^ 1)), s - start, *verdict);
            hold_times[who[j]][s - start] = __builtin_bswap32(slots[j].hold_times[s]);
        }
    }
    ksf_wipe(slots, sizeof slots);
    ksf_wipe(keys, sizeof keys);
    ksf_wipe(macs, sizeof macs);
    ksf_wipe(covered, sizeof covered);
    ksf_wipe(g->streams, n * KSF_ATTRIBUTION_STREAM);
    ksf_wipe(g->packets, n * stride);
    ksf_wipe(g->packets + KSF_RETURN_GROUP * stride, n * stride);
}

/* -- a node ----------------------------------------------------------------------------------------------------------- */

/* out = the block with every row one hop further and the field gone that no longer fits; row 0 and this node's hold time are
 * zero. in: 920 bytes, not out. */
static void ksf_attribution_shift(uint8_t *out, const uint8_t *in) {
    memset(out, 0, KSF_ATTRIBUTION_BYTES);
    memcpy(out + KSF_FIELD, in, KSF_FIELD * (KSF_SLOTS - 1));
    for (size_t x = 1; x < KSF_SLOTS; x++)
        memcpy(ksf_field(out, ksf_hmac_field(x, 0)), in + KSF_FIELD * ksf_hmac_field(x - 1, 1), KSF_FIELD * (KSF_SLOTS - x));
}

/* Which HMAC of which step: all of one step after the other's y, so that neighbours cover as many bytes. */
typedef struct {
    size_t step, y;
} ksf_pair;

static ksf_pair ksf_pair_at(const ksf_attribution_group *g, size_t i) { return (ksf_pair){i % g->n, i / g->n}; }

/* The steps' um keys, prepared, and each inner hash after the whole blocks of its packet: the 20 HMACs share them. */
static void ksf_attribution_midstates(const ksf_attribution_group *g, ksf_hmac_key *keys) {
    const size_t whole = g->packet_len / KSF_SHA256_BLOCK;
    uint32_t states[KSF_RETURN_GROUP][8];
    const uint8_t *packets[KSF_RETURN_GROUP];
    for (size_t j = 0; j < g->n; j++) {
        ksf_hmac_key_init(g->suite->sha256, &keys[j], g->um + 32 * j, 32);
        memcpy(states[j], keys[j].inner, sizeof states[j]);
        packets[j] = g->steps[j]->packet_out;
    }
    if (whole) g->suite->sha256->compress_many(states, packets, whole, g->n);
    for (size_t j = 0; j < g->n; j++) memcpy(keys[j].inner, states[j], sizeof states[j]);
    ksf_wipe(states, sizeof states);
}

/* What hmac_0_y covers behind the whole blocks of the packet, at `to`; returns its length. */
static size_t ksf_attribution_covered(uint8_t *to, const ksf_return_step *step, size_t packet_len, size_t y) {
    const size_t rest = packet_len % KSF_SHA256_BLOCK, times = KSF_FIELD * (y + 1);
    if (rest) memcpy(to, step->packet_out + packet_len - rest, rest);
    memcpy(to + rest, step->attribution_out, times);
    for (size_t x = 1; x <= y; x++)
        memcpy(to + rest + times + KSF_FIELD * (x - 1), ksf_field(step->attribution_out, ksf_hmac_field(x, KSF_SLOTS - 1 - y)), KSF_FIELD);
    return rest + times + KSF_FIELD * y;
}

void ksf_attribution_update(const ksf_attribution_group *g) {
    const uint64_t before = KSF_SHA256_BLOCK + (g->packet_len & ~(uint64_t)(KSF_SHA256_BLOCK - 1));
    ksf_hmac_key keys[KSF_RETURN_GROUP];
    uint8_t covered[KSF_PAIRS][KSF_SHA256_BLOCK - 1 + KSF_COVERED], macs[KSF_PAIRS * 32], came[KSF_ATTRIBUTION_BYTES];
    const ksf_hmac_key *pair_keys[KSF_PAIRS];
    const uint8_t *messages[KSF_PAIRS];
    size_t lengths[KSF_PAIRS];
    for (size_t j = 0; j < g->n; j++) {
        const ksf_return_step *step = g->steps[j];
        memset(came, 0, sizeof came);
        if (step->attribution_in) memcpy(came, step->attribution_in, sizeof came);
        ksf_attribution_shift(step->attribution_out, came);
        ksf_store32_be(step->attribution_out, step->hold_time);
    }
    ksf_attribution_midstates(g, keys);
    for (size_t i = 0, m; i < KSF_SLOTS * g->n; i += m) {
        m = KSF_SLOTS * g->n - i < KSF_PAIRS ? KSF_SLOTS * g->n - i : KSF_PAIRS;
        for (size_t l = 0; l < m; l++) {
            const ksf_pair pair = ksf_pair_at(g, i + l);
            pair_keys[l] = &keys[pair.step];
            messages[l] = covered[l];
            lengths[l] = ksf_attribution_covered(covered[l], g->steps[pair.step], g->packet_len, pair.y);
        }
        ksf_hmac_sha256_resume_many(g->suite->sha256, macs, pair_keys, before, messages, lengths, m);
        for (size_t l = 0; l < m; l++) {
            const ksf_pair pair = ksf_pair_at(g, i + l);
            memcpy(ksf_field(g->steps[pair.step]->attribution_out, ksf_hmac_field(0, KSF_SLOTS - 1 - pair.y)), macs + 32 * l, KSF_FIELD);
        }
    }
    ksf_wipe(keys, sizeof keys);
    ksf_wipe(covered, sizeof covered);
    ksf_wipe(macs, sizeof macs);
    ksf_wipe(came, sizeof came);
}
