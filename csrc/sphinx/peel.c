/* Taking a layer off: BOLT 4, Onion Decryption (packets of one node, whose key is the same for all). */
#include "../chacha20/chacha20.h"
#include "../checkmem.h"
#include "../secp256k1/ecmult.h"
#include "../util.h"
#include "sphinx.h"

/* Packets whose streams are made side by side; and the room for the zeros that a usual frame appends. */
enum { KSF_PEEL_GROUP = 16, KSF_PEEL_TAIL = 108 };

typedef struct {
    size_t size, packet, stream; /* bytes of hop_payloads, of a packet, of the stream made for every packet */
    size_t rho, mu, next, index, streams, ecmult, bytes;
} ksf_peel_layout;

static ksf_peel_layout ksf_peel_layout_of(const ksf_peel_batch *b, size_t block) {
    ksf_peel_layout l = {.size = b->hop_payloads_bytes};
    l.packet = l.size + KSF_PACKET_OVERHEAD;
    l.stream = ksf_round_up(l.size + (l.size < KSF_PEEL_TAIL ? l.size : KSF_PEEL_TAIL), 64);
    size_t at = 0;
#define KSF_PLACE(field, n) (l.field = at, at += ksf_round_up((n), 64))
    KSF_PLACE(rho, block * 32);
    KSF_PLACE(mu, block * 32);
    KSF_PLACE(next, block * KSF_POINT_BYTES);
    KSF_PLACE(index, block * sizeof(uint32_t));
    KSF_PLACE(streams, KSF_PEEL_GROUP * ksf_round_up(2 * l.size, 64));
    KSF_PLACE(ecmult, b->suite->ecmult->scratch_bytes(block));
#undef KSF_PLACE
    l.bytes = at;
    return l;
}

size_t ksf_peel_scratch(const ksf_peel_batch *b, size_t block) { return ksf_peel_layout_of(b, block).bytes; }

/* Items begin..begin+n whose HMAC does not match get KSF_ERR_HMAC. Whether it matches becomes public here, before anything
 * else of the packet does. */
static void ksf_check_hmacs(const ksf_peel_batch *b, size_t begin, size_t n, const uint8_t *mu) {
    const size_t packet = b->hop_payloads_bytes + KSF_PACKET_OVERHEAD;
    uint8_t mac[KSF_PEEL_GROUP * 32];
    const uint8_t *view[KSF_PEEL_GROUP], *ad[KSF_PEEL_GROUP];
    for (size_t j = 0; j < n; j++) {
        view[j] = b->packets + packet * (begin + j) + 34;
        ad[j] = b->associated_data + b->ad_stride * (begin + j);
    }
    ksf_hmac_sha256_rows(b->suite->sha256, mac, mu, view, b->hop_payloads_bytes, ad, b->ad_len, n);
    for (size_t j = 0; j < n; j++) {
        int same = (int)ksf_equal(mac + 32 * j, view[j] + b->hop_payloads_bytes, 32);
        KSF_DECLASSIFY(&same, sizeof same);
        if (!same && b->statuses[begin + j].code == KSF_OK) b->statuses[begin + j].code = KSF_ERR_HMAC;
    }
    ksf_wipe(mac, sizeof mac);
}

/* The layer of an authenticated packet: stream (l->stream bytes of it) becomes the plain text. rho makes more of it where
 * the frame is longer than the tail that everyone gets. */
static void ksf_open_layer(const ksf_peel_batch *b, const ksf_peel_layout *l, size_t i, uint8_t *stream, const uint8_t rho[32]) {
    const uint8_t *in = b->packets + l->packet * i + 34;
    ksf_status *status = &b->statuses[i];
    uint8_t *payload = b->payloads + l->size * i, *next = b->next_packets + l->packet * i;
    uint64_t len = 0;
    int reason = 0;
    for (size_t j = 0; j < l->size; j++) stream[j] ^= in[j];
    /* The sender made this text for us and the HMAC says that it is untouched: from here on it is the caller's data. */
    KSF_DECLASSIFY(stream, l->size);
    const size_t head = ksf_bigsize_read(stream, l->size, &len, &reason);
    if (head == 0 || len < 2 || len > l->size || head + len + KSF_HMAC_BYTES > l->size) {
        status->code = KSF_ERR_FRAME;
        return;
    }
    const size_t frame = head + (size_t)len + KSF_HMAC_BYTES;
    const uint8_t *hmac = stream + head + len;
    memcpy(payload, stream + head, (size_t)len);
    b->payload_lens[i] = (uint32_t)len;
    uint8_t any = 0;
    for (size_t j = 0; j < KSF_HMAC_BYTES; j++) any |= hmac[j];
    b->finals[i] = any == 0;
    if (b->finals[i]) return;
    if (l->size + frame > l->stream) {
        const uint32_t counter = (uint32_t)(l->stream / KSF_CHACHA20_BLOCK);
        uint8_t *more = stream + l->stream;
        b->suite->chacha20->stream_many(&more, rho, &counter, l->size + frame - l->stream, 1);
    }
    next[0] = 0;
    memcpy(next + 34, stream + frame, l->size); /* what stands behind `size` is the stream over the appended zeros */
    memcpy(next + 34 + l->size, hmac, KSF_HMAC_BYTES);
    KSF_DECLASSIFY(next, l->packet);
}

void ksf_peel_block_run(const ksf_peel_batch *b, size_t begin, size_t end, void *scratch) {
    const ksf_peel_layout l = ksf_peel_layout_of(b, end - begin);
    const size_t n = end - begin;
    uint8_t *base = scratch, *rho = base + l.rho, *mu = base + l.mu, *next = base + l.next, *streams = base + l.streams;
    uint32_t *index = (uint32_t *)(void *)(base + l.index);
    const size_t room = ksf_round_up(2 * l.size, 64);
    size_t m = 0;
    memset(b->payload_lens + begin, 0, n * sizeof *b->payload_lens);
    memset(b->finals + begin, 0, n);
    for (size_t i = begin; i < end; i++)
        if (b->statuses[i].code == KSF_OK && b->packets[l.packet * i] != 0) b->statuses[i].code = KSF_ERR_VERSION;
    const ksf_peel_block peel = {.n = n,
                                 .node_privkey = b->node_privkey,
                                 .ephemeral = b->packets + l.packet * begin + 1,
                                 .stride = l.packet,
                                 .shared_secrets = b->shared_secrets + 32 * begin,
                                 .next_ephemeral = next,
                                 .statuses = b->statuses + begin,
                                 .sha256 = b->suite->sha256};
    b->suite->ecmult->peel_shared(&peel, base + l.ecmult);
    ksf_sphinx_derive(b->suite->sha256, KSF_KEY_RHO, rho, peel.shared_secrets, n);
    ksf_sphinx_derive(b->suite->sha256, KSF_KEY_MU, mu, peel.shared_secrets, n);
    for (size_t i = 0; i < n; i += KSF_PEEL_GROUP) {
        const size_t g = n - i < KSF_PEEL_GROUP ? n - i : KSF_PEEL_GROUP;
        uint8_t *to[KSF_PEEL_GROUP];
        ksf_check_hmacs(b, begin + i, g, mu + 32 * i);
        for (size_t j = 0; j < g; j++) to[j] = streams + room * j;
        b->suite->chacha20->stream_many(to, rho + 32 * i, NULL, l.stream, g);
        for (size_t j = 0; j < g; j++)
            if (b->statuses[begin + i + j].code == KSF_OK) ksf_open_layer(b, &l, begin + i + j, to[j], rho + 32 * (i + j));
    }
    for (size_t i = 0; i < n; i++)
        if (b->statuses[begin + i].code == KSF_OK && !b->finals[begin + i]) index[m++] = (uint32_t)i;
    b->suite->ecmult->peel_next(&peel, index, m, base + l.ecmult);
    for (size_t j = 0; j < m; j++)
        memcpy(b->next_packets + l.packet * (begin + index[j]) + 1, next + KSF_POINT_BYTES * (size_t)index[j], KSF_POINT_BYTES);
    for (size_t i = begin; i < end; i++) {
        if (b->statuses[i].code != KSF_OK) ksf_wipe(b->shared_secrets + 32 * i, 32);
        if (b->statuses[i].code != KSF_OK || b->finals[i]) memset(b->next_packets + l.packet * i, 0, l.packet);
    }
    ksf_wipe(rho, 32 * n);
    ksf_wipe(mu, 32 * n);
    ksf_wipe(streams, KSF_PEEL_GROUP * room);
}
