/* selftest.h - known-answer tests that an implementation passes before its first use.
 *
 * They return 1 if every answer is right. Run once per implementation, under the dispatch lock; the curve's borrows memory
 * from malloc for its scratch and gives it back. tools/selftest_answers.py recomputes the answers from tests/reference. */
#ifndef KSF_SELFTEST_H
#define KSF_SELFTEST_H
#include "dispatch.h"

int ksf_selftest_sha256(const ksf_sha256_impl *impl);
int ksf_selftest_chacha20(const ksf_chacha20_impl *impl);
/* Key chains with and without tables, point_mul and peel of a fixed block, lanes and remainders. */
int ksf_selftest_ecmult(const ksf_ecmult_impl *impl, const ksf_sha256_impl *sha256);

#endif
