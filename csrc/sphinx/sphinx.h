/* sphinx.h - BOLT 4 onions over the kernels, whole batches at a time.
 *
 * build.c lays frames out and wraps them; frames.c writes a keysend's payloads; peel.c takes a layer off; keys.c derives
 * the keys and finds a batch's distinct node keys. No allocation; all state is in the caller's scratch. */
#ifndef KSF_SPHINX_H
#define KSF_SPHINX_H
#include "../dispatch.h"
#include "../sha256/sha256.h"
#include "../tlv/tlv.h"

enum { KSF_HMAC_BYTES = 32, KSF_POINT_BYTES = 33, KSF_KEYSEND_TLV_BYTES = 9 + 1 + 32 };

/* BOLT 4's key types; HMAC-SHA256 keyed with the type's ASCII, over a 32-byte secret (BOLT 4, Key Generation). */
typedef enum { KSF_KEY_RHO, KSF_KEY_MU, KSF_KEY_UM, KSF_KEY_PAD, KSF_KEY_AMMAG, KSF_KEY_AMMAGEXT, KSF_KEY_TYPES } ksf_key_type;

/* out[32*i..] = the key of `type` for secrets[32*i..], i < n. SECRET in and out; out may be secrets. */
void ksf_sphinx_derive(const ksf_sha256_impl *sha256, ksf_key_type type, uint8_t *out, const uint8_t *secrets, size_t n);

/* Bytes of a frame: BigSize length, payload, hmac. */
static inline size_t ksf_frame_len(size_t payload) { return ksf_bigsize_len(payload) + payload + KSF_HMAC_BYTES; }

/* See ksf_api. */
size_t ksf_keys_collect(ksf_build_batch *batch, size_t cap, uint32_t *buckets, size_t n_buckets);
int ksf_build_order(const ksf_build_batch *batch, uint32_t *order, uint32_t *scratch);
void ksf_keys_alike(const ksf_build_batch *batch, size_t n_keys, size_t block, uint32_t *counts);
size_t ksf_build_scratch(const ksf_build_batch *batch, size_t block);
void ksf_build_block(const ksf_build_batch *batch, size_t begin, size_t end, void *scratch);
size_t ksf_peel_scratch(const ksf_peel_batch *batch, size_t block);
void ksf_peel_block_run(const ksf_peel_batch *batch, size_t begin, size_t end, void *scratch);
void ksf_keysend_plan_make(const ksf_keysend_request *request, uint32_t block_height, uint32_t hop_payloads_bytes, ksf_keysend_plan *plan);

/* Lengths of the frames (BigSize, payload, hmac) of request's hops into frame_lens[0..n_hops). Returns their sum, or sets
 * *status (KSF_ERR_AMOUNT, KSF_ERR_CLTV, KSF_ERR_TLV) and returns 0. Does not look whether they fit. */
size_t ksf_keysend_frame_lens(const ksf_keysend_request *request, uint32_t block_height, uint32_t *frame_lens, ksf_status *status);
/* Writes the frames one behind the other at `at`, the hmacs zero. frame_lens: what ksf_keysend_frame_lens said of this
 * request. preimage: SECRET. */
void ksf_keysend_frames_write(const ksf_keysend_request *request, uint32_t block_height, const uint8_t preimage[32],
                              const uint32_t *frame_lens, uint8_t *at);

#endif
