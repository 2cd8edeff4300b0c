/* tlv.h - BigSize integers and TLV record streams (BOLT 1, Type-Length-Value Format and Appendix A).
 *
 * Strict: a stream that these functions accept is the only encoding of its records. Everything here is public data: time and
 * addresses depend on values. Nothing reads past the length it was given. */
#ifndef KSF_TLV_H
#define KSF_TLV_H
#include "../include/ksf.h"

enum {
    KSF_BIGSIZE_MAX = 9,         /* bytes of the longest BigSize */
    KSF_BIGSIZE_ENDS = 1,        /* reason of ksf_bigsize_read: the input ends inside the integer */
    KSF_BIGSIZE_NOT_MINIMAL = 2, /* reason: a shorter encoding exists */
};

#define KSF_TLV_CUSTOM_MIN 65536u            /* least type of a custom record (BOLT 1) */
#define KSF_TLV_KEYSEND_PREIMAGE 5482373484u /* the type that carries the preimage of a keysend */

/* Bytes that BigSize takes for v: 1, 3, 5 or 9. */
size_t ksf_bigsize_len(uint64_t v);

/* BigSize of v at out, which has room for its ksf_bigsize_len(v) bytes; returns them. */
size_t ksf_bigsize_write(uint8_t *out, uint64_t v);

/* BigSize at in[0..len) to *v; returns its length. 0 on failure, with a KSF_BIGSIZE_ reason in *reason and *v unchanged. */
size_t ksf_bigsize_read(const uint8_t *in, size_t len, uint64_t *v, int *reason);

/* A position in a stream. Starts as {stream, len}. */
typedef struct ksf_tlv_cursor {
    const uint8_t *stream;
    size_t len;
    size_t at;         /* of the next record's type */
    uint64_t min_type; /* least type that it may have */
    uint8_t ended;     /* no type is left: the last one was 2^64 - 1 */
} ksf_tlv_cursor;

/* The record at the cursor, which moves behind it. 1: *record is set. 0: the stream has ended. -1: the stream breaks the rules,
 * *status is KSF_ERR_TLV with the offset of that record's type and, where it could be read, the type; neither the cursor nor
 * *record changes. Streams of 2^32 bytes and more are refused. */
int ksf_tlv_next(ksf_tlv_cursor *cursor, ksf_tlv_record *record, ksf_status *status);

/* All records of stream[0..len): the first `max` into records (NULL where max is 0), in *n how many there are. 0 with *status
 * KSF_OK; or -1 with *status as ksf_tlv_next leaves it, *n 0, and what was written of records zeroed. */
int ksf_tlv_scan(const uint8_t *stream, size_t len, ksf_tlv_record *records, size_t max, size_t *n, ksf_status *status);

/* Whether stream[0..len) may be a keysend's custom records: as ksf_tlv_scan, and each type >= KSF_TLV_CUSTOM_MIN and not
 * KSF_TLV_KEYSEND_PREIMAGE. 0 with *status KSF_OK, or -1 with KSF_ERR_TLV, offset and type of the first offender. */
int ksf_records_check(const uint8_t *stream, size_t len, ksf_status *status);

#endif
