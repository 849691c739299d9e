/* tandem_adapter.c - Tandem's protocol for adapters: lines of JSON on standard input and output.
 *
 * One thread: between two pieces of an answer it looks whether a line has come, so that a cancelled
 * request and a ping are noticed while the answer is under way.
 */
#define _POSIX_C_SOURCE 200809L
#include "tandem_adapter.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROTOCOL = 1, MAX_DEPTH = 64, READ_SIZE = 65536 };

static FILE *out;

static void *room(void *old, size_t bytes)
{
    void *p = realloc(old, bytes);
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return p;
}

/* ---- JSON ---- */

enum kind { NOTHING, TRUTH, NUMBER, TEXT, LIST, OBJECT };

/* Members of an object are pairs in `items`: name, value, name, value. */
struct value {
    enum kind kind;
    double number;
    char *text;
    struct value *items;
    size_t count;
};

struct reader {
    const char *at;
    int depth, bad;
};

static void value_free(struct value *v)
{
    for (size_t i = 0; i < v->count; i++)
        value_free(&v->items[i]);
    free(v->items);
    free(v->text);
}

static void skip_blank(struct reader *r)
{
    r->at += strspn(r->at, " \t\r\n");
}

static int take(struct reader *r, char c)
{
    skip_blank(r);
    if (*r->at != c)
        return 0;
    r->at++;
    return 1;
}

static unsigned read_hex(struct reader *r)
{
    unsigned n = 0;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef";
        char c = *r->at;
        const char *d = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
        if (!d) {
            r->bad = 1;
            return 0;
        }
        n = n * 16 + (unsigned)(d - digits);
        r->at++;
    }
    return n;
}

static size_t put_utf8(char *to, unsigned c)
{
    if (c < 0x80)
        return to[0] = (char)c, 1;
    if (c < 0x800)
        return to[0] = (char)(0xC0 | c >> 6), to[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return to[0] = (char)(0xE0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 63)), to[2] = (char)(0x80 | (c & 63)), 3;
    to[0] = (char)(0xF0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 63));
    to[2] = (char)(0x80 | (c >> 6 & 63));
    to[3] = (char)(0x80 | (c & 63));
    return 4;
}

static size_t read_escape(struct reader *r, char *to)
{
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    const char *name = *r->at ? strchr(names, *r->at) : NULL;
    if (name) {
        r->at++;
        *to = means[name - names];
        return 1;
    }
    if (*r->at++ != 'u') {
        r->bad = 1;
        return 0;
    }
    unsigned c = read_hex(r);
    if (c >= 0xD800 && c < 0xDC00 && r->at[0] == '\\' && r->at[1] == 'u') {
        r->at += 2;
        c = 0x10000 + ((c - 0xD800) << 10) + (read_hex(r) - 0xDC00);
    }
    return put_utf8(to, c);
}

static char *read_text(struct reader *r)
{
    char *text = room(NULL, strlen(r->at) + 4), *to = text; /* escapes are longer than what they mean */
    while (*r->at && *r->at != '"' && !r->bad) {
        if (*r->at == '\\') {
            r->at++;
            to += read_escape(r, to);
        } else {
            *to++ = *r->at++;
        }
    }
    r->bad |= *r->at != '"';
    r->at += *r->at == '"';
    *to = '\0';
    return room(text, (size_t)(to - text) + 1);
}

static struct value read_value(struct reader *r);

static struct value *add_item(struct value *v)
{
    v->items = room(v->items, (v->count + 1) * sizeof *v->items);
    return &v->items[v->count++];
}

static void read_items(struct reader *r, struct value *v, char end)
{
    if (take(r, end))
        return;
    do {
        struct value item = read_value(r);
        *add_item(v) = item;
        if (v->kind == OBJECT) {
            r->bad |= item.kind != TEXT || !take(r, ':');
            item = read_value(r);
            *add_item(v) = item;
        }
    } while (!r->bad && take(r, ','));
    r->bad |= !take(r, end);
}

static struct value read_value(struct reader *r)
{
    struct value v = { 0 };
    if (r->bad || ++r->depth > MAX_DEPTH) {
        r->bad = 1;
        return v;
    }
    if (take(r, '"')) {
        v.kind = TEXT;
        v.text = read_text(r);
    } else if (take(r, '[')) {
        v.kind = LIST;
        read_items(r, &v, ']');
    } else if (take(r, '{')) {
        v.kind = OBJECT;
        read_items(r, &v, '}');
    } else if (strncmp(r->at, "true", 4) == 0 || strncmp(r->at, "null", 4) == 0) {
        v.kind = *r->at == 't' ? TRUTH : NOTHING;
        r->at += 4;
    } else if (strncmp(r->at, "false", 5) == 0) {
        v.kind = NOTHING;
        r->at += 5;
    } else {
        char *end;
        v.kind = NUMBER;
        v.number = strtod(r->at, &end);
        r->bad |= end == r->at;
        r->at = end;
    }
    r->depth--;
    return v;
}

static const struct value *member(const struct value *object, const char *name)
{
    static const struct value nothing;
    for (size_t i = 0; object->kind == OBJECT && i + 1 < object->count; i += 2)
        if (strcmp(object->items[i].text, name) == 0)
            return &object->items[i + 1];
    return &nothing;
}

static const char *text_of(const struct value *object, const char *name)
{
    const struct value *v = member(object, name);
    return v->kind == TEXT ? v->text : "";
}

static double number_of(const struct value *object, const char *name, double otherwise)
{
    const struct value *v = member(object, name);
    return v->kind == NUMBER ? v->number : otherwise;
}

static void write_text(const char *text, size_t len)
{
    putc('"', out);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < ' ')
            fprintf(out, "\\u%04x", c);
        else
            putc(c, out);
    }
    putc('"', out);
}

/* ---- lines from Tandem ---- */

static char *heard;
static size_t heard_len;
static int hung_up;

/* Waits for bytes, or only looks. */
static void hear(int wait)
{
    struct pollfd p = { .fd = 0, .events = POLLIN };
    if (hung_up || poll(&p, 1, wait ? -1 : 0) <= 0)
        return;
    heard = room(heard, heard_len + READ_SIZE + 1);
    ssize_t n = read(0, heard + heard_len, READ_SIZE);
    if (n <= 0)
        hung_up = 1;
    else
        heard_len += (size_t)n;
}

/* The next whole line in *ret, to be freed by value_free; 0: there is none. */
static int next_line(struct value *ret)
{
    char *end = heard_len ? memchr(heard, '\n', heard_len) : NULL;
    if (!end)
        return 0;
    *end = '\0';
    struct reader r = { .at = heard };
    *ret = read_value(&r);
    if (r.bad) {
        fprintf(stderr, "a line of Tandem cannot be read\n");
        exit(1);
    }
    heard_len -= (size_t)(end + 1 - heard);
    memmove(heard, end + 1, heard_len);
    return 1;
}

static void say_pong(const struct value *line)
{
    fprintf(out, "{\"type\":\"pong\",\"id\":%ld}\n", (long)number_of(line, "id", 0));
    fflush(out);
}

/* Takes what has come while request `id` is under way; 1: it was cancelled. */
static int was_cancelled(long id)
{
    struct value line;
    int cancelled = 0;
    hear(0);
    while (next_line(&line)) { /* a model of one slot is sent no other request meanwhile */
        const char *type = text_of(&line, "type");
        cancelled |= strcmp(type, "cancel") == 0 && (long)number_of(&line, "id", 0) == id;
        if (strcmp(type, "ping") == 0)
            say_pong(&line);
        value_free(&line);
    }
    return cancelled;
}

/* ---- answers ---- */

int tandem_say(struct tandem_chat *q, const char *text, size_t len)
{
    if (!q->cancelled && was_cancelled(q->id))
        q->cancelled = 1;
    if (q->cancelled)
        return 0;
    fprintf(out, "{\"type\":\"text\",\"id\":%ld,\"text\":", q->id);
    write_text(text, len);
    fprintf(out, "}\n");
    fflush(out);
    return 1;
}

static void say_error(long id, const char *kind, const char *message)
{
    fprintf(out, "{\"type\":\"error\",\"id\":%ld,\"kind\":\"%s\",\"message\":", id, kind);
    write_text(message, strlen(message));
    fprintf(out, "}\n");
    fflush(out);
}

const char *tandem_refuse(struct tandem_chat *q, const char *kind, const char *message)
{
    say_error(q->id, kind, message);
    return kind;
}

static void answer_chat(const struct tandem_model *m, void *model, const struct value *line)
{
    const struct value *list = member(line, "messages");
    struct tandem_message *messages = room(NULL, (list->count + 1) * sizeof *messages);
    for (size_t i = 0; i < list->count; i++)
        messages[i] = (struct tandem_message){ text_of(&list->items[i], "role"), text_of(&list->items[i], "content") };
    struct tandem_chat q = {
        .messages = messages, .message_count = list->count, .max_tokens = (long)number_of(line, "max_tokens", 0),
        .temperature = number_of(line, "temperature", -1), .seed = (long)number_of(line, "seed", 0), .finish = "stop",
        .id = (long)number_of(line, "id", 0),
    };
    if (!m->chat)
        say_error(q.id, "unable", "this model does not chat");
    else if (!m->chat(model, &q)) {
        fprintf(out, "{\"type\":\"done\",\"id\":%ld,\"finish\":\"%s\",\"prompt_tokens\":%ld,\"completion_tokens\":%ld}\n", q.id,
                q.cancelled ? "cancelled" : q.finish, q.prompt_tokens, q.completion_tokens);
        fflush(out);
    }
    free(messages);
}

static void answer_embed(const struct tandem_model *m, void *model, const struct value *line)
{
    const struct value *texts = member(line, "texts");
    long id = (long)number_of(line, "id", 0);
    double *vector = room(NULL, (m->dimensions + 1) * sizeof *vector);
    const char *refused = m->embed ? NULL : "unable";
    int cancelled = 0;
    for (size_t i = 0; i < texts->count && !refused && !cancelled; i++) {
        refused = m->embed(model, texts->items[i].text, vector);
        cancelled = was_cancelled(id);
        if (refused || cancelled)
            break;
        fprintf(out, "{\"type\":\"vectors\",\"id\":%ld,\"vectors\":[[", id);
        for (size_t k = 0; k < m->dimensions; k++)
            fprintf(out, "%s%.9g", k ? "," : "", vector[k]);
        fprintf(out, "]]}\n");
    }
    if (refused)
        say_error(id, refused, "a text has no vector");
    else
        fprintf(out, "{\"type\":\"done\",\"id\":%ld,\"finish\":\"%s\"}\n", id, cancelled ? "cancelled" : "stop");
    fflush(out);
    free(vector);
}

int tandem_serve(const struct tandem_model *m, void *model)
{
    struct value line;
    out = fdopen(dup(1), "w");
    if (!out || dup2(2, 1) < 0)
        return 1;
    fprintf(out, "{\"type\":\"hello\",\"protocol\":%d,\"name\":", PROTOCOL);
    write_text(m->name, strlen(m->name));
    fprintf(out, ",\"version\":\"%s\",\"context\":%ld,\"slots\":1,\"can\":[%s%s%s]}\n", m->version, m->context, m->chat ? "\"chat\"" : "",
            m->chat && m->embed ? "," : "", m->embed ? "\"embed\"" : "");
    fflush(out);
    while (!hung_up) {
        hear(1);
        while (next_line(&line)) {
            const char *type = text_of(&line, "type");
            if (strcmp(type, "chat") == 0)
                answer_chat(m, model, &line);
            else if (strcmp(type, "embed") == 0)
                answer_embed(m, model, &line);
            else if (strcmp(type, "ping") == 0)
                say_pong(&line);
            value_free(&line); /* anything else is of a later version, or too late */
        }
    }
    return 0;
}
