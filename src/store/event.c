/* event.c - writes an event with Jansson, reads it with a scanner of its own.
 *
 * The bytes have one form only, so reading is a walk along it: each event is copied once
 * and its texts are cut out in place.  Jansson needs 8 us for an event where this needs
 * less than one, and replaying the log is what every restart and every view begins with.
 * Being strict is also worth something: bytes in any other form were not written by us.
 */
#include "store/event.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

const char event_no_hash[DIGEST_HEX_LEN + 1] =
    "0000000000000000000000000000000000000000000000000000000000000000";

/* ---- writing ---- */

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

static void list_add(json_t *list, json_t *item)
{
    if (json_array_append_new(list, item) < 0)
        json_decref(item);
}

static json_t *docs_value(const struct event_doc *docs, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *doc = json_array();
        list_add(doc, json_text(docs[i].type, strlen(docs[i].type)));
        list_add(doc, json_text(docs[i].id, strlen(docs[i].id)));
        list_add(doc, json_integer(docs[i].version));
        list_add(doc, json_text(docs[i].digest, strlen(docs[i].digest)));
        list_add(list, doc);
    }
    return list;
}

void event_write(struct str *out, const struct event *ev, const struct event_doc *docs,
                 size_t doc_count)
{
    json_t *o = json_object();
    json_put_text(o, "actor", or_empty(ev->actor));
    json_put(o, "docs", docs_value(docs, doc_count));
    json_put_text(o, "kind", or_empty(ev->kind));
    json_put_text(o, "on_behalf", or_empty(ev->on_behalf));
    json_put_text(o, "payload", or_empty(ev->payload));
    json_put_text(o, "prev", or_empty(ev->prev));
    json_put_text(o, "project", or_empty(ev->project));
    json_put_int(o, "seq", ev->seq);
    json_put_text(o, "ticket", or_empty(ev->ticket));
    json_put_int(o, "time", ev->time_ms);
    json_write(out, o);
    json_decref(o);
}

/* ---- reading ---- */

/* A position in a private copy that ends with a NUL; NULL after the first mismatch, so that
 * callers ask once, at the end. */
struct scan {
    char *at;
};

static void expect(struct scan *s, const char *literal)
{
    size_t len = strlen(literal);
    if (s->at)
        s->at = strncmp(s->at, literal, len) == 0 ? s->at + len : NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The character that the escape at `p` (behind the backslash) stands for; -1: not one that
 * we write.  *ret_len: its length. */
static int unescape(const char *p, size_t *ret_len)
{
    static const char letters[] = "\"\\bfnrt", meant[] = "\"\\\b\f\n\r\t";
    const char *found = *p ? strchr(letters, *p) : NULL;
    *ret_len = 1;
    if (found)
        return meant[found - letters];
    *ret_len = 5;
    if (strncmp(p, "u00", 3) != 0 || hex_digit(p[3]) < 0 || hex_digit(p[4]) < 0)
        return -1;
    return hex_digit(p[3]) * 16 + hex_digit(p[4]);
}

/* A quoted text, turned into a plain one where it stands. */
static const char *text(struct scan *s)
{
    expect(s, "\"");
    if (!s->at)
        return "";
    char *start = s->at, *out = s->at, *p = s->at;
    while (*p && *p != '"') {
        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        size_t len;
        int c = unescape(p + 1, &len);
        if (c <= 0) {
            s->at = NULL;
            return "";
        }
        *out++ = (char)c;
        p += 1 + len;
    }
    s->at = *p ? p + 1 : NULL;
    *out = '\0';
    return start;
}

static int64_t number(struct scan *s)
{
    if (!s->at)
        return 0;
    char digits[21];
    size_t len = strspn(s->at, "0123456789");
    long long value = 0;
    if (len >= sizeof digits) {
        s->at = NULL;
        return 0;
    }
    memcpy(digits, s->at, len);
    digits[len] = '\0';
    s->at = parse_int(digits, 0, INT64_MAX, &value) ? s->at + len : NULL;
    return value;
}

static void doc(struct scan *s, struct event_doc *ret)
{
    expect(s, "[");
    ret->type = text(s);
    expect(s, ",");
    ret->id = text(s);
    expect(s, ",");
    ret->version = number(s);
    expect(s, ",");
    ret->digest = text(s);
    expect(s, "]");
}

/* The documents; without `a` they are only walked over. */
static void docs(struct scan *s, struct arena *a, struct event_docs *ret)
{
    struct event_doc one;
    size_t room = 0;
    *ret = (struct event_docs){ 0 };
    while (s->at && *s->at != ']') {
        if (ret->count)
            expect(s, ",");
        doc(s, &one);
        if (a) {
            ARENA_GROW(a, ret->items, room, ret->count);
            ret->items[ret->count] = one;
        }
        ret->count++;
    }
}

int event_read(struct arena *a, const void *bytes, size_t len, struct event *ret,
               struct event_docs *ret_docs, struct err *e)
{
    struct scan s = { arena_strndup(a, bytes, len) };
    const char *end = s.at + len;
    struct event ev = { 0 };
    struct event_docs list;
    expect(&s, "{\"actor\":");
    ev.actor = text(&s);
    expect(&s, ",\"docs\":[");
    docs(&s, ret_docs ? a : NULL, &list);
    expect(&s, "],\"kind\":");
    ev.kind = text(&s);
    expect(&s, ",\"on_behalf\":");
    ev.on_behalf = text(&s);
    expect(&s, ",\"payload\":");
    ev.payload = text(&s);
    expect(&s, ",\"prev\":");
    ev.prev = text(&s);
    expect(&s, ",\"project\":");
    ev.project = text(&s);
    expect(&s, ",\"seq\":");
    ev.seq = number(&s);
    expect(&s, ",\"ticket\":");
    ev.ticket = text(&s);
    expect(&s, ",\"time\":");
    ev.time_ms = number(&s);
    expect(&s, "}");
    if (s.at != end)
        return err_set(e, ERR_CORRUPT, "these bytes are not an event: %.*s", len < 60 ? (int)len : 60,
                       (const char *)bytes);
    *ret = ev;
    if (ret_docs)
        *ret_docs = list;
    return 0;
}
