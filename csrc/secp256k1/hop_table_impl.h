/* hop_table_impl.h - node keys: loading them from bytes, and building their tables, one key to a lane. All public. */
#ifndef KSF_HOP_TABLE_IMPL_H
#define KSF_HOP_TABLE_IMPL_H
#include "../dispatch.h"
#include "group_impl.h"
#include "scalar_impl.h"

enum { KSF_WINDOW_MIN = 5, KSF_WINDOW_MAX = 8 };

KSF_INLINE const ksf_comb *ksf_comb_of(unsigned window) { return &ksf_combs[window - KSF_WINDOW_MIN]; }

/* ksf_node_key.point is x, then y, as words. */
KSF_INLINE void ksf_ge_set_lane(ksf_ge *r, unsigned lane, const uint64_t point[8]) {
    ksf_fe_set_lane(&r->x, lane, point);
    ksf_fe_set_lane(&r->y, lane, point + 4);
}
/* r = the base point in every lane, so that every lane holds a point from the start. */
KSF_INLINE void ksf_ge_set_base(ksf_ge *r) {
    static const uint64_t x[4] = KSF_GX, y[4] = KSF_GY;
    ksf_fe_set_all(&r->x, x);
    ksf_fe_set_all(&r->y, y);
}

/* See ecmult.h, load_keys. Compressed points only: 02 or 03, x below p, on the curve. */
static void ksf_keys_load(ksf_node_key *keys, size_t n, void *scratch) {
    (void)scratch;
    enum { MANY = KSF_LANES * KSF_ABREAST };
    for (size_t at = 0; at < n;) {
        ksf_node_key *key[MANY];
        ksf_ge p[KSF_ABREAST];
        unsigned odd[KSF_ABREAST] = {0}, count = 0;
        for (int k = 0; k < KSF_ABREAST; k++) ksf_ge_set_base(&p[k]);
        for (; at < n && count < MANY; at++) {
            uint64_t x[4];
            if (keys[at].loaded) continue;
            keys[at].loaded = 1;
            keys[at].valid = 0;
            memset(keys[at].point, 0, sizeof keys[at].point);
            if ((keys[at].id[0] & 0xFE) != 2 || !ksf_fe_words_load(x, keys[at].id + 1)) continue;
            const unsigned k = count / KSF_LANES, lane = count % KSF_LANES;
            ksf_fe_set_lane(&p[k].x, lane, x);
            odd[k] |= (keys[at].id[0] & 1u) << lane;
            key[count++] = &keys[at];
        }
        if (!count) break;
        ksf_lane_mask odd_mask[KSF_ABREAST], valid[KSF_ABREAST];
        for (int k = 0; k < KSF_ABREAST; k++) odd_mask[k] = ksf_lane_mask_from_bits(odd[k]);
        ksf_ge_decompress(p, odd_mask, valid);
        for (unsigned i = 0; i < count; i++) {
            const unsigned k = i / KSF_LANES, lane = i % KSF_LANES;
            if (!(ksf_lane_mask_bits(valid[k]) >> lane & 1)) continue;
            key[i]->valid = 1;
            ksf_fe_get_lane(key[i]->point, &p[k].x, lane);
            ksf_fe_get_lane(key[i]->point + 4, &p[k].y, lane);
        }
    }
}

static size_t ksf_table_bytes(unsigned window) { return (size_t)ksf_comb_of(window)->nw * KSF_ENTRY_BYTES << (window - 1); }

/* Sub-tables that table_build fills at a time: enough to spread the inversions, few enough for a second-level cache. */
KSF_INLINE unsigned ksf_table_batch(unsigned window) { return 1024u >> (window - 1); }

typedef struct ksf_table_space {
    ksf_gej *doubled; /* batch * window: 2^(w j + s) P */
    ksf_ge *power;    /* the same, affine */
    ksf_ge *entry;    /* batch * 2^(w-1) */
    ksf_slot *slots;  /* the larger of half the entries and the powers */
    ksf_add_job *jobs;
    size_t bytes;
} ksf_table_space;

static ksf_table_space ksf_table_layout(uint8_t *at, unsigned window, unsigned batch) {
    const size_t powers = (size_t)batch * window, entries = (size_t)batch << (window - 1);
    const size_t slots = powers > entries / 2 ? powers : entries / 2;
    ksf_table_space s;
    uint8_t *const begin = at;
    s.doubled = (ksf_gej *)at, at += ksf_round_up(powers * sizeof(ksf_gej), 64);
    s.power = (ksf_ge *)at, at += ksf_round_up(powers * sizeof(ksf_ge), 64);
    s.entry = (ksf_ge *)at, at += ksf_round_up(entries * sizeof(ksf_ge), 64);
    s.slots = (ksf_slot *)at, at += ksf_round_up(slots * sizeof(ksf_slot), 64);
    s.jobs = (ksf_add_job *)at, at += ksf_round_up(entries / 2 * sizeof(ksf_add_job), 64);
    s.bytes = (size_t)(at - begin);
    return s;
}
static size_t ksf_table_scratch_bytes(unsigned window) { return ksf_table_layout(NULL, window, ksf_table_batch(window)).bytes; }

/* The tables of up to KSF_LANES keys, `batch` sub-tables at a time. No addition is exceptional: it adds 2^(s+1) B to an odd
 * multiple below 2^(s+1) of the same B, and their sum and difference are nonzero and below the group order. */
static void ksf_table_build_lanes(uint8_t *const *tables, const ksf_ge *keys, unsigned lanes, unsigned w, unsigned batch,
                                  uint8_t *scratch) {
    const ksf_table_space s = ksf_table_layout(scratch, w, batch);
    const unsigned nw = ksf_comb_of(w)->nw, half = 1u << (w - 1);
    ksf_gej p;
    ksf_gej_set_ge(&p, keys);
    for (unsigned first = 0; first < nw; first += batch) {
        const unsigned count = nw - first < batch ? nw - first : batch;
        for (unsigned i = 0; i < count * w; i++) {
            s.doubled[i] = p;
            ksf_gej_double(&p, 1);
        }
        ksf_ge_set_gej_many(s.power, s.doubled, (size_t)count * w, s.slots);
        for (unsigned j = 0; j < count; j++) s.entry[j * half] = s.power[j * w];
        /* odd multiples {1}, +2 -> {1, 3}, +4 -> {1, 3, 5, 7}, ... */
        for (unsigned bit = 0; bit < w - 1; bit++) {
            size_t n = 0;
            for (unsigned j = 0; j < count; j++)
                for (unsigned i = 0; i < 1u << bit; i++)
                    s.jobs[n++] = (ksf_add_job){&s.entry[j * half + i], &s.power[j * w + bit + 1], &s.entry[j * half + i + (1u << bit)]};
            ksf_add_many(s.jobs, n, s.slots);
        }
        for (unsigned j = 0; j < count; j++) {
            uint8_t *subtables[KSF_LANES] = {0};
            for (unsigned l = 0; l < lanes; l++) subtables[l] = tables[l] + ((size_t)(first + j) * KSF_ENTRY_BYTES << (w - 1));
            for (unsigned i = 0; i < half; i++) {
                ksf_ge *entry = &s.entry[j * half + i];
                ksf_fe_normalize(&entry->x);
                ksf_fe_normalize(&entry->y);
                ksf_subtable_store(subtables, w, i, entry, lanes);
            }
        }
    }
}
/* See ecmult.h, table_build. */
static void ksf_table_build(void *const *tables, const ksf_node_key *const *keys, size_t n, unsigned window, void *scratch) {
    for (size_t at = 0; at < n; at += KSF_LANES) {
        const unsigned lanes = n - at < KSF_LANES ? (unsigned)(n - at) : KSF_LANES;
        uint8_t *table[KSF_LANES];
        ksf_ge p;
        ksf_ge_set_base(&p);
        for (unsigned l = 0; l < lanes; l++) {
            table[l] = tables[at + l];
            ksf_ge_set_lane(&p, l, keys[at + l]->point);
        }
        ksf_table_build_lanes(table, &p, lanes, window, ksf_table_batch(window), scratch);
    }
}

/* -- the base point ------------------------------------------------------------------------------------------------ */
#define KSF_BASE_TABLE_BYTES(w) ((size_t)((KSF_CURVE_BITS + (w)-1) / (w)) * KSF_ENTRY_BYTES << ((w)-1))
/* Whole groups of lanes share a sub-table and want few, large windows; runs_impl.h selects from eight at once: small ones. */
enum { KSF_BASE_WINDOW = 8, KSF_RUN_BASE_WINDOW = 5 };
/* Written once by init, under the dispatch lock, before any other call; constant from then on. */
static _Alignas(64) uint8_t ksf_base_table[KSF_BASE_TABLE_BYTES(KSF_BASE_WINDOW)];
static _Alignas(64) uint8_t ksf_run_base_table[KSF_BASE_TABLE_BYTES(KSF_RUN_BASE_WINDOW)];

static void ksf_base_table_build(void) {
    /* room for one sub-table at a time; used once, so it costs address space, not memory that stays */
    static _Alignas(64)
        uint8_t scratch[sizeof(ksf_gej) * 8 + sizeof(ksf_ge) * 136 + sizeof(ksf_slot) * 64 + sizeof(ksf_add_job) * 64 + 512];
    uint8_t *table = ksf_base_table, *run_table = ksf_run_base_table;
    ksf_ge base;
    ksf_ge_set_base(&base);
    KSF_CHECK(ksf_table_layout(NULL, KSF_BASE_WINDOW, 1).bytes <= sizeof scratch);
    ksf_table_build_lanes(&table, &base, 1, KSF_BASE_WINDOW, 1, scratch);
    ksf_table_build_lanes(&run_table, &base, 1, KSF_RUN_BASE_WINDOW, 1, scratch);
}

#endif
