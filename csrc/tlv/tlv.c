/* tlv.c - BigSize and TLV streams, strict to BOLT 1. */
#include "tlv.h"
#include "../util.h"

size_t ksf_bigsize_len(uint64_t v) { return v < 0xfd ? 1 : v <= 0xffff ? 3 : v <= 0xffffffff ? 5 : 9; }

size_t ksf_bigsize_write(uint8_t *out, uint64_t v) {
    const size_t len = ksf_bigsize_len(v);
    if (len == 1) {
        out[0] = (uint8_t)v;
        return len;
    }
    out[0] = len == 3 ? 0xfd : len == 5 ? 0xfe : 0xff;
    for (size_t i = len - 1; i > 0; i--, v >>= 8) out[i] = (uint8_t)v;
    return len;
}

size_t ksf_bigsize_read(const uint8_t *in, size_t len, uint64_t *v, int *reason) {
    *reason = KSF_BIGSIZE_ENDS;
    if (len == 0) return 0;
    const size_t need = in[0] < 0xfd ? 1 : in[0] == 0xfd ? 3 : in[0] == 0xfe ? 5 : 9;
    if (len < need) return 0;
    uint64_t x = 0;
    for (size_t i = need > 1; i < need; i++) x = x << 8 | in[i];
    if (ksf_bigsize_len(x) != need) {
        *reason = KSF_BIGSIZE_NOT_MINIMAL;
        return 0;
    }
    *reason = 0;
    *v = x;
    return need;
}

static int ksf_tlv_fail(ksf_status *status, size_t offset, uint64_t type) {
    *status = (ksf_status){.code = KSF_ERR_TLV, .offset = (uint32_t)offset, .type = type};
    return -1;
}

int ksf_tlv_next(ksf_tlv_cursor *cursor, ksf_tlv_record *record, ksf_status *status) {
    const size_t start = cursor->at;
    size_t at = start;
    uint64_t type, length;
    int reason;
    if (cursor->len > UINT32_MAX) return ksf_tlv_fail(status, 0, 0);
    if (at == cursor->len) return 0;
    size_t used = ksf_bigsize_read(cursor->stream + at, cursor->len - at, &type, &reason);
    if (!used) return ksf_tlv_fail(status, start, 0);
    if (cursor->ended || type < cursor->min_type) return ksf_tlv_fail(status, start, type);
    at += used;
    used = ksf_bigsize_read(cursor->stream + at, cursor->len - at, &length, &reason);
    if (!used) return ksf_tlv_fail(status, start, type);
    at += used;
    if (length > cursor->len - at) return ksf_tlv_fail(status, start, type);
    *record = (ksf_tlv_record){.type = type, .offset = (uint32_t)at, .length = (uint32_t)length};
    cursor->at = at + (size_t)length;
    cursor->ended = type == UINT64_MAX;
    cursor->min_type = type + 1; /* wraps only when ended */
    return 1;
}

int ksf_tlv_scan(const uint8_t *stream, size_t len, ksf_tlv_record *records, size_t max, size_t *n, ksf_status *status) {
    ksf_tlv_cursor cursor = {.stream = stream, .len = len};
    ksf_tlv_record record;
    size_t count = 0;
    int found;
    while ((found = ksf_tlv_next(&cursor, &record, status)) > 0) {
        if (count < max) records[count] = record;
        count++;
    }
    if (found < 0) {
        if (count > max) count = max;
        if (count) memset(records, 0, count * sizeof *records);
        *n = 0;
        return -1;
    }
    *n = count;
    *status = (ksf_status){.code = KSF_OK};
    return 0;
}

int ksf_records_check(const uint8_t *stream, size_t len, ksf_status *status) {
    ksf_tlv_cursor cursor = {.stream = stream, .len = len};
    ksf_tlv_record record;
    for (;;) {
        const size_t start = cursor.at;
        const int found = ksf_tlv_next(&cursor, &record, status);
        if (found < 0) return -1;
        if (found == 0) break;
        if (record.type < KSF_TLV_CUSTOM_MIN || record.type == KSF_TLV_KEYSEND_PREIMAGE) return ksf_tlv_fail(status, start, record.type);
    }
    *status = (ksf_status){.code = KSF_OK};
    return 0;
}
