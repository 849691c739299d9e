/* registry.c - the documents of the registry, read and looked up. */
#include "model/registry_kinds.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/suggest.h"

const char *const backend_kind_names[] = { "llama-server", "openai", "ollama", "adapter", NULL };
const char *const edit_format_names[] = { "files", "blocks", NULL };
const char *const route_roles[] = { "pm", "architect", "developer", "tester", "resource-director", "embedding", NULL };

enum { MAX_ENTRIES = 1000, MAX_TOKENS = 100 << 20 };

#define BACKEND(member, kind, ...) FIELD(struct backend_entry, member, kind, __VA_ARGS__)
#define MODEL(member, kind, ...) FIELD(struct model_entry, member, kind, __VA_ARGS__)
#define ROUTE(member, kind, ...) FIELD(struct route_entry, member, kind, __VA_ARGS__)

static const struct field backend_fields[] = {
    BACKEND(id, FIELD_TEXT, .required = true, .max = 100),
    BACKEND(kind, FIELD_ENUM, .choices = backend_kind_names, .required = true),
    BACKEND(url, FIELD_TEXT, .max = 1000, .doc = "address (openai, ollama)"),
    BACKEND(program, FIELD_TEXT, .max = 4000, .doc = "path of llama-server, or an adapter's folder"),
    BACKEND(key_file, FIELD_TEXT, .max = 4000, .doc = "holds the API key"),
    BACKEND(ca_file, FIELD_TEXT, .max = 4000, .doc = "a company's certificate authority"),
    BACKEND(environment, FIELD_TEXTS, .max = 100, .doc = "of the program: NAME=value"),
};
static const struct field model_fields[] = {
    MODEL(id, FIELD_TEXT, .required = true, .max = 100),
    MODEL(backend, FIELD_TEXT, .max = 100, .doc = "where it runs; llama-server without this"),
    MODEL(name, FIELD_TEXT, .max = 200, .doc = "what the backend calls it; its id without this"),
    MODEL(version, FIELD_INT, .min = 1, .max = 1000000, .doc = "raised by each import under the same id"),
    MODEL(file, FIELD_TEXT, .max = 64, .doc = "SHA-256 of its file in the repository of models"),
    MODEL(bytes, FIELD_INT, .doc = "of its file"),
    MODEL(parameters, FIELD_INT),
    MODEL(trained_context, FIELD_INT, .doc = "tokens"),
    MODEL(architecture, FIELD_TEXT, .max = 100),
    MODEL(quantisation, FIELD_TEXT, .max = 100),
    MODEL(template_digest, FIELD_TEXT, .max = 64, .doc = "SHA-256 of its chat template"),
    MODEL(capabilities, FIELD_TEXTS, .max = 10, .doc = "chat, embed"),
    MODEL(context, FIELD_INT, .min = 0, .max = MAX_TOKENS, .doc = "tokens of one conversation; 0: what the file or the server says"),
    MODEL(slots, FIELD_INT, .min = 1, .max = 64, .doc = "answers at once"),
    MODEL(replicas, FIELD_INT, .min = 1, .max = 16, .doc = "copies that share the work"),
    MODEL(gpu_layers, FIELD_TEXT, .max = 10, .doc = "a number, all or auto; without this nothing is said to the server"),
    MODEL(memory_mib, FIELD_INT, .min = 0, .max = 16 << 20, .doc = "0: estimated from the file"),
    MODEL(vram_mib, FIELD_INT, .min = 0, .max = 16 << 20),
    MODEL(cache_mib, FIELD_INT, .min = 0, .max = 1 << 20, .doc = "for prompts of conversations that lost their slot"),
    MODEL(pinned, FIELD_BOOL, .doc = "loaded at the start, never evicted"),
    MODEL(idle_s, FIELD_INT, .min = 0, .max = 1000000, .doc = "evicted after so long without an answer; 0: when memory is needed"),
    MODEL(sampling, FIELD_JSON, .doc = "top_p, top_k, min_p, repeat_penalty, presence_penalty, frequency_penalty"),
    MODEL(edit_format, FIELD_ENUM, .choices = edit_format_names, .doc = "how it changes files"),
    MODEL(arguments, FIELD_TEXTS, .max = 100, .doc = "more for the server's command line"),
};
static const struct field route_fields[] = {
    ROUTE(id, FIELD_TEXT, .required = true, .max = 100, .doc = "the role"),
    ROUTE(primary, FIELD_TEXT, .required = true, .max = 100, .doc = "the model asked first"),
    ROUTE(fallback, FIELD_TEXT, .max = 100, .doc = "the model, or the role, asked when the first one's answer is not good enough"),
    ROUTE(min_context, FIELD_INT, .min = 0, .max = MAX_TOKENS, .doc = "tokens"),
    ROUTE(min_schema, FIELD_INT, .min = 0, .max = 100, .doc = "percent, as the exam found"),
    ROUTE(min_edits, FIELD_INT, .min = 0, .max = 100, .doc = "percent, as the exam found"),
};
static const struct record backend_record = RECORD("backend", struct backend_entry, backend_fields);
static const struct record model_record = RECORD("model", struct model_entry, model_fields);
static const struct record route_record = RECORD("route", struct route_entry, route_fields);
const struct doc_type backend_type = { "backend", &backend_record }, model_type = { "model", &model_record },
                      route_type = { "route", &route_record };

static const struct field registry_fields[] = {
    FIELD(struct registry, backends, FIELD_RECORDS, .of = &backend_record, .max = MAX_ENTRIES),
    FIELD(struct registry, models, FIELD_RECORDS, .of = &model_record, .max = MAX_ENTRIES),
    FIELD(struct registry, routes, FIELD_RECORDS, .of = &route_record, .max = MAX_ENTRIES),
};
const struct record registry_record = RECORD("registry", struct registry, registry_fields);

const struct kind registry_kinds[REGISTRY_KINDS] = {
    [REGISTRY_BACKEND] = { &backend_type, offsetof(struct registry, backends), "backend.changed", "backend.removed" },
    [REGISTRY_MODEL] = { &model_type, offsetof(struct registry, models), "model.changed", "model.removed" },
    [REGISTRY_ROUTE] = { &route_type, offsetof(struct registry, routes), "route.changed", "route.removed" },
};

static void *find(const struct registry *r, enum registry_kind kind, const char *id)
{
    const struct kind *k = &registry_kinds[kind];
    const struct records *list = list_of(r, k);
    for (size_t i = 0; i < list->count; i++)
        if (streq(id_of(entry_at(list, k, i)), id))
            return entry_at(list, k, i);
    return NULL;
}

const struct backend_entry *registry_backend(const struct registry *r, const char *id)
{
    return find(r, REGISTRY_BACKEND, id);
}

const struct model_entry *registry_model(const struct registry *r, const char *id)
{
    return find(r, REGISTRY_MODEL, id);
}

const struct route_entry *registry_route(const struct registry *r, const char *role)
{
    return find(r, REGISTRY_ROUTE, role);
}

int registry_resolve(const struct registry *r, const char *name, const struct model_entry **ret, struct err *e)
{
    const struct route_entry *route = registry_route(r, name);
    const struct model_entry *model = registry_model(r, route ? route->primary : name);
    if (model) {
        *ret = model;
        return 0;
    }
    struct suggestion near = { 0 };
    for (size_t i = 0; i < r->models.count; i++)
        suggestion_try(&near, name, id_of(entry_at(&r->models, &registry_kinds[REGISTRY_MODEL], i)));
    return err_set(e, ERR_NOT_FOUND, "there is no model and no route \"%.100s\"%s%s%s; `tandem model list` shows what there is",
                   name, near.name ? " (did you mean \"" : "", near.name ? near.name : "", near.name ? "\"?)" : "");
}

/* Into the chain, once and if it shows what `asked` requires, else into the text why not. */
static void add_to_chain(const struct registry *r, struct arena *a, const struct route_entry *asked, const char *model, struct texts *chain,
                         struct str *why_not)
{
    STR_LOCAL(lacks);
    if (asked)
        registry_lacks(r, asked, model, &lacks);
    if (lacks.len)
        str_addf(why_not, "%s%s: %s", why_not->len ? "; " : "", model, lacks.data);
    else if (!texts_has(chain, model))
        texts_add(chain, a, model);
}

int registry_chain(const struct registry *r, struct arena *a, const char *name, struct texts *ret, struct err *e)
{
    const struct model_entry *first;
    int code = registry_resolve(r, name, &first, e);
    if (code < 0)
        return code;
    struct texts chain = { 0 };
    STR_LOCAL(why_not);
    const struct route_entry *asked = registry_route(r, name), *route = asked;
    add_to_chain(r, a, asked, first->id, &chain, &why_not);
    for (size_t steps = 0; route && *route->fallback && steps <= r->routes.count; steps++) {
        const struct route_entry *next = registry_route(r, route->fallback);
        const char *model = next ? next->primary : route->fallback;
        add_to_chain(r, a, asked, model, &chain, &why_not);
        route = next;
    }
    if (!chain.count)
        return err_set(e, ERR_REFUSED, "no model serves %s, because its route requires more than they show: %s", name, why_not.data);
    *ret = chain;
    return 0;
}

/* ---- reading ---- */

static int load_kind(struct store *s, struct arena *a, const struct kind *k, struct registry *ret, struct err *e)
{
    struct store_found found;
    int r = store_find(s, a, k->type, NULL, &found, e);
    if (r == 0)
        *list_of(ret, k) = (struct records){ found.docs, found.count };
    return r;
}

static void add_built_in(struct arena *a, struct registry *r)
{
    if (registry_backend(r, BUILT_IN_BACKEND))
        return;
    struct backend_entry *all = arena_alloc(a, (r->backends.count + 1) * sizeof *all);
    if (r->backends.count)
        memcpy(all, r->backends.items, r->backends.count * sizeof *all);
    all[r->backends.count] = (struct backend_entry){ .id = BUILT_IN_BACKEND, .kind = BACKEND_LLAMA_SERVER, .url = "",
                                                     .program = "", .key_file = "", .ca_file = "" };
    r->backends = (struct records){ all, r->backends.count + 1 };
}

int registry_load(struct store *s, struct arena *a, struct registry *ret, struct err *e)
{
    int r = 0;
    struct registry registry = { 0 };
    for (int i = 0; r == 0 && i < REGISTRY_KINDS; i++)
        r = load_kind(s, a, &registry_kinds[i], &registry, e);
    if (r < 0)
        return r;
    add_built_in(a, &registry);
    registry_load_exams(s, a, &registry);
    *ret = registry;
    return 0;
}
