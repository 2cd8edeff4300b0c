/* fuzz_failure.c - libFuzzer on the decoder of return packets and on the nodes that make and wrap them.
 *
 * fuzz.sh sources: csrc/sphinx/failure.c csrc/sphinx/attribution.c csrc/sphinx/keys.c csrc/sha256/sha256.c
 * fuzz.sh sources: csrc/sha256/sha256_portable.c csrc/chacha20/chacha20.c csrc/chacha20/chacha20_portable.c csrc/tlv/tlv.c
 *
 * A batch of returns comes out of the input, each of one of the kinds below; what each must decode to is decided here, layer
 * by layer. Batched and alone must give the same, and the work alone depends on the packet's length and on nothing else, as long
 * as the route has no more hops than there are rounds. */
#include "fuzz_returns.h"

enum { ITEMS = 20, HOPS = 30 };

typedef enum { KIND_NOISE, KIND_BODY, KIND_MESSAGE, KINDS } kind;

typedef struct {
    uint8_t *secrets, *packet, *body;
    size_t n_hops, len, erring, message_len;
    const uint8_t *message;
    uint16_t code; /* what its status must be */
    uint8_t clear[1500];
} item;

/* Authenticates clear[32..len) at the erring hop and puts the layers on that are between it and the payer. */
static void seal(item *t) {
    ksf_fuzz_um(t->clear, t->secrets + 32 * t->erring, t->clear + 32, t->len - 32);
    memcpy(t->packet, t->clear, t->len);
    for (size_t h = t->erring + 1; h-- > 0;) ksf_fuzz_layer(KSF_KEY_AMMAG, t->packet, t->len, t->secrets + 32 * h);
}

/* A body of the fuzzer's, authenticated: length fields that lie, no room for them. */
static void make_body(item *t, ksf_fuzz_input *in) {
    t->len = 32 + ksf_fuzz_u16(in) % 300;
    t->packet = ksf_fuzz_alloc(t->len);
    ksf_fuzz_take(in, t->clear + 32, t->len - 32);
    seal(t);
    const size_t room = t->len - 32;
    t->message_len = room < 2 ? 0 : (size_t)t->clear[32] << 8 | t->clear[33];
    t->message = t->clear + 34;
    t->code = t->message_len >= 2 && t->message_len + 2 <= room ? KSF_OK : KSF_ERR_FAILURE_MESSAGE;
}

/* A message that the nodes send, perhaps changed on the way. */
static void make_message(item *t, ksf_fuzz_input *in) {
    uint8_t message[400];
    ksf_return_step step = {.message = message};
    t->message_len = 2 + ksf_fuzz_u16(in) % (sizeof message - 1);
    ksf_fuzz_take(in, message, t->message_len);
    const size_t pad = ksf_fuzz_u16(in) % 300;
    t->len = KSF_FAILURE_OVERHEAD + t->message_len + pad;
    t->packet = ksf_fuzz_alloc(t->len);
    step.message_len = (uint32_t)t->message_len;
    step.packet_len = (uint32_t)t->len;
    step.packet_out = t->packet;
    for (size_t h = t->erring + 1; h-- > 0;) {
        step.shared_secret = t->secrets + 32 * h;
        ksf_fuzz_step(&step);
        step.message = NULL;
        step.packet_in = t->packet;
    }
    memcpy(t->clear, message, t->message_len);
    t->message = t->clear;
    const uint8_t mask = ksf_fuzz_byte(in);
    t->packet[ksf_fuzz_u16(in) % t->len] ^= mask;
    t->code = mask ? KSF_ERR_UNDECODABLE : KSF_OK;
}

static void make_noise(item *t, ksf_fuzz_input *in) {
    t->len = ksf_fuzz_u16(in) % 400;
    t->packet = ksf_fuzz_alloc(t->len);
    ksf_fuzz_take(in, t->packet, t->len);
    t->code = KSF_ERR_UNDECODABLE; /* but for a forged HMAC of 256 bits */
}

static void check(const item *t, const ksf_return_report *report, const ksf_status *status) {
    const size_t room = t->len > 32 ? t->len - 32 : 0;
    KSF_REQUIRE(status->code == t->code && status->offset == 0 && status->type == 0);
    KSF_REQUIRE(report->first_unverified == KSF_NO_HOP && report->n_hold_times == 0);
    if (t->code == KSF_ERR_UNDECODABLE) {
        KSF_REQUIRE(report->erring_hop == KSF_NO_HOP && report->message_len == 0 && status->hop == 0);
        for (size_t i = 0; i < room; i++) KSF_REQUIRE(t->body[i] == 0);
        return;
    }
    KSF_REQUIRE(report->erring_hop == t->erring);
    KSF_REQUIRE(status->hop == (t->code == KSF_OK ? 0 : t->erring));
    KSF_REQUIRE(report->message_len == (t->code == KSF_OK ? t->message_len : 0));
    if (t->code == KSF_OK) KSF_REQUIRE(!memcmp(t->body + 2, t->message, t->message_len));
}

/* A round is one stream and one HMAC; its two keys are an HMAC each from a prepared key, two blocks. Without room for an HMAC the
 * packet is nobody's, and the keys alone are made. */
static void check_work(const item *t) {
    const size_t rounds = t->n_hops < KSF_FAILURE_ROUNDS ? KSF_FAILURE_ROUNDS : t->n_hops;
    const size_t inner = 1 + (t->len - 32 + 9 + 63) / 64, outer = 2, keys = t->len ? 4 : 2;
    KSF_REQUIRE(ksf_fuzz_streams == (t->len < 32 ? 0 : rounds));
    KSF_REQUIRE(ksf_fuzz_blocks == rounds * (keys + (t->len < 32 ? 0 : inner + outer)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ksf_fuzz_input in = {data, size};
    ksf_return returns[ITEMS];
    ksf_return_report reports[ITEMS], alone;
    ksf_status statuses[ITEMS], status;
    item *items = malloc(ITEMS * sizeof *items);
    const size_t n = 1 + ksf_fuzz_byte(&in) % ITEMS;
    memset(returns, 0, sizeof returns);
    for (size_t i = 0; i < n; i++) {
        item *t = &items[i];
        memset(t, 0, sizeof *t);
        t->n_hops = 1 + ksf_fuzz_byte(&in) % HOPS;
        t->erring = ksf_fuzz_byte(&in) % t->n_hops;
        t->secrets = ksf_fuzz_secrets(t->n_hops, ksf_fuzz_byte(&in));
        switch ((kind)(ksf_fuzz_byte(&in) % KINDS)) {
        case KIND_BODY:
            make_body(t, &in);
            break;
        case KIND_MESSAGE:
            make_message(t, &in);
            break;
        default:
            make_noise(t, &in);
            break;
        }
        t->body = ksf_fuzz_alloc(t->len > 32 ? t->len - 32 : 0);
        returns[i] = (ksf_return){.packet = t->packet,
                                  .shared_secrets = t->secrets,
                                  .body = t->body,
                                  .packet_len = (uint32_t)t->len,
                                  .n_hops = (uint16_t)t->n_hops};
        /* a packet too short for an HMAC: its body is not touched */
        if (t->len < 32) memset(t->body, 0, 1);
    }
    ksf_fuzz_decode(returns, n, reports, statuses);
    for (size_t i = 0; i < n; i++) check(&items[i], &reports[i], &statuses[i]);
    for (size_t i = 0; i < n; i++) {
        ksf_fuzz_blocks = ksf_fuzz_streams = 0;
        ksf_fuzz_decode(&returns[i], 1, &alone, &status);
        check_work(&items[i]);
        check(&items[i], &alone, &status);
        free(items[i].secrets), free(items[i].packet), free(items[i].body);
    }
    free(items);
    return 0;
}
