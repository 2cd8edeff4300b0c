/* Building onions: BOLT 4, Packet Construction.
 *
 * Nothing is shifted. Lay hop_payloads out "unrolled": hop h's view of it starts at o_h, the sum of the frames before, so
 * that the frames stand one behind the other from 0 on and what a hop appends stands behind position `size`:
 *
 *     0        o_1       o_2 ...      total        size       size + o_(n-1)
 *     | frame 0 | frame 1 | ... frame n-1 |  pad   |  filler  |
 *
 * Hop h's rho stream covers [o_h, o_h + size + frame_h) of it. The filler is what the streams of hops 0..n-2 leave of the
 * zeros that those hops append. Wrapping hop h is an XOR over [o_h, o_h + size) and an HMAC over the same bytes, whose
 * result belongs into the 32 bytes before o_h. One stream a hop serves both. */
#include "../chacha20/chacha20.h"
#include "../checkmem.h"
#include "../secp256k1/ecmult.h"
#include "../util.h"
#include "sphinx.h"

/* Onions that go through the symmetric work side by side: as many as the widest lanes, fewer where long routes would push
 * their streams (1.4 kB a hop) out of a second-level cache of 1 MB. */
enum { KSF_GROUP_MAX = 16, KSF_GROUP_MIN = 4, KSF_GROUP_ROWS = 448, KSF_STREAMS = 64 };

typedef struct {
    size_t group, max_hops, size, unrolled, stream_room; /* bytes of one unrolled buffer, and of one stream at most */
    /* offsets into the scratch */
    size_t n_hops, first_row, row_key, frame_lens, statuses, session_keys, shared_secrets, ephemeral, rho, mu, pad, buffers, streams,
        ecmult, bytes;
} ksf_layout;

static ksf_layout ksf_layout_of(const ksf_build_batch *b, size_t block) {
    ksf_layout l = {.size = b->hop_payloads_bytes, .max_hops = b->max_hops ? b->max_hops : 1};
    const size_t rows = block * l.max_hops;
    l.group = KSF_GROUP_ROWS / l.max_hops & ~(size_t)3;
    if (l.group > KSF_GROUP_MAX) l.group = KSF_GROUP_MAX;
    if (l.group < KSF_GROUP_MIN) l.group = KSF_GROUP_MIN;
    if (l.group > block) l.group = block;
    l.unrolled = ksf_round_up(2 * l.size, 64);
    l.stream_room = l.unrolled;
    size_t at = 0;
#define KSF_PLACE(field, n) (l.field = at, at += ksf_round_up((n), 64))
    KSF_PLACE(n_hops, block * sizeof(uint16_t));
    KSF_PLACE(first_row, (block + 1) * sizeof(uint32_t));
    KSF_PLACE(row_key, rows * sizeof(uint32_t));
    KSF_PLACE(frame_lens, rows * sizeof(uint32_t));
    KSF_PLACE(statuses, block * sizeof(ksf_status));
    KSF_PLACE(session_keys, block * 32);
    KSF_PLACE(shared_secrets, rows * 32);
    KSF_PLACE(ephemeral, block * KSF_POINT_BYTES);
    KSF_PLACE(rho, rows * 32);
    KSF_PLACE(mu, rows * 32);
    KSF_PLACE(pad, block * 32);
    KSF_PLACE(buffers, l.group * l.unrolled);
    KSF_PLACE(streams, l.group * l.max_hops * l.stream_room);
    KSF_PLACE(ecmult, b->suite->ecmult->scratch_bytes(block));
#undef KSF_PLACE
    l.bytes = at;
    return l;
}

size_t ksf_build_scratch(const ksf_build_batch *b, size_t block) { return ksf_layout_of(b, block).bytes; }

/* The block being worked on, gathered from the batch: what belongs to item i, or to row first_row[i] + h of it, stands
 * side by side whatever the batch's order is. */
typedef struct {
    const ksf_build_batch *b;
    ksf_layout l;
    size_t begin, n, rows;
    size_t stream_bytes; /* used of `streams` so far: what has to be wiped */
    uint16_t *n_hops;
    uint32_t *first_row, *row_key, *frame_lens;
    ksf_status *statuses;
    uint8_t *session_keys, *shared_secrets, *ephemeral, *rho, *mu, *pad, *buffers, *streams;
} ksf_block;

/* The batch's item that stands at place i of the block. */
static size_t ksf_item(const ksf_block *k, size_t i) { return k->b->order ? k->b->order[k->begin + i] : k->begin + i; }

static void ksf_fail(ksf_status *s, uint16_t code, size_t hop, size_t offset) {
    *s = (ksf_status){.code = code, .hop = (uint16_t)hop, .offset = (uint32_t)offset};
}

/* Lengths of the frames, and every reason for which the item cannot be built that is not its session key. */
static void ksf_check_item(ksf_block *k, size_t i) {
    const ksf_build_batch *b = k->b;
    ksf_status *status = &k->statuses[i];
    uint32_t *lens = k->frame_lens + k->first_row[i];
    const size_t n_hops = k->n_hops[i], item = ksf_item(k, i);
    size_t sum = 0;
    if (status->code != KSF_OK) return;
    if (n_hops < 1 || n_hops > KSF_MAX_HOPS) {
        ksf_fail(status, KSF_ERR_NO_HOPS, 0, 0);
        return;
    }
    for (size_t h = 0; h < n_hops; h++) {
        if (!b->keys[k->row_key[k->first_row[i] + h]].valid) {
            ksf_fail(status, KSF_ERR_NODE_KEY, h, 0);
            return;
        }
    }
    if (b->keysends) {
        sum = ksf_keysend_frame_lens(&b->keysends[item], b->block_height, lens, status);
        if (status->code != KSF_OK) return;
    } else {
        for (size_t h = 0; h < n_hops; h++) {
            const uint32_t len = b->onions[item].payload_lens[h];
            if (len < 2) {
                ksf_fail(status, KSF_ERR_PAYLOAD_SIZE, h, 0);
                return;
            }
            lens[h] = (uint32_t)ksf_frame_len(len);
            sum += lens[h];
        }
    }
    if (sum > b->hop_payloads_bytes) ksf_fail(status, KSF_ERR_ONION_SIZE, n_hops - 1, sum - b->hop_payloads_bytes);
}

static void ksf_raw_frames_write(const ksf_onion_request *r, uint8_t *at) {
    const uint8_t *payload = r->payloads;
    for (size_t h = 0; h < r->n_hops; h++) {
        at += ksf_bigsize_write(at, r->payload_lens[h]);
        memcpy(at, payload, r->payload_lens[h]);
        at += r->payload_lens[h];
        memset(at, 0, KSF_HMAC_BYTES);
        at += KSF_HMAC_BYTES;
        payload += r->payload_lens[h];
    }
}

static void ksf_run_chain(const ksf_block *k, void *scratch) {
    const ksf_suite *suite = k->b->suite;
    const ksf_key_chain chain = {.n = k->n,
                                 .n_hops = k->n_hops,
                                 .first_row = k->first_row,
                                 .row_key = k->row_key,
                                 .keys = k->b->keys,
                                 .session_keys = k->session_keys,
                                 .ephemeral = k->ephemeral,
                                 .shared_secrets = k->shared_secrets,
                                 .statuses = k->statuses,
                                 .sha256 = suite->sha256};
    suite->ecmult->key_chain(&chain, scratch);
}

/* One onion of a group on its way through the wrapping. */
typedef struct {
    size_t place;      /* in the block */
    size_t n_hops, at; /* at: o_h of the hop to be wrapped next */
    uint8_t *buffer;
    const uint8_t *streams; /* of its hop 0 */
    const uint8_t *associated_data;
    size_t associated_data_len;
} ksf_wrap;

/* Streams of the group's rows, pads, frames and fillers: everything before the first HMAC. */
static size_t ksf_prepare_group(ksf_block *k, ksf_wrap *w, size_t first, size_t end) {
    const ksf_build_batch *b = k->b;
    const ksf_chacha20_impl *chacha = b->suite->chacha20;
    const size_t size = k->l.size, row = k->first_row[first], rows = k->first_row[end] - row;
    size_t m = 0, longest = 0, pad_longest = 0;
    uint8_t *out[KSF_GROUP_MAX], pad_keys[KSF_GROUP_MAX * 32];
    for (size_t i = first; i < end; i++) {
        if (k->statuses[i].code != KSF_OK) continue;
        const uint32_t *lens = k->frame_lens + k->first_row[i];
        const size_t item = ksf_item(k, i);
        size_t total = lens[k->n_hops[i] - 1];
        for (size_t h = 0; h + 1 < k->n_hops[i]; h++) {
            total += lens[h];
            if (lens[h] > longest) longest = lens[h];
        }
        ksf_wrap *t = &w[m];
        *t = (ksf_wrap){.place = i, .n_hops = k->n_hops[i], .at = total - lens[k->n_hops[i] - 1], .buffer = k->buffers + m * k->l.unrolled};
        if (b->keysends) {
            t->associated_data = b->payment_hashes + 32 * item;
            t->associated_data_len = 32;
        } else {
            t->associated_data = b->onions[item].associated_data;
            t->associated_data_len = b->onions[item].associated_data_len;
        }
        out[m] = t->buffer + total;
        memcpy(pad_keys + 32 * m, k->pad + 32 * i, 32);
        if (size - total > pad_longest) pad_longest = size - total;
        m++;
    }
    if (m == 0) return 0;
    /* pads may run past `size` here: the filler's place is cleared below */
    chacha->stream_many(out, pad_keys, NULL, pad_longest, m);
    ksf_wipe(pad_keys, sizeof pad_keys);
    const size_t stride = ksf_round_up(size + longest, 64);
    if (rows * stride > k->stream_bytes) k->stream_bytes = rows * stride;
    for (size_t r = 0; r < rows; r += KSF_STREAMS) {
        uint8_t *to[KSF_STREAMS];
        const size_t n = rows - r < KSF_STREAMS ? rows - r : KSF_STREAMS;
        for (size_t j = 0; j < n; j++) to[j] = k->streams + (r + j) * stride;
        chacha->stream_many(to, k->rho + 32 * (row + r), NULL, stride, n);
    }
    for (size_t j = 0; j < m; j++) {
        ksf_wrap *t = &w[j];
        const uint32_t *lens = k->frame_lens + k->first_row[t->place];
        const size_t g = ksf_item(k, t->place);
        t->streams = k->streams + (k->first_row[t->place] - row) * stride;
        if (b->keysends)
            ksf_keysend_frames_write(&b->keysends[g], b->block_height, b->preimages + 32 * g, lens, t->buffer);
        else
            ksf_raw_frames_write(&b->onions[g], t->buffer);
        memset(t->buffer + size, 0, t->at);
        size_t o = 0;
        for (size_t h = 0; h + 1 < t->n_hops; h++) {
            o += lens[h];
            ksf_xor(t->buffer + size, t->streams + h * stride + (size - (o - lens[h])), o);
        }
        t->streams += (t->n_hops - 1) * stride;
    }
    return stride;
}

/* XOR and HMAC of the next hop inwards-out for each of the live[0..n); the hmacs go to macs. */
static void ksf_wrap_step(ksf_block *k, ksf_wrap *const *live, size_t n, size_t step, uint8_t *macs) {
    const uint8_t *view[KSF_GROUP_MAX], *ad[KSF_GROUP_MAX];
    uint8_t mu[KSF_GROUP_MAX * 32];
    const size_t size = k->l.size;
    for (size_t j = 0; j < n; j++) {
        const ksf_wrap *t = live[j];
        const size_t h = t->n_hops - 1 - step;
        /* the recipient's stream does not cover the filler: that is how its view must look */
        ksf_xor(t->buffer + t->at, t->streams, step == 0 ? size - t->at : size);
        view[j] = t->buffer + t->at;
        ad[j] = t->associated_data;
        memcpy(mu + 32 * j, k->mu + 32 * (k->first_row[t->place] + h), 32);
    }
    for (size_t j = 0; j < n;) { /* neighbours with associated data of one length run in lanes; payments' are all 32 bytes */
        size_t e = j + 1;
        while (e < n && live[e]->associated_data_len == live[j]->associated_data_len) e++;
        ksf_hmac_sha256_rows(k->b->suite->sha256, macs + 32 * j, mu + 32 * j, view + j, size, ad + j, live[j]->associated_data_len, e - j);
        j = e;
    }
    ksf_wipe(mu, sizeof mu);
}

static void ksf_emit(const ksf_block *k, const ksf_wrap *t, const uint8_t mac[32]) {
    uint8_t *packet = k->b->packets + ksf_item(k, t->place) * (k->l.size + KSF_PACKET_OVERHEAD);
    packet[0] = 0;
    memcpy(packet + 1, k->ephemeral + KSF_POINT_BYTES * t->place, KSF_POINT_BYTES);
    memcpy(packet + 34, t->buffer, k->l.size);
    memcpy(packet + 34 + k->l.size, mac, KSF_HMAC_BYTES);
    KSF_DECLASSIFY(packet, k->l.size + KSF_PACKET_OVERHEAD); /* what is sent */
}

static void ksf_wrap_group(ksf_block *k, size_t first, size_t end) {
    ksf_wrap wraps[KSF_GROUP_MAX], *live[KSF_GROUP_MAX];
    uint8_t macs[KSF_GROUP_MAX * 32];
    memset(wraps, 0, sizeof wraps);
    const size_t stride = ksf_prepare_group(k, wraps, first, end);
    size_t n = 0;
    for (; n < KSF_GROUP_MAX && wraps[n].n_hops; n++) live[n] = &wraps[n];
    for (size_t step = 0; n; step++) {
        ksf_wrap_step(k, live, n, step, macs);
        size_t m = 0;
        for (size_t j = 0; j < n; j++) {
            ksf_wrap *t = live[j];
            const size_t h = t->n_hops - 1 - step;
            if (h == 0) {
                ksf_emit(k, t, macs + 32 * j);
                continue;
            }
            memcpy(t->buffer + t->at - KSF_HMAC_BYTES, macs + 32 * j, KSF_HMAC_BYTES);
            t->at -= k->frame_lens[k->first_row[t->place] + h - 1];
            t->streams -= stride;
            live[m++] = t;
        }
        n = m;
    }
}

/* Copies what the block needs together, and finds what cannot be built. Returns how many items can be. */
static size_t ksf_gather(ksf_block *k) {
    const ksf_build_batch *b = k->b;
    uint32_t row = 0;
    for (size_t i = 0; i < k->n; i++) {
        const size_t item = ksf_item(k, i), first = b->first_row[item];
        k->n_hops[i] = (uint16_t)(b->first_row[item + 1] - first);
        k->first_row[i] = row;
        memcpy(k->row_key + row, b->row_key + first, k->n_hops[i] * sizeof *k->row_key);
        memcpy(k->session_keys + 32 * i, b->session_keys + 32 * item, 32);
        k->statuses[i] = b->statuses[item];
        row += k->n_hops[i];
    }
    k->first_row[k->n] = row;
    k->rows = row;
    size_t good = 0;
    for (size_t i = 0; i < k->n; i++) {
        ksf_check_item(k, i);
        good += k->statuses[i].code == KSF_OK;
    }
    return good;
}

/* Hands statuses and shared secrets back; the outputs of what was not built are zero. */
static void ksf_scatter(const ksf_block *k) {
    const ksf_build_batch *b = k->b;
    const size_t packet_bytes = k->l.size + KSF_PACKET_OVERHEAD;
    for (size_t i = 0; i < k->n; i++) {
        const size_t item = ksf_item(k, i);
        memcpy(b->shared_secrets + 32 * (size_t)b->first_row[item], k->shared_secrets + 32 * (size_t)k->first_row[i],
               32 * (size_t)k->n_hops[i]);
        b->statuses[item] = k->statuses[i];
        if (k->statuses[i].code == KSF_OK) continue;
        memset(b->packets + item * packet_bytes, 0, packet_bytes);
        if (b->keysends) memset(b->payment_hashes + 32 * item, 0, 32);
    }
}

static void ksf_hash_preimages(const ksf_block *k) {
    const ksf_build_batch *b = k->b;
    for (size_t i = 0; i < k->n;) { /* places whose items are neighbours hash together */
        const size_t item = ksf_item(k, i);
        size_t n = 1;
        while (i + n < k->n && ksf_item(k, i + n) == item + n) n++;
        ksf_sha256_rows(b->suite->sha256, b->payment_hashes + 32 * item, b->preimages + 32 * item, 32, 32, n);
        KSF_DECLASSIFY(b->payment_hashes + 32 * item, 32 * n); /* what the payment is known by */
        i += n;
    }
}

void ksf_build_block(const ksf_build_batch *b, size_t begin, size_t end, void *scratch) {
    uint8_t *base = scratch;
    ksf_block k = {.b = b, .l = ksf_layout_of(b, end - begin), .begin = begin, .n = end - begin};
    k.n_hops = (uint16_t *)(void *)(base + k.l.n_hops);
    k.first_row = (uint32_t *)(void *)(base + k.l.first_row);
    k.row_key = (uint32_t *)(void *)(base + k.l.row_key);
    k.frame_lens = (uint32_t *)(void *)(base + k.l.frame_lens);
    k.statuses = (ksf_status *)(void *)(base + k.l.statuses);
    k.session_keys = base + k.l.session_keys;
    k.shared_secrets = base + k.l.shared_secrets;
    k.ephemeral = base + k.l.ephemeral;
    k.rho = base + k.l.rho;
    k.mu = base + k.l.mu;
    k.pad = base + k.l.pad;
    k.buffers = base + k.l.buffers;
    k.streams = base + k.l.streams;
    if (!ksf_gather(&k)) { /* nothing to build */
        memset(k.shared_secrets, 0, k.rows * 32);
        ksf_scatter(&k);
        ksf_wipe(k.session_keys, k.n * 32);
        return;
    }
    if (b->keysends) ksf_hash_preimages(&k);
    ksf_run_chain(&k, base + k.l.ecmult);
    ksf_sphinx_derive(b->suite->sha256, KSF_KEY_RHO, k.rho, k.shared_secrets, k.rows);
    ksf_sphinx_derive(b->suite->sha256, KSF_KEY_MU, k.mu, k.shared_secrets, k.rows);
    ksf_sphinx_derive(b->suite->sha256, KSF_KEY_PAD, k.pad, k.session_keys, k.n);
    for (size_t i = 0; i < k.n; i += k.l.group) ksf_wrap_group(&k, i, i + k.l.group < k.n ? i + k.l.group : k.n);
    ksf_scatter(&k);
    ksf_wipe(k.session_keys, k.n * 32);
    ksf_wipe(k.shared_secrets, k.rows * 32);
    ksf_wipe(k.rho, k.rows * 32);
    ksf_wipe(k.mu, k.rows * 32);
    ksf_wipe(k.pad, k.n * 32);
    ksf_wipe(k.buffers, k.l.group * k.l.unrolled);
    ksf_wipe(k.streams, k.stream_bytes);
}
