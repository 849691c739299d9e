/* fault.c - reading error answers.  The kinds come from statuses where those are reliable,
 * and from words where they are not: a full context is 400 at llama-server today, was 500,
 * and is one of five sentences elsewhere. */
#include "model/fault.h"

#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Copies text on one line: white space collapsed, control characters and, in a page,
 * everything between < and > dropped. */
static char *one_line(const char *text, size_t len, bool page, char *out, size_t size)
{
    size_t n = 0;
    bool gap = false, in_tag = false;
    for (size_t i = 0; i < len && n + 5 < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (page && c == '<')
            in_tag = gap = true;
        else if (in_tag)
            in_tag = c != '>';
        else if (c <= ' ' || c == 0x7F)
            gap = true;
        else {
            if (gap && n)
                out[n++] = ' ';
            gap = false;
            out[n++] = (char)c;
        }
    }
    out[n] = '\0';
    out[utf8_floor(out, n)] = '\0'; /* it may have been cut within a character */
    if (!utf8_valid(out, strlen(out), NULL))
        for (char *p = out; *p; p++)
            if ((unsigned char)*p >= 0x80)
                *p = '?';
    return out;
}

char *fault_first_words(const char *body, size_t len, char *out, size_t size)
{
    size_t blank = 0;
    while (blank < len && isspace((unsigned char)body[blank]))
        blank++;
    bool page = blank < len && body[blank] == '<';
    if (page) {
        const char *title = strcasestr(body, "<title>");
        const char *end = title ? strcasestr(title, "</title>") : NULL;
        if (end)
            return one_line(title + 7, (size_t)(end - title - 7), true, out, size);
    }
    return one_line(body, len, page, out, size);
}

static void hide_key(char *words, const char *key)
{
    size_t len = key ? strlen(key) : 0;
    for (char *p = words; len >= 4 && (p = strstr(p, key)); p += len)
        memset(p, '*', len);
}

/* The sentence in an error object, wherever the server put it; NULL: nowhere. */
static const char *sentence_of(const json_t *value)
{
    static const char *const members[] = { "message", "error", "detail", "msg" };
    for (int depth = 0; depth < 4 && value; depth++) {
        if (json_is_string(value))
            return json_string_value(value);
        const json_t *next = json_is_array(value) ? json_array_get(value, 0) : NULL;
        for (size_t i = 0; !next && i < sizeof members / sizeof *members; i++)
            next = json_object_get(value, members[i]);
        value = next;
    }
    return NULL;
}

static bool has_word(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcasestr(text, *words))
            return true;
    return false;
}

static enum fault_kind kind_of(int status, const char *all)
{
    static const char *const context[] = {
        "exceed_context_size", "context size", "context length", "context window",
        "context_length_exceeded", "context_exceeded", "maximum context", "prompt is too long",
        "prompt too long", "max_tokens must be at least 1", "too many tokens", "too large to process", NULL
    };
    static const char *const unable[] = { "not_supported_error", "support embeddings", "support the embeddings", "pooling type",
                                          "not support chat", "requires more system memory", NULL };
    static const char *const loading[] = { "loading model", "model is loading", "unavailable_error",
                                           "overloaded", "server busy", NULL };
    if (status == 401 || status == 403)
        return FAULT_KEY;
    if (status == 429 || status == 502 || status == 503 || status == 529)
        return FAULT_WAIT;
    if (has_word(all, context))
        return FAULT_CONTEXT;
    if (has_word(all, loading))
        return FAULT_WAIT;
    if (status == 501 || has_word(all, unable))
        return FAULT_UNABLE;
    if (status == 404)
        return FAULT_MISSING;
    return status >= 500 || status == 408 ? FAULT_BROKEN : FAULT_REJECTED;
}

struct fault fault_of_answer(int status, const char *body, size_t len, const char *key)
{
    struct fault f;
    json_t *json = json_loadb(body, len, JSON_DECODE_ANY, NULL);
    const char *sentence = sentence_of(json);
    if (sentence)
        one_line(sentence, strlen(sentence), false, f.words, sizeof f.words);
    else
        fault_first_words(body, len, f.words, sizeof f.words);
    if (!f.words[0])
        snprintf(f.words, sizeof f.words, "nothing");
    /* The whole object: its "type" and "code" say what the sentence may not. */
    STR_LOCAL(all);
    if (json)
        json_write(&all, json);
    f.kind = kind_of(status, json ? all.data : f.words);
    json_decref(json);
    hide_key(f.words, key);
    return f;
}

struct fault fault_of_event(const json_t *error, const char *key)
{
    /* llama-server and vLLM repeat the status as "code"; without one it broke on the way. */
    int status = (int)json_int_of(error, "code", 500);
    STR_LOCAL(body);
    json_write(&body, error);
    return fault_of_answer(status, body.data, body.len, key);
}
