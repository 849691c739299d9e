/* exam_card.c - the report card of a model: kept, and held against what a role needs. */
#include "model/exam.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

enum { MAX_FAULTS = 100, MAX_ROWS = 100 };

#define NEEDLE(member, kind, ...) FIELD(struct exam_needle, member, kind, __VA_ARGS__)
#define SPEED(member, kind, ...) FIELD(struct exam_speed, member, kind, __VA_ARGS__)
#define CARD(member, kind, ...) FIELD(struct exam_card, member, kind, __VA_ARGS__)
#define PERCENT(member, text) CARD(member, FIELD_INT, .min = EXAM_UNKNOWN, .max = 100, .doc = text)

static const struct field needle_fields[] = {
    NEEDLE(tokens, FIELD_INT), NEEDLE(depth, FIELD_INT, .doc = "percent"), NEEDLE(found, FIELD_BOOL),
};
static const struct field speed_fields[] = {
    SPEED(calls, FIELD_INT, .doc = "at once"), SPEED(prompt, FIELD_REAL, .doc = "tokens a second"),
    SPEED(generation, FIELD_REAL, .doc = "tokens a second"),
};
static const struct record needle_record = RECORD("needle", struct exam_needle, needle_fields);
static const struct record speed_record = RECORD("speed", struct exam_speed, speed_fields);
static const struct field card_fields[] = {
    CARD(model, FIELD_TEXT, .required = true, .max = 100, .indexed = true),
    CARD(version, FIELD_INT),
    CARD(taken_ms, FIELD_INT),
    CARD(took_ms, FIELD_INT),
    CARD(quick, FIELD_BOOL),
    CARD(context, FIELD_INT, .doc = "tokens of a conversation"),
    CARD(usable_context, FIELD_INT, .doc = "tokens; -1: not tried"),
    PERCENT(files, "changes given as whole files that are right"),
    PERCENT(blocks, "changes given as search/replace blocks that are right"),
    PERCENT(schema, "answers that hold to their schema"),
    PERCENT(steady, "texts that do not fall into a loop"),
    CARD(needles, FIELD_RECORDS, .of = &needle_record, .max = MAX_ROWS),
    CARD(speeds, FIELD_RECORDS, .of = &speed_record, .max = MAX_ROWS),
    CARD(load_ms, FIELD_INT, .doc = "0: not known"),
    CARD(memory_mib, FIELD_INT),
    CARD(vram_mib, FIELD_INT),
    CARD(prompt_tokens, FIELD_INT),
    CARD(completion_tokens, FIELD_INT),
    CARD(faults, FIELD_TEXTS, .max = MAX_FAULTS),
};
const struct record exam_card_record = RECORD("exam", struct exam_card, card_fields);
const struct doc_type exam_type = { "exam", &exam_card_record };

const char *exam_id(struct arena *a, const char *model, int64_t version)
{
    return arena_printf(a, "%s/%lld", model, (long long)version);
}

int exam_load(struct store *s, struct arena *a, const char *model, int64_t version, struct exam_card *ret, struct err *e)
{
    int r = store_get(s, a, &exam_type, exam_id(a, model, version), ret, NULL, e);
    return r == ERR_NOT_FOUND ? err_set(e, r, "version %lld of %s was not examined yet: `tandem model exam %s`", (long long)version, model, model) : r;
}

int exam_store(struct store *s, const struct exam_card *c, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    struct exam_card old;
    int64_t version;
    const char *id = exam_id(&a, c->model, c->version);
    struct batch *b = batch_new();
    int r = store_get(s, &a, &exam_type, id, &old, &version, e);
    if (r == 0)
        batch_update(b, &exam_type, id, version, c);
    else if (r == ERR_NOT_FOUND)
        batch_insert(b, &exam_type, id, c);
    batch_event(b, &(struct event){ .actor = person, .kind = "model.examined", .payload_json = json_keep(&a, record_write(&exam_card_record, c)) });
    if (r == 0 || r == ERR_NOT_FOUND)
        r = store_commit(s, b, NULL, e);
    batch_free(b);
    return r;
}

/* ---- roles ---- */

const struct exam_role exam_roles[] = {
    { .role = "developer", .context = 8192, .files = 75, .schema = 60, .steady = 60 },
    { .role = "tester", .context = 8192, .files = 75, .schema = 60, .steady = 60 },
    { .role = "architect", .context = 8192, .files = 50, .schema = 90, .steady = 60 },
    { .role = "pm", .context = 4096, .schema = 80, .steady = 60 },
    { .role = "resource-director", .context = 2048, .schema = 80, .steady = 60 },
    { .role = NULL },
};

static void add_lack(struct str *out, const char *what, const char *unit, int64_t has, int64_t needs)
{
    if (!needs || has >= needs)
        return;
    if (has == EXAM_UNKNOWN)
        str_addf(out, "%s%s not measured", out->len ? ", " : "", what);
    else
        str_addf(out, "%s%s %lld%s of %lld%s", out->len ? ", " : "", what, (long long)has, unit, (long long)needs, unit);
}

void exam_role_lacks(const struct exam_card *c, const struct exam_role *role, struct str *out)
{
    add_lack(out, "usable context", "", c->usable_context, role->context);
    add_lack(out, "whole files", " %", c->files, role->files);
    add_lack(out, "schema", " %", c->schema, role->schema);
    add_lack(out, "steadiness", " %", c->steady, role->steady);
}

bool exam_allows_blocks(const struct exam_card *c)
{
    return c->blocks >= EXAM_BLOCKS_ALLOWED;
}

int64_t exam_usable(const struct exam_needle *needles, size_t count)
{
    enum { OF = 3, NEEDED = 2 };
    int64_t usable = count ? 0 : EXAM_UNKNOWN;
    for (size_t i = 0; i < count;) {
        int64_t tokens = needles[i].tokens;
        size_t found = 0, begin = i;
        for (; i < count && needles[i].tokens == tokens; i++)
            found += needles[i].found;
        if (found * OF < (i - begin) * NEEDED)
            break;
        usable = tokens;
    }
    return usable;
}
