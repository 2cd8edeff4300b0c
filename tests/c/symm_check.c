/* symm_check.c - every SHA-256 and ChaCha20 implementation against plain ones written from FIPS 180-4 and RFC 8439 below.
 *
 * Calls what Python cannot reach: any count of streams and blocks, rows with strides, counters, outputs between guards, and the
 * AVX-512 hashing as it is on a CPU without SHA-NI. Build with -fsanitize=address for reads past the ends: every input is a heap
 * block of its exact size. Exit status 0: all equal. */
#define ksf_cpu_features ksf_cpu_features_of_this_machine
#include "../../csrc/cpu.c"
#undef ksf_cpu_features
#include <stdio.h>
#include <stdlib.h>
#include "../../csrc/chacha20/chacha20.h"
#include "../../csrc/sha256/sha256.h"
#include "../../csrc/util.h"

static uint32_t hidden_features;
uint32_t ksf_cpu_features(void) { return ksf_cpu_features_of_this_machine() & ~hidden_features; }

static const char *under_test;
static size_t checked;
#define KSF_REQUIRE(condition, ...)                                                         \
    do {                                                                                    \
        checked++;                                                                          \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: %s: %s: ", __FILE__, __LINE__, under_test, #condition); \
            fprintf(stderr, __VA_ARGS__);                                                   \
            fputc('\n', stderr);                                                            \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

/* ------------------------------------------------------------------ slow and plain */

static uint32_t rol(uint32_t x, int r) { return x << r | x >> (32 - r); }

static void plain_compress(uint32_t s[8], const uint8_t *block) {
    uint32_t w[64], v[8];
    for (int t = 0; t < 16; t++) w[t] = ksf_load32_be(block + 4 * t);
    for (int t = 16; t < 64; t++) {
        const uint32_t a = w[t - 15], b = w[t - 2];
        w[t] = (rol(b, 15) ^ rol(b, 13) ^ b >> 10) + w[t - 7] + (rol(a, 25) ^ rol(a, 14) ^ a >> 3) + w[t - 16];
    }
    memcpy(v, s, sizeof v);
    for (int t = 0; t < 64; t++) {
        const uint32_t e = v[4], a = v[0];
        const uint32_t t1 = v[7] + (rol(e, 26) ^ rol(e, 21) ^ rol(e, 7)) + ((e & v[5]) ^ (~e & v[6])) + ksf_sha256_k[t] + w[t];
        const uint32_t t2 = (rol(a, 30) ^ rol(a, 19) ^ rol(a, 10)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) s[i] += v[i];
}

static void plain_sha256(uint8_t out[32], const uint8_t *m, size_t len) {
    const size_t blocks = (len + 9 + 63) / 64;
    uint8_t *padded = calloc(blocks, 64);
    uint32_t s[8];
    if (len) memcpy(padded, m, len);
    padded[len] = 0x80;
    for (int i = 0; i < 8; i++) padded[64 * blocks - 1 - (size_t)i] = (uint8_t)(8 * (uint64_t)len >> (8 * i));
    memcpy(s, ksf_sha256_iv, sizeof s);
    for (size_t b = 0; b < blocks; b++) plain_compress(s, padded + 64 * b);
    for (int i = 0; i < 8; i++) ksf_store32_be(out + 4 * i, s[i]);
    free(padded);
}

static void plain_hmac(uint8_t out[32], const uint8_t *key, size_t key_len, const uint8_t *m, size_t len) {
    uint8_t block[64] = {0}, outer[96], *inner = malloc(64 + len);
    if (key_len > 64)
        plain_sha256(block, key, key_len);
    else if (key_len)
        memcpy(block, key, key_len);
    for (int i = 0; i < 64; i++) inner[i] = block[i] ^ 0x36, outer[i] = block[i] ^ 0x5c;
    if (len) memcpy(inner + 64, m, len);
    plain_sha256(outer + 64, inner, 64 + len);
    plain_sha256(out, outer, 96);
    free(inner);
}

static void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d) {
    *a += *b, *d = rol(*d ^ *a, 16), *c += *d, *b = rol(*b ^ *c, 12);
    *a += *b, *d = rol(*d ^ *a, 8), *c += *d, *b = rol(*b ^ *c, 7);
}

static void plain_chacha20(uint8_t out[64], const uint8_t key[32], uint32_t counter) {
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, x[16];
    for (int i = 0; i < 8; i++) in[4 + i] = ksf_load32_le(key + 4 * i);
    in[12] = counter;
    memcpy(x, in, sizeof x);
    for (int r = 0; r < 10; r++) {
        for (int i = 0; i < 4; i++) quarter(x + i, x + 4 + i, x + 8 + i, x + 12 + i);
        for (int i = 0; i < 4; i++) quarter(x + i, x + 4 + (i + 1) % 4, x + 8 + (i + 2) % 4, x + 12 + (i + 3) % 4);
    }
    for (int i = 0; i < 16; i++) ksf_store32_le(out + 4 * i, x[i] + in[i]);
}

static void check_the_plain_ones(void) {
    static const uint8_t abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    /* RFC 4231, test case 2 */
    static const uint8_t jefe[32] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
                                     0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    /* RFC 8439, Appendix A.1, test vectors 1 and 2: keys and nonces of zeros, counters 0 and 1; the first 16 bytes */
    static const uint8_t zero0[16] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28};
    static const uint8_t zero1[16] = {0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a, 0x98, 0xba, 0x97, 0x7c, 0x73, 0x2d, 0x08, 0x0d};
    static const uint8_t key[32];
    uint8_t out[64];
    under_test = "plain";
    plain_sha256(out, (const uint8_t *)"abc", 3);
    KSF_REQUIRE(!memcmp(out, abc, 32), "FIPS 180-4's example");
    plain_hmac(out, (const uint8_t *)"Jefe", 4, (const uint8_t *)"what do ya want for nothing?", 28);
    KSF_REQUIRE(!memcmp(out, jefe, 32), "RFC 4231");
    plain_chacha20(out, key, 0);
    KSF_REQUIRE(!memcmp(out, zero0, 16), "RFC 8439, counter 0");
    plain_chacha20(out, key, 1);
    KSF_REQUIRE(!memcmp(out, zero1, 16), "RFC 8439, counter 1");
}

/* ------------------------------------------------------------------ inputs */

static uint64_t random_state = 1;
static uint32_t random_below(uint32_t n) {
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)((random_state >> 33) % n);
}
static void fill(uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)random_below(256);
}
/* n bytes in a heap block that ends with them, at any alignment. */
typedef struct {
    uint8_t *block, *p;
} bytes;
static bytes random_bytes(size_t n) {
    const size_t before = random_below(64);
    bytes b = {.block = malloc(before + n + (n == 0))};
    b.p = b.block + before;
    fill(b.p, n);
    return b;
}
enum { GUARD = 16, MOST = 66 };
/* n bytes to write, between guards. */
static bytes guarded(size_t n) {
    bytes b = {.block = malloc(n + 2 * GUARD + 64)};
    memset(b.block, 0xa5, n + 2 * GUARD + 64);
    b.p = b.block + GUARD + random_below(64);
    return b;
}
static void check_guards(bytes b, size_t n) {
    const uint8_t *end = b.block + n + 2 * GUARD + 64;
    ptrdiff_t at = 0;
    int touched = 0;
    for (const uint8_t *p = b.block; p < end; p++)
        if ((p < b.p || p >= b.p + n) && *p != 0xa5) touched = 1, at = p - b.p;
    KSF_REQUIRE(!touched, "written at %td of %zu bytes", at, n);
    free(b.block);
}

/* Every remainder of every lane count in use, and a few more. */
static const size_t COUNTS[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 24, 25, 31, 32, 33, 48, 63, 64, 65};
enum { N_COUNTS = sizeof COUNTS / sizeof *COUNTS };

/* ------------------------------------------------------------------ SHA-256 */

static void check_compress(const ksf_sha256_impl *impl) {
    for (int c = 0; c < N_COUNTS; c++)
        for (size_t n_blocks = 0; n_blocks < 24; n_blocks += n_blocks < 4 ? 1 : 5) {
            const size_t n = COUNTS[c];
            uint32_t states[MOST][8], expected[MOST][8];
            bytes in[MOST];
            const uint8_t *blocks[MOST];
            fill((uint8_t *)states, sizeof states);
            memcpy(expected, states, sizeof states);
            for (size_t i = 0; i < n; i++) {
                in[i] = random_bytes(64 * n_blocks);
                blocks[i] = in[i].p;
                for (size_t b = 0; b < n_blocks; b++) plain_compress(expected[i], in[i].p + 64 * b);
            }
            impl->compress_many(states, blocks, n_blocks, n);
            KSF_REQUIRE(!memcmp(states, expected, sizeof states), "%zu streams of %zu blocks", n, n_blocks);
            for (size_t i = 0; i < n; i++) free(in[i].block);
        }
}

static void check_rows(const ksf_sha256_impl *impl) {
    uint8_t expected[32];
    for (size_t width = 0; width <= 119; width++) {
        const size_t n = COUNTS[width % N_COUNTS], stride = width + random_below(7);
        bytes in = random_bytes(n ? stride * (n - 1) + width : 0), out = guarded(32 * n);
        ksf_sha256_rows(impl, out.p, in.p, stride, width, n);
        for (size_t i = 0; i < n; i++) {
            plain_sha256(expected, in.p + stride * i, width);
            KSF_REQUIRE(!memcmp(out.p + 32 * i, expected, 32), "row %zu of %zu, width %zu", i, n, width);
        }
        check_guards(out, 32 * n);
        free(in.block);
    }
    for (int c = 0; c < N_COUNTS; c++) { /* in place, and keyed in place */
        const size_t n = COUNTS[c];
        bytes in = random_bytes(32 * n), rows = guarded(32 * n), key = random_bytes(n * 3);
        ksf_hmac_key prepared;
        memcpy(rows.p, in.p, 32 * n);
        ksf_sha256_rows(impl, rows.p, rows.p, 32, 32, n);
        for (size_t i = 0; i < n; i++) {
            plain_sha256(expected, in.p + 32 * i, 32);
            KSF_REQUIRE(!memcmp(rows.p + 32 * i, expected, 32), "row %zu of %zu in place", i, n);
        }
        memcpy(rows.p, in.p, 32 * n);
        ksf_hmac_key_init(impl, &prepared, key.p, 3 * n);
        ksf_hmac_sha256_32_rows(impl, &prepared, rows.p, rows.p, n);
        for (size_t i = 0; i < n; i++) {
            plain_hmac(expected, key.p, 3 * n, in.p + 32 * i, 32);
            KSF_REQUIRE(!memcmp(rows.p + 32 * i, expected, 32), "hmac of row %zu of %zu, key of %zu bytes", i, n, 3 * n);
        }
        check_guards(rows, 32 * n);
        free(in.block), free(key.block);
    }
}

/* Two parts of any lengths: each way that block borders can fall into them. */
static void check_pairs(const ksf_sha256_impl *impl) {
    uint8_t expected[32], whole[400];
    for (size_t first_len = 0; first_len < 200; first_len++)
        for (size_t second_len = first_len % 5; second_len < 200; second_len += 5) {
            const size_t n = (first_len + second_len) % 4 ? 1 + random_below(3) : COUNTS[random_below(22)];
            bytes first[MOST], second[MOST], keys = random_bytes(32 * n), out = guarded(32 * n);
            const uint8_t *a[MOST], *b[MOST];
            for (size_t i = 0; i < n; i++) {
                first[i] = random_bytes(first_len), second[i] = random_bytes(second_len);
                a[i] = first[i].p, b[i] = second[i].p;
            }
            ksf_hmac_sha256_rows(impl, out.p, keys.p, a, first_len, second_len ? b : NULL, second_len, n);
            for (size_t i = 0; i < n; i++) {
                memcpy(whole, a[i], first_len);
                memcpy(whole + first_len, b[i], second_len);
                plain_hmac(expected, keys.p + 32 * i, 32, whole, first_len + second_len);
                KSF_REQUIRE(!memcmp(out.p + 32 * i, expected, 32), "%zu of %zu, %zu and %zu bytes", i, n, first_len, second_len);
                free(first[i].block), free(second[i].block);
            }
            check_guards(out, 32 * n);
            free(keys.block);
        }
}

/* Mixed lengths: runs that break and runs that do not. */
static void check_mixed(const ksf_sha256_impl *impl) {
    for (size_t round = 0; round < 300; round++) {
        const size_t n = COUNTS[round % N_COUNTS];
        bytes m[MOST], k[MOST], out = guarded(32 * n);
        const uint8_t *messages[MOST], *keys[MOST];
        size_t lengths[MOST], key_lengths[MOST];
        uint8_t expected[32];
        for (size_t i = 0; i < n; i++) {
            lengths[i] = round % 3 ? round + (random_below(6) == 0) : random_below(300);
            key_lengths[i] = random_below(140);
            m[i] = random_bytes(lengths[i]), k[i] = random_bytes(key_lengths[i]);
            messages[i] = m[i].p, keys[i] = k[i].p;
        }
        ksf_sha256_many(impl, out.p, messages, lengths, n);
        for (size_t i = 0; i < n; i++) {
            plain_sha256(expected, messages[i], lengths[i]);
            KSF_REQUIRE(!memcmp(out.p + 32 * i, expected, 32), "message %zu of %zu, %zu bytes", i, n, lengths[i]);
        }
        ksf_hmac_sha256_many(impl, out.p, keys, key_lengths, messages, lengths, n);
        for (size_t i = 0; i < n; i++) {
            plain_hmac(expected, keys[i], key_lengths[i], messages[i], lengths[i]);
            KSF_REQUIRE(!memcmp(out.p + 32 * i, expected, 32), "hmac %zu of %zu, %zu and %zu bytes", i, n, key_lengths[i], lengths[i]);
            free(m[i].block), free(k[i].block);
        }
        check_guards(out, 32 * n);
    }
}

static void check_sha256(const ksf_sha256_impl *impl, const char *name) {
    under_test = name;
    if (impl->info.cpu & ~ksf_cpu_features()) {
        printf("sha256 %s: NOT APPLICABLE, this CPU lacks it\n", name);
        return;
    }
    const size_t before = checked;
    check_compress(impl);
    check_rows(impl);
    check_pairs(impl);
    check_mixed(impl);
    printf("sha256 %s: %zu checks\n", name, checked - before);
}

/* ------------------------------------------------------------------ ChaCha20 */

static void check_stream(const uint8_t *stream, const uint8_t *key, uint32_t counter, size_t len, size_t i, size_t n) {
    uint8_t block[64];
    for (size_t at = 0; at < len; at += 64, counter++) {
        plain_chacha20(block, key, counter);
        KSF_REQUIRE(!memcmp(stream + at, block, len - at < 64 ? len - at : 64), "stream %zu of %zu, %zu bytes, at %zu", i, n, len, at);
    }
}

static void check_streams(const ksf_chacha20_impl *impl) {
    for (size_t len = 0; len < 1500; len += len < 200 ? 1 : 1 + random_below(150))
        for (int c = (int)random_below(3); c < N_COUNTS; c += 1 + (int)random_below(4)) {
            const size_t n = COUNTS[c];
            bytes out[MOST], keys = random_bytes(32 * n);
            uint8_t *to[MOST];
            uint32_t counters[MOST];
            const uint32_t blocks = (uint32_t)(len + 63) / 64;
            const int counted = (int)random_below(3);
            for (size_t i = 0; i < n; i++) {
                out[i] = guarded(len);
                to[i] = out[i].p;
                /* up to the last block that there is */
                counters[i] = random_below(4) ? random_below(1u << 30) : (uint32_t)(0x100000000 - (blocks ? blocks : 1));
            }
            impl->stream_many(to, keys.p, counted ? counters : NULL, len, n);
            for (size_t i = 0; i < n; i++) {
                check_stream(to[i], keys.p + 32 * i, counted ? counters[i] : 0, len, i, n);
                check_guards(out[i], len);
            }
            free(keys.block);
        }
}

static void check_long(const ksf_chacha20_impl *impl) {
    static const size_t lens[] = {0, 1, 63, 64, 65, 1023, 1024, 1025, 1087, 2048, 4095, 16384, 32767, 32768, 32769, 65536 + 77, 100000};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        bytes out = guarded(lens[i]), key = random_bytes(32);
        ksf_chacha20_stream(impl, out.p, lens[i], key.p);
        check_stream(out.p, key.p, 0, lens[i], 0, 1);
        check_guards(out, lens[i]);
        free(key.block);
    }
}

static void check_chacha20(const ksf_chacha20_impl *impl) {
    under_test = impl->info.name;
    if (impl->info.cpu & ~ksf_cpu_features()) {
        printf("chacha20 %s: NOT APPLICABLE, this CPU lacks it\n", under_test);
        return;
    }
    const size_t before = checked;
    check_streams(impl);
    check_long(impl);
    printf("chacha20 %s: %zu checks\n", under_test, checked - before);
}

int main(void) {
    check_the_plain_ones();
    check_sha256(&ksf_sha256_portable, "portable");
    check_chacha20(&ksf_chacha20_portable);
#if defined(__x86_64__)
    check_sha256(&ksf_sha256_shani, "shani");
    check_sha256(&ksf_sha256_avx2, "avx2");
    check_sha256(&ksf_sha256_avx512, "avx512");
    hidden_features = KSF_CPU_SHANI;
    check_sha256(&ksf_sha256_avx512, "avx512 without SHA-NI");
    hidden_features = 0;
    check_chacha20(&ksf_chacha20_avx2);
    check_chacha20(&ksf_chacha20_avx512);
#endif
    return 0;
}
