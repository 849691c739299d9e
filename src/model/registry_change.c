/* registry_change.c - changes of the registry, by entry or from a file. */
#include "model/registry_kinds.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"

enum { MAX_CONFLICTS = 3 };

/* `base` with the entries of `changes` in place of those of the same id, or behind them. */
static struct records merged(struct arena *a, const struct kind *k, const struct records *base, const struct records *changes)
{
    size_t size = k->type->record->size;
    struct records all = { arena_alloc(a, (base->count + changes->count + 1) * size), base->count };
    if (base->count)
        memcpy(all.items, base->items, base->count * size);
    for (size_t i = 0; i < changes->count; i++) {
        const void *entry = entry_at(changes, k, i);
        size_t at = 0;
        while (at < all.count && !streq(id_of(entry_at(&all, k, at)), id_of(entry)))
            at++;
        memcpy(entry_at(&all, k, at), entry, size);
        all.count += at == all.count;
    }
    return all;
}

static bool same_entry(const struct kind *k, const void *one, const void *other)
{
    json_t *a = record_write(k->type->record, one), *b = record_write(k->type->record, other);
    bool same = json_equal(a, b);
    json_decref(a);
    json_decref(b);
    return same;
}

static void put_event(struct batch *b, struct arena *a, const char *kind, const char *person, const struct record *record,
                      const void *entry)
{
    json_t *payload = json_keep(a, record_write(record, entry));
    batch_event(b, &(struct event){ .actor = person, .kind = kind, .payload_json = payload });
}

static int put_kind(struct store *s, struct arena *a, struct batch *b, const struct kind *k, const struct records *changes,
                    const char *person, bool *ret_any, struct err *e)
{
    for (size_t i = 0; i < changes->count; i++) {
        const void *entry = entry_at(changes, k, i);
        void *stored = arena_alloc(a, k->type->record->size);
        int64_t version;
        int r = store_get(s, a, k->type, id_of(entry), stored, &version, e);
        if (r < 0 && r != ERR_NOT_FOUND)
            return r;
        if (r == 0 && same_entry(k, stored, entry))
            continue;
        if (r == 0)
            batch_update(b, k->type, id_of(entry), version, entry);
        else
            batch_insert(b, k->type, id_of(entry), entry);
        put_event(b, a, k->changed, person, k->type->record, entry);
        *ret_any = true;
    }
    return 0;
}

/* Whether what is there and the changes hold together; `where` as for registry_check. */
static int check_merged(struct store *s, struct arena *a, const struct registry *changes, char *where, size_t size, struct err *e)
{
    struct registry now, next = { 0 };
    int r = registry_load(s, a, &now, e);
    if (r < 0)
        return r;
    for (int i = 0; i < REGISTRY_KINDS; i++) {
        const struct kind *k = &registry_kinds[i];
        *list_of(&next, k) = merged(a, k, list_of(&now, k), list_of(changes, k));
    }
    r = registry_check(&next, changes, where, size, e);
    return r < 0 ? r : registry_check(&next, &next, NULL, 0, e); /* and what was there before */
}

static int try_put(struct store *s, const struct registry *changes, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    int r = check_merged(s, &a, changes, NULL, 0, e);
    struct batch *b = batch_new();
    bool any = false;
    for (int i = 0; r == 0 && i < REGISTRY_KINDS; i++)
        r = put_kind(s, &a, b, &registry_kinds[i], list_of(changes, &registry_kinds[i]), person, &any, e);
    if (r == 0 && any)
        r = store_commit(s, b, NULL, e);
    batch_free(b);
    return r;
}

int registry_put(struct store *s, const struct registry *changes, const char *person, struct err *e)
{
    int r = ERR_CONFLICT;
    for (int i = 0; r == ERR_CONFLICT && i < MAX_CONFLICTS; i++)
        r = try_put(s, changes, person, e);
    return r;
}

int registry_remove(struct store *s, enum registry_kind kind, const char *id, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    const struct kind *k = &registry_kinds[kind];
    struct registry now;
    int64_t version;
    void *entry = arena_alloc(&a, k->type->record->size);
    int r = store_get(s, &a, k->type, id, entry, &version, e);
    if (r == ERR_NOT_FOUND)
        return err_set(e, r, "there is no %s \"%.100s\"; `tandem model list` shows what there is", k->type->name, id);
    if (r == 0)
        r = registry_load(s, &a, &now, e);
    if (r == 0)
        r = registry_check_unused(&now, kind, id, e);
    if (r < 0)
        return r;
    struct batch *b = batch_new();
    batch_delete(b, k->type, id, version);
    put_event(b, &a, k->removed, person, k->type->record, entry);
    r = store_commit(s, b, NULL, e);
    batch_free(b);
    return r;
}

/* ---- models.yaml ---- */

int registry_import_yaml(struct store *s, const char *file_name, const char *text, size_t len,
                         int (*put)(const struct registry *changes, void *ctx, struct err *e), void *ctx, struct err *e)
{
    ARENA_LOCAL(a);
    struct yaml *y;
    struct registry changes;
    struct err fault;
    char where[200] = "";
    int r = yaml_parse(&a, file_name, text, len, &y, e);
    if (r == 0)
        r = yaml_record(y, &a, &registry_record, &changes, e);
    if (r < 0)
        return r;
    r = check_merged(s, &a, &changes, where, sizeof where, &fault);
    if (r == ERR_INVALID && *where)
        return yaml_fault(y, where, e, "%s", fault.text);
    return r < 0 ? err_set(e, r, "%s", fault.text) : put(&changes, ctx, e);
}

void registry_write_yaml(const struct registry *r, struct str *out)
{
    json_t *value = record_write(&registry_record, r);
    yaml_write(out, value);
    json_decref(value);
}
