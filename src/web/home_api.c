/* home_api.c - changes of the registry and the loading of models, for the home's commands. */
#include "web/home_api.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "model/manager.h"
#include "model/vectors.h"

enum { MAX_BODY = 4 << 20 };

static const char *const kind_names[] = { "backend", "model", "route", NULL };

static const struct field change_fields[] = {
    FIELD(struct home_change, person, FIELD_TEXT, .required = true, .max = 400),
    FIELD(struct home_change, registry, FIELD_RECORD, .of = &registry_record),
};
const struct record home_change_record = RECORD("change", struct home_change, change_fields);

static const struct field removal_fields[] = {
    FIELD(struct home_removal, person, FIELD_TEXT, .required = true, .max = 400),
    FIELD(struct home_removal, kind, FIELD_ENUM, .choices = kind_names, .required = true),
    FIELD(struct home_removal, id, FIELD_TEXT, .required = true, .max = 100),
};
const struct record home_removal_record = RECORD("removal", struct home_removal, removal_fields);

static const struct field exam_fields[] = {
    FIELD(struct home_exam, person, FIELD_TEXT, .required = true, .max = 400),
    FIELD(struct home_exam, card, FIELD_RECORD, .of = &exam_card_record),
};
const struct record home_exam_record = RECORD("exam", struct home_exam, exam_fields);

static const struct field embedding_fields[] = {
    FIELD(struct home_embedding, name, FIELD_TEXT, .required = true, .max = 100),
    FIELD(struct home_embedding, texts, FIELD_TEXTS, .required = true, .max = 10000),
};
const struct record home_embedding_record = RECORD("embedding", struct home_embedding, embedding_fields);

static const struct field key_fields[] = {
    FIELD(struct home_key, person, FIELD_TEXT, .required = true, .max = 400),
    FIELD(struct home_key, key, FIELD_RECORD, .of = &key_record),
};
const struct record home_key_record = RECORD("key", struct home_key, key_fields);

static const struct field key_removal_fields[] = {
    FIELD(struct home_key_removal, person, FIELD_TEXT, .required = true, .max = 400),
    FIELD(struct home_key_removal, id, FIELD_TEXT, .required = true, .max = 100),
};
const struct record home_key_removal_record = RECORD("key_removal", struct home_key_removal, key_removal_fields);

static int read_body(struct http_exchange *x, const struct record *r, void *ret, struct err *e)
{
    json_t *value;
    int code = json_parse(x->arena, x->body, x->body_len, &value, e);
    return code < 0 ? code : record_read(r, x->arena, value, ret, e);
}

static int answer_done(struct http_exchange *x)
{
    http_answer_json(x, 200, json_keep(x->arena, json_object()));
    return 0;
}

/* Takes effect at once where models are run. */
static int reload(struct home_api *h, struct err *e)
{
    struct manager *m;
    int r = office_manager(h->office, true, &m, e);
    return r < 0 || !m ? r : manager_reload(m, e);
}

static int change(struct http_exchange *x, void *ctx, struct err *e)
{
    struct home_api *h = ctx;
    struct home_change c;
    int r = read_body(x, &home_change_record, &c, e);
    if (r == 0)
        r = registry_put(h->store, &c.registry, c.person, e);
    if (r == 0)
        r = reload(h, e);
    return r < 0 ? r : answer_done(x);
}

static int remove_entry(struct http_exchange *x, void *ctx, struct err *e)
{
    struct home_api *h = ctx;
    struct home_removal c;
    int r = read_body(x, &home_removal_record, &c, e);
    if (r == 0)
        r = registry_remove(h->store, (enum registry_kind)c.kind, c.id, c.person, e);
    if (r == 0)
        r = reload(h, e);
    return r < 0 ? r : answer_done(x);
}

static int add_key(struct http_exchange *x, void *ctx, struct err *e)
{
    struct home_api *h = ctx;
    struct home_key k;
    int r = read_body(x, &home_key_record, &k, e);
    if (r == 0)
        r = key_add(h->store, &k.key, k.person, e);
    if (r == 0 && h->keys)
        r = keyring_reload(h->keys, e);
    return r < 0 ? r : answer_done(x);
}

static int remove_key(struct http_exchange *x, void *ctx, struct err *e)
{
    struct home_api *h = ctx;
    struct home_key_removal k;
    int r = read_body(x, &home_key_removal_record, &k, e);
    if (r == 0)
        r = key_remove(h->store, k.id, k.person, e);
    if (r == 0 && h->keys)
        r = keyring_reload(h->keys, e);
    return r < 0 ? r : answer_done(x);
}

static int keep_exam(struct http_exchange *x, void *ctx, struct err *e)
{
    struct home_api *h = ctx;
    struct home_exam sent;
    int r = read_body(x, &home_exam_record, &sent, e);
    if (r == 0)
        r = exam_store(h->store, &sent.card, sent.person, e);
    if (r == 0)
        r = reload(h, e);
    return r < 0 ? r : answer_done(x);
}

static json_t *describe(const struct manager_instance *m)
{
    json_t *o = json_object(), *slots = json_array();
    json_put_text(o, "model", m->model);
    json_put_int(o, "version", m->version);
    json_put_int(o, "replica", m->replica);
    json_put_text(o, "state", life_names[m->life]);
    json_put_text(o, "why", m->why);
    json_put_bool(o, "retired", m->retired);
    json_put_int(o, "pid", m->pid);
    json_put_int(o, "context", m->context);
    json_put_int(o, "memory_mib", m->ram_mib);
    json_put_int(o, "vram_mib", m->vram_mib);
    json_put_int(o, "load_ms", m->load_ms);
    json_put_int(o, "in_flight", m->in_flight);
    json_put_int(o, "waiting", m->waiting);
    json_put_int(o, "calls", m->calls);
    json_put_int(o, "crashes", m->crashes);
    for (size_t i = 0; i < m->slot_count; i++) {
        json_t *slot = json_object();
        json_put_bool(slot, "busy", m->slots[i].busy);
        json_put_text(slot, "conversation", m->slots[i].conversation);
        json_array_append_new(slots, slot);
    }
    json_put(o, "slots", slots);
    return o;
}

static int show_models(struct http_exchange *x, void *ctx, struct err *e)
{
    struct home_api *h = ctx;
    struct manager *m;
    struct manager_picture p = { .count = 0 };
    int r = office_manager(h->office, true, &m, e);
    if (r < 0)
        return r;
    if (m)
        manager_look(m, x->arena, &p);
    json_t *o = json_keep(x->arena, json_object()), *list = json_array();
    for (size_t i = 0; i < p.count; i++)
        json_array_append_new(list, describe(&p.instances[i]));
    json_put_int(o, "memory_mib", p.ram_mib);
    json_put_int(o, "memory_limit_mib", p.room.ram_mib);
    json_put(o, "instances", list);
    http_answer_json(x, 200, o);
    return 0;
}

static int load(struct http_exchange *x, void *ctx, struct err *e)
{
    struct home_api *h = ctx;
    struct manager *m;
    struct manager_picture p;
    const char *id = http_param(x, "id");
    int r = office_manager(h->office, false, &m, e);
    if (r == 0)
        r = manager_load(m, id, x->cancel, e);
    if (r < 0)
        return r;
    manager_look(m, x->arena, &p);
    for (size_t i = 0; i < p.count; i++) {
        if (!streq(p.instances[i].model, id) || p.instances[i].life != LIFE_READY)
            continue;
        http_answer_json(x, 200, json_keep(x->arena, describe(&p.instances[i])));
        return 0;
    }
    return err_set(e, ERR_UNAVAILABLE, "%s was loaded, and has left again", id);
}

static int unload(struct http_exchange *x, void *ctx, struct err *e)
{
    struct home_api *h = ctx;
    struct manager *m;
    int r = office_manager(h->office, false, &m, e);
    if (r == 0)
        r = manager_unload(m, http_param(x, "id"), e);
    return r < 0 ? r : answer_done(x);
}

static json_t *vector_list(const struct embeddings *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->count; i++) {
        json_t *one = json_array();
        for (size_t k = 0; k < v->dimensions; k++)
            json_array_append_new(one, json_real((double)v->values[i * v->dimensions + k]));
        json_array_append_new(list, one);
    }
    return list;
}

static int embed(struct http_exchange *x, void *ctx, struct err *e)
{
    struct home_api *h = ctx;
    struct home_embedding wish;
    struct vectors v;
    struct manager *manager;
    int r = read_body(x, &home_embedding_record, &wish, e);
    if (r == 0)
        r = office_manager(h->office, false, &manager, e);
    if (r < 0)
        return r;
    struct model *m = manager_model(manager, wish.name, 0);
    struct vectors_wish w = { wish.name, { .texts = wish.texts.items, .count = wish.texts.count, .cancel = x->cancel }, h->vectors_kept };
    r = vectors_of(h->store, m, &w, &v, e);
    model_free(m);
    if (r < 0)
        return r;
    json_t *o = json_keep(x->arena, json_object());
    json_put_text(o, "model", v.all.model);
    json_put_int(o, "version", v.all.version);
    json_put_int(o, "kept", (int64_t)v.kept);
    json_put_text(o, "before", v.before);
    json_put(o, "vectors", vector_list(&v.all));
    vectors_release(&v);
    http_answer_json(x, 200, o);
    return 0;
}

const struct http_route home_routes[] = {
    { "POST", "/tandem/registry", change, .permission = "home", .max_body = MAX_BODY, .doc = "entries in place of those of the same id" },
    { "POST", "/tandem/registry/remove", remove_entry, .permission = "home", .max_body = MAX_BODY, .doc = "takes an entry away" },
    { "POST", "/tandem/exam", keep_exam, .permission = "home", .max_body = MAX_BODY, .doc = "keeps the report card of a model" },
    { "POST", "/tandem/embed", embed, .permission = "home", .max_body = 32 << 20, .doc = "vectors of texts, those kept from the store" },
    { "POST", "/tandem/keys", add_key, .permission = "home", .max_body = MAX_BODY, .doc = "takes a key in" },
    { "POST", "/tandem/keys/remove", remove_key, .permission = "home", .max_body = MAX_BODY, .doc = "takes a key away" },
    { "GET", "/tandem/models", show_models, .permission = "home", .doc = "every instance and its slots" },
    { "POST", "/tandem/models/{id}/load", load, .permission = "home", .max_body = 1024, .doc = "loads a model and waits for it" },
    { "POST", "/tandem/models/{id}/unload", unload, .permission = "home", .max_body = 1024, .doc = "lets a model go" },
};
const size_t home_route_count = sizeof home_routes / sizeof *home_routes;
