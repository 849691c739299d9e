/* edits_nearest.c - which lines of a file a search was probably meant for.
 *
 * Every line of the search and every word in it votes for the places where the search would
 * have to begin for it to be right: line i of the search that is line k of the file votes for
 * k - i.  What occurs seldom in the file says more than what occurs often, and has more votes.
 * The place with most is shown.  (Not the distance of Levenshtein: it is quadratic, and where a
 * model has left out half of the lines, the votes of the others still agree.)
 *
 * Linear: a word of the file votes for at most FEW places, and no place in the table is looked
 * for over more than FEW slots.
 */
#include "model/edits_lines.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/utf8.h"
#include "model/edits.h"

#include <ctype.h>

enum {
    FEW = 8,
    BLUR = 2,         /* lines by which votes may be apart and still count for each other */
    MOST_VOTES = 64,  /* of one that occurs once */
    MOST_LINES = 60,  /* shown */
    MARGIN = 3,       /* lines shown around */
    LEAD = 10,        /* lines shown before the first that differs, where not all can be */
    MOST_LEN = 200,   /* bytes shown of a line */
};

/* A line of the search, or a word in one: where it stands there, and how often in the file. */
struct feature {
    uint64_t hash;
    uint32_t at[FEW];
    uint32_t at_count, in_file;
};
struct table {
    struct feature *slots; /* in use where at_count is not 0 */
    size_t mask;
};

/* ---- features of a line ---- */

static bool is_of_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

typedef void feature_fn(void *ctx, uint64_t hash, size_t line);

static void for_features(const struct lines *lines, feature_fn *fn, void *ctx)
{
    for (size_t i = 0; i < lines->count; i++) {
        const struct line *l = &lines->items[i];
        if (l->blank)
            continue;
        fn(ctx, l->key[LIKE_WORDS], i);
        for (size_t k = 0; k < l->len; k++) {
            uint64_t hash = HASH_INIT;
            size_t from = k;
            for (; k < l->len && is_of_word(l->text[k]); k++)
                hash = hash_add(hash, l->text[k]);
            if (k > from)
                fn(ctx, hash, i);
        }
    }
}

/* ---- the table ---- */

/* The feature's slot, or the free one where it belongs; NULL: too many are in the way. */
static struct feature *slot_of(const struct table *t, uint64_t hash)
{
    for (size_t n = 0; n < FEW; n++) {
        struct feature *f = &t->slots[(hash + n) & t->mask];
        if (!f->at_count || f->hash == hash)
            return f;
    }
    return NULL;
}

static void count_feature(void *ctx, uint64_t hash, size_t line)
{
    (void)hash;
    (void)line;
    ++*(size_t *)ctx;
}

static void learn(void *ctx, uint64_t hash, size_t line)
{
    struct feature *f = slot_of(ctx, hash);
    if (!f || f->at_count == FEW)
        return;
    f->hash = hash;
    f->at[f->at_count++] = (uint32_t)line;
}

static void meet(void *ctx, uint64_t hash, size_t line)
{
    struct feature *f = slot_of(ctx, hash);
    (void)line;
    if (f)
        f->in_file++;
}

static struct table table_of(struct arena *a, const struct lines *search)
{
    size_t features = 0, slots = 16;
    for_features(search, count_feature, &features);
    while (slots < 4 * features)
        slots *= 2;
    struct table t = { ARENA_ARRAY(a, struct feature, slots), slots - 1 };
    for_features(search, learn, &t);
    return t;
}

/* ---- votes ---- */

struct election {
    struct table table;
    uint32_t *votes; /* for the search to begin at line [i - offset] */
    size_t count, offset;
};

static void vote(void *ctx, uint64_t hash, size_t line)
{
    const struct election *el = ctx;
    const struct feature *f = slot_of(&el->table, hash);
    if (!f || !f->at_count)
        return;
    uint32_t votes = f->in_file < MOST_VOTES ? MOST_VOTES / f->in_file : 1;
    for (size_t i = 0; i < f->at_count; i++)
        el->votes[line + el->offset - f->at[i]] += votes;
}

/* Lines that are missing on either side part the votes: neighbours count, the nearer the more. */
static uint64_t support(const struct election *el, size_t place)
{
    uint64_t sum = 0;
    for (size_t d = 0; d <= BLUR; d++) {
        uint64_t weight = BLUR + 1 - d;
        sum += place >= d ? weight * el->votes[place - d] : 0;
        sum += d && place + d < el->count ? weight * el->votes[place + d] : 0;
    }
    return sum;
}

/* The line at which the search would begin, less where it would before the file; false: nothing
 * is alike. */
static bool elect(struct arena *a, const struct lines *file, const struct lines *search, long long *ret)
{
    struct election el = { .table = table_of(a, search), .count = file->count + search->count, .offset = search->count };
    uint64_t most = 0;
    el.votes = ARENA_ARRAY(a, uint32_t, el.count);
    for_features(file, meet, &el.table);
    for_features(file, vote, &el);
    for (size_t place = 0; place < el.count; place++) {
        uint64_t votes = support(&el, place);
        if (el.votes[place] && votes > most) {
            most = votes;
            *ret = (long long)place - (long long)el.offset;
        }
    }
    return most > 0;
}

/* ---- showing ---- */

static size_t first_difference(const struct lines *file, const struct lines *search, long long from)
{
    size_t i = 0;
    while (i < search->count) {
        long long k = from + (long long)i;
        if (k < 0 || k >= (long long)file->count || !line_same(&file->items[k], &search->items[i], LIKE_WORDS))
            break;
        i++;
    }
    return i;
}

static const char *show(struct arena *a, const struct lines *file, size_t from, size_t to)
{
    STR_LOCAL(out);
    for (size_t i = from; i < to && i < from + MOST_LINES; i++) {
        const struct line *l = &file->items[i];
        bool cut = l->len > MOST_LEN;
        size_t len = cut ? utf8_floor(l->text, MOST_LEN) : l->len;
        char text[3 * MOST_LEN + 1];
        text[utf8_repair(text, l->text, len)] = '\0';
        if (out.len + strlen(text) + 32 > EDITS_MAX_REGION)
            break;
        str_addf(&out, "%4zu | %s%s\n", i + 1, text, cut ? " [...]" : "");
    }
    return arena_strndup(a, out.data, out.len);
}

const char *lines_nearest(struct arena *a, const struct lines *file, const struct lines *search)
{
    ARENA_LOCAL(scratch);
    long long begin = 0;
    if (!elect(&scratch, file, search, &begin)) {
        /* A small file can be shown as it is. */
        return file->count <= MOST_LINES ? show(a, file, 0, file->count) : "";
    }
    long long from = begin - MARGIN, to = begin + (long long)search->count + MARGIN, last = (long long)file->count;
    if (to - from > MOST_LINES) {
        long long differs = begin + (long long)first_difference(file, search, begin);
        from = differs - LEAD > from ? differs - LEAD : from;
    }
    from = from < 0 ? 0 : from;
    return show(a, file, (size_t)from, to < last ? (size_t)to : file->count);
}
