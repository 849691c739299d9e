/* edits_places.c - the lines of a search in those of a file, by the algorithm of Knuth, Morris
 * and Pratt over the lines' keys.
 *
 * Keys can be equal where lines are not, and lines alike but for their indentation need not be
 * shifted alike.  So a hit is compared, and because all of a file can be hits, only so many are;
 * then nothing is found, for nobody knows whether it would be the only place.
 */
#include "model/edits_places.h"

#include "base/arena.h"

#include <string.h>

enum { MOST_LOOKED_AT = 64 };

bool line_counts(const struct line *l, enum likeness how)
{
    return how != LIKE_WORDS || !l->blank;
}

static struct pattern pattern_of(struct arena *a, const struct lines *search, enum likeness how)
{
    struct pattern p = { .how = how, .lines = ARENA_ARRAY(a, const struct line *, search->count),
                         .map = ARENA_ARRAY(a, size_t, search->count) };
    for (size_t i = 0; i < search->count; i++)
        if (line_counts(&search->items[i], how))
            p.lines[p.count++] = &search->items[i];
    return p;
}

static bool is_joined(struct piece whole, struct piece front, struct piece back)
{
    return whole.len == front.len + back.len && memcmp(whole.p, front.p, front.len) == 0 &&
           memcmp(whole.p + front.len, back.p, back.len) == 0;
}

static bool is_shifted(const struct line *in_file, const struct line *searched, struct shift *s)
{
    if (in_file->blank)
        return true;
    struct piece here = line_indent(in_file), there = line_indent(searched);
    if (!s->known && here.len >= there.len)
        s->added = (struct piece){ here.p, here.len - there.len };
    else if (!s->known)
        s->taken = (struct piece){ there.p, there.len - here.len };
    s->known = true;
    return s->taken.len ? is_joined(there, s->taken, here) : is_joined(here, s->added, there);
}

/* Whether the hit whose last line is `last` is one, byte for byte; fills the map and the shift. */
static bool is_place(const struct lines *file, struct pattern *p, size_t last)
{
    size_t k = last + 1;
    p->shift = (struct shift){ .added = { "", 0 }, .taken = { "", 0 } };
    for (size_t i = p->count; i-- > 0;) {
        do
            k--;
        while (!line_counts(&file->items[k], p->how));
        const struct line *l = &file->items[k];
        if (!line_same(l, p->lines[i], p->how) || (p->how == LIKE_INDENT && !is_shifted(l, p->lines[i], &p->shift)))
            return false;
        p->map[i] = k;
    }
    return true;
}

/* How long a beginning of the pattern ends at each of its lines, other than all up to there. */
static size_t *overlaps(struct arena *a, const struct pattern *p)
{
    size_t *overlap = ARENA_ARRAY(a, size_t, p->count), k = 0;
    for (size_t i = 1; i < p->count; i++) {
        while (k && p->lines[i]->key[p->how] != p->lines[k]->key[p->how])
            k = overlap[k - 1];
        k += p->lines[i]->key[p->how] == p->lines[k]->key[p->how];
        overlap[i] = k;
    }
    return overlap;
}

struct places find_places(struct arena *a, const struct lines *file, const struct lines *search, enum likeness how)
{
    struct places found = { .pattern = pattern_of(a, search, how) };
    struct pattern *p = &found.pattern, other = pattern_of(a, search, how);
    const size_t *overlap = overlaps(a, p);
    size_t k = 0, looked_at = 0;
    for (size_t i = 0; i < file->count && looked_at < MOST_LOOKED_AT && found.count <= PLACES_NAMED; i++) {
        const struct line *l = &file->items[i];
        if (!line_counts(l, how))
            continue;
        while (k && l->key[how] != p->lines[k]->key[how])
            k = overlap[k - 1];
        k += l->key[how] == p->lines[k]->key[how];
        if (k < p->count)
            continue;
        k = overlap[k - 1];
        looked_at++;
        struct pattern *to = found.count ? &other : p;
        if (is_place(file, to, i))
            found.at[found.count++] = to->map[0];
    }
    if (looked_at == MOST_LOOKED_AT && found.count == 1)
        found.count = 0; /* there may be more */
    return found;
}
