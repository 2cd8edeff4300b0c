/* ct_failures.h - constant-time cases of return packets and attribution data, for ct_check.c. Shared secrets are secret, and so
 * is which hop erred until the origin says it; packets, routes' lengths and hold times are public. */
#ifndef KSF_TEST_CT_FAILURES_H
#define KSF_TEST_CT_FAILURES_H
#include <stdlib.h>
#include <string.h>
#include "../../csrc/checkmem.h"
#include "../../csrc/sphinx/failure.h"
#include "../../csrc/util.h"

enum { KSF_CT_RETURNS = 19, KSF_CT_HOPS = 29, KSF_CT_PACKET = 292 }; /* a full group of lanes and a rest; more hops than rounds */

typedef struct {
    uint8_t secrets[KSF_CT_HOPS][32], packet[KSF_CT_PACKET], body[KSF_CT_PACKET - 32], block[KSF_ATTRIBUTION_BYTES];
    uint8_t fulfilled[KSF_ATTRIBUTION_BYTES];
} ksf_ct_return;

/* Every hop's step on the way back, all items of a batch at once: item i has i + 1 hops (the last ones KSF_CT_HOPS) and its hop
 * i / 2 errs. fulfilled: all hops, no packet. */
static inline void ksf_ct_steps(const ksf_suite *suite, ksf_ct_return *items, const size_t *n_hops, const uint8_t *message, int fulfilled) {
    ksf_return_step steps[KSF_CT_RETURNS];
    ksf_return_step_batch batch = {.suite = suite, .steps = steps, .max_packet_len = KSF_CT_PACKET};
    void *scratch = aligned_alloc(64, ksf_round_up(ksf_return_step_scratch(&batch) + 1, 64));
    for (size_t hop = KSF_CT_HOPS; hop-- > 0;) {
        batch.n = 0;
        for (size_t i = 0; i < KSF_CT_RETURNS; i++) {
            const size_t last = fulfilled ? n_hops[i] - 1 : i / 2;
            uint8_t *block = fulfilled ? items[i].fulfilled : items[i].block;
            if (hop > last) continue;
            steps[batch.n++] = (ksf_return_step){.shared_secret = items[i].secrets[hop],
                                                 .message = !fulfilled && hop == last ? message : NULL,
                                                 .packet_in = items[i].packet,
                                                 .attribution_in = hop == last ? NULL : block,
                                                 .packet_out = items[i].packet,
                                                 .attribution_out = block,
                                                 .packet_len = fulfilled ? 0 : KSF_CT_PACKET,
                                                 .message_len = !fulfilled && hop == last ? 4 : 0,
                                                 .hold_time = (uint32_t)(7 * hop)};
        }
        ksf_return_step_block(&batch, 0, batch.n, scratch);
    }
    free(scratch);
}

/* Create, wrap, attribute, decode and verify over one suite. Aborts where the results are not what was put in. */
static inline void ksf_ct_failures(const ksf_suite *suite) {
    static ksf_ct_return items[KSF_CT_RETURNS];
    static ksf_return returns[2 * KSF_CT_RETURNS];
    static ksf_return_report reports[2 * KSF_CT_RETURNS];
    static ksf_status statuses[2 * KSF_CT_RETURNS];
    static const uint8_t message[4] = {0x10, 7, 0, 0};
    size_t n_hops[KSF_CT_RETURNS];
    for (size_t i = 0; i < KSF_CT_RETURNS; i++) {
        n_hops[i] = i + 3 < KSF_CT_RETURNS ? i + 1 : KSF_CT_HOPS;
        for (size_t h = 0; h < KSF_CT_HOPS; h++) memset(items[i].secrets[h], (int)(1 + i + 20 * h), 32);
        KSF_SECRET(items[i].secrets, sizeof items[i].secrets);
    }
    ksf_ct_steps(suite, items, n_hops, message, 0);
    ksf_ct_steps(suite, items, n_hops, NULL, 1);
    items[3].packet[40] ^= 1; /* undecodable */
    for (size_t i = 0; i < KSF_CT_RETURNS; i++) {
        returns[i] = (ksf_return){.packet = items[i].packet,
                                  .shared_secrets = items[i].secrets[0],
                                  .attribution_data = i % 3 ? items[i].block : NULL,
                                  .body = items[i].body,
                                  .packet_len = KSF_CT_PACKET,
                                  .n_hops = (uint16_t)n_hops[i]};
        returns[KSF_CT_RETURNS + i] =
            (ksf_return){.shared_secrets = items[i].secrets[0], .attribution_data = items[i].fulfilled, .n_hops = (uint16_t)n_hops[i]};
    }
    const ksf_return_batch batch = {.n = 2 * KSF_CT_RETURNS,
                                    .suite = suite,
                                    .returns = returns,
                                    .reports = reports,
                                    .statuses = statuses,
                                    .max_packet_len = KSF_CT_PACKET,
                                    .max_hops = KSF_CT_HOPS};
    void *scratch = aligned_alloc(64, ksf_round_up(ksf_return_decode_scratch(&batch) + 1, 64));
    memset(statuses, 0, sizeof statuses);
    ksf_return_decode_block(&batch, 0, batch.n, scratch);
    free(scratch);
    for (size_t i = 0; i < KSF_CT_RETURNS; i++) {
        const ksf_return_report *failed = &reports[i], *arrived = &reports[KSF_CT_RETURNS + i];
        const size_t counted = n_hops[i] < KSF_ATTRIBUTION_HOPS ? n_hops[i] : KSF_ATTRIBUTION_HOPS;
        if (failed->erring_hop != (i == 3 ? KSF_NO_HOP : i / 2)) abort();
        if (i != 3 && memcmp(items[i].body + 2, message, sizeof message) != 0) abort();
        if (arrived->n_hold_times != counted || arrived->first_unverified != KSF_NO_HOP) abort();
    }
    for (size_t i = 0; i < KSF_CT_RETURNS; i++) KSF_DECLASSIFY(items[i].secrets, sizeof items[i].secrets);
}

#endif
