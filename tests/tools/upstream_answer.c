/* upstream_answer.c - what the fake model says, and what it counts.
 *
 * A token is four bytes.  A slot holds a text; what a prompt has in common with it counts as
 * cached, as in llama-server, where the last token of a prompt is always read anew.
 */
#include "fake.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

enum { TOKEN = 4, ALIKE_PERCENT = 10, MAX_DEPTH = 20 };

int64_t token_count(size_t len)
{
    return (int64_t)(len + TOKEN - 1) / TOKEN;
}

size_t next_token(const char *text, size_t len, size_t at)
{
    size_t n = utf8_floor(text + at, len - at < TOKEN ? len - at : TOKEN);
    return at + (n ? n : len - at);
}

void write_prompt(struct str *out, const json_t *messages)
{
    size_t i;
    const json_t *message;
    json_array_foreach(messages, i, message)
        str_addf(out, "<|im_start|>%s\n%s<|im_end|>\n", json_text_of(message, "role", "?"), json_text_of(message, "content", ""));
    str_add(out, "<|im_start|>assistant\n");
}

/* ---- slots ---- */

static size_t common_prefix(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t n = 0;
    while (n < a_len && n < b_len && a[n] == b[n])
        n++;
    return n;
}

/* As llama-server chooses. */
static struct slot *choose(struct fake *f, const char *prompt, size_t len)
{
    struct slot *best = NULL, *oldest = NULL;
    size_t most = len * ALIKE_PERCENT / 100;
    for (int64_t i = 0; i < f->slot_count; i++) {
        struct slot *s = &f->slots[i];
        if (s->busy)
            continue;
        size_t alike = common_prefix(prompt, len, s->holds.data, s->holds.len);
        if (alike > most) {
            most = alike;
            best = s;
        }
        if (!oldest || s->used_us < oldest->used_us)
            oldest = s;
    }
    return best ? best : oldest;
}

bool slot_take(struct exchange *x, int64_t wanted, const char *prompt, int64_t *ret_cached_tokens)
{
    struct fake *f = x->fake;
    size_t len = strlen(prompt);
    struct slot *s = wanted >= 0 ? &f->slots[wanted % f->slot_count] : choose(f, prompt, len);
    if (!s || s->busy)
        return false;
    int64_t all = token_count(len), cached = (int64_t)common_prefix(prompt, len, s->holds.data, s->holds.len) / TOKEN;
    *ret_cached_tokens = cached < all ? cached : all > 0 ? all - 1 : 0;
    s->busy = true;
    x->slot = s - f->slots;
    str_clear(&x->holds);
    str_add_bytes(&x->holds, prompt, len);
    return true;
}

void fake_done(struct exchange *x)
{
    if (x->slot < 0)
        return;
    struct slot *s = &x->fake->slots[x->slot];
    str_clear(&s->holds);
    str_add_str(&s->holds, &x->holds);
    s->busy = false;
    s->used_us = clock_steady_us();
}

/* ---- answers ---- */

static void write_instance(struct str *out, const json_t *schema, int depth);

static void write_object(struct str *out, const json_t *schema, int depth)
{
    size_t i, count = 0;
    const json_t *name, *required = json_object_get(schema, "required"), *properties = json_object_get(schema, "properties");
    str_add_char(out, '{');
    json_array_foreach(required, i, name) {
        str_addf(out, "%s\"%s\":", count++ ? "," : "", json_string_value(name));
        write_instance(out, json_object_get(properties, json_string_value(name)), depth + 1);
    }
    str_add_char(out, '}');
}

static void write_array(struct str *out, const json_t *schema, int depth)
{
    str_add_char(out, '[');
    for (int64_t i = 0; i < json_int_of(schema, "minItems", 0) && i < 100; i++) {
        str_add(out, i ? "," : "");
        write_instance(out, json_object_get(schema, "items"), depth + 1);
    }
    str_add_char(out, ']');
}

/* The plainest value that the schema allows, without white space, as a grammar would make it. */
static void write_instance(struct str *out, const json_t *schema, int depth)
{
    const char *type = json_text_of(schema, "type", "string");
    const json_t *first = json_array_get(json_object_get(schema, "enum"), 0);
    if (!first)
        first = json_object_get(schema, "const");
    if (first)
        json_write(out, first);
    else if (depth < MAX_DEPTH && streq(type, "object"))
        write_object(out, schema, depth);
    else if (depth < MAX_DEPTH && streq(type, "array"))
        write_array(out, schema, depth);
    else if (streq(type, "integer") || streq(type, "number"))
        str_addf(out, "%lld", (long long)json_int_of(schema, "minimum", 0));
    else if (streq(type, "boolean"))
        str_add(out, "false");
    else
        str_add(out, "\"fake\"");
}

/* Cuts a text to what is left of `room` tokens. */
static int64_t fit(struct str *text, int64_t *room)
{
    int64_t count = 0;
    size_t at = 0;
    while (at < text->len && count < *room) {
        at = next_token(text->data, text->len, at);
        count++;
    }
    str_truncate(text, at);
    *room -= count;
    return count;
}

void make_answer(struct exchange *x, const char *prompt, const json_t *schema, int64_t cached_tokens, int64_t room,
                 struct answer *ret)
{
    const struct script *s = script_now(x->fake->script);
    const struct rule *r = x->rule;
    int64_t speed = r->tokens_per_s ? r->tokens_per_s : s->tokens_per_s;
    int64_t read_speed = r->read_tokens_per_s ? r->read_tokens_per_s : s->read_tokens_per_s;
    *ret = (struct answer){ .text = STR_INIT, .reasoning = STR_INIT, .finish = *r->finish ? r->finish : "stop",
                            .prompt_tokens = token_count(strlen(prompt)), .cached_tokens = cached_tokens };
    if (*r->text)
        str_add(&ret->text, r->text);
    else if (json_is_string(schema))
        write_by_grammar(&ret->text, json_string_value(schema));
    else if (schema)
        write_instance(&ret->text, schema, 0);
    else
        str_add(&ret->text, s->text && *s->text ? s->text : "This is the answer of a fake model.");
    str_add(&ret->reasoning, r->reasoning);
    size_t whole = ret->text.len + ret->reasoning.len;
    ret->completion_tokens = fit(&ret->reasoning, &room);
    ret->completion_tokens += fit(&ret->text, &room);
    if (ret->text.len + ret->reasoning.len < whole)
        ret->finish = "length";
    ret->token_us = speed ? 1e6 / (double)speed : 0;
    ret->read_us = read_speed ? (ret->prompt_tokens - cached_tokens) * 1000000 / read_speed : 0;
    str_add_str(&x->holds, &ret->reasoning);
    str_add_str(&x->holds, &ret->text);
}

void answer_release(struct answer *a)
{
    str_release(&a->text);
    str_release(&a->reasoning);
}

/* ---- vectors ---- */

/* FNV-1a, of one word in small letters. */
static uint32_t hash_word(const char *text, size_t len)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint32_t)tolower((unsigned char)text[i])) * 16777619u;
    return hash;
}

/* Each word counts for or against one dimension, so that texts with common words are near. */
json_t *make_vector(const char *text, int64_t dimensions)
{
    json_t *list = json_array();
    double *v = xcalloc((size_t)dimensions, sizeof *v), length = 0;
    for (size_t len; *(text += strspn(text, " \t\r\n")); text += len) {
        len = strcspn(text, " \t\r\n");
        uint32_t hash = hash_word(text, len);
        v[hash % (uint32_t)dimensions] += hash >> 31 ? 1 : -1;
    }
    for (int64_t i = 0; i < dimensions; i++)
        length += v[i] * v[i];
    if (length <= 0)
        v[0] = length = 1;
    for (int64_t i = 0; i < dimensions; i++)
        json_array_append_new(list, json_real(v[i] / sqrt(length)));
    free(v);
    return list;
}
