/* A keysend's payloads: BOLT 4, Payload Format; bLIP 3 for the last one. */
#include "../util.h"
#include "sphinx.h"

enum { TLV_AMT_TO_FORWARD = 2, TLV_OUTGOING_CLTV_VALUE = 4, TLV_SHORT_CHANNEL_ID = 6 };

/* What hop h is told to forward, walked from the recipient to the payer, since another amount needs the fees downstream. */
typedef struct {
    const ksf_keysend_request *request;
    uint64_t height; /* of the block that the HTLC can first be in: block_height + 1 */
    uint64_t amount_msat;
    uint32_t hop;
} ksf_cursor;

static size_t ksf_tu_bytes(uint64_t v) { return v ? (size_t)(8 - __builtin_clzll(v) / 8) : 0; }

/* type, length, then v in `bytes` big-endian bytes */
static uint8_t *ksf_put_int(uint8_t *at, uint8_t type, uint64_t v, size_t bytes) {
    at[0] = type;
    at[1] = (uint8_t)bytes;
    for (size_t i = 0; i < bytes; i++) at[2 + i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    return at + 2 + bytes;
}

static ksf_cursor ksf_cursor_at_recipient(const ksf_keysend_request *r, uint32_t block_height) {
    const uint32_t last = (uint32_t)r->n_hops - 1;
    return (ksf_cursor){r, (uint64_t)block_height + 1, r->amount_msat ? r->amount_msat : r->hops[last].amount_msat, last};
}

/* One hop towards the payer: BOLT 7, HTLC Fees, by the policy of the channel into the hop being left. 0 or a code. */
static uint16_t ksf_cursor_back(ksf_cursor *c) {
    const ksf_hop *left = &c->request->hops[c->hop--];
    if (!c->request->amount_msat) {
        c->amount_msat = c->request->hops[c->hop].amount_msat;
        return KSF_OK;
    }
    if (!left->has_policy) return KSF_ERR_AMOUNT;
    /* below 2^63 + 2^32 + 2^63 * 2^32 / 10^6 < 2^76: the sum is exact in 128 bits */
    const unsigned __int128 sum =
        (unsigned __int128)c->amount_msat + left->fee_base_msat + (unsigned __int128)c->amount_msat * left->fee_ppm / 1000000u;
    if (sum >> 63) return KSF_ERR_AMOUNT;
    c->amount_msat = (uint64_t)sum;
    return KSF_OK;
}

static uint64_t ksf_cursor_cltv(const ksf_cursor *c) { return c->height + c->request->hops[c->hop].cltv_delta; }

static uint16_t ksf_cursor_check(const ksf_cursor *c) {
    if (c->amount_msat >> 63) return KSF_ERR_AMOUNT;
    return ksf_cursor_cltv(c) >> 32 ? KSF_ERR_CLTV : KSF_OK;
}

/* amt_to_forward and outgoing_cltv_value of the cursor's hop */
static size_t ksf_forward_bytes(const ksf_cursor *c) { return 2 + ksf_tu_bytes(c->amount_msat) + 2 + ksf_tu_bytes(ksf_cursor_cltv(c)); }
static uint8_t *ksf_forward_put(uint8_t *at, const ksf_cursor *c) {
    at = ksf_put_int(at, TLV_AMT_TO_FORWARD, c->amount_msat, ksf_tu_bytes(c->amount_msat));
    return ksf_put_int(at, TLV_OUTGOING_CLTV_VALUE, ksf_cursor_cltv(c), ksf_tu_bytes(ksf_cursor_cltv(c)));
}

size_t ksf_keysend_frame_lens(const ksf_keysend_request *r, uint32_t block_height, uint32_t *frame_lens, ksf_status *status) {
    ksf_cursor c = ksf_cursor_at_recipient(r, block_height);
    size_t sum = 0, payload;
    if (ksf_records_check(r->records, r->records_len, status) != 0) {
        status->hop = (uint16_t)c.hop;
        return 0;
    }
    if (r->amount_msat == 0 && c.amount_msat == 0) status->code = KSF_ERR_AMOUNT;
    payload = ksf_forward_bytes(&c) + r->records_len + KSF_KEYSEND_TLV_BYTES;
    for (;;) {
        if (status->code == KSF_OK) status->code = ksf_cursor_check(&c);
        if (status->code != KSF_OK) {
            status->hop = (uint16_t)c.hop;
            return 0;
        }
        frame_lens[c.hop] = (uint32_t)ksf_frame_len(payload);
        sum += frame_lens[c.hop];
        if (c.hop == 0) return sum;
        payload = ksf_forward_bytes(&c) + 2 + 8; /* what the hop before is told: this hop's amount, CLTV and channel */
        if (!r->hops[c.hop].has_channel) {
            status->code = KSF_ERR_NO_CHANNEL;
            status->hop = (uint16_t)c.hop;
            return 0;
        }
        const uint16_t hop = (uint16_t)c.hop, code = ksf_cursor_back(&c);
        if (code != KSF_OK) {
            status->code = code;
            status->hop = hop;
            return 0;
        }
    }
}

/* Bytes of the checked stream's records that sort before the keysend record. */
static size_t ksf_records_before_keysend(const uint8_t *stream, size_t len) {
    ksf_tlv_cursor cursor = {.stream = stream, .len = len};
    ksf_tlv_record record;
    ksf_status status;
    size_t before = 0;
    while (ksf_tlv_next(&cursor, &record, &status) == 1 && record.type < KSF_TLV_KEYSEND_PREIMAGE) before = cursor.at;
    return before;
}

void ksf_keysend_frames_write(const ksf_keysend_request *r, uint32_t block_height, const uint8_t preimage[32], const uint32_t *frame_lens,
                              uint8_t *at) {
    static const uint8_t KEYSEND_HEAD[10] = {0xff, 0, 0, 0, 1, 0x46, 0xc6, 0x61, 0x6c, 32}; /* BigSize 5482373484, length 32 */
    ksf_cursor c = ksf_cursor_at_recipient(r, block_height);
    uint8_t *end = at;
    for (uint32_t h = 0; h < r->n_hops; h++) end += frame_lens[h];
    uint8_t *p = end - frame_lens[c.hop];
    /* the recipient's */
    const size_t before = ksf_records_before_keysend(r->records, r->records_len);
    p += ksf_bigsize_write(p, ksf_forward_bytes(&c) + r->records_len + KSF_KEYSEND_TLV_BYTES);
    p = ksf_forward_put(p, &c);
    if (r->records_len) memcpy(p, r->records, before);
    p += before;
    memcpy(p, KEYSEND_HEAD, sizeof KEYSEND_HEAD);
    memcpy(p + sizeof KEYSEND_HEAD, preimage, 32);
    p += sizeof KEYSEND_HEAD + 32;
    if (r->records_len - before) memcpy(p, r->records + before, r->records_len - before);
    p += r->records_len - before;
    memset(p, 0, KSF_HMAC_BYTES);
    end -= frame_lens[c.hop];
    while (c.hop > 0) {
        const ksf_cursor next = c;
        ksf_cursor_back(&c);
        end -= frame_lens[c.hop];
        p = end + ksf_bigsize_write(end, ksf_forward_bytes(&next) + 2 + 8);
        p = ksf_forward_put(p, &next);
        p = ksf_put_int(p, TLV_SHORT_CHANNEL_ID, r->hops[next.hop].short_channel_id, 8);
        memset(p, 0, KSF_HMAC_BYTES);
    }
}

void ksf_keysend_plan_make(const ksf_keysend_request *r, uint32_t block_height, uint32_t hop_payloads_bytes, ksf_keysend_plan *plan) {
    uint32_t frame_lens[KSF_MAX_HOPS];
    memset(plan, 0, sizeof *plan);
    if (r->n_hops < 1 || r->n_hops > KSF_MAX_HOPS) {
        plan->status.code = KSF_ERR_NO_HOPS;
        return;
    }
    const size_t sum = ksf_keysend_frame_lens(r, block_height, frame_lens, &plan->status);
    plan->frames_bytes = (uint32_t)sum;
    if (plan->status.code != KSF_OK) return;
    ksf_cursor c = ksf_cursor_at_recipient(r, block_height);
    plan->amount_msat = c.amount_msat;
    plan->cltv_expiry = (uint32_t)ksf_cursor_cltv(&c);
    while (c.hop > 0) ksf_cursor_back(&c);
    plan->first_amount_msat = c.amount_msat;
    plan->first_cltv_expiry = (uint32_t)ksf_cursor_cltv(&c);
    if (sum > hop_payloads_bytes) {
        plan->status.code = KSF_ERR_ONION_SIZE;
        plan->status.hop = (uint16_t)(r->n_hops - 1);
        plan->status.offset = (uint32_t)(sum - hop_payloads_bytes);
    }
}
