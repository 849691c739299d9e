/* cmd_model_embed.c - tandem model embed: texts as vectors, to see what a model thinks is alike.
 *
 * The home's server makes and keeps them when one runs, else this process.
 */
#include "cli/models.h"
#include "cli/server.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/text.h"
#include "model/vectors.h"
#include "web/home_api.h"

static const struct option options[] = {
    { .name = "json", .doc = "print the vectors" },
    { 0 },
};

/* The server's answer, as if it had been made here. */
static int take(struct session *s, const json_t *answer, struct vectors *ret, struct err *e)
{
    struct vectors v = { .kept = (size_t)json_int_of(answer, "kept", 0) };
    const json_t *list = json_object_get(answer, "vectors");
    v.all.count = json_array_size(list);
    v.all.dimensions = json_array_size(json_array_get(list, 0));
    if (v.all.count != s->in->operands.count - 1)
        return err_set(e, ERR_FAILED, "the server of this home gave %zu vectors for %zu texts", v.all.count, s->in->operands.count - 1);
    snprintf(v.all.model, sizeof v.all.model, "%s", json_text_of(answer, "model", ""));
    snprintf(v.before, sizeof v.before, "%s", json_text_of(answer, "before", ""));
    v.changed = *v.before;
    v.all.version = json_int_of(answer, "version", 0);
    v.all.values = xreallocarray(NULL, v.all.count, v.all.dimensions * sizeof *v.all.values);
    for (size_t i = 0; i < v.all.count; i++)
        for (size_t k = 0; k < v.all.dimensions; k++)
            v.all.values[i * v.all.dimensions + k] = (float)json_number_value(json_array_get(json_array_get(list, i), k));
    *ret = v;
    return 0;
}

static int ask_server(struct session *s, const struct vectors_wish *w, struct vectors *ret, struct err *e)
{
    struct home_embedding wish = { w->name, { (const char **)(uintptr_t)w->texts.texts, w->texts.count } };
    json_t *answer;
    int r = server_ask(s, "POST", "/tandem/embed", record_write(&home_embedding_record, &wish), &answer, e);
    return r < 0 ? r : take(s, answer, ret, e);
}

static int ask_here(struct session *s, const struct vectors_wish *w, struct vectors *ret, struct err *e)
{
    int r = session_manager(s, e);
    if (r < 0)
        return r;
    struct model *m = manager_model(s->manager, w->name, 0);
    r = vectors_of(s->store, m, w, ret, e);
    model_free(m);
    return r;
}

static void print_json(struct session *s, const struct vectors *v)
{
    json_t *o = json_keep(&s->in->arena, json_object()), *list = json_array();
    for (size_t i = 0; i < v->all.count; i++) {
        json_t *one = json_array();
        for (size_t k = 0; k < v->all.dimensions; k++)
            json_array_append_new(one, json_real((double)v->all.values[i * v->all.dimensions + k]));
        json_array_append_new(list, one);
    }
    json_put_text(o, "model", v->all.model);
    json_put_int(o, "version", v->all.version);
    json_put_int(o, "dimensions", (int64_t)v->all.dimensions);
    json_put_int(o, "kept", (int64_t)v->kept);
    json_put(o, "vectors", list);
    STR_LOCAL(text);
    json_write(&text, o);
    fprintf(s->in->out, "%s\n", text.data);
}

/* Each text with how alike it is to the first. */
static void print_likeness(struct session *s, const struct vectors *v)
{
    enum { COLUMNS = 60 };
    for (size_t i = 0; i < v->all.count; i++) {
        STR_LOCAL(text);
        const char *words = s->in->operands.items[i + 1];
        text_fit(&text, words, strlen(words), COLUMNS, term_ellipsis(s->term.unicode));
        fprintf(s->in->out, "%6.3f  %s\n", vectors_likeness(v->all.values, v->all.values + i * v->all.dimensions, v->all.dimensions), text.data);
    }
    fprintf(s->in->out, "%s version %lld, %zu numbers each; %zu of %zu were kept from before.\n", v->all.model, (long long)v->all.version,
            v->all.dimensions, v->kept, v->all.count);
}

static int embed(struct session *s, struct err *e)
{
    const struct texts *words = &s->in->operands;
    struct vectors_wish w = { words->items[0], { .texts = words->items + 1, .count = words->count - 1, .cancel = &session_interrupted },
                              s->in->settings.vectors_kept };
    struct vectors v;
    session_catch_signals();
    int r = s->server ? ask_server(s, &w, &v, e) : ask_here(s, &w, &v, e);
    if (r < 0)
        return r;
    if (option_given(s->in, "json"))
        print_json(s, &v);
    else
        print_likeness(s, &v);
    if (v.changed)
        fprintf(stderr, "tandem: warning: %s was %s before; vectors of then cannot be compared with these\n", w.name, v.before);
    vectors_release(&v);
    return 0;
}

static int run(struct invocation *in, struct err *e)
{
    return session_with(in, session_open_shared, embed, e);
}

const struct command action_embed = {
    .name = "model embed", .summary = "make vectors of texts, and show which are alike",
    .operands = "MODEL|ROLE TEXT...", .min_operands = 2, .max_operands = 10000, .options = options,
    .description = "Printed is how alike each text is to the first one, 1 being the same. A text that the same version of the model has "
                   "read before is taken from the home.",
    .examples = "tandem model embed embedding \"a cat\" \"a kitten\" \"an invoice\"\twhat the model of the role embedding thinks",
    .run = run,
};
