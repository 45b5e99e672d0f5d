/* SPDX-License-Identifier: Apache-2.0 */
/* TCP options and the signature made of them: window:kinds:mss:wscale, MuonFP's open
 * form. Kinds stand in wire order; the end-of-list option (0) is listed and ends the
 * list. Source: RFC 9293, section 3.2; RFC 7323, section 2.2. */
#ifndef FASTFLOW_FF_TCPSIG_H
#define FASTFLOW_FF_TCPSIG_H

#include "fastflow/ff_dict.h"
#include "fastflow/ff_tcp.h"
#include "fastflow/ff_view.h"

#define FF_TCP_OPTIONS_MAX_BYTES 40
#define FF_TCP_KIND_END 0
#define FF_TCP_KIND_NOP 1
#define FF_TCP_KIND_MSS 2
#define FF_TCP_KIND_WSCALE 3

/* The list of kinds as a dictionary key: a count, then the kinds, then zeros. */
#define FF_KINDS_KEY_BYTES 48
typedef struct ff_kinds {
    uint8_t n;
    uint8_t kind[FF_KINDS_KEY_BYTES - 1];
} ff_kinds;

/* "255-" forty times, less a hyphen. */
#define FF_KINDS_TEXT_MAX (FF_TCP_OPTIONS_MAX_BYTES * 4)

/* A signature as a dictionary key and as part of a cell's, in two words that are made
 * and compared in registers; all zeros is none.
 *   fixed: kinds code (32 bits), window (16), MSS (16)    scale: shift count (8), has
 */
enum ff_sig_has {
    FF_SIG_PRESENT = 0x100,
    FF_SIG_HAS_MSS = 0x200,
    FF_SIG_HAS_WSCALE = 0x400
};
/* They are bits of a view's layers, moved beyond the shift count. */
#define FF_SIG_SHIFT 1
#define FF_SIG_LAYERS (FF_BIT(OPTIONS) | FF_BIT(MSS) | FF_BIT(WSCALE))
_Static_assert(FF_BIT(OPTIONS) << FF_SIG_SHIFT == FF_SIG_PRESENT &&
                   FF_BIT(MSS) << FF_SIG_SHIFT == FF_SIG_HAS_MSS &&
                   FF_BIT(WSCALE) << FF_SIG_SHIFT == FF_SIG_HAS_WSCALE,
               "a signature's bits stand in the order of the layers");
typedef struct ff_sig {
    uint64_t fixed;
    uint64_t scale;
} ff_sig;

FF_INLINE uint32_t ff_sig_kinds(const ff_sig *sig) { return (uint32_t)sig->fixed; }
FF_INLINE uint16_t ff_sig_window(const ff_sig *sig) {
    return (uint16_t)(sig->fixed >> 32);
}
FF_INLINE uint16_t ff_sig_mss(const ff_sig *sig) {
    return (uint16_t)(sig->fixed >> 48);
}
FF_INLINE uint8_t ff_sig_wscale(const ff_sig *sig) { return (uint8_t)sig->scale; }

#define FF_SIG_KEY_BYTES sizeof(ff_sig)
#define FF_SIG_TEXT_MAX (FF_KINDS_TEXT_MAX + 24)

/* How the options of a header are laid out: everything that the values in them do not
 * change. Most packets repeat a layout, which is then recognised by its kind and length
 * bytes instead of being walked again. */
#define FF_LAYOUT_WORDS (FF_TCP_OPTIONS_MAX_BYTES / 8)
typedef struct ff_layout {
    uint64_t mask[FF_LAYOUT_WORDS]; /* ones over kind and length bytes */
    uint64_t pattern[FF_LAYOUT_WORDS];
    uint32_t kinds_code;
    uint32_t layers;   /* FF_LAYER_MSS and _WSCALE where present */
    uint16_t mss_mask; /* ones where present */
    uint8_t wscale_mask;
    uint8_t mss_off, wscale_off; /* of the values, from the TCP header's beginning */
    uint8_t tag;                 /* bytes of options, and 1; 0 while not in use */
} ff_layout;

/* Recently seen layouts, a few for each length of options; and which one came last
 * behind the same first kinds. */
#define FF_LAYOUT_LENGTHS (FF_TCP_OPTIONS_MAX_BYTES / 4 + 1)
#define FF_LAYOUT_WAYS 4
#define FF_LAYOUT_GUESSES 256
typedef struct ff_layouts {
    ff_layout of[FF_LAYOUT_LENGTHS * FF_LAYOUT_WAYS];
    uint8_t next[FF_LAYOUT_LENGTHS]; /* the way to replace */
    uint8_t guess[FF_LAYOUT_GUESSES];
} ff_layouts;

/* What codes refer to: lists of kinds and signatures, and the layouts that remember
 * codes of lists. */
typedef struct ff_lexicon {
    ff_dict kinds, signatures;
    ff_layouts layouts;
} ff_lexicon;

static inline bool ff_lexicon_has_room(const ff_lexicon *lexicon, size_t n) {
    return ff_dict_has_room(&lexicon->kinds, n) &&
           ff_dict_has_room(&lexicon->signatures, n);
}

/* Begin anew; every code handed out so far is void. */
static inline void ff_lexicon_clear(ff_lexicon *lexicon) {
    ff_dict_clear(&lexicon->kinds);
    ff_dict_clear(&lexicon->signatures);
    memset(&lexicon->layouts, 0, sizeof lexicon->layouts);
}

/* Walk the options, noting which bytes steer the walk; false where an option's length
 * is impossible. At most 40 steps: each takes at least a byte. */
static inline bool ff_options_walk(const uint8_t *p, size_t n, ff_kinds *kinds,
                                   ff_layout *layout) {
    uint8_t mask[FF_TCP_OPTIONS_MAX_BYTES] = {0};
    memset(kinds, 0, sizeof *kinds);
    memset(layout, 0, sizeof *layout);
    for (size_t at = 0; at < n;) {
        uint8_t kind = p[at];
        mask[at] = 0xff;
        kinds->kind[kinds->n++] = kind;
        if (kind == FF_TCP_KIND_END) break;
        if (kind == FF_TCP_KIND_NOP) {
            at++;
            continue;
        }
        if (n - at < 2) return false;
        uint8_t len_bytes = p[at + 1];
        mask[at + 1] = 0xff;
        if (len_bytes < 2 || len_bytes > n - at) return false;
        if (kind == FF_TCP_KIND_MSS && len_bytes == 4) {
            layout->mss_off = (uint8_t)(FF_TCP_MIN_BYTES + at + 2);
            layout->mss_mask = 0xffff;
            layout->layers |= FF_BIT(MSS);
        } else if (kind == FF_TCP_KIND_WSCALE && len_bytes == 3) {
            layout->wscale_off = (uint8_t)(FF_TCP_MIN_BYTES + at + 2);
            layout->wscale_mask = 0xff;
            layout->layers |= FF_BIT(WSCALE);
        }
        at += len_bytes;
    }
    memcpy(layout->mask, mask, sizeof mask);
    memcpy(layout->pattern, p, n);
    for (size_t w = 0; w < FF_LAYOUT_WORDS; w++) layout->pattern[w] &= layout->mask[w];
    layout->tag = (uint8_t)(n + 1);
    return true;
}

static inline size_t ff_put_decimal(char *out, unsigned value) {
    char digits[10];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < n; i++) out[i] = digits[n - 1 - i];
    return n;
}

static inline uint32_t ff_kinds_code(ff_dict *d, const ff_kinds *kinds) {
    const uint8_t *key = (const uint8_t *)kinds;
    bool is_new;
    uint64_t hash = ff_dict_hash(key, FF_KINDS_KEY_BYTES, d->seed);
    uint32_t code = ff_dict_code(d, key, FF_KINDS_KEY_BYTES, hash, &is_new);
    if (is_new) {
        char text[FF_KINDS_TEXT_MAX];
        size_t n = 0;
        for (size_t i = 0; i < kinds->n; i++) {
            if (i > 0) text[n++] = '-';
            n += ff_put_decimal(text + n, kinds->kind[i]);
        }
        ff_dict_add_text(d, text, n);
    }
    return code;
}

FF_INLINE uint64_t ff_layout_differs(const ff_layout *layout, const uint8_t *p,
                                     size_t begin, size_t end) {
    uint64_t differing = 0;
    for (size_t w = begin; w < end; w++)
        differing |= (ff_load_u64(p + 8 * w) ^ layout->pattern[w]) & layout->mask[w];
    return differing;
}

/* Of FF_TCP_OPTIONS_MAX_BYTES the first n are options. What stands behind them is
 * compared as well, under a mask of zeros: hardly any list is long enough for a branch.
 */
FF_INLINE bool ff_layout_matches(const ff_layout *layout, const uint8_t *p, size_t n) {
    if ((layout->tag ^ (n + 1)) | ff_layout_differs(layout, p, 0, 3)) return false;
    return FF_LIKELY(n <= 24) || ff_layout_differs(layout, p, 3, 5) == 0;
}

/* The bytes that tell most layouts apart, by the number of words they have: the first
 * kind, and behind an MSS what comes next. A table, because n is not predictable. */
#define FF_TELLING {0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0}
static const uint8_t ff_layout_telling[FF_LAYOUT_LENGTHS][8] = {
    {0},        {0xff},     FF_TELLING, FF_TELLING, FF_TELLING, FF_TELLING,
    FF_TELLING, FF_TELLING, FF_TELLING, FF_TELLING, FF_TELLING};
#undef FF_TELLING

/* Where the guess for n option bytes stands. */
FF_INLINE uint8_t *ff_layout_guess(ff_layouts *layouts, const uint8_t *p, size_t n) {
    uint64_t key = ff_load_u64(p) & ff_load_u64(ff_layout_telling[n / 4]);
    return &layouts->guess[(key + n) * FF_HASH_ODD_1 >> 56];
}

/* Find or make the layout of n option bytes; NULL where they are malformed. */
FF_OUTLINE const ff_layout *ff_layout_search(ff_lexicon *lexicon,
                                             const uint8_t *options, size_t n) {
    uint8_t p[FF_TCP_OPTIONS_MAX_BYTES] = {0};
    memcpy(p, options, n);
    size_t begin = n / 4 * FF_LAYOUT_WAYS, at = begin;
    ff_layouts *layouts = &lexicon->layouts;
    while (at < begin + FF_LAYOUT_WAYS && !ff_layout_matches(&layouts->of[at], p, n))
        at++;
    if (at == begin + FF_LAYOUT_WAYS) {
        ff_kinds kinds;
        ff_layout layout;
        if (!ff_options_walk(p, n, &kinds, &layout)) return NULL;
        layout.kinds_code = ff_kinds_code(&lexicon->kinds, &kinds);
        at = begin + layouts->next[n / 4]++ % FF_LAYOUT_WAYS;
        layouts->of[at] = layout;
    }
    *ff_layout_guess(layouts, p, n) = (uint8_t)at;
    return &layouts->of[at];
}

/* The same; options begin n_readable bytes that may be read, whatever they are. */
FF_INLINE const ff_layout *ff_layout_of(ff_lexicon *lexicon, const uint8_t *options,
                                        size_t n, size_t n_readable) {
    if (FF_LIKELY(n_readable >= FF_TCP_OPTIONS_MAX_BYTES)) {
        ff_layouts *layouts = &lexicon->layouts;
        const ff_layout *layout = &layouts->of[*ff_layout_guess(layouts, options, n)];
        if (FF_LIKELY(ff_layout_matches(layout, options, n))) return layout;
    }
    return ff_layout_search(lexicon, options, n);
}

/* An absent value's offset is 0, its mask as well. */
FF_INLINE uint16_t ff_layout_mss(const ff_layout *layout, const uint8_t *tcp) {
    return ff_load_be16(tcp + layout->mss_off) & layout->mss_mask;
}
FF_INLINE uint8_t ff_layout_wscale(const ff_layout *layout, const uint8_t *tcp) {
    return tcp[layout->wscale_off] & layout->wscale_mask;
}

/* Decode the options of a packet whose TCP header is whole; the block ends at `end`. */
FF_INLINE void ff_options_decode(ff_lexicon *lexicon, const uint8_t *end, ff_view *v) {
    const uint8_t *options = v->tcp + FF_TCP_MIN_BYTES;
    const ff_layout *layout =
        ff_layout_of(lexicon, options, v->options_bytes, (size_t)(end - options));
    if (FF_UNLIKELY(layout == NULL)) {
        ff_view_fault(v, FF_STATE_tcp_bad_option);
        v->layers &= ~FF_BIT(OPTIONS);
        return;
    }
    v->kinds_code = layout->kinds_code;
    v->layers |= layout->layers;
    v->mss = ff_layout_mss(layout, v->tcp);
    v->wscale = ff_layout_wscale(layout, v->tcp);
}

static inline void ff_sig_add_text(ff_dict *d, const ff_dict *kinds_dict,
                                   const ff_sig *sig) {
    const int64_t *off = kinds_dict->offsets + ff_sig_kinds(sig);
    size_t kinds_bytes = (size_t)(off[1] - off[0]);
    char text[FF_SIG_TEXT_MAX];
    size_t n = ff_put_decimal(text, ff_sig_window(sig));
    text[n++] = ':';
    memcpy(text + n, kinds_dict->text + off[0], kinds_bytes);
    n += kinds_bytes;
    text[n++] = ':';
    if (sig->scale & FF_SIG_HAS_MSS) n += ff_put_decimal(text + n, ff_sig_mss(sig));
    text[n++] = ':';
    if (sig->scale & FF_SIG_HAS_WSCALE)
        n += ff_put_decimal(text + n, ff_sig_wscale(sig));
    ff_dict_add_text(d, text, n);
}

static inline uint32_t ff_sig_code(ff_lexicon *lexicon, const ff_sig *sig) {
    ff_dict *d = &lexicon->signatures;
    uint8_t key[FF_SIG_KEY_BYTES];
    memcpy(key, sig, sizeof *sig);
    uint64_t hash = ff_dict_hash(key, FF_SIG_KEY_BYTES, d->seed);
    bool is_new;
    uint32_t code = ff_dict_code(d, key, FF_SIG_KEY_BYTES, hash, &is_new);
    if (is_new) ff_sig_add_text(d, &lexicon->kinds, sig);
    return code;
}

/* The signature of a packet whose options were decoded; none without options. */
FF_INLINE ff_sig ff_sig_of_view(const ff_view *v) {
    uint64_t window = ff_tcp_window(v->tcp);
    uint32_t layers = v->layers & FF_SIG_LAYERS;
    /* Which packets have options, nobody can predict. */
    uint64_t has_options = -(uint64_t)((v->layers & FF_BIT(OPTIONS)) != 0);
    return (ff_sig){
        .fixed = ((uint64_t)v->mss << 48 | window << 32 | v->kinds_code) & has_options,
        .scale = (v->wscale | layers << FF_SIG_SHIFT) & has_options,
    };
}

/* The code that a list of kinds of another lexicon has in this one. */
static inline uint32_t ff_kinds_adopt(ff_lexicon *to, const ff_lexicon *from,
                                      uint32_t code) {
    ff_kinds kinds;
    memcpy(&kinds, from->kinds.keys + code * FF_KINDS_KEY_BYTES, sizeof kinds);
    return ff_kinds_code(&to->kinds, &kinds);
}

#endif
