/* dispatch_check.c - the registry with implementations that are wrong: does the self-test find out, and is it told?
 *
 *     dispatch_check <mistake>
 *
 * Links dispatch.c and selftest.c as they are, but for the names of two curve implementations, one of SHA-256 and one of
 * ChaCha20, which the build renames to the planted ones below: the portable code with one mistake, chosen at run time.
 * Prints what the choice came to; tests/test_dispatch.py says what it must be. */
#include <stdio.h>
#include "../../csrc/chacha20/chacha20.h"
#include "../../csrc/secp256k1/ecmult.h"
#include "../../csrc/sha256/sha256.h"
#include "../../csrc/util.h"

static const char *mistake = "none";
static int made(const char *name) { return strcmp(mistake, name) == 0; }

#define PORTABLE ksf_ecmult_portable

static int planted_init(void) { return made("init") ? -1 : PORTABLE.init(); }
static size_t planted_scratch(size_t block) { return PORTABLE.scratch_bytes(block); }
static size_t planted_table_bytes(unsigned w) { return PORTABLE.table_bytes(w); }
static size_t planted_table_scratch(unsigned w) { return PORTABLE.table_scratch_bytes(w); }
static void planted_load(ksf_node_key *keys, size_t n, void *scratch) {
    PORTABLE.load_keys(keys, n, scratch);
    if (made("load_keys invalid")) keys[n - 1].valid = 0;
    if (made("load_keys point")) keys[n - 1].point[0] ^= 1;
}
static void planted_build(void *const *tables, const ksf_node_key *const *keys, size_t n, unsigned window, void *scratch) {
    PORTABLE.table_build(tables, keys, n, window, scratch);
    if (made("table_build"))
        for (size_t i = 0; i < PORTABLE.table_bytes(window); i++) ((uint8_t *)tables[0])[i] ^= 1;
}
static int has_table(const ksf_key_chain *c) { return c->keys[0].table != NULL; }
static void planted_chain(const ksf_key_chain *c, void *scratch) {
    PORTABLE.key_chain(c, scratch);
    if (made("key_chain secret")) c->shared_secrets[32 * (size_t)c->first_row[c->n - 1]] ^= 1;
    if (made("key_chain ephemeral")) c->ephemeral[33 * (c->n - 1) + 5] ^= 0x80;
    if (made("key_chain status")) c->statuses[0].code = KSF_ERR_SESSION_KEY;
    if (made("key_chain with tables") && has_table(c)) c->shared_secrets[7] ^= 1;
}
static void planted_mul(const ksf_point_mul *m, void *scratch) {
    PORTABLE.point_mul(m, scratch);
    if (made("point_mul") && m->keys) m->out[33 * (m->n - 1)] ^= 1;
    if (made("base_mul") && !m->keys) m->out[33 * (m->n - 1)] ^= 1;
}
static void planted_shared(const ksf_peel_block *p, void *scratch) {
    PORTABLE.peel_shared(p, scratch);
    if (made("peel_shared")) p->shared_secrets[32 * (p->n - 1) + 31] ^= 1;
}
static void planted_next(const ksf_peel_block *p, const uint32_t *index, size_t m, void *scratch) {
    PORTABLE.peel_next(p, index, m, scratch);
    if (made("peel_next") && m) p->next_ephemeral[33 * (size_t)index[m - 1] + 32] ^= 1;
}

#define PLANTED(symbol, called)                         \
    const ksf_ecmult_impl symbol = {                    \
        .info = {called, "portable, perhaps wrong", 0}, \
        .lanes = 1,                                     \
        .block = 64,                                    \
        .peel_block = 64,                               \
        .window_min = 5,                                \
        .window_default = 6,                            \
        .window_max = 8,                                \
        .init = planted_init,                           \
        .scratch_bytes = planted_scratch,               \
        .load_keys = planted_load,                      \
        .table_bytes = planted_table_bytes,             \
        .table_scratch_bytes = planted_table_scratch,   \
        .table_build = planted_build,                   \
        .key_chain = planted_chain,                     \
        .point_mul = planted_mul,                       \
        .peel_shared = planted_shared,                  \
        .peel_next = planted_next,                      \
    }
PLANTED(planted_ecmult, "planted");
/* one that no CPU runs */
const ksf_ecmult_impl unreachable_ecmult = {.info = {"unreachable", "wants every instruction", UINT32_MAX}};

static void planted_compress(uint32_t (*states)[8], const uint8_t *const *blocks, size_t n_blocks, size_t n) {
    ksf_sha256_portable.compress_many(states, blocks, n_blocks, n);
    if (made("sha256") && n) states[n - 1][7] ^= 1;
    if (made("sha256 last lane") && n > 15) states[15][0] ^= 1;
    if (made("sha256 long") && n_blocks > 19) states[0][0] ^= 1;
}
const ksf_sha256_impl planted_sha256 = {{"planted", "portable, perhaps wrong", 0}, 4, planted_compress};

static void planted_stream(uint8_t *const *out, const uint8_t *keys, const uint32_t *counters, size_t len, size_t n) {
    ksf_chacha20_portable.stream_many(out, keys, counters, len, n);
    if (made("chacha20") && n && len) out[n - 1][len - 1] ^= 1;
    if (made("chacha20 long") && n && len > 1024) out[0][1024] ^= 1;
    if (made("chacha20 counter") && n && len && counters && counters[n - 1]) out[n - 1][0] ^= 1;
}
const ksf_chacha20_impl planted_chacha20 = {{"planted", "portable, perhaps wrong", 0}, 4, planted_stream};

static void show(const char *spec) {
    char error[256];
    int fell_back = -1;
    ksf_impl_row row;
    const ksf_suite *suite = ksf_suite_resolve(spec, error, sizeof error, &fell_back);
    printf("%s|%d|%s|", spec, fell_back, error);
    for (const char *const *slot = (const char *const[]){"ecmult", "sha256", "chacha20", NULL}; suite && *slot; slot++)
        if (ksf_suite_impl(suite, *slot, &row) == 0) printf("%s=%s ", *slot, row.name);
    putchar('\n');
}

int main(int argc, char **argv) {
    if (argc == 2) mistake = argv[1];
    show("");
    show("planted");
    show("sha256=planted");
    show("chacha20=planted");
    show("portable,sha256=portable,chacha20=portable");
    show("unreachable");
    show("");
    ksf_impl_row rows[32];
    const size_t n = ksf_impl_list(rows, 32);
    for (size_t i = 0; i < n; i++) printf("row|%s|%s|%d|%d\n", rows[i].slot, rows[i].name, rows[i].runs_here, rows[i].self_test);
    return 0;
}
