/* results.c - outcomes of tests: the table, and the reader of TAP.
 *
 * TAP is read line by line and forgivingly, since what a test prints may stand between
 * the lines; what decides is whether the plan was met.  Readers return what they saw even
 * of a run that broke off, together with the reason why it is not all.
 */
#include "repo/results.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"
#include "repo/results_build.h"

#include <stdlib.h>
#include <strings.h>

const char *const test_outcome_names[] = { "passed", "failed", "error", "skipped", NULL };

static const struct field test_result_fields[] = {
    FIELD(struct test_result, id, FIELD_TEXT, .required = true, .max = RESULTS_MAX_ID, .doc = "names the test"),
    FIELD(struct test_result, outcome, FIELD_ENUM, .choices = test_outcome_names, .doc = "how it went"),
    FIELD(struct test_result, message, FIELD_TEXT, .max = 3 * RESULTS_MAX_MESSAGE, .doc = "what it said when it failed"),
};
const struct record test_result_record = RECORD("test_result", struct test_result, test_result_fields);

/* ---- the table ---- */

int results_check_size(const char *kind, size_t len, struct err *e)
{
    if (len > RESULTS_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "the %s is %zu bytes long; at most %d MiB are read", kind, len,
                       RESULTS_MAX_BYTES >> 20);
    return 0;
}

char *text_clean(struct arena *a, const char *text, size_t len, size_t max, bool one_line)
{
    if (len > max)
        len = utf8_floor(text, max);
    char *out;
    size_t out_len = len;
    if (utf8_valid(text, len, NULL)) {
        out = arena_strndup(a, text, len);
    } else {
        out = arena_alloc(a, 3 * len + 1);
        out_len = utf8_repair(out, text, len);
        out_len = out_len > max ? utf8_floor(out, max) : out_len;
        out[out_len] = '\0';
    }
    for (size_t i = 0; i < out_len; i++) {
        unsigned char c = (unsigned char)out[i];
        if ((c < 32 && (one_line || (c != '\n' && c != '\t'))) || c == 127)
            out[i] = '?';
    }
    return out;
}

int results_add(struct results_builder *b, const char *id, size_t id_len, enum test_outcome outcome,
                const char *message, size_t message_len, struct err *e)
{
    if (b->count == RESULTS_MAX_TESTS)
        return err_set(e, ERR_LIMIT, "more than %d tests", RESULTS_MAX_TESTS);
    ARENA_GROW(b->arena, b->tests, b->room, b->count);
    b->tests[b->count++] = (struct test_result){
        .id = text_clean(b->arena, id, id_len, RESULTS_MAX_ID, true),
        .outcome = (int)outcome,
        .message = message_len ? text_clean(b->arena, message, message_len, RESULTS_MAX_MESSAGE, false) : "",
    };
    return 0;
}

static int badness(int outcome)
{
    static const int order[] = { [TEST_PASSED] = 0, [TEST_SKIPPED] = 1, [TEST_FAILED] = 2, [TEST_ERROR] = 3 };
    return order[outcome];
}

/* By id, the worst first; the message decides last, so that the order is the same always. */
static int compare_result(const void *x, const void *y)
{
    const struct test_result *a = x, *b = y;
    int by_id = strcmp(a->id, b->id);
    if (by_id)
        return by_id;
    int by_outcome = badness(b->outcome) - badness(a->outcome);
    return by_outcome ? by_outcome : strcmp(a->message, b->message);
}

static size_t sort_and_unite(struct test_result *tests, size_t count)
{
    if (count)
        qsort(tests, count, sizeof *tests, compare_result);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !streq(tests[kept - 1].id, tests[i].id))
            tests[kept++] = tests[i];
    return kept;
}

void results_finish(struct results_builder *b, const char *incomplete, struct test_results *ret)
{
    *ret = (struct test_results){ b->tests, sort_and_unite(b->tests, b->count), incomplete };
}

void results_fold(struct test_results *r, struct arena *a, size_t (*cut)(const char *id, void *ctx), void *ctx)
{
    for (size_t i = 0; i < r->count; i++) {
        struct test_result *t = &r->tests[i];
        size_t len = cut(t->id, ctx);
        if (len == 0 || len >= strlen(t->id))
            continue;
        if (*t->message)
            t->message = arena_printf(a, "%s: %s", t->id + len, t->message);
        t->id = arena_strndup(a, t->id, len);
    }
    r->count = sort_and_unite(r->tests, r->count);
}

static int compare_id(const void *key, const void *element)
{
    return strcmp(key, ((const struct test_result *)element)->id);
}

const struct test_result *results_find(const struct test_results *r, const char *id)
{
    return r->count ? bsearch(id, r->tests, r->count, sizeof *r->tests, compare_id) : NULL;
}

size_t results_count(const struct test_results *r, enum test_outcome outcome)
{
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++)
        n += r->tests[i].outcome == (int)outcome;
    return n;
}

/* ---- TAP ---- */

struct slice { const char *text; size_t len; };

struct tap {
    struct results_builder builder;
    struct err *err;
    size_t points;      /* test points seen */
    int64_t planned;    /* -1: no plan yet */
    bool two_plans;
    const char *bail_out;
    /* the test point that is open for its message */
    bool is_open, in_block;
    size_t block_indent;
    struct slice id;
    enum test_outcome outcome;
    struct str message;
};

static bool slice_starts(struct slice s, const char *prefix)
{
    size_t len = strlen(prefix);
    return s.len >= len && memcmp(s.text, prefix, len) == 0;
}

static struct slice slice_from(struct slice s, size_t offset)
{
    return (struct slice){ s.text + offset, s.len - offset };
}

static struct slice slice_trim(struct slice s)
{
    while (s.len && (*s.text == ' ' || *s.text == '\t'))
        s = slice_from(s, 1);
    while (s.len && strchr(" \t\r", s.text[s.len - 1]) && s.text[s.len - 1])
        s.len--;
    return s;
}

static size_t slice_indent(struct slice s)
{
    size_t n = 0;
    while (n < s.len && s.text[n] == ' ')
        n++;
    return n;
}

static int64_t slice_number(struct slice s, size_t *ret_len)
{
    int64_t n = 0;
    size_t i = 0;
    for (; i < s.len && s.text[i] >= '0' && s.text[i] <= '9'; i++)
        n = n < 1000000000 ? n * 10 + (s.text[i] - '0') : n;
    *ret_len = i;
    return n;
}

static int tap_close_point(struct tap *t)
{
    if (!t->is_open)
        return 0;
    t->is_open = t->in_block = false;
    STR_LOCAL(id);
    for (size_t i = 0; i < t->id.len; i++) { /* "\#" and "\\" */
        if (t->id.text[i] == '\\' && i + 1 < t->id.len && (t->id.text[i + 1] == '#' || t->id.text[i + 1] == '\\'))
            i++;
        str_add_char(&id, t->id.text[i]);
    }
    if (!id.len)
        str_addf(&id, "test %zu", t->points);
    return results_add(&t->builder, id.data, id.len, t->outcome, t->message.data, t->message.len, t->err);
}

static void tap_add_message(struct tap *t, struct slice line)
{
    if (t->message.len >= RESULTS_MAX_MESSAGE)
        return;
    if (t->message.len)
        str_add_char(&t->message, '\n');
    str_add_bytes(&t->message, line.text, line.len);
}

/* Cuts "# SKIP why" or "# todo why" from the description; the rest of the directive. */
static bool tap_directive(struct slice *description, const char *word, struct slice *ret_why)
{
    size_t word_len = strlen(word);
    for (size_t i = 0; i < description->len; i++) {
        if (description->text[i] != '#' || (i && description->text[i - 1] == '\\'))
            continue;
        struct slice rest = slice_trim(slice_from(*description, i + 1));
        if (rest.len < word_len || strncasecmp(rest.text, word, word_len) != 0)
            continue;
        *ret_why = slice_trim(slice_from(rest, word_len));
        description->len = i;
        return true;
    }
    return false;
}

/* `rest`: what follows "ok" or "not ok". */
static int tap_point(struct tap *t, bool is_ok, struct slice rest)
{
    int r = tap_close_point(t);
    if (r < 0)
        return r;
    t->points++;
    rest = slice_trim(rest);
    size_t digits;
    slice_number(rest, &digits);
    if (digits == rest.len || rest.text[digits] == ' ')
        rest = slice_trim(slice_from(rest, digits));
    if (slice_starts(rest, "-"))
        rest = slice_from(rest, 1);
    struct slice why = { "", 0 };
    t->outcome = is_ok ? TEST_PASSED : TEST_FAILED;
    if (tap_directive(&rest, "skip", &why) || (tap_directive(&rest, "todo", &why) && !is_ok))
        t->outcome = TEST_SKIPPED;
    t->id = slice_trim(rest);
    t->is_open = true;
    str_clear(&t->message);
    if (why.len)
        tap_add_message(t, why);
    return 0;
}

static bool tap_plan(struct tap *t, struct slice line)
{
    size_t digits;
    int64_t n = slice_number(slice_from(line, 3), &digits);
    struct slice rest = slice_trim(slice_from(line, 3 + digits));
    if (!digits || (rest.len && *rest.text != '#'))
        return false;
    t->two_plans = t->two_plans || t->planned >= 0;
    t->planned = n;
    return true;
}

/* A line of an open YAML block: "...", or part of the message. */
static void tap_block_line(struct tap *t, struct slice line)
{
    struct slice plain = slice_trim(line);
    if (plain.len == 3 && slice_starts(plain, "...") && slice_indent(line) <= t->block_indent) {
        t->in_block = false;
        return;
    }
    size_t indent = slice_indent(line);
    if (indent <= t->block_indent && t->outcome == TEST_FAILED && slice_starts(plain, "severity:")) {
        struct slice value = slice_trim(slice_from(plain, 9));
        if (slice_starts(value, "error") || slice_starts(value, "'error") || slice_starts(value, "\"error"))
            t->outcome = TEST_ERROR;
        return;
    }
    tap_add_message(t, slice_from(line, indent < t->block_indent ? indent : t->block_indent));
}

static int tap_line(struct tap *t, struct slice line, bool *is_tap)
{
    if (t->in_block) {
        tap_block_line(t, line);
        return 0;
    }
    size_t indent = slice_indent(line);
    struct slice plain = slice_trim(line);
    if (indent > 0) {
        if (t->is_open && indent < 4 && plain.len == 3 && slice_starts(plain, "---")) {
            t->in_block = true;
            t->block_indent = indent;
        }
        return 0;
    }
    bool is_not = slice_starts(plain, "not ok");
    size_t word = is_not ? 6 : 2;
    if ((is_not || slice_starts(plain, "ok")) && (plain.len == word || plain.text[word] == ' ')) {
        *is_tap = true;
        return tap_point(t, !is_not, slice_from(plain, word));
    }
    if ((slice_starts(plain, "1..") && tap_plan(t, plain)) || slice_starts(plain, "TAP version ")) {
        *is_tap = true;
        return 0;
    }
    if (slice_starts(plain, "Bail out!")) {
        *is_tap = true;
        struct slice why = slice_trim(slice_from(plain, 9));
        t->bail_out = text_clean(t->builder.arena, why.text, why.len, 300, true);
        return 0;
    }
    if (t->is_open && slice_starts(plain, "#")) {
        struct slice comment = slice_from(plain, 1);
        tap_add_message(t, slice_starts(comment, " ") ? slice_from(comment, 1) : comment);
    }
    return 0;
}

static const char *tap_incomplete(const struct tap *t)
{
    struct arena *a = t->builder.arena;
    if (t->bail_out)
        return *t->bail_out ? arena_printf(a, "the run was given up: %s", t->bail_out) : "the run was given up";
    if (t->planned < 0)
        return "no plan: the run ended before it was complete";
    if (t->two_plans)
        return "two plans in one run";
    if ((int64_t)t->points != t->planned)
        return arena_printf(a, "planned %lld tests, saw %zu", (long long)t->planned, t->points);
    return "";
}

int results_read_tap(struct arena *a, const char *text, size_t len, struct test_results *ret, struct err *e)
{
    int r = results_check_size("TAP", len, e);
    struct tap t = { .builder = { .arena = a }, .err = e, .planned = -1, .message = STR_INIT };
    bool is_tap = false;
    for (size_t at = 0; r == 0 && at < len && !t.bail_out;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end ? (size_t)(end - (text + at)) : len - at;
        r = tap_line(&t, (struct slice){ text + at, line_len }, &is_tap);
        at += line_len + 1;
    }
    if (r == 0)
        r = tap_close_point(&t);
    if (r == 0 && !is_tap)
        r = err_set(e, ERR_INVALID, "no line of TAP in what the tests wrote");
    if (r == 0)
        results_finish(&t.builder, tap_incomplete(&t), ret);
    str_release(&t.message);
    return r;
}
