/* recording_format.c - one recorded call as text, both ways.
 *
 * Not JSON: prompts and answers are pages of text, and a review of what changed in them
 * must not wade through \n and \".  Marks are escaped instead of lengths written, so that a
 * file can be mended by hand.
 */
#include "model/recording.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"

#include <inttypes.h>
#include <stdlib.h>

#define TITLE "Tandem recording 1"
#define MARK "========"
#define NO_NEWLINE " (no final newline)"

enum { MARK_LEN = sizeof MARK - 1, MAX_MESSAGES = 10000 };

/* Whether the line is a mark, or one with backslashes before it. */
static bool looks_like_mark(const char *line, size_t len, size_t *ret_backslashes)
{
    size_t n = 0;
    while (n < len && line[n] == '\\')
        n++;
    *ret_backslashes = n;
    return len - n >= MARK_LEN && memcmp(line + n, MARK, MARK_LEN) == 0;
}

static size_t line_len(const char *p, const char *end)
{
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    return newline ? (size_t)(newline - p) : (size_t)(end - p);
}

/* ---- writing ---- */

static void write_section(struct str *out, const char *name, const char *text, size_t len)
{
    bool whole = len && text[len - 1] == '\n';
    str_addf(out, MARK " %s%s\n", name, whole ? "" : NO_NEWLINE);
    for (const char *p = text, *end = text + len; p < end;) {
        size_t n = line_len(p, end), backslashes;
        if (looks_like_mark(p, n, &backslashes))
            str_add_char(out, '\\');
        str_add_bytes(out, p, n);
        str_add_char(out, '\n');
        p += n + 1;
    }
}

static void write_count(struct str *out, const char *name, int64_t n)
{
    if (n >= 0)
        str_addf(out, "%s: %" PRId64 "\n", name, n);
}

void recording_write(struct str *out, const struct recorded *r)
{
    str_addf(out, TITLE "\nmodel: %s\nfinish: %s\ntemperature: %g\nseed: %" PRId64 "\n", r->model,
             r->finish, r->temperature, r->seed);
    if (r->max_tokens > 0)
        write_count(out, "max tokens", r->max_tokens);
    write_count(out, "prompt tokens", r->prompt_tokens);
    write_count(out, "cached tokens", r->cached_tokens);
    write_count(out, "answer tokens", r->answer_tokens);
    str_add_char(out, '\n');
    if (r->as_in)
        str_addf(out, MARK " %zu messages as in %s\n", r->as_in_count, r->as_in);
    for (size_t i = 0; i < r->message_count; i++)
        write_section(out, chat_role_name(r->messages[i].role), r->messages[i].text,
                      strlen(r->messages[i].text));
    if (r->reasoning_len)
        write_section(out, "reasoning", r->reasoning, r->reasoning_len);
    write_section(out, "answer", r->answer, r->answer_len);
}

/* ---- reading ---- */

struct reader {
    struct arena *arena;
    const char *at, *end;
    size_t line; /* number of the line last taken */
    struct recorded *out;
    size_t message_cap;
    struct err *err;
};

static int fault(struct reader *r, const char *what)
{
    return err_set(r->err, ERR_INVALID, "line %zu: %s", r->line, what);
}

static bool next_line(struct reader *r, const char **ret, size_t *ret_len)
{
    if (r->at >= r->end)
        return false;
    *ret = r->at;
    *ret_len = line_len(r->at, r->end);
    r->at += *ret_len + 1;
    r->line++;
    return true;
}

/* "name: value"; names not known are for later versions. */
static void read_header(struct reader *r, const char *line)
{
    struct recorded *o = r->out;
    const struct {
        const char *name;
        int64_t *number;
    } numbers[] = {
        { "seed: ", &o->seed },
        { "max tokens: ", &o->max_tokens },
        { "prompt tokens: ", &o->prompt_tokens },
        { "cached tokens: ", &o->cached_tokens },
        { "answer tokens: ", &o->answer_tokens },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (starts_with(line, numbers[i].name))
            *numbers[i].number = strtoll(line + strlen(numbers[i].name), NULL, 10);
    if (starts_with(line, "model: "))
        o->model = line + 7;
    if (starts_with(line, "finish: "))
        o->finish = line + 8;
    if (starts_with(line, "temperature: "))
        o->temperature = strtod(line + 13, NULL);
}

/* The text up to the next mark. */
static void read_text(struct reader *r, bool final_newline, struct str *out)
{
    while (r->at < r->end) {
        size_t len = line_len(r->at, r->end), backslashes;
        const char *line = r->at;
        bool mark = looks_like_mark(line, len, &backslashes);
        if (mark && !backslashes)
            break;
        next_line(r, &line, &len);
        str_add_bytes(out, line + mark, len - mark);
        str_add_char(out, '\n');
    }
    if (!final_newline && out->len)
        str_truncate(out, out->len - 1);
}

static int add_message(struct reader *r, enum chat_role role, const struct str *text)
{
    struct recorded *o = r->out;
    if (strlen(text->data) != text->len)
        return fault(r, "a message contains a NUL byte");
    if (o->message_count >= MAX_MESSAGES)
        return fault(r, "there are too many messages");
    ARENA_GROW(r->arena, o->messages, r->message_cap, o->message_count);
    o->messages[o->message_count++] =
        (struct chat_message){ role, arena_strndup(r->arena, text->data, text->len) };
    return 0;
}

/* "N messages as in CALL" */
static int read_reference(struct reader *r, const char *mark)
{
    char *rest;
    unsigned long long n = strtoull(mark, &rest, 10);
    static const char words[] = " messages as in ";
    if (n == 0 || n > MAX_MESSAGES || !starts_with(rest, words) || strchr(rest, '/') ||
        !rest[sizeof words - 1])
        return fault(r, "what follows the mark is not known");
    if (r->out->as_in || r->out->message_count)
        return fault(r, "a reference must come first");
    r->out->as_in = rest + sizeof words - 1;
    r->out->as_in_count = (size_t)n;
    return 0;
}

static int read_section(struct reader *r)
{
    const char *line = NULL;
    size_t len = 0;
    next_line(r, &line, &len);
    if (len < MARK_LEN + 1 || memcmp(line, MARK " ", MARK_LEN + 1) != 0)
        return fault(r, "a mark (\"" MARK " user\") was expected");
    char *name = arena_strndup(r->arena, line + MARK_LEN + 1, len - MARK_LEN - 1);
    bool newline = !ends_with(name, NO_NEWLINE);
    if (!newline)
        name[strlen(name) - strlen(NO_NEWLINE)] = '\0';
    if (*name >= '0' && *name <= '9')
        return read_reference(r, name);
    STR_LOCAL(text);
    read_text(r, newline, &text);
    for (enum chat_role role = CHAT_SYSTEM; role <= CHAT_ASSISTANT; role++)
        if (streq(name, chat_role_name(role)))
            return add_message(r, role, &text);
    char *copy = arena_strndup(r->arena, text.data, text.len);
    if (streq(name, "reasoning")) {
        r->out->reasoning = copy;
        r->out->reasoning_len = text.len;
    } else if (streq(name, "answer")) {
        r->out->answer = copy;
        r->out->answer_len = text.len;
    } else {
        return fault(r, "what follows the mark is not known");
    }
    return 0;
}

int recording_read(struct arena *a, const char *text, size_t len, struct recorded *ret, struct err *e)
{
    struct recorded fresh = { .model = "", .finish = "stop", .reasoning = "", .prompt_tokens = -1,
                              .cached_tokens = -1, .answer_tokens = -1 };
    struct reader r = { .arena = a, .at = text, .end = text + len, .out = &fresh, .err = e };
    const char *line = NULL;
    size_t n = 0;
    if (!next_line(&r, &line, &n) || n != strlen(TITLE) || memcmp(line, TITLE, n) != 0)
        return err_set(e, ERR_INVALID, "it does not begin with \"" TITLE "\"");
    while (next_line(&r, &line, &n) && n)
        read_header(&r, arena_strndup(a, line, n));
    while (r.at < r.end) {
        int code = read_section(&r);
        if (code < 0)
            return code;
    }
    if (!fresh.answer)
        return fault(&r, "it holds no answer");
    *ret = fresh;
    return 0;
}
