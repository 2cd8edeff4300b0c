/* ksf.h - the seam between the C core and everything above it: types, contracts, status codes, the ksf_api table.
 *
 * cffi reads the part between the marks (comments and plain declarations only); Cython declares the same in _ksf.pxd.
 *
 * Conventions. Inputs are const. SECRET marks bytes that no branch or address may depend on. Every per-item outcome is a
 * ksf_status: a bad item is data, it changes no other item, and its own outputs are all zero. Nothing here allocates.
 * Functions of the table are reentrant; scratch is the caller's, 64-byte aligned, one per thread. */
#ifndef KSF_H
#define KSF_H
#include <stddef.h>
#include <stdint.h>

/* CFFI-BEGIN */
#define KSF_API_VERSION 2

#define KSF_HOP_PAYLOADS_BYTES 1300
#define KSF_PACKET_BYTES 1366
#define KSF_PACKET_OVERHEAD 66
#define KSF_MAX_HOPS 400
#define KSF_FAILURE_ROUNDS 27
#define KSF_FAILURE_PACKET_MAX 65535
#define KSF_ATTRIBUTION_HOPS 20
#define KSF_ATTRIBUTION_BYTES 920
#define KSF_NO_HOP 65535

/* Codes of ksf_status. hop, offset and type mean what the comment says, else 0. */
#define KSF_OK 0
#define KSF_ERR_NO_HOPS 1          /* a route without hops, or with more than KSF_MAX_HOPS */
#define KSF_ERR_SESSION_KEY 2      /* hop: where the (blinded) scalar is 0, or the session key not below the order */
#define KSF_ERR_NODE_KEY 3         /* hop: its node id is not a compressed point */
#define KSF_ERR_PAYLOAD_SIZE 4     /* hop: payload of 0 or 1 byte, reserved by BOLT 4 */
#define KSF_ERR_ONION_SIZE 5       /* frames exceed hop_payloads; offset: by how many bytes */
#define KSF_ERR_TLV 6              /* offset, type: where a record stream breaks BOLT 1, or a reserved type */
#define KSF_ERR_AMOUNT 7           /* hop: amount above 2^63 - 1, or another amount without the hop's policy */
#define KSF_ERR_CLTV 8             /* hop: block height + 1 + delta does not fit 32 bits */
#define KSF_ERR_VERSION 9          /* packet version is not 0 */
#define KSF_ERR_EPHEMERAL_KEY 10   /* packet's public key is not a point */
#define KSF_ERR_HMAC 11            /* packet's HMAC does not match */
#define KSF_ERR_FRAME 12           /* offset: the decrypted frame's length is reserved, not minimal or runs out */
#define KSF_ERR_SCALAR 13          /* scalar is 0 or not below the group order */
#define KSF_ERR_POINT 14           /* public key is not a compressed point */
#define KSF_ERR_NO_CHANNEL 15      /* hop: a hop behind the first has no short_channel_id */
#define KSF_CANCELLED 16           /* never reached: the batch was interrupted */
#define KSF_ERR_UNDECODABLE 17     /* no node of the route authenticated the return packet */
#define KSF_ERR_FAILURE_MESSAGE 18 /* hop: it authenticated a return packet that holds no failure message */

typedef struct ksf_status {
    uint16_t code;
    uint16_t hop;
    uint32_t offset;
    uint64_t type;
} ksf_status;

/* One node of a packed route: what this node receives, and the channel into it with that channel's policy. 64 bytes. */
typedef struct ksf_hop {
    uint64_t short_channel_id;
    uint64_t amount_msat;
    uint32_t cltv_delta; /* relative: the absolute value is block_height + 1 + cltv_delta */
    uint32_t fee_base_msat;
    uint32_t fee_ppm;
    uint8_t has_policy;
    uint8_t has_channel;
    uint8_t node_id[33];
    uint8_t reserved;
} ksf_hop;

/* A keysend to build. records: TLV stream of custom records (types 65536 and above, increasing, not 5482373484) or NULL. */
typedef struct ksf_keysend_request {
    const ksf_hop *hops;
    const uint8_t *records;
    uint64_t amount_msat; /* 0: the route's own amounts; else the last hop's, the others by the hops' policies */
    uint32_t records_len;
    uint16_t n_hops;
    uint16_t reserved;
} ksf_keysend_request;

typedef struct ksf_keysend_plan {
    uint64_t first_amount_msat; /* what the first node receives: the payer's HTLC */
    uint64_t amount_msat;       /* what the recipient receives */
    uint32_t first_cltv_expiry; /* absolute */
    uint32_t cltv_expiry;       /* absolute, the recipient's */
    uint32_t frames_bytes;      /* all frames (BigSize, payload, 32-byte hmac) */
    uint32_t reserved;
    ksf_status status;
} ksf_keysend_plan;

/* A raw onion to build: payloads are opaque, without length prefix, one behind the other. */
typedef struct ksf_onion_request {
    const uint8_t *node_ids;      /* n_hops x 33 */
    const uint8_t *payloads;      /* SECRET (the final one may hold a preimage) */
    const uint32_t *payload_lens; /* n_hops */
    const uint8_t *associated_data;
    uint32_t associated_data_len;
    uint16_t n_hops;
    uint16_t reserved;
} ksf_onion_request;

/* A distinct node key of a batch. The caller keeps the array; load_keys and table_build of the implementation fill it. */
typedef struct ksf_node_key {
    uint8_t id[33];
    uint8_t loaded; /* point is set (or known invalid) */
    uint8_t valid;  /* id is a point of the curve */
    uint8_t window; /* of table; 0 without one */
    uint32_t uses;  /* rows of the batch that name it */
    uint32_t alike; /* of these, about how many share a group of lanes with its like only: set by keys_alike */
    const void *table;
    uint64_t point[8]; /* the implementation's own form */
} ksf_node_key;

typedef struct ksf_suite ksf_suite;

/* A batch of onions to build. Rows are dense; a row is one hop of one onion, first_row[i] + h. */
typedef struct ksf_build_batch {
    size_t n;
    const ksf_keysend_request *keysends; /* n, or NULL */
    const ksf_onion_request *onions;     /* n, or NULL: exactly one of the two */
    const ksf_suite *suite;
    ksf_node_key *keys;          /* distinct keys, filled by keys_collect; loaded before build_block */
    uint32_t *row_key;           /* row -> index into keys */
    const uint32_t *first_row;   /* n + 1 */
    const uint32_t *order;       /* n, a permutation: which item stands where in the blocks; NULL: as they are */
    const uint8_t *session_keys; /* n x 32 SECRET */
    const uint8_t *preimages;    /* n x 32 SECRET; keysends only */
    uint8_t *payment_hashes;     /* n x 32; keysends only: SHA256(preimage), made by build_block */
    uint8_t *shared_secrets;     /* rows x 32 out SECRET */
    uint8_t *packets;            /* n x (66 + hop_payloads_bytes) out */
    ksf_status *statuses;        /* n in/out: items that are not KSF_OK on entry are skipped */
    uint32_t hop_payloads_bytes; /* 1300 for payments */
    uint32_t block_height;       /* keysends only: current best block */
    uint32_t max_hops;           /* of the batch's items: set by keys_collect */
    uint32_t reserved;
} ksf_build_batch;

/* A batch of packets that one node peels. */
typedef struct ksf_peel_batch {
    size_t n;
    const ksf_suite *suite;
    const uint8_t *packets;         /* n x (66 + hop_payloads_bytes) */
    const uint8_t *associated_data; /* item i: associated_data + i*ad_stride, ad_len bytes */
    size_t ad_stride;
    size_t ad_len;
    const uint8_t *node_privkey; /* 32 SECRET */
    uint8_t *shared_secrets;     /* n x 32 out SECRET */
    uint8_t *payloads;           /* n x hop_payloads_bytes out: the frame's payload from each row's start; the rest is not written */
    uint32_t *payload_lens;      /* n out */
    uint8_t *next_packets;       /* n x (66 + hop_payloads_bytes) out: all zero where final */
    uint8_t *finals;             /* n out: 1 where the layer's hmac is zero, so this node is the last */
    ksf_status *statuses;        /* n in/out */
    uint32_t hop_payloads_bytes;
    uint32_t reserved;
} ksf_peel_batch;

/* What came back for one HTLC: a failure's return packet, its attribution data, or both; a fulfilled HTLC has no packet. */
typedef struct ksf_return {
    const uint8_t *packet;           /* packet_len, as it arrived; NULL: the HTLC was fulfilled */
    const uint8_t *shared_secrets;   /* n_hops x 32 SECRET, the first hop's first */
    const uint8_t *attribution_data; /* 920 as it arrived, or NULL */
    uint8_t *body;                   /* packet_len - 32 out: u16 length, message, u16 length, padding; zero without an erring hop */
    uint32_t packet_len;             /* 0 .. KSF_FAILURE_PACKET_MAX */
    uint16_t n_hops;
    uint16_t reserved;
} ksf_return;

typedef struct ksf_return_report {
    uint16_t erring_hop;       /* who authenticated the packet, or KSF_NO_HOP */
    uint16_t message_len;      /* the failure message is at body + 2 */
    uint16_t first_unverified; /* the first hop whose HMAC in attribution_data does not match, or KSF_NO_HOP */
    uint16_t n_hold_times;     /* of the first hops, as far as they verify and no further than the erring hop */
    uint32_t hold_times[20];   /* units of 100 ms; the rest zero */
} ksf_return_report;

typedef struct ksf_return_batch {
    size_t n;
    const ksf_suite *suite;
    const ksf_return *returns;  /* n */
    ksf_return_report *reports; /* n out */
    ksf_status *statuses;       /* n in/out */
    uint32_t max_packet_len;    /* of the returns */
    uint32_t max_hops;          /* of the returns */
} ksf_return_batch;

/* What one node does to what it returns: the erring node makes a packet (message set), the others wrap one (packet_in set), and
 * for a fulfilled HTLC there is none (packet_len 0). */
typedef struct ksf_return_step {
    const uint8_t *shared_secret;  /* 32 SECRET: of this node and the origin */
    const uint8_t *message;        /* message_len <= packet_len - 36: the rest is zero padding */
    const uint8_t *packet_in;      /* packet_len, as it came from downstream; may be packet_out */
    const uint8_t *attribution_in; /* 920, as it came from downstream; NULL: none came. May be attribution_out */
    uint8_t *packet_out;           /* packet_len */
    uint8_t *attribution_out;      /* 920; NULL: this node has no attribution data */
    uint32_t packet_len;           /* 0 .. KSF_FAILURE_PACKET_MAX */
    uint32_t message_len;
    uint32_t hold_time; /* this node's, in units of 100 ms */
    uint32_t reserved;
} ksf_return_step;

typedef struct ksf_return_step_batch {
    size_t n;
    const ksf_suite *suite;
    const ksf_return_step *steps; /* n */
    uint32_t max_packet_len;      /* of the steps */
    uint32_t reserved;
} ksf_return_step_batch;

typedef struct ksf_tlv_record {
    uint64_t type;
    uint32_t offset; /* of the value, in its stream */
    uint32_t length;
} ksf_tlv_record;

/* What one implementation is, for show_config() and the tests. */
typedef struct ksf_impl_row {
    const char *slot; /* "ecmult", "sha256", "chacha20" */
    const char *name;
    const char *description;
    uint8_t runs_here; /* the CPU has what it needs */
    uint8_t self_test; /* 0 not run yet, 1 passed, 2 failed */
    uint8_t window_min;
    uint8_t window_default;
    uint8_t window_max;
    uint16_t lanes;
    uint16_t block;
    uint16_t peel_block;
} ksf_impl_row;

/* Function pointers into a libsecp256k1 that is already in the process; see ecmult_libsecp.c for what each must do. */
typedef struct ksf_libsecp256k1 {
    void *context; /* the caller's own, randomized; outlives every use */
    const void *ec_pubkey_parse;
    const void *ec_pubkey_serialize;
    const void *ec_pubkey_create;
    const void *ec_seckey_tweak_mul;
    const void *ecdh;
} ksf_libsecp256k1;

typedef struct ksf_api {
    uint32_t version; /* KSF_API_VERSION: changes when a signature or a struct above does */
    uint32_t size;    /* sizeof(ksf_api): grows when entries are added at the end */

    /* -- choosing ------------------------------------------------------------------------------------------------- */
    /* spec: "" or NULL (best), "portable" (the ecmult slot), "ecmult=portable,sha256=shani,…". Runs the self-tests of what
     * it chooses. NULL on an unknown or unusable name, with the reason in error. *fell_back: 1 if a better implementation
     * failed its self-test (its name in error). The result lives as long as the process. */
    const ksf_suite *(*suite_resolve)(const char *spec, char *error, size_t error_len, int *fell_back);
    /* rows[0..max) of the registry, best first per slot; returns how many there are. */
    size_t (*impl_list)(ksf_impl_row *rows, size_t max);
    /* The suite's implementation of a slot, as impl_list describes it; -1 for an unknown slot. */
    int (*suite_impl)(const ksf_suite *suite, const char *slot, ksf_impl_row *row);
    /* Hands over libsecp256k1; checks it by known answers. 0, or -1 (not usable, slot stays absent). Once. */
    int (*libsecp256k1_set)(const ksf_libsecp256k1 *functions);

    /* -- node keys and tables ------------------------------------------------------------------------------------- */
    /* Distinct node keys of the batch into keys[0..cap) with their uses, and row_key. buckets: n_buckets (a power of two,
     * at least twice cap) of scratch. Returns how many distinct keys there are; more than cap: nothing usable written. */
    size_t (*keys_collect)(ksf_build_batch *batch, size_t cap, uint32_t *buckets, size_t n_buckets);
    /* A permutation of the items that puts like routes (length, last and first node) side by side, so that lanes stay full and
     * share tables; keys collected. order, scratch: n each. Returns 1, or 0 where all are alike and order is not written. */
    int (*build_order)(const ksf_build_batch *batch, uint32_t *order, uint32_t *scratch);
    /* keys[k].alike for blocks of `block` items; keys collected, order set. counts: n_keys of scratch. */
    void (*keys_alike)(const ksf_build_batch *batch, size_t n_keys, size_t block, uint32_t *counts);
    size_t (*keys_load_scratch)(const ksf_suite *suite);
    /* Decompresses and validates those of keys[0..n) that are not loaded. */
    void (*keys_load)(const ksf_suite *suite, ksf_node_key *keys, size_t n, void *scratch);
    size_t (*table_bytes)(const ksf_suite *suite, unsigned window);
    size_t (*table_scratch)(const ksf_suite *suite, unsigned window);
    void (*table_build)(const ksf_suite *suite, void *const *tables, const ksf_node_key *const *keys, size_t n, unsigned window,
                        void *scratch);

    /* -- onions --------------------------------------------------------------------------------------------------- */
    /* Scratch of build_block for blocks of at most `block` onions of the batch. */
    size_t (*build_scratch)(const ksf_build_batch *batch, size_t block);
    /* Items at places begin..end-1 of `order` (at most `block`), keys loaded. Threads may run disjoint ranges. */
    void (*build_block)(const ksf_build_batch *batch, size_t begin, size_t end, void *scratch);
    size_t (*peel_scratch)(const ksf_peel_batch *batch, size_t block);
    void (*peel_block)(const ksf_peel_batch *batch, size_t begin, size_t end, void *scratch);
    /* What a keysend will be, without building it. plan->status says why it cannot be built. */
    void (*keysend_plan)(const ksf_keysend_request *request, uint32_t block_height, uint32_t hop_payloads_bytes, ksf_keysend_plan *plan);
    /* Checks a stream of custom records: BOLT 1's order and minimal encodings, types >= 65536 but 5482373484. */
    int (*records_check)(const uint8_t *stream, size_t len, ksf_status *status);

    /* -- primitives ----------------------------------------------------------------------------------------------- */
    size_t (*point_scratch)(const ksf_suite *suite);
    /* out[33*i..] = scalars_i * public_keys_i (33 bytes each), i < n. statuses all written. scratch: point_scratch(). */
    void (*point_mul_many)(const ksf_suite *suite, uint8_t *out, const uint8_t *scalars, const uint8_t *public_keys, ksf_status *statuses,
                           size_t n, void *scratch);
    /* the same with the base point */
    void (*base_mul_many)(const ksf_suite *suite, uint8_t *out, const uint8_t *scalars, ksf_status *statuses, size_t n, void *scratch);
    /* out[32*i..] = SHA256(compressed(scalars_i * public_keys_i)) */
    void (*ecdh_many)(const ksf_suite *suite, uint8_t *out, const uint8_t *scalars, const uint8_t *public_keys, ksf_status *statuses,
                      size_t n, void *scratch);
    /* out[len*i..] = ChaCha20 key stream (zero nonce, block 0 on) of keys[32*i..] */
    void (*chacha20_stream_many)(const ksf_suite *suite, uint8_t *out, const uint8_t *keys, size_t len, size_t n);
    /* out[0..len) = one long stream of one key */
    void (*chacha20_stream)(const ksf_suite *suite, uint8_t *out, size_t len, const uint8_t *key);
    void (*sha256_many)(const ksf_suite *suite, uint8_t *out, const uint8_t *const *messages, const size_t *lengths, size_t n);
    void (*hmac_sha256_many)(const ksf_suite *suite, uint8_t *out, const uint8_t *const *keys, const size_t *key_lengths,
                             const uint8_t *const *messages, const size_t *lengths, size_t n);
    /* Scans a TLV stream strictly (BOLT 1): records[0..max), *n of them. 0, or -1 with code, offset and type in status
     * (more than max records is not an error: *n says how many there are). */
    int (*tlv_scan)(const uint8_t *stream, size_t len, ksf_tlv_record *records, size_t max, size_t *n, ksf_status *status);
    /* BigSize of v at out (9 bytes of room); returns its length. */
    size_t (*bigsize_write)(uint8_t *out, uint64_t v);
    /* BigSize at input[0..len): its length, or 0 with *reason 1 (input ends) or 2 (not minimal). */
    size_t (*bigsize_read)(const uint8_t *input, size_t len, uint64_t *v, int *reason);
    /* 2*n characters of lower-case hex, no terminator. Constant time. */
    void (*hex_encode)(char *out, const uint8_t *input, size_t n);
    /* 1 if the 32 bytes are a scalar in [1, n-1]. Constant time but for that bit. */
    int (*scalar_valid)(const uint8_t *scalar);
    void (*wipe)(void *p, size_t n);
    /* 1 if equal; constant time in the contents */
    int (*equal)(const uint8_t *a, const uint8_t *b, size_t n);

    /* -- failures and attribution data ---------------------------------------------------------------------------- */
    /* Scratch of return_decode_block and return_step_block. */
    size_t (*return_decode_scratch)(const ksf_return_batch *batch);
    /* The origin's side, items begin..end-1. 27 rounds whatever the route, 20 of attribution data; which hop erred and which
     * did not verify becomes public at the end. Threads may run disjoint ranges. */
    void (*return_decode_block)(const ksf_return_batch *batch, size_t begin, size_t end, void *scratch);
    size_t (*return_step_scratch)(const ksf_return_step_batch *batch);
    /* A node's side, items begin..end-1. */
    void (*return_step_block)(const ksf_return_step_batch *batch, size_t begin, size_t end, void *scratch);
} ksf_api;

const ksf_api *ksf_get_api(void);
/* Compiler that built the core, e.g. "gcc 12.2.0". */
const char *ksf_compiler(void);
/* KSF_CPU_* bits that this CPU has: 1 SHA-NI, 2 AVX2, 4 AVX-512, 8 AVX-512 IFMA. */
uint32_t ksf_cpu_bits(void);
/* CFFI-END */
#endif
