/* Return packets: BOLT 4, Returning Errors. And the batches of what comes back, attribution data included.
 *
 * At the origin the layers do not depend on each other: round r's clear text is the packet under the XOR of the streams of
 * rounds 0 .. r. So a group of n packets goes n * (16 / n) rows at a time, rounds of a packet beside each other where there
 * are few packets, and a single failure fills the lanes as well as sixteen. */
#include "failure.h"
#include "../chacha20/chacha20.h"
#include "../checkmem.h"
#include "../util.h"

/* The secret of rounds behind the end of the route. Its keys are derived as often as the others', so that the route's length
 * shows in nothing but which bytes are copied from where. */
static const uint8_t KSF_DUMMY_SECRET[32] = "rounds behind the end of a route";

/* -- the origin ------------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t rounds, stride; /* most rounds of an item; bytes of a packet in scratch */
    size_t um, ammag, ammagext, streams, packets, bytes;
} ksf_decode_layout;

static ksf_decode_layout ksf_decode_layout_of(const ksf_return_batch *b) {
    ksf_decode_layout l = {.rounds = b->max_hops < KSF_FAILURE_ROUNDS ? KSF_FAILURE_ROUNDS : b->max_hops};
    l.stride = ksf_round_up(b->max_packet_len, 64);
    size_t at = 0;
#define KSF_PLACE(field, n) (l.field = at, at += ksf_round_up((n), 64))
    KSF_PLACE(um, KSF_RETURN_GROUP * l.rounds * 32);
    KSF_PLACE(ammag, KSF_RETURN_GROUP * l.rounds * 32);
    KSF_PLACE(ammagext, KSF_RETURN_GROUP * KSF_ATTRIBUTION_HOPS * 32);
    KSF_PLACE(streams, KSF_RETURN_GROUP * KSF_ATTRIBUTION_STREAM);
    KSF_PLACE(packets, 2 * KSF_RETURN_GROUP * l.stride);
#undef KSF_PLACE
    l.bytes = at;
    return l;
}

size_t ksf_return_decode_scratch(const ksf_return_batch *b) { return ksf_decode_layout_of(b).bytes; }

/* Keys of all rounds of the group. */
static void ksf_derive_group(const ksf_return_group *g) {
    const ksf_sha256_impl *sha256 = g->suite->sha256;
    const size_t rows = g->rounds * g->n;
    int attributed = 0;
    for (size_t p = 0; p < g->n; p++) {
        const ksf_return *item = g->items[p];
        attributed |= item->attribution_data != NULL;
        for (size_t r = 0; r < g->rounds; r++)
            memcpy(g->um + 32 * (r * g->n + p), r < item->n_hops ? item->shared_secrets + 32 * r : KSF_DUMMY_SECRET, 32);
    }
    if (g->packet_len) ksf_sphinx_derive(sha256, KSF_KEY_AMMAG, g->ammag, g->um, rows);
    if (attributed) ksf_sphinx_derive(sha256, KSF_KEY_AMMAGEXT, g->ammagext, g->um, KSF_ATTRIBUTION_HOPS * g->n);
    ksf_sphinx_derive(sha256, KSF_KEY_UM, g->um, g->um, rows);
}

/* dst[i] |= src[i] under the mask. */
static void ksf_or_masked(uint8_t *dst, const uint8_t *src, uint64_t mask, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) ksf_store64_le(dst + i, ksf_load64_le(dst + i) | (ksf_load64_le(src + i) & mask));
    for (; i < n; i++) dst[i] |= (uint8_t)(src[i] & mask);
}

/* Who authenticated each packet: erring[p], or KSF_NO_HOP; and the bodies. Both SECRET still. No early exit. */
static void ksf_failure_decode(const ksf_return_group *g, uint32_t *erring) {
    const size_t len = g->packet_len, body = len - KSF_HMAC_BYTES, stride = ksf_round_up(len, 64), at_once = KSF_RETURN_GROUP / g->n;
    uint8_t macs[KSF_RETURN_GROUP * 32];
    uint8_t *row[KSF_RETURN_GROUP];
    const uint8_t *before[KSF_RETURN_GROUP], *authenticated[KSF_RETURN_GROUP];
    uint8_t *tile = g->packets, *other = g->packets + KSF_RETURN_GROUP * stride;
    for (size_t p = 0; p < g->n; p++) {
        before[p] = g->items[p]->packet;
        erring[p] = KSF_NO_HOP;
        if (body) memset(g->items[p]->body, 0, body);
    }
    for (size_t r = 0, n; r < g->rounds; r += n) {
        n = g->rounds - r < at_once ? g->rounds - r : at_once;
        const size_t rows = n * g->n;
        for (size_t j = 0; j < rows; j++) {
            row[j] = tile + stride * j;
            authenticated[j] = row[j] + KSF_HMAC_BYTES;
        }
        g->suite->chacha20->stream_many(row, g->ammag + 32 * r * g->n, NULL, stride, rows);
        for (size_t j = 0; j < rows; j++) ksf_xor(row[j], j < g->n ? before[j] : row[j - g->n], len);
        ksf_hmac_sha256_rows(g->suite->sha256, macs, g->um + 32 * r * g->n, authenticated, body, NULL, 0, rows);
        for (size_t j = 0; j < rows; j++) {
            const size_t p = j % g->n, hop = r + j / g->n;
            const uint64_t real = hop < g->items[p]->n_hops, fresh = ksf_is_zero(erring[p] ^ KSF_NO_HOP);
            const uint64_t hit = ksf_mask(ksf_equal(macs + 32 * j, row[j], KSF_HMAC_BYTES) & real & fresh);
            erring[p] = (uint32_t)ksf_select(hit, hop, erring[p]);
            if (body) ksf_or_masked(g->items[p]->body, authenticated[j], hit, body);
        }
        for (size_t p = 0; p < g->n; p++) before[p] = row[rows - g->n + p];
        uint8_t *swap = tile;
        tile = other;
        other = swap;
    }
    ksf_wipe(macs, sizeof macs);
    ksf_wipe(g->packets, 2 * KSF_RETURN_GROUP * stride);
}

/* What the origin learns of an item becomes public: it acts on it anyway. */
static void ksf_return_conclude(const ksf_return *item, ksf_return_report *report, ksf_status *status, uint32_t erring,
                                uint32_t first_unverified, const uint32_t *hold_times) {
    size_t verifiable = item->n_hops < KSF_ATTRIBUTION_HOPS ? item->n_hops : KSF_ATTRIBUTION_HOPS;
    KSF_DECLASSIFY(&erring, sizeof erring);
    report->erring_hop = (uint16_t)erring;
    if (item->packet_len > KSF_HMAC_BYTES) KSF_DECLASSIFY(item->body, item->packet_len - KSF_HMAC_BYTES);
    if (erring != KSF_NO_HOP) {
        const uint32_t room = item->packet_len - KSF_HMAC_BYTES;
        const uint32_t len = room < 2 ? 0 : ksf_load16_be(item->body);
        /* a message begins with the two bytes of its code; the padding is not looked at */
        if (len < 2 || len + 2 > room)
            *status = (ksf_status){.code = KSF_ERR_FAILURE_MESSAGE, .hop = (uint16_t)erring};
        else
            report->message_len = (uint16_t)len;
        if (erring + 1 < verifiable) verifiable = erring + 1;
    } else if (item->packet) {
        status->code = KSF_ERR_UNDECODABLE;
    }
    if (!item->attribution_data) return;
    KSF_DECLASSIFY(&first_unverified, sizeof first_unverified);
    /* what stands behind the erring hop was zeros when the HMACs were made: nobody's */
    if (first_unverified < verifiable) {
        report->first_unverified = (uint16_t)first_unverified;
        verifiable = first_unverified;
    }
    report->n_hold_times = (uint16_t)verifiable;
    for (size_t k = 0; k < verifiable; k++) report->hold_times[k] = hold_times[k];
    KSF_DECLASSIFY(report->hold_times, sizeof report->hold_times);
}

static void ksf_decode_group(const ksf_return_batch *b, ksf_return_group *g, const size_t *index) {
    uint32_t erring[KSF_RETURN_GROUP], first_unverified[KSF_RETURN_GROUP], hold_times[KSF_RETURN_GROUP][KSF_ATTRIBUTION_HOPS];
    memset(hold_times, 0, sizeof hold_times);
    g->rounds = KSF_FAILURE_ROUNDS;
    for (size_t p = 0; p < g->n; p++) {
        if (g->items[p]->n_hops > g->rounds) g->rounds = g->items[p]->n_hops;
        erring[p] = first_unverified[p] = KSF_NO_HOP;
    }
    ksf_derive_group(g);
    if (g->packet_len >= KSF_HMAC_BYTES) ksf_failure_decode(g, erring);
    ksf_attribution_verify(g, first_unverified, hold_times);
    for (size_t p = 0; p < g->n; p++)
        ksf_return_conclude(g->items[p], &b->reports[index[p]], &b->statuses[index[p]], erring[p], first_unverified[p], hold_times[p]);
    ksf_wipe(erring, sizeof erring);
    ksf_wipe(first_unverified, sizeof first_unverified);
    ksf_wipe(hold_times, sizeof hold_times);
    ksf_wipe(g->um, 32 * g->rounds * g->n);
    ksf_wipe(g->ammag, 32 * g->rounds * g->n);
    ksf_wipe(g->ammagext, 32 * KSF_ATTRIBUTION_HOPS * g->n);
}

void ksf_return_decode_block(const ksf_return_batch *b, size_t begin, size_t end, void *scratch) {
    const ksf_decode_layout l = ksf_decode_layout_of(b);
    uint8_t *base = scratch;
    ksf_return_group g = {.suite = b->suite,
                          .um = base + l.um,
                          .ammag = base + l.ammag,
                          .ammagext = base + l.ammagext,
                          .streams = base + l.streams,
                          .packets = base + l.packets};
    size_t index[KSF_RETURN_GROUP];
    for (size_t i = begin; i < end; i++) {
        const ksf_return *item = &b->returns[i];
        b->reports[i] = (ksf_return_report){.erring_hop = KSF_NO_HOP, .first_unverified = KSF_NO_HOP};
        if (b->statuses[i].code == KSF_OK && (item->n_hops < 1 || item->n_hops > KSF_MAX_HOPS)) b->statuses[i].code = KSF_ERR_NO_HOPS;
        if (b->statuses[i].code != KSF_OK) continue;
        if (g.n == KSF_RETURN_GROUP || (g.n && (item->packet_len != g.packet_len || !item->packet != !g.items[0]->packet))) {
            ksf_decode_group(b, &g, index);
            g.n = 0;
        }
        g.packet_len = item->packet ? item->packet_len : 0;
        index[g.n] = i;
        g.items[g.n++] = item;
    }
    if (g.n) ksf_decode_group(b, &g, index);
}

/* -- a node ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t stride, streams, packets, bytes;
} ksf_step_layout;

static ksf_step_layout ksf_step_layout_of(const ksf_return_step_batch *b) {
    ksf_step_layout l = {.stride = ksf_round_up(b->max_packet_len, 64)};
    l.packets = KSF_RETURN_GROUP * KSF_ATTRIBUTION_STREAM;
    l.bytes = l.packets + KSF_RETURN_GROUP * l.stride;
    return l;
}

size_t ksf_return_step_scratch(const ksf_return_step_batch *b) { return ksf_step_layout_of(b).bytes; }

/* The erring node's packet but for its hmac. */
static void ksf_failure_write(const ksf_return_step *step) {
    uint8_t *at = step->packet_out + KSF_HMAC_BYTES;
    ksf_store16_be(at, (uint16_t)step->message_len);
    memcpy(at + 2, step->message, step->message_len);
    at += 2 + step->message_len;
    const size_t pad = step->packet_len - KSF_FAILURE_OVERHEAD - step->message_len;
    ksf_store16_be(at, (uint16_t)pad);
    memset(at + 2, 0, pad);
}

/* Packets in the clear, as this node makes or got them. */
static void ksf_failure_open(const ksf_suite *suite, const ksf_return_step *const *steps, size_t n, size_t len, const uint8_t *um) {
    uint8_t keys[KSF_RETURN_GROUP * 32], macs[KSF_RETURN_GROUP * 32];
    const uint8_t *body[KSF_RETURN_GROUP];
    uint8_t *to[KSF_RETURN_GROUP];
    size_t m = 0;
    for (size_t j = 0; j < n; j++) {
        if (!steps[j]->message) {
            memmove(steps[j]->packet_out, steps[j]->packet_in, len);
            continue;
        }
        ksf_failure_write(steps[j]);
        memcpy(keys + 32 * m, um + 32 * j, 32);
        to[m] = steps[j]->packet_out;
        body[m] = to[m] + KSF_HMAC_BYTES;
        m++;
    }
    if (m) ksf_hmac_sha256_rows(suite->sha256, macs, keys, body, len - KSF_HMAC_BYTES, NULL, 0, m);
    for (size_t j = 0; j < m; j++) memcpy(to[j], macs + 32 * j, KSF_HMAC_BYTES);
    ksf_wipe(keys, sizeof keys);
    ksf_wipe(macs, sizeof macs);
}

/* dst[j][0..len) ^= the streams of the keys, made in `room`: KSF_RETURN_GROUP streams of ksf_round_up(len, 64) bytes. */
static void ksf_obfuscate(const ksf_suite *suite, uint8_t *const *dst, const uint8_t *keys, size_t len, size_t n, uint8_t *room) {
    const size_t stride = ksf_round_up(len, 64);
    uint8_t *streams[KSF_RETURN_GROUP] = {0};
    for (size_t j = 0; j < n; j++) streams[j] = room + stride * j;
    suite->chacha20->stream_many(streams, keys, NULL, stride, n);
    for (size_t j = 0; j < n; j++) {
        ksf_xor(dst[j], streams[j], len);
        KSF_DECLASSIFY(dst[j], len); /* what is sent upstream */
    }
    ksf_wipe(room, stride * n);
}

static void ksf_step_group(const ksf_return_step_batch *b, const ksf_return_step *const *steps, size_t n, size_t len, uint8_t *base) {
    const ksf_sha256_impl *sha256 = b->suite->sha256;
    const ksf_step_layout l = ksf_step_layout_of(b);
    uint8_t secrets[KSF_RETURN_GROUP * 32] = {0}, um[KSF_RETURN_GROUP * 32], ext_secrets[KSF_RETURN_GROUP * 32],
                                       ext_um[KSF_RETURN_GROUP * 32];
    uint8_t *packets[KSF_RETURN_GROUP], *blocks[KSF_RETURN_GROUP];
    ksf_attribution_group attributed = {.suite = b->suite, .packet_len = len, .um = ext_um};
    for (size_t j = 0; j < n; j++) {
        memcpy(secrets + 32 * j, steps[j]->shared_secret, 32);
        packets[j] = steps[j]->packet_out;
    }
    ksf_sphinx_derive(sha256, KSF_KEY_UM, um, secrets, n);
    if (len) ksf_failure_open(b->suite, steps, n, len, um);
    for (size_t j = 0; j < n; j++) {
        if (!steps[j]->attribution_out) continue;
        memcpy(ext_um + 32 * attributed.n, um + 32 * j, 32);
        memcpy(ext_secrets + 32 * attributed.n, secrets + 32 * j, 32);
        blocks[attributed.n] = steps[j]->attribution_out;
        attributed.steps[attributed.n++] = steps[j];
    }
    if (attributed.n) {
        ksf_attribution_update(&attributed);
        ksf_sphinx_derive(sha256, KSF_KEY_AMMAGEXT, ext_secrets, ext_secrets, attributed.n);
        ksf_obfuscate(b->suite, blocks, ext_secrets, KSF_ATTRIBUTION_BYTES, attributed.n, base);
    }
    if (len) {
        ksf_sphinx_derive(sha256, KSF_KEY_AMMAG, secrets, secrets, n);
        ksf_obfuscate(b->suite, packets, secrets, len, n, base + l.packets);
    }
    ksf_wipe(secrets, sizeof secrets);
    ksf_wipe(um, sizeof um);
    ksf_wipe(ext_secrets, sizeof ext_secrets);
    ksf_wipe(ext_um, sizeof ext_um);
}

void ksf_return_step_block(const ksf_return_step_batch *b, size_t begin, size_t end, void *scratch) {
    const ksf_return_step *steps[KSF_RETURN_GROUP];
    size_t n = 0;
    for (size_t i = begin; i < end; i++) {
        const ksf_return_step *step = &b->steps[i];
        if (n == KSF_RETURN_GROUP || (n && step->packet_len != steps[0]->packet_len)) {
            ksf_step_group(b, steps, n, steps[0]->packet_len, scratch);
            n = 0;
        }
        steps[n++] = step;
    }
    if (n) ksf_step_group(b, steps, n, steps[0]->packet_len, scratch);
}
