/* fuzz_attribution.c - libFuzzer on the verification of attribution data and on the nodes that update them.
 *
 * fuzz.sh sources: csrc/sphinx/failure.c csrc/sphinx/attribution.c csrc/sphinx/keys.c csrc/sha256/sha256.c
 * fuzz.sh sources: csrc/sha256/sha256_portable.c csrc/chacha20/chacha20.c csrc/chacha20/chacha20_portable.c csrc/tlv/tlv.c
 *
 * Against a plain verifier that takes the 920 bytes apart, shifts whole blocks as BOLT 4 describes it and knows nothing of
 * slots or lanes. Blocks are the fuzzer's own bytes or made by nodes and then changed. */
#include "fuzz_returns.h"

enum { ITEMS = 18, HOPS = 24, POSITIONS = 20, PACKET_MAX = 320 };

/* -- the plain verifier ----------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t hold_times[POSITIONS][4];
    uint8_t hmacs[POSITIONS][POSITIONS][4]; /* x, y: x + y < POSITIONS */
} block;

static block parse(const uint8_t *data) {
    block b;
    memset(&b, 0, sizeof b);
    memcpy(b.hold_times, data, sizeof b.hold_times);
    data += sizeof b.hold_times;
    for (int x = 0; x < POSITIONS; x++)
        for (int y = POSITIONS - 1 - x; y >= 0; y--, data += 4) memcpy(b.hmacs[x][y], data, 4);
    return b;
}

static void serialize(uint8_t *data, const block *b) {
    memcpy(data, b->hold_times, sizeof b->hold_times);
    data += sizeof b->hold_times;
    for (int x = 0; x < POSITIONS; x++)
        for (int y = POSITIONS - 1 - x; y >= 0; y--, data += 4) memcpy(data, b->hmacs[x][y], 4);
}

/* One hop less: what had gone when the hop made room stands as zeros. */
static block shifted_left(const block *b) {
    block out;
    memset(&out, 0, sizeof out);
    memcpy(out.hold_times, b->hold_times[1], sizeof out.hold_times - 4);
    for (int x = 0; x + 1 < POSITIONS; x++)
        for (int y = 0; x + 1 + y < POSITIONS; y++) memcpy(out.hmacs[x][y], b->hmacs[x + 1][y], 4);
    return out;
}

static int own_hmac_matches(const block *b, const uint8_t *packet, size_t len, const uint8_t *secret, int y) {
    uint8_t covered[PACKET_MAX + 8 * POSITIONS], mac[32];
    size_t n = len;
    if (len) memcpy(covered, packet, len);
    for (int t = 0; t <= y; t++, n += 4) memcpy(covered + n, b->hold_times[t], 4);
    for (int x = 1; x <= y; x++, n += 4) memcpy(covered + n, b->hmacs[x][y - x], 4);
    ksf_fuzz_um(mac, secret, covered, n);
    return !memcmp(mac, b->hmacs[0][y], 4);
}

/* erring: KSF_NO_HOP where nobody is known. */
static ksf_return_report expected(const ksf_return *r, uint16_t erring) {
    ksf_return_report report = {.erring_hop = erring, .first_unverified = KSF_NO_HOP};
    uint8_t data[KSF_ATTRIBUTION_BYTES], packet[PACKET_MAX];
    const int attributable = r->n_hops < POSITIONS ? r->n_hops : POSITIONS;
    memcpy(data, r->attribution_data, sizeof data);
    if (r->packet_len) memcpy(packet, r->packet, r->packet_len);
    for (int hop = 0; hop < attributable; hop++) {
        const uint8_t *secret = r->shared_secrets + 32 * hop;
        ksf_fuzz_layer(KSF_KEY_AMMAGEXT, data, sizeof data, secret);
        ksf_fuzz_layer(KSF_KEY_AMMAG, packet, r->packet_len, secret);
        const block b = parse(data), left = shifted_left(&b);
        if (!own_hmac_matches(&b, packet, r->packet_len, secret, attributable - 1 - hop)) {
            report.first_unverified = (uint16_t)hop;
            break;
        }
        report.hold_times[report.n_hold_times++] = ksf_load32_be(b.hold_times[0]);
        if (hop == erring) break;
        serialize(data, &left);
    }
    return report;
}

/* -- items ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    uint8_t *secrets, *packet, *data, *body;
    size_t n_hops, len;
    int fulfilled, honest; /* honest: every node of the route had its part, and nobody changed anything */
    uint16_t erring;
} item;

/* The nodes from the last one on that errs or fulfils; one of them changes a byte of the packet or of the block. */
static void make_return(item *t, ksf_fuzz_input *in) {
    uint8_t message[64];
    const size_t last = t->fulfilled ? t->n_hops - 1 : ksf_fuzz_byte(in) % t->n_hops, message_len = 2 + ksf_fuzz_byte(in) % 60;
    const size_t without = ksf_fuzz_byte(in) % (2 * t->n_hops); /* who knows no attribution data: nobody, more often than not */
    const size_t liar = ksf_fuzz_byte(in) % (2 * t->n_hops), at = ksf_fuzz_u16(in);
    const uint8_t mask = ksf_fuzz_byte(in), in_packet = ksf_fuzz_byte(in) & 1;
    ksf_fuzz_take(in, message, message_len);
    t->honest = !mask && without > last;
    if (!t->fulfilled) {
        t->len = KSF_FAILURE_OVERHEAD + message_len + ksf_fuzz_byte(in) % 200;
        t->packet = ksf_fuzz_alloc(t->len);
        t->erring = (uint16_t)last;
    }
    memset(t->data, 0, KSF_ATTRIBUTION_BYTES);
    for (size_t h = last + 1; h-- > 0;) {
        const int here = h != without || h == 0;
        const ksf_return_step step = {.shared_secret = t->secrets + 32 * h,
                                      .message = h == last && !t->fulfilled ? message : NULL,
                                      .packet_in = t->packet,
                                      .attribution_in = h == last || h + 1 == without ? NULL : t->data,
                                      .packet_out = t->packet,
                                      .attribution_out = here ? t->data : NULL,
                                      .packet_len = (uint32_t)t->len,
                                      .message_len = h == last && !t->fulfilled ? (uint32_t)message_len : 0,
                                      .hold_time = (uint32_t)(at * h)};
        ksf_fuzz_step(&step);
        if (h != liar || !mask) continue;
        if (in_packet && t->len) {
            t->packet[at % t->len] ^= mask;
            t->erring = KSF_NO_HOP;
        } else {
            t->data[at % KSF_ATTRIBUTION_BYTES] ^= mask;
        }
    }
}

static void make_noise(item *t, ksf_fuzz_input *in) {
    if (!t->fulfilled) {
        t->len = ksf_fuzz_u16(in) % PACKET_MAX;
        t->packet = ksf_fuzz_alloc(t->len);
        ksf_fuzz_take(in, t->packet, t->len);
    }
    ksf_fuzz_take(in, t->data, KSF_ATTRIBUTION_BYTES);
}

static void check(const ksf_return *r, const item *t, const ksf_return_report *report, const ksf_status *status) {
    const ksf_return_report due = expected(r, t->erring);
    KSF_REQUIRE(report->erring_hop == due.erring_hop && report->first_unverified == due.first_unverified);
    KSF_REQUIRE(report->n_hold_times == due.n_hold_times);
    KSF_REQUIRE(!memcmp(report->hold_times, due.hold_times, sizeof due.hold_times));
    if (t->honest) {
        const size_t heard = t->fulfilled ? t->n_hops : (size_t)t->erring + 1;
        KSF_REQUIRE(report->first_unverified == KSF_NO_HOP && report->n_hold_times == (heard < POSITIONS ? heard : POSITIONS));
    }
    KSF_REQUIRE(status->code == (t->fulfilled || t->erring != KSF_NO_HOP ? KSF_OK : KSF_ERR_UNDECODABLE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ksf_fuzz_input in = {data, size};
    ksf_return returns[ITEMS];
    ksf_return_report reports[ITEMS], alone;
    ksf_status statuses[ITEMS], status;
    item items[ITEMS];
    const size_t n = 1 + ksf_fuzz_byte(&in) % ITEMS;
    memset(items, 0, sizeof items);
    for (size_t i = 0; i < n; i++) {
        item *t = &items[i];
        const uint8_t form = ksf_fuzz_byte(&in);
        t->n_hops = 1 + ksf_fuzz_byte(&in) % HOPS;
        t->secrets = ksf_fuzz_secrets(t->n_hops, ksf_fuzz_byte(&in));
        t->data = ksf_fuzz_alloc(KSF_ATTRIBUTION_BYTES);
        t->fulfilled = form & 1;
        t->erring = KSF_NO_HOP;
        if (form & 2)
            make_noise(t, &in);
        else
            make_return(t, &in);
        t->body = ksf_fuzz_alloc(t->len > 32 ? t->len - 32 : 0);
        returns[i] = (ksf_return){.packet = t->fulfilled ? NULL : t->packet,
                                  .shared_secrets = t->secrets,
                                  .attribution_data = t->data,
                                  .body = t->body,
                                  .packet_len = (uint32_t)t->len,
                                  .n_hops = (uint16_t)t->n_hops};
    }
    ksf_fuzz_decode(returns, n, reports, statuses);
    for (size_t i = 0; i < n; i++) check(&returns[i], &items[i], &reports[i], &statuses[i]);
    for (size_t i = 0; i < n; i++) {
        ksf_fuzz_decode(&returns[i], 1, &alone, &status);
        check(&returns[i], &items[i], &alone, &status);
        free(items[i].secrets), free(items[i].packet), free(items[i].data), free(items[i].body);
    }
    return 0;
}
