/* failure.h - what comes back for an HTLC: return packets and attribution data (BOLT 4, Returning Errors).
 *
 * failure.c makes, wraps and decodes return packets and runs the batches of ksf_api; attribution.c does the same with the
 * 920-byte block. Both work on groups: up to KSF_RETURN_GROUP items whose packets have one length, so that they fill the
 * lanes. No allocation; all state is in the caller's scratch. */
#ifndef KSF_FAILURE_H
#define KSF_FAILURE_H
#include "sphinx.h"

enum {
    KSF_RETURN_GROUP = 16, /* items side by side: as many as the widest lanes */
    KSF_FAILURE_OVERHEAD = KSF_HMAC_BYTES + 2 + 2,
    KSF_ATTRIBUTION_STREAM = (KSF_ATTRIBUTION_BYTES + 63) / 64 * 64, /* whole ChaCha20 blocks */
};

/* See ksf_api. */
size_t ksf_return_decode_scratch(const ksf_return_batch *batch);
void ksf_return_decode_block(const ksf_return_batch *batch, size_t begin, size_t end, void *scratch);
size_t ksf_return_step_scratch(const ksf_return_step_batch *batch);
void ksf_return_step_block(const ksf_return_step_batch *batch, size_t begin, size_t end, void *scratch);

/* A group at the origin. Keys are SECRET, round by round: those of item p and round r are at 32 * (r * n + p). Behind the end
 * of its route an item has dummy keys. */
typedef struct ksf_return_group {
    const ksf_suite *suite;
    const ksf_return *items[KSF_RETURN_GROUP];
    size_t n, rounds, packet_len;
    uint8_t *um, *ammag, *ammagext;
    uint8_t *streams; /* room for KSF_RETURN_GROUP streams of KSF_ATTRIBUTION_STREAM bytes */
    uint8_t *packets; /* room for 2 x KSF_RETURN_GROUP packets, ksf_round_up(packet_len, 64) bytes each */
} ksf_return_group;

/* Verifies the attribution data of the items that have some: first_unverified[p] (KSF_NO_HOP: all verify) and hold_times[p] by
 * hop, all of them SECRET and what is behind the first unverified hop worthless. Writes only those items' rows. 20 rounds each,
 * no early exit. */
void ksf_attribution_verify(const ksf_return_group *group, uint32_t *first_unverified, uint32_t (*hold_times)[KSF_ATTRIBUTION_HOPS]);

/* A group of a node's steps that give attribution data. um: the steps' keys, n x 32 SECRET. */
typedef struct ksf_attribution_group {
    const ksf_suite *suite;
    const ksf_return_step *steps[KSF_RETURN_GROUP];
    size_t n, packet_len;
    const uint8_t *um;
} ksf_attribution_group;

/* Shifts what came from downstream, puts in the hold time and this node's 20 HMACs over packet_out, which must still be in the
 * clear. attribution_out is in the clear, too. */
void ksf_attribution_update(const ksf_attribution_group *group);

#endif
