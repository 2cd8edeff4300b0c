# Made by tools/make_pxd.py from csrc/include/ksf.h: declarations only. Nothing here is linked.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "ksf.h" nogil:
    enum:
        KSF_API_VERSION
        KSF_HOP_PAYLOADS_BYTES
        KSF_PACKET_BYTES
        KSF_PACKET_OVERHEAD
        KSF_MAX_HOPS
        KSF_FAILURE_ROUNDS
        KSF_FAILURE_PACKET_MAX
        KSF_ATTRIBUTION_HOPS
        KSF_ATTRIBUTION_BYTES
        KSF_NO_HOP
        KSF_OK
        KSF_ERR_NO_HOPS
        KSF_ERR_SESSION_KEY
        KSF_ERR_NODE_KEY
        KSF_ERR_PAYLOAD_SIZE
        KSF_ERR_ONION_SIZE
        KSF_ERR_TLV
        KSF_ERR_AMOUNT
        KSF_ERR_CLTV
        KSF_ERR_VERSION
        KSF_ERR_EPHEMERAL_KEY
        KSF_ERR_HMAC
        KSF_ERR_FRAME
        KSF_ERR_SCALAR
        KSF_ERR_POINT
        KSF_ERR_NO_CHANNEL
        KSF_CANCELLED
        KSF_ERR_UNDECODABLE
        KSF_ERR_FAILURE_MESSAGE

    ctypedef struct ksf_status:
        uint16_t code
        uint16_t hop
        uint32_t offset
        uint64_t type

    ctypedef struct ksf_hop:
        uint64_t short_channel_id
        uint64_t amount_msat
        uint32_t cltv_delta
        uint32_t fee_base_msat
        uint32_t fee_ppm
        uint8_t has_policy
        uint8_t has_channel
        uint8_t node_id[33]
        uint8_t reserved

    ctypedef struct ksf_keysend_request:
        const ksf_hop *hops
        const uint8_t *records
        uint64_t amount_msat
        uint32_t records_len
        uint16_t n_hops
        uint16_t reserved

    ctypedef struct ksf_keysend_plan:
        uint64_t first_amount_msat
        uint64_t amount_msat
        uint32_t first_cltv_expiry
        uint32_t cltv_expiry
        uint32_t frames_bytes
        uint32_t reserved
        ksf_status status

    ctypedef struct ksf_onion_request:
        const uint8_t *node_ids
        const uint8_t *payloads
        const uint32_t *payload_lens
        const uint8_t *associated_data
        uint32_t associated_data_len
        uint16_t n_hops
        uint16_t reserved

    ctypedef struct ksf_node_key:
        uint8_t id[33]
        uint8_t loaded
        uint8_t valid
        uint8_t window
        uint32_t uses
        uint32_t alike
        const void *table
        uint64_t point[8]

    ctypedef struct ksf_suite:
        pass

    ctypedef struct ksf_build_batch:
        size_t n
        const ksf_keysend_request *keysends
        const ksf_onion_request *onions
        const ksf_suite *suite
        ksf_node_key *keys
        uint32_t *row_key
        const uint32_t *first_row
        const uint32_t *order
        const uint8_t *session_keys
        const uint8_t *preimages
        uint8_t *payment_hashes
        uint8_t *shared_secrets
        uint8_t *packets
        ksf_status *statuses
        uint32_t hop_payloads_bytes
        uint32_t block_height
        uint32_t max_hops
        uint32_t reserved

    ctypedef struct ksf_peel_batch:
        size_t n
        const ksf_suite *suite
        const uint8_t *packets
        const uint8_t *associated_data
        size_t ad_stride
        size_t ad_len
        const uint8_t *node_privkey
        uint8_t *shared_secrets
        uint8_t *payloads
        uint32_t *payload_lens
        uint8_t *next_packets
        uint8_t *finals
        ksf_status *statuses
        uint32_t hop_payloads_bytes
        uint32_t reserved

    ctypedef struct ksf_return:
        const uint8_t *packet
        const uint8_t *shared_secrets
        const uint8_t *attribution_data
        uint8_t *body
        uint32_t packet_len
        uint16_t n_hops
        uint16_t reserved

    ctypedef struct ksf_return_report:
        uint16_t erring_hop
        uint16_t message_len
        uint16_t first_unverified
        uint16_t n_hold_times
        uint32_t hold_times[20]

    ctypedef struct ksf_return_batch:
        size_t n
        const ksf_suite *suite
        const ksf_return *returns
        ksf_return_report *reports
        ksf_status *statuses
        uint32_t max_packet_len
        uint32_t max_hops

    ctypedef struct ksf_return_step:
        const uint8_t *shared_secret
        const uint8_t *message
        const uint8_t *packet_in
        const uint8_t *attribution_in
        uint8_t *packet_out
        uint8_t *attribution_out
        uint32_t packet_len
        uint32_t message_len
        uint32_t hold_time
        uint32_t reserved

    ctypedef struct ksf_return_step_batch:
        size_t n
        const ksf_suite *suite
        const ksf_return_step *steps
        uint32_t max_packet_len
        uint32_t reserved

    ctypedef struct ksf_tlv_record:
        uint64_t type
        uint32_t offset
        uint32_t length

    ctypedef struct ksf_impl_row:
        const char *slot
        const char *name
        const char *description
        uint8_t runs_here
        uint8_t self_test
        uint8_t window_min
        uint8_t window_default
        uint8_t window_max
        uint16_t lanes
        uint16_t block
        uint16_t peel_block

    ctypedef struct ksf_libsecp256k1:
        void *context
        const void *ec_pubkey_parse
        const void *ec_pubkey_serialize
        const void *ec_pubkey_create
        const void *ec_seckey_tweak_mul
        const void *ecdh

    ctypedef struct ksf_api:
        uint32_t version
        uint32_t size
        const ksf_suite * (*suite_resolve)(const char *spec, char *error, size_t error_len, int *fell_back) noexcept nogil
        size_t (*impl_list)(ksf_impl_row *rows, size_t max) noexcept nogil
        int (*suite_impl)(const ksf_suite *suite, const char *slot, ksf_impl_row *row) noexcept nogil
        int (*libsecp256k1_set)(const ksf_libsecp256k1 *functions) noexcept nogil
        size_t (*keys_collect)(ksf_build_batch *batch, size_t cap, uint32_t *buckets, size_t n_buckets) noexcept nogil
        int (*build_order)(const ksf_build_batch *batch, uint32_t *order, uint32_t *scratch) noexcept nogil
        void (*keys_alike)(const ksf_build_batch *batch, size_t n_keys, size_t block, uint32_t *counts) noexcept nogil
        size_t (*keys_load_scratch)(const ksf_suite *suite) noexcept nogil
        void (*keys_load)(const ksf_suite *suite, ksf_node_key *keys, size_t n, void *scratch) noexcept nogil
        size_t (*table_bytes)(const ksf_suite *suite, unsigned window) noexcept nogil
        size_t (*table_scratch)(const ksf_suite *suite, unsigned window) noexcept nogil
        void (*table_build)(const ksf_suite *suite, void *const *tables, const ksf_node_key *const *keys, size_t n, unsigned window, void *scratch) noexcept nogil
        size_t (*build_scratch)(const ksf_build_batch *batch, size_t block) noexcept nogil
        void (*build_block)(const ksf_build_batch *batch, size_t begin, size_t end, void *scratch) noexcept nogil
        size_t (*peel_scratch)(const ksf_peel_batch *batch, size_t block) noexcept nogil
        void (*peel_block)(const ksf_peel_batch *batch, size_t begin, size_t end, void *scratch) noexcept nogil
        void (*keysend_plan)(const ksf_keysend_request *request, uint32_t block_height, uint32_t hop_payloads_bytes, ksf_keysend_plan *plan) noexcept nogil
        int (*records_check)(const uint8_t *stream, size_t len, ksf_status *status) noexcept nogil
        size_t (*point_scratch)(const ksf_suite *suite) noexcept nogil
        void (*point_mul_many)(const ksf_suite *suite, uint8_t *out, const uint8_t *scalars, const uint8_t *public_keys, ksf_status *statuses, size_t n, void *scratch) noexcept nogil
        void (*base_mul_many)(const ksf_suite *suite, uint8_t *out, const uint8_t *scalars, ksf_status *statuses, size_t n, void *scratch) noexcept nogil
        void (*ecdh_many)(const ksf_suite *suite, uint8_t *out, const uint8_t *scalars, const uint8_t *public_keys, ksf_status *statuses, size_t n, void *scratch) noexcept nogil
        void (*chacha20_stream_many)(const ksf_suite *suite, uint8_t *out, const uint8_t *keys, size_t len, size_t n) noexcept nogil
        void (*chacha20_stream)(const ksf_suite *suite, uint8_t *out, size_t len, const uint8_t *key) noexcept nogil
        void (*sha256_many)(const ksf_suite *suite, uint8_t *out, const uint8_t *const *messages, const size_t *lengths, size_t n) noexcept nogil
        void (*hmac_sha256_many)(const ksf_suite *suite, uint8_t *out, const uint8_t *const *keys, const size_t *key_lengths, const uint8_t *const *messages, const size_t *lengths, size_t n) noexcept nogil
        int (*tlv_scan)(const uint8_t *stream, size_t len, ksf_tlv_record *records, size_t max, size_t *n, ksf_status *status) noexcept nogil
        size_t (*bigsize_write)(uint8_t *out, uint64_t v) noexcept nogil
        size_t (*bigsize_read)(const uint8_t *input, size_t len, uint64_t *v, int *reason) noexcept nogil
        void (*hex_encode)(char *out, const uint8_t *input, size_t n) noexcept nogil
        int (*scalar_valid)(const uint8_t *scalar) noexcept nogil
        void (*wipe)(void *p, size_t n) noexcept nogil
        int (*equal)(const uint8_t *a, const uint8_t *b, size_t n) noexcept nogil
        size_t (*return_decode_scratch)(const ksf_return_batch *batch) noexcept nogil
        void (*return_decode_block)(const ksf_return_batch *batch, size_t begin, size_t end, void *scratch) noexcept nogil
        size_t (*return_step_scratch)(const ksf_return_step_batch *batch) noexcept nogil
        void (*return_step_block)(const ksf_return_step_batch *batch, size_t begin, size_t end, void *scratch) noexcept nogil
