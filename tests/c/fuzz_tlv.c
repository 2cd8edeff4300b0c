/* fuzz_tlv.c - libFuzzer on the readers of BigSize and TLV streams.
 *
 * fuzz.sh sources: csrc/tlv/tlv.c
 *
 * What is accepted must be what the writer makes; what is refused must be wrong where the status says. Both are decided here
 * from the bytes by other means than the scanner's. */
#include <stdlib.h>
#include <string.h>
#include "../../csrc/tlv/tlv.h"

#define KSF_REQUIRE(condition)     \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

typedef enum { INTEGER_FINE, INTEGER_CUT, INTEGER_LONG } integer;

/* A BigSize by the table of BOLT 1, Appendix A. */
static integer read_integer(const uint8_t *p, size_t len, uint64_t *v, size_t *used) {
    static const uint64_t least[9] = {[2] = 0xfd, [4] = 0x10000, [8] = 0x100000000};
    if (!len) return INTEGER_CUT;
    const size_t width = p[0] < 0xfd ? 0 : (size_t)2 << (p[0] - 0xfd);
    if (len - 1 < width) return INTEGER_CUT;
    *v = width ? 0 : p[0];
    for (size_t i = 1; i <= width; i++) *v = *v * 256 + p[i];
    *used = 1 + width;
    return width && *v < least[width] ? INTEGER_LONG : INTEGER_FINE;
}

static void fuzz_integer(const uint8_t *data, size_t size) {
    uint64_t expected = 0, v = 0x5a5a5a5a5a5a5a5a;
    size_t expected_used = 0;
    int reason = -1;
    uint8_t out[KSF_BIGSIZE_MAX];
    const integer kind = read_integer(data, size, &expected, &expected_used);
    const size_t used = ksf_bigsize_read(data, size, &v, &reason);
    if (kind == INTEGER_FINE) {
        KSF_REQUIRE(used == expected_used && v == expected && reason == 0);
        KSF_REQUIRE(ksf_bigsize_len(v) == used && ksf_bigsize_write(out, v) == used && !memcmp(out, data, used));
    } else {
        KSF_REQUIRE(used == 0 && v == 0x5a5a5a5a5a5a5a5a);
        KSF_REQUIRE(reason == (kind == INTEGER_CUT ? KSF_BIGSIZE_ENDS : KSF_BIGSIZE_NOT_MINIMAL));
    }
}

/* Checks the record at data[start..]: 1 fine, and *end; 0 wrong, and *type_read where its type could be read. */
static int record_fine(const uint8_t *data, size_t size, size_t start, const uint64_t *last, ksf_tlv_record *record, size_t *end,
                       int *type_read) {
    uint64_t length;
    size_t used;
    *type_read = 0;
    if (read_integer(data + start, size - start, &record->type, &used) != INTEGER_FINE) return 0;
    *type_read = 1;
    if (last && record->type <= *last) return 0;
    size_t at = start + used;
    if (read_integer(data + at, size - at, &length, &used) != INTEGER_FINE) return 0;
    at += used;
    if (length > size - at) return 0;
    record->offset = (uint32_t)at;
    record->length = (uint32_t)length;
    *end = at + (size_t)length;
    return 1;
}

static void fuzz_stream(const uint8_t *data, size_t size, size_t max) {
    ksf_tlv_record *records = malloc(max * sizeof *records + 1);
    ksf_status status, custom;
    size_t n = 12345, count = 0, at = 0, bad_custom = SIZE_MAX;
    uint64_t last = 0;
    memset(records, 0x5a, max * sizeof *records);
    const int refused = ksf_tlv_scan(data, size, records, max, &n, &status);
    const int custom_refused = ksf_records_check(data, size, &custom);
    for (; at < size; count++) {
        ksf_tlv_record expected;
        size_t end;
        int type_read;
        if (!record_fine(data, size, at, count ? &last : NULL, &expected, &end, &type_read)) {
            KSF_REQUIRE(refused == -1 && n == 0 && status.code == KSF_ERR_TLV && status.hop == 0);
            KSF_REQUIRE(status.offset == at && status.type == (type_read ? expected.type : 0));
            for (size_t i = 0; i < (count < max ? count : max); i++)
                KSF_REQUIRE(records[i].type == 0 && records[i].offset == 0 && records[i].length == 0);
            if (bad_custom == SIZE_MAX) KSF_REQUIRE(custom_refused == -1 && !memcmp(&custom, &status, sizeof status));
            break;
        }
        if (!refused && count < max) KSF_REQUIRE(!memcmp(&records[count], &expected, sizeof expected));
        if (bad_custom == SIZE_MAX && (expected.type < 65536 || expected.type == 5482373484)) {
            bad_custom = at;
            KSF_REQUIRE(custom_refused == -1 && custom.code == KSF_ERR_TLV && custom.offset == at && custom.type == expected.type);
        }
        last = expected.type;
        at = end;
    }
    if (at == size) {
        KSF_REQUIRE(refused == 0 && n == count && status.code == KSF_OK && status.offset == 0 && status.type == 0);
        KSF_REQUIRE(custom_refused == (bad_custom == SIZE_MAX ? 0 : -1));
    }
    free(records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_integer(data, size);
    fuzz_stream(data, size, 0);
    if (size) fuzz_stream(data, size, 1 + data[size - 1] % 8);
    fuzz_stream(data, size, size / 2 + 1);
    return 0;
}
