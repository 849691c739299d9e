/* models.c - from "tester=http://...#name" to a model for each role. */
#include "office/models.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/setting.h"
#include "base/str.h"
#include "base/utf8.h"
#include "office/internal.h"
#include "office/served.h"

#include <stdio.h>

enum { MAX_DIFF = 16 << 10 }; /* bytes shown of one */

static const char role_letters[] = "abcdefghijklmnopqrstuvwxyz";

/* "ROLE=" before a URL; all roles without. */
static int split_role(const char *word, int *ret_role, bool *ret_heavy, const char **ret_url, struct err *e)
{
    size_t len = strspn(word, role_letters);
    *ret_role = -1;
    *ret_heavy = false;
    *ret_url = word;
    if (word[len] != '=')
        return 0;
    char name[20];
    snprintf(name, sizeof name, "%.*s", (int)(len < 19 ? len : 19), word);
    *ret_url = word + len + 1;
    *ret_heavy = streq(name, "heavy");
    *ret_role = role_parse(name);
    if (!*ret_heavy && *ret_role <= ROLE_ENGINE)
        return err_set(e, ERR_USAGE, "--model %s=...: there is no role \"%s\"; roles are pm, architect, developer, tester, "
                                     "and heavy for the one to escalate to", name, name);
    return 0;
}

/* A name without an address is one of the registry. */
static bool is_name(const char *word)
{
    return *word && !strpbrk(word, "/ \t\n") && !starts_with(word, "replay:") && !starts_with(word, "unix:") && !starts_with(word, "ollama:");
}

/* What opening needs to know. */
struct opening {
    struct crew_models *models;
    struct office *office;
    const struct office_caller *caller;
    const struct settings *settings;
    struct arena *arena;
    enum drift_rule drift;
};

static int open_named(struct opening *p, const char *name, struct model **ret, struct err *e)
{
    struct manager *manager;
    int r = office_manager(p->office, false, &manager, e);
    if (r == 0 && !manager_steps(manager, name))
        r = err_set(e, ERR_USAGE, "there is no model \"%.100s\" (`tandem model list` shows what there is); an address begins with "
                                  "http://, https://, unix: or replay:", name);
    if (r == 0)
        *ret = manager_model(manager, name, 0);
    return r;
}

void office_model_options(const struct settings *set, struct model_options *o)
{
    o->context_tokens = set->context_tokens;
    o->keep_s = set->ollama_keep_s;
    o->connect_ms = set->connect_s * 1000;
    o->first_token_ms = set->first_token_s * 1000;
    o->stall_ms = set->stall_s * 1000;
    o->total_ms = set->total_s * 1000;
    o->patience_ms = set->patience_s * 1000;
    o->embed_texts = set->embed_texts;
    o->embed_bytes = set->embed_bytes;
    o->max_answer_bytes = set->answer_kib * 1024;
    o->api_key_file = *set->api_key_file ? set->api_key_file : NULL;
    o->ca_file = *set->ca_file ? set->ca_file : NULL;
}

static int open_address(struct opening *p, const char *url, struct model **ret, struct err *e)
{
    struct model_options o = model_default_options;
    int r = model_options_parse(url, p->arena, &o, e);
    if (r < 0)
        return err_recode(e, ERR_USAGE);
    office_model_options(p->settings, &o);
    o.api_key = p->caller->api_key;
    o.drift = p->drift;
    return model_open(ret, &o, e);
}

static int keep_model(struct crew_models *c, struct model *m, struct err *e)
{
    if (c->count == MAX_CREW_MODELS) {
        model_free(m);
        return err_set(e, ERR_USAGE, "more than %d models are given", MAX_CREW_MODELS);
    }
    c->all[c->count++] = m;
    return 0;
}

static void fill_roles(struct model *(*roles)[ROLE_COUNT], struct model *m)
{
    for (int i = ROLE_PM; i < ROLE_COUNT; i++)
        if (!(*roles)[i])
            (*roles)[i] = m;
}

static int open_word(struct opening *p, const char *word, struct err *e)
{
    int role;
    bool heavy;
    const char *url;
    struct model *m;
    int r = split_role(word, &role, &heavy, &url, e);
    if (r == 0)
        r = is_name(url) ? open_named(p, url, &m, e) : open_address(p, url, &m, e);
    if (r == 0)
        r = keep_model(p->models, m, e);
    if (r < 0)
        return r;
    if (heavy)
        fill_roles(&p->models->heavy, m);
    else if (role > ROLE_ENGINE)
        p->models->by_role[role] = m;
    else
        fill_roles(&p->models->by_role, m);
    const char *name = is_name(url) ? arena_strdup(p->arena, url) : NULL; /* the words are the wish's */
    for (int i = ROLE_PM; i < ROLE_COUNT && name; i++)
        if (p->models->by_role[i] == m)
            p->models->served[i] = name;
    return 0;
}

/* Every role by its route, with its fallback. */
static int open_routes(struct opening *p, struct err *e)
{
    struct manager *manager;
    int r = office_manager(p->office, false, &manager, e);
    if (r == 0)
        r = served_by_routes(p->office->options.store, p->arena, p->models->served, &p->models->note, e);
    for (int i = ROLE_PM; r == 0 && i < ROLE_COUNT; i++) {
        size_t steps = manager_steps(manager, role_names[i]);
        for (size_t k = 0; r == 0 && k < steps && k < 2; k++) {
            struct model **place = k ? &p->models->heavy[i] : &p->models->by_role[i];
            r = keep_model(p->models, *place = manager_model(manager, role_names[i], k), e);
        }
    }
    return r;
}

int crew_models_open(struct crew_models *m, struct office *o, const struct office_caller *c, const struct settings *set,
                     struct arena *a, const struct texts *words, enum drift_rule drift, struct err *e)
{
    struct opening p = { m, o, c, set, a, drift };
    *m = (struct crew_models){ .note = "" };
    if (!words->count)
        return open_routes(&p, e);
    /* Models for single roles first, so that the one for all fills the rest. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < words->count; i++) {
            const char *word = words->items[i];
            bool single = word[strspn(word, role_letters)] == '=';
            int r = single == (pass == 0) ? open_word(&p, word, e) : 0;
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int crew_models_record(struct crew_models *m, const char *dir, struct err *e)
{
    int r = recording_open(&m->recording, dir, e);
    for (size_t i = 0; r == 0 && i < m->count; i++)
        model_record(m->all[i], m->recording);
    return r;
}

int crew_models_ask(struct crew_models *m, const atomic_bool *cancel, struct err *e)
{
    for (size_t i = 0; i < m->count; i++) {
        const char *name;
        int64_t context;
        int r = model_describe(m->all[i], cancel, &name, &context, e);
        if (r == ERR_CANCELLED)
            return err_set(e, r, "stopped while a model was waited for; nothing was begun");
        if (r < 0)
            return r;
    }
    return 0;
}

static void note_drift(struct model *m, struct str *notes)
{
    STR_LOCAL(diff);
    int64_t count = replay_drift(m, &diff);
    if (count > 0)
        str_addf(notes, "%lld prompt%s differ%s from the recording; the first:\n%.*s%s\n", (long long)count, count == 1 ? "" : "s",
                 count == 1 ? "s" : "", (int)utf8_floor(diff.data, diff.len < MAX_DIFF ? diff.len : MAX_DIFF), diff.data,
                 diff.len < MAX_DIFF ? "" : "\n...");
}

void crew_models_notes(const struct crew_models *m, struct str *notes)
{
    for (size_t i = 0; i < m->count; i++)
        note_drift(m->all[i], notes);
}

void crew_models_close(struct crew_models *m)
{
    for (size_t i = 0; i < m->count; i++)
        model_free(m->all[i]);
    recording_close(m->recording);
    *m = (struct crew_models){ .count = 0 };
}
