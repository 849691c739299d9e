/* words.c - words, by the scripts of Unicode in a few ranges.
 *
 * Coarse on purpose: it decides whether a specification speaks of what was asked for, where a
 * third may be said in other words anyway.  The tables of a Unicode library would be larger
 * than the rest of this layer.
 */
#include "team/words.h"

#include "base/arena.h"
#include "base/str.h"
#include "base/utf8.h"

#include <ctype.h>

enum script {
    SCRIPT_NONE,    /* blanks, punctuation */
    SCRIPT_SPACED,  /* letters and digits of scripts with blanks between words */
    SCRIPT_DENSE,   /* ideographs and syllables: each says much */
    SCRIPT_RUNNING, /* letters of scripts without blanks between words */
};

static const struct { uint32_t first, last; enum script script; } ranges[] = {
    { 0x00a0, 0x00a9, SCRIPT_NONE },    { 0x00ab, 0x00b4, SCRIPT_NONE },    { 0x00b6, 0x00b9, SCRIPT_NONE },
    { 0x00bb, 0x00bf, SCRIPT_NONE },    { 0x0e00, 0x0edf, SCRIPT_RUNNING }, /* Thai, Lao */
    { 0x1000, 0x109f, SCRIPT_RUNNING }, /* Burmese */
    { 0x1780, 0x17ff, SCRIPT_RUNNING }, /* Khmer */
    { 0x2000, 0x206f, SCRIPT_NONE },    { 0x2190, 0x2bff, SCRIPT_NONE },    { 0x3000, 0x3004, SCRIPT_NONE },
    { 0x3008, 0x3020, SCRIPT_NONE },    { 0x3030, 0x303f, SCRIPT_NONE },    { 0x30fb, 0x30fb, SCRIPT_NONE },
    { 0x3005, 0x9fff, SCRIPT_DENSE }, /* kana, ideographs */
    { 0xac00, 0xd7a3, SCRIPT_DENSE }, /* Korean */
    { 0xf900, 0xfaff, SCRIPT_DENSE },   { 0xff00, 0xff0f, SCRIPT_NONE },    { 0xff1a, 0xff20, SCRIPT_NONE },
    { 0xff3b, 0xff40, SCRIPT_NONE },    { 0xff5b, 0xff65, SCRIPT_NONE },    { 0xff66, 0xff9d, SCRIPT_DENSE },
    { 0x20000, 0x3ffff, SCRIPT_DENSE },
};

/* How many of them in a row are as good as a word. */
static const size_t least[] = { [SCRIPT_SPACED] = 4, [SCRIPT_DENSE] = 2, [SCRIPT_RUNNING] = 4 };

static enum script script_of(uint32_t c)
{
    if (c < 0x80)
        return isalnum((int)c) ? SCRIPT_SPACED : SCRIPT_NONE;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return ranges[i].script;
    return SCRIPT_SPACED;
}

/* The script of the character at `text`, whose length it gives; a bad byte is none. */
static enum script look(const char *text, size_t *ret_len)
{
    uint32_t c;
    *ret_len = utf8_decode(text, strlen(text), &c);
    if (*ret_len)
        return script_of(c);
    *ret_len = 1;
    return SCRIPT_NONE;
}

/* Common words say nothing about what was asked for. */
static bool is_common(const char *word)
{
    static const char *const common[] = {
        "that", "this", "with", "from", "have", "into", "them", "then", "than", "they", "when", "what",
        "which", "should", "would", "could", "please", "want", "need", "make", "like", "also", "some",
        "simple", "small", "command", "line", "tool", "program", "application", "write", "create", "build",
        NULL };
    for (size_t i = 0; common[i]; i++)
        if (strcasecmp(common[i], word) == 0)
            return true;
    return false;
}

const char *next_telling_word(struct arena *a, const char **text)
{
    const char *p = *text;
    while (*p) {
        const char *start = p;
        size_t len, letters = 0;
        enum script script = look(p, &len);
        do {
            p += len;
            letters++;
        } while (*p && script != SCRIPT_NONE && look(p, &len) == script);
        if (script == SCRIPT_NONE || letters < least[script])
            continue;
        const char *word = arena_strndup(a, start, (size_t)(p - start));
        if (!is_common(word)) {
            *text = p;
            return word;
        }
    }
    *text = p;
    return NULL;
}

static bool has(const char *text, const char *word, size_t len)
{
    for (; *text; text++)
        if (strncasecmp(text, word, len) == 0)
            return true;
    return false;
}

bool mentions_word(const char *text, const char *word)
{
    size_t len = strlen(word), first;
    enum script script = look(word, &first);
    if (script == SCRIPT_SPACED || script == SCRIPT_NONE)
        return has(text, word, len > 4 && word[len - 1] == 's' ? len - 1 : len);
    for (const char *p = word; *p; p += first) {
        size_t piece = 0, one, n = 0;
        for (; p[piece] && n < least[script]; n++, piece += one)
            look(p + piece, &one);
        if (n == least[script] && has(text, p, piece))
            return true;
        look(p, &first);
    }
    return false;
}

const char *idea_name(struct arena *a, const char *idea)
{
    STR_LOCAL(name);
    const char *word, *p = idea;
    for (int i = 0; i < 3 && (word = next_telling_word(a, &p)); i++)
        str_addf(&name, "%s%s", i ? " " : "", word);
    return name.len ? arena_strndup(a, name.data, name.len) : "project";
}
