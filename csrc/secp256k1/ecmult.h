/* ecmult.h - the elliptic-curve slot: what an implementation of secp256k1 does for Sphinx, in batches.
 *
 * Scalars are 32 bytes big-endian. Node keys are public, everything marked SECRET is not: time and addresses may depend
 * on node keys, hop counts, n and statuses, never on a scalar, a shared secret or an ephemeral scalar. Scratch is the
 * caller's, 64-byte aligned, of the size that scratch_bytes() names; it comes back wiped of secrets, except between
 * peel_shared and peel_next. One batch's parts may run in several threads, each with its own scratch. */
#ifndef KSF_ECMULT_H
#define KSF_ECMULT_H
#include "../dispatch.h"

/* A block of key chains: for onion i and hop h (0-based), with e_0 = its session key, P its hop's node key,
 *     E = e_h * G,  ss = SHA256(compressed(e_h * P)),  b = SHA256(compressed(E) || ss),  e_(h+1) = e_h * b mod n.
 * (BOLT 4, Packet Construction; b >= n is used mod n.) E is needed for h = 0 and wherever a next hop exists. */
typedef struct ksf_key_chain {
    size_t n;                    /* onions, at most the `block` that the scratch was sized for */
    const uint16_t *n_hops;      /* n; >= 1 */
    const uint32_t *first_row;   /* n: row of onion i's hop 0 in row_key and shared_secrets */
    const uint32_t *row_key;     /* row -> index into keys */
    const ksf_node_key *keys;    /* loaded (load_keys), valid for every row of an item whose status is 0 */
    const uint8_t *session_keys; /* n x 32 SECRET */
    uint8_t *ephemeral;          /* n x 33 out: E_0 compressed, public; zero where the status is not 0 */
    uint8_t *shared_secrets;     /* row x 32 out SECRET; zero where the status is not 0 */
    /* n in/out: an item whose code is not KSF_OK on entry is skipped. KSF_ERR_SESSION_KEY with .hop is set where a scalar
     * is 0 or (session key) not below n; such an item changes no other. */
    ksf_status *statuses;
    const ksf_sha256_impl *sha256;
} ksf_key_chain;

/* out[33*i..] = compressed(scalar_i * P_i), i < n, P_i = keys[key_index[i]], or the base point where keys is NULL.
 * statuses[i].code is in/out as above: KSF_ERR_SCALAR for scalars outside [1, n-1]; keys must be valid where it is 0. */
typedef struct ksf_point_mul {
    size_t n;
    const uint8_t *scalars; /* n x 32 SECRET */
    const ksf_node_key *keys;
    const uint32_t *key_index; /* n */
    uint8_t *out;              /* n x 33; SECRET if the caller says so; zero where the status is not 0 */
    ksf_status *statuses;
} ksf_point_mul;

/* One node peels n packets: ss_i = SHA256(compressed(k * E_i)), then for some of them E'_i = b_i * E_i. */
typedef struct ksf_peel_block {
    size_t n;                    /* at most the `peel_block` that the scratch was sized for */
    const uint8_t *node_privkey; /* 32 bytes SECRET, in [1, n-1]: checked by the caller */
    const uint8_t *ephemeral;    /* E_i compressed at ephemeral + stride*i; public */
    size_t stride;
    uint8_t *shared_secrets; /* n x 32 out SECRET; zero where the status is not 0 */
    uint8_t *next_ephemeral; /* n x 33 out, public: E'_i compressed, written by peel_next for the items asked */
    ksf_status *statuses;    /* n in/out: KSF_ERR_EPHEMERAL_KEY where E_i is no point; non-zero on entry: skipped */
    const ksf_sha256_impl *sha256;
} ksf_peel_block;

struct ksf_ecmult_impl {
    ksf_impl_info info;
    uint16_t lanes;                                 /* scalar multiplications that move together */
    uint16_t block;                                 /* onions a block that run best (measured) */
    uint16_t peel_block;                            /* packets a block that run best (measured) */
    uint8_t window_min, window_default, window_max; /* of tables; 0, 0, 0: keeps none */
    /* Makes what all calls share (base point's table, a library's context). Called once, under the dispatch lock, before
     * anything else. Returns 0, or -1: this implementation cannot run here. */
    int (*init)(void);
    /* Of every call below but table_build, with at most `block` items. */
    size_t (*scratch_bytes)(size_t block);
    /* keys[i].id -> keys[i].valid and keys[i].point (this implementation's form), i < n, any n. Public. */
    void (*load_keys)(ksf_node_key *keys, size_t n, void *scratch);
    /* Size of one table (64-byte aligned memory), and of table_build's scratch. */
    size_t (*table_bytes)(unsigned window);
    size_t (*table_scratch_bytes)(unsigned window);
    /* tables[i] = table of the loaded, valid *keys[i], i < n, any n. Public. */
    void (*table_build)(void *const *tables, const ksf_node_key *const *keys, size_t n, unsigned window, void *scratch);
    void (*key_chain)(const ksf_key_chain *chain, void *scratch);
    void (*point_mul)(const ksf_point_mul *mul, void *scratch);
    void (*peel_shared)(const ksf_peel_block *peel, void *scratch);
    /* For j < m: next_ephemeral of item index[j] (increasing, status 0). scratch: as peel_shared left it. Wipes it. */
    void (*peel_next)(const ksf_peel_block *peel, const uint32_t *index, size_t m, void *scratch);
};

extern const ksf_ecmult_impl ksf_ecmult_portable, ksf_ecmult_avx2, ksf_ecmult_avx512ifma, ksf_ecmult_libsecp256k1;

#endif
