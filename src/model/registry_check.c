/* registry_check.c - whether a registry holds together.
 *
 * One fault is told at a time: the first, in the order of the file.
 */
#include "model/registry_kinds.h"

#include "base/err.h"
#include "base/str.h"
#include "http/client.h"

#include <stdio.h>

struct check {
    const struct registry *all;
    bool is_new;      /* else it is in the store already, perhaps since a rule was not there yet */
    const char *list; /* "models" */
    size_t index;
    char *where;
    size_t size;
    struct err *err;
};

/* The fault is in a member of the entry that is looked at. */
__attribute__((format(printf, 3, 4)))
static int fault(const struct check *c, const char *member, const char *fmt, ...)
{
    STR_LOCAL(text);
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    if (!c->where)
        return err_set(c->err, ERR_INVALID, "%s[%zu].%s %s", c->list, c->index, member, text.data);
    snprintf(c->where, c->size, "%s[%zu].%s", c->list, c->index, member);
    return err_set(c->err, ERR_INVALID, "%s", text.data);
}

/* ---- words ---- */

static bool is_id(const char *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
    return *s && strchr(letters, *s) && strspn(s, others) == strlen(s);
}

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words && !streq(*words, word))
        words++;
    return *words;
}

static bool is_digest(const char *s)
{
    return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static int join(const char *const *words, struct str *out)
{
    for (size_t i = 0; words[i]; i++)
        str_addf(out, "%s%s", i ? ", " : "", words[i]);
    return 0;
}

/* ---- entries ---- */

static int check_id(const struct check *c, const struct records *list, const struct kind *k)
{
    const char *id = id_of(entry_at(list, k, c->index));
    if (k->type == &model_type && is_one_of(id, route_roles))
        return fault(c, "id", "is \"%s\", which is a role", id);
    if (!is_id(id))
        return fault(c, "id", "is \"%s\"; allowed: a letter or digit, then letters, digits and . _ : -", id);
    for (size_t i = 0; i < c->index; i++)
        if (streq(id_of(entry_at(list, k, i)), id))
            return fault(c, "id", "is \"%s\", as that of another entry above", id);
    return 0;
}

static int check_backend(const struct check *c, const struct backend_entry *b)
{
    bool wants_url = b->kind == BACKEND_OPENAI || b->kind == BACKEND_OLLAMA;
    if (wants_url && !*b->url)
        return fault(c, "url", "is missing; %s needs an address such as http://127.0.0.1:8000/v1", backend_kind_names[b->kind]);
    if (wants_url && !starts_with(b->url, "http://") && !starts_with(b->url, "https://") && !starts_with(b->url, "unix:"))
        return fault(c, "url", "is \"%.100s\"; it begins with http://, https:// or unix:", b->url);
    if (wants_url && http_has_login(b->url))
        return fault(c, "url", "has a user name or password in it; a key goes into a file (key_file)");
    if (b->kind == BACKEND_ADAPTER && !*b->program)
        return fault(c, "program", "is missing; an adapter's folder goes here");
    for (size_t i = 0; i < b->environment.count; i++)
        if (!strchr(b->environment.items[i], '=') || *b->environment.items[i] == '=')
            return fault(c, "environment", "has \"%.100s\"; write NAME=value", b->environment.items[i]);
    return 0;
}

static int check_sampling(const struct check *c, const json_t *sampling)
{
    static const char *const allowed[] = { "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty",
                                           "frequency_penalty", NULL };
    const char *name;
    json_t *value;
    if (sampling && !json_is_object(sampling))
        return fault(c, "sampling", "is no mapping; write for example {top_p: 0.9}");
    json_object_foreach((json_t *)(uintptr_t)sampling, name, value) {
        STR_LOCAL(names);
        if (!is_one_of(name, allowed) && join(allowed, &names) == 0)
            return fault(c, "sampling", "has \"%.60s\"; allowed: %s", name, names.data);
        if (!json_is_number(value))
            return fault(c, "sampling", "has \"%s\" with what is no number", name);
    }
    return 0;
}

static int check_model(const struct check *c, const struct model_entry *m)
{
    const char *backend = *m->backend ? m->backend : BUILT_IN_BACKEND;
    const struct backend_entry *b = registry_backend(c->all, backend);
    if (!b)
        return fault(c, "backend", "is \"%s\", and there is no such backend", backend);
    if (*m->file && !is_digest(m->file))
        return fault(c, "file", "is \"%.100s\"; a SHA-256 goes here (`tandem model import` puts it)", m->file);
    if (b->kind == BACKEND_LLAMA_SERVER && !*m->file)
        return fault(c, "file", "is missing; llama-server needs one: `tandem model import FILE.gguf`");
    if (*m->gpu_layers && !streq(m->gpu_layers, "all") && !streq(m->gpu_layers, "auto") &&
        strspn(m->gpu_layers, "0123456789") != strlen(m->gpu_layers))
        return fault(c, "gpu_layers", "is \"%s\"; allowed: a number, all, auto", m->gpu_layers);
    for (size_t i = 0; i < m->capabilities.count; i++)
        if (!streq(m->capabilities.items[i], "chat") && !streq(m->capabilities.items[i], "embed"))
            return fault(c, "capabilities", "has \"%.60s\"; allowed: chat, embed", m->capabilities.items[i]);
    if (c->is_new && b->kind == BACKEND_LLAMA_SERVER && texts_has(&m->capabilities, "chat") && texts_has(&m->capabilities, "embed"))
        return fault(c, "capabilities", "has chat and embed, and a llama-server does one of them well; import the file under another id, which "
                     "takes no room, and set that to [embed]");
    if (m->pinned && m->idle_s)
        return fault(c, "idle_s", "is %lld, but a pinned model is never evicted", (long long)m->idle_s);
    return check_sampling(c, m->sampling);
}

/* A fallback may be another role, whose route goes on from there. */
static int check_circle(const struct check *c, const struct route_entry *t)
{
    STR_LOCAL(path);
    str_add(&path, t->id);
    const struct route_entry *at = t;
    for (size_t steps = 0; (at = registry_route(c->all, at->fallback)); steps++) {
        str_addf(&path, " -> %s", at->id);
        if (streq(at->id, t->id) || steps > c->all->routes.count)
            return fault(c, "fallback", "is \"%s\", and that goes round in a circle: %s", t->fallback, path.data);
    }
    return 0;
}

static int check_route(const struct check *c, const struct route_entry *t)
{
    STR_LOCAL(roles);
    if (!is_one_of(t->id, route_roles) && join(route_roles, &roles) == 0)
        return fault(c, "id", "is \"%s\"; roles are %s", t->id, roles.data);
    if (!registry_model(c->all, t->primary))
        return fault(c, "primary", "is \"%s\", and there is no such model", t->primary);
    if (*t->fallback && !registry_model(c->all, t->fallback) && !registry_route(c->all, t->fallback))
        return fault(c, "fallback", "is \"%s\", and there is no such model, nor a route of that name", t->fallback);
    if (streq(t->fallback, t->primary))
        return fault(c, "fallback", "is \"%s\", as the primary", t->fallback);
    return check_circle(c, t);
}

/* More would stop all of them: whoever runs them would refuse the registry as a whole. */
static int check_copies(const struct registry *all, char *where, size_t size, struct err *e)
{
    const struct model_entry *models = all->models.items;
    int64_t copies = 0;
    for (size_t i = 0; i < all->models.count; i++)
        copies += models[i].replicas;
    if (copies <= REGISTRY_COPIES)
        return 0;
    if (where)
        snprintf(where, size, "models");
    return err_set(e, ERR_INVALID, "%s%lld models and replicas together; at most %d can be had", where ? "makes " : "models would be ",
                   (long long)copies, REGISTRY_COPIES);
}

int registry_check(const struct registry *all, const struct registry *part, char *where, size_t size, struct err *e)
{
    static const char *const lists[] = { "backends", "models", "routes" };
    bool is_new = all != part;
    int r = is_new ? check_copies(all, where, size, e) : 0;
    for (int kind = 0; r == 0 && kind < REGISTRY_KINDS; kind++) {
        const struct kind *k = &registry_kinds[kind];
        const struct records *list = list_of(part, k);
        for (size_t i = 0; r == 0 && i < list->count; i++) {
            struct check c = { all, is_new, lists[kind], i, where, size, e };
            const void *entry = entry_at(list, k, i);
            r = check_id(&c, list, k);
            if (r == 0)
                r = kind == REGISTRY_BACKEND ? check_backend(&c, entry)
                    : kind == REGISTRY_MODEL ? check_model(&c, entry)
                                             : check_route(&c, entry);
        }
    }
    return r;
}

int registry_check_unused(const struct registry *r, enum registry_kind kind, const char *id, struct err *e)
{
    const struct model_entry *models = r->models.items;
    for (size_t i = 0; kind == REGISTRY_BACKEND && i < r->models.count; i++)
        if (streq(*models[i].backend ? models[i].backend : BUILT_IN_BACKEND, id))
            return err_set(e, ERR_REFUSED, "the model %s runs on %s; remove or change that first", models[i].id, id);
    const struct route_entry *routes = r->routes.items;
    for (size_t i = 0; kind == REGISTRY_MODEL && i < r->routes.count; i++)
        if (streq(routes[i].primary, id) || streq(routes[i].fallback, id))
            return err_set(e, ERR_REFUSED, "the route %s uses %s; change it first (`tandem model route %s MODEL`)", routes[i].id,
                           id, routes[i].id);
    return 0;
}
