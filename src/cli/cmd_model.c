/* cmd_model.c - tandem model: which models there are, and who uses which. */
#include "cli/commands.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"
#include "cli/models.h"
#include "cli/output.h"
#include "cli/propose.h"
#include "office/served.h"
#include "cli/server.h"
#include "model/exam.h"
#include "os/files.h"

#include <stdlib.h>

enum { MAX_YAML = 1 << 20, GIB = 1 << 30, MIB = 1 << 20 };

/* ---- list ---- */

static const char *size_text(struct arena *a, int64_t bytes)
{
    if (!bytes)
        return "-";
    return bytes >= GIB ? arena_printf(a, "%.1f GiB", (double)bytes / GIB) : arena_printf(a, "%.0f MiB", (double)bytes / MIB);
}

/* "developer, tester (fallback of pm)" */
static const char *used_by(struct arena *a, const struct registry *r, const char *model)
{
    STR_LOCAL(text);
    const struct route_entry *routes = r->routes.items;
    for (size_t i = 0; i < r->routes.count; i++)
        if (streq(routes[i].primary, model))
            str_addf(&text, "%s%s", text.len ? ", " : "", routes[i].id);
    for (size_t i = 0; i < r->routes.count; i++)
        if (streq(routes[i].fallback, model))
            str_addf(&text, "%sfallback of %s", text.len ? ", " : "", routes[i].id);
    return text.len ? arena_strdup(a, text.data) : "-";
}

static const char *number_text(struct arena *a, int64_t n)
{
    return n ? arena_printf(a, "%lld", (long long)n) : "-";
}

static int print_json(struct session *s, const struct registry *r)
{
    STR_LOCAL(text);
    json_write(&text, json_keep(&s->in->arena, record_write(&registry_record, r)));
    fprintf(s->in->out, "%s\n", text.data);
    return 0;
}

/* What the server of the home has loaded; NULL: there is none. */
static const json_t *ask_states(struct session *s)
{
    json_t *answer;
    if (!server_runs(s) || server_ask(s, "GET", "/tandem/models", NULL, &answer, NULL) < 0)
        return NULL;
    return json_object_get(answer, "instances");
}

/* The instance that answers, or else some other; NULL: there is none. */
static const json_t *instance_of(const json_t *instances, const char *model)
{
    size_t i;
    const json_t *instance, *found = NULL;
    json_array_foreach(instances, i, instance)
        if (streq(json_text_of(instance, "model", ""), model) && (!found || streq(json_text_of(instance, "state", ""), "ready")))
            found = instance;
    return found;
}

/* While a new version is loaded the old one answers, and is named. */
static const char *state_text(struct arena *a, const json_t *instance, const struct model_entry *m)
{
    const char *state = json_text_of(instance, "state", "-");
    int64_t version = json_int_of(instance, "version", m->version);
    return version == m->version ? state : arena_printf(a, "%s v%lld", state, (long long)version);
}

/* Percent of whole files, blocks and schemas. */
static const char *exam_text(struct session *s, const struct model_entry *m)
{
    struct exam_card c;
    if (exam_load(s->store, &s->in->arena, m->id, m->version, &c, NULL) < 0)
        return "-";
    const int64_t shares[] = { c.files, c.blocks, c.schema };
    STR_LOCAL(text);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        if (shares[i] == EXAM_UNKNOWN)
            str_addf(&text, "%s?", i ? "/" : "");
        else
            str_addf(&text, "%s%lld", i ? "/" : "", (long long)shares[i]);
    return arena_printf(&s->in->arena, "%s %%", text.data);
}

static int print_models(struct session *s, const struct registry *r)
{
    struct arena *a = &s->in->arena;
    if (!r->models.count) {
        fprintf(s->in->out, "There is no model in %s yet. `tandem model import FILE.gguf` takes one in; `tandem model import models.yaml` "
                            "names those of other servers.\n", s->home);
        return 0;
    }
    enum { COLUMNS = 9 };
    const struct model_entry *m = r->models.items;
    const json_t *loaded = ask_states(s);
    const char **cells = ARENA_ARRAY(a, const char *, (r->models.count + 1) * COLUMNS);
    const char *head[COLUMNS] = { "MODEL", "VERSION", "RUNS ON", "STATE", "CONTEXT", "SLOTS", "SIZE", "EXAM", "USED BY" };
    memcpy(cells, head, sizeof head);
    for (size_t i = 0; i < r->models.count; i++) {
        const json_t *instance = instance_of(loaded, m[i].id);
        int64_t context = m[i].context ? m[i].context : json_int_of(instance, "context", 0);
        const char *row[COLUMNS] = { m[i].id, number_text(a, m[i].version), *m[i].backend ? m[i].backend : "llama-server",
                                     state_text(a, instance, &m[i]), number_text(a, context), number_text(a, m[i].slots),
                                     size_text(a, m[i].bytes), exam_text(s, &m[i]), used_by(a, r, m[i].id) };
        memcpy(cells + (i + 1) * COLUMNS, row, sizeof row);
    }
    output_table(s->in->out, cells, COLUMNS, r->models.count + 1);
    return 0;
}

static int list(struct session *s, struct err *e)
{
    struct registry r;
    int code = registry_load(s->store, &s->in->arena, &r, e);
    if (code < 0)
        return code;
    return option_given(s->in, "json") ? print_json(s, &r) : print_models(s, &r);
}

static int run_list(struct invocation *in, struct err *e)
{
    return session_with(in, session_look, list, e);
}

static const struct option json_options[] = {
    { .name = "json", .doc = "print the entries as JSON" },
    { 0 },
};

static const struct command action_list = {
    .name = "model list", .summary = "show the models and who uses them", .operands = "", .options = json_options,
    .description = "EXAM is what `tandem model exam` found: percent of changes made well by whole files, by search/replace blocks, and of "
                   "answers that held to their schema.",
    .run = run_list,
};

/* ---- import, export ---- */

static const struct option import_options[] = {
    { .name = "id", .argument = "ID", .doc = "its name here; from the file's name without it" },
    { .name = "sha256", .argument = "HEX", .doc = "the digest that the file must have" },
    { .name = "adapter", .argument = "FOLDER", .kind = ARGUMENT_DIR, .doc = "the program that runs the file, which may be of any form then" },
    { 0 },
};

static int import(struct session *s, struct err *e)
{
    const char *path = s->in->operands.items[0], *adapter = option_value(s->in, "adapter");
    if (adapter || models_is_folder(path))
        return models_import_adapter(s, adapter ? adapter : path, adapter ? path : NULL, option_value(s->in, "id"), option_value(s->in, "sha256"), e);
    if (!ends_with(path, ".yaml") && !ends_with(path, ".yml"))
        return models_import_file(s, path, option_value(s->in, "id"), option_value(s->in, "sha256"), e);
    STR_LOCAL(text);
    struct registry all;
    int r = file_read_path(path, MAX_YAML, &text, e);
    if (r == 0)
        r = models_import_yaml(s, path, text.data, text.len, e);
    if (r == 0)
        r = registry_load(s->store, &s->in->arena, &all, e);
    return r < 0 ? r : print_models(s, &all);
}

static int run_import(struct invocation *in, struct err *e)
{
    return session_with(in, session_open_shared, import, e);
}

static const struct command action_import = {
    .name = "model import", .summary = "take a model's file, or a file of entries, in",
    .operands = "FILE.gguf|FILE.yaml|FOLDER", .min_operands = 1, .max_operands = 1, .operand_kind = ARGUMENT_FILE, .options = import_options,
    .description = "FILE.gguf is copied into the folder of models under the SHA-256 of its bytes; what it says of itself (context, "
                   "layers, quantisation, chat template) goes into an entry. Under an id that is there already it becomes the next "
                   "version, which is loaded beside the old one and then takes over.\n\n"
                   "FILE.yaml has entries as `tandem model export` prints them: each takes the place of the one of the same id, or is "
                   "added; nothing is removed.\n\n"
                   "FOLDER is an adapter (`tandem help adapter`): a program of your own that speaks for a model. It is copied, too.",
    .examples = "tandem model import qwen2.5-coder-7b-q4.gguf\ta file that llama-server runs\n"
                "tandem model import models.yaml\tmodels on other servers, routes\n"
                "tandem model import ./my-backend\tan adapter\n"
                "tandem model import weights.bin --adapter ./my-backend\ta file that an adapter runs",
    .run = run_import,
};

static int export(struct session *s, struct err *e)
{
    STR_LOCAL(yaml);
    struct registry r;
    int code = registry_load(s->store, &s->in->arena, &r, e);
    if (code < 0)
        return code;
    registry_write_yaml(&r, &yaml);
    fputs(yaml.data, s->in->out);
    return 0;
}

static int run_export(struct invocation *in, struct err *e)
{
    return session_with(in, session_look, export, e);
}

static const struct command action_export = {
    .name = "model export", .summary = "print all entries as a file that import takes", .operands = "", .run = run_export,
};

/* ---- route ---- */

static const struct option route_options[] = {
    { .name = "fallback", .argument = "MODEL|ROLE", .doc = "who is asked when the first one's answer is not good enough; none: nobody" },
    { .name = "min-context", .argument = "TOKENS", .doc = "require that the exam showed this context to be usable; 0: nothing" },
    { .name = "min-schema", .argument = "PERCENT", .doc = "require so many answers that held to their schema; 0: nothing" },
    { .name = "min-edits", .argument = "PERCENT", .doc = "require so many changes made well, in the form the model is asked for; 0: nothing" },
    { .name = "remove", .doc = "take the route away" },
    { .name = "propose", .doc = "show which models would serve the roles without a route" },
    { .name = "default", .doc = "make those routes" },
    { 0 },
};

/* "context 8192, schema 80 %"; "": nothing. */
static const char *requires_text(struct arena *a, const struct route_entry *t)
{
    STR_LOCAL(text);
    if (t->min_context)
        str_addf(&text, "context %lld", (long long)t->min_context);
    if (t->min_schema)
        str_addf(&text, "%sschema %lld %%", text.len ? ", " : "", (long long)t->min_schema);
    if (t->min_edits)
        str_addf(&text, "%sedits %lld %%", text.len ? ", " : "", (long long)t->min_edits);
    return arena_strdup(a, text.data);
}

static int read_least(const struct invocation *in, const char *name, int64_t most, int64_t *to, struct err *e)
{
    const char *text = option_value(in, name);
    long long n = *to;
    if (text && !parse_int(text, 0, most, &n))
        return err_set(e, ERR_USAGE, "--%s is \"%.40s\"; allowed: 0 to %lld", name, text, (long long)most);
    *to = n;
    return 0;
}

static int read_leasts(const struct invocation *in, struct route_entry *t, struct err *e)
{
    enum { MAX_TOKENS = 100 << 20, PERCENT = 100 };
    int r = read_least(in, "min-context", MAX_TOKENS, &t->min_context, e);
    if (r == 0)
        r = read_least(in, "min-schema", PERCENT, &t->min_schema, e);
    return r < 0 ? r : read_least(in, "min-edits", PERCENT, &t->min_edits, e);
}

static void print_routes(struct session *s, const struct registry *r)
{
    struct arena *a = &s->in->arena;
    enum { COLUMNS = 4 };
    const char **cells = ARENA_ARRAY(a, const char *, (r->routes.count + 1) * COLUMNS);
    const char *head[COLUMNS] = { "ROLE", "MODEL", "FALLBACK", "REQUIRES" };
    const struct route_entry *routes = r->routes.items;
    size_t columns = COLUMNS - 1;
    for (size_t i = 0; i < r->routes.count; i++)
        columns = *requires_text(a, &routes[i]) ? COLUMNS : columns;
    memcpy(cells, head, columns * sizeof *head);
    for (size_t i = 0; i < r->routes.count; i++) {
        const char *row[COLUMNS] = { routes[i].id, routes[i].primary, *routes[i].fallback ? routes[i].fallback : "-", requires_text(a, &routes[i]) };
        memcpy(cells + (i + 1) * columns, row, columns * sizeof *row);
    }
    if (r->routes.count)
        output_table(s->in->out, cells, columns, r->routes.count + 1);
    else
        fputs("There are no routes yet; `tandem model route developer MODEL` makes one, `tandem model route --default` all.\n", s->in->out);
}

static int change_route(struct session *s, const char *role, struct registry *now, struct err *e)
{
    const struct route_entry *old = registry_route(now, role);
    struct route_entry route = old ? *old : (struct route_entry){ .id = role, .primary = "", .fallback = "" };
    const char *fallback = option_value(s->in, "fallback");
    if (s->in->operands.count > 1)
        route.primary = s->in->operands.items[1];
    if (!*route.primary)
        return err_set(e, ERR_USAGE, "name the model too: tandem model route %s MODEL", role);
    if (fallback)
        route.fallback = streq(fallback, "none") ? "" : fallback;
    int r = read_leasts(s->in, &route, e);
    struct registry change = { .routes = { &route, 1 } };
    return r < 0 ? r : models_put(s, &change, e);
}

/* What the exams say of who serves it now. */
static void judge_route(struct session *s, const struct registry *r, const char *role)
{
    struct texts chain;
    struct err why;
    int code = registry_chain(r, &s->in->arena, role, &chain, &why);
    const char *note = code == 0 ? served_unexamined(&s->in->arena, r, &chain) : code == ERR_REFUSED ? why.text : "";
    if (*note)
        fprintf(s->in->out, "\nNote: %s.\n", note);
}

static int route(struct session *s, struct err *e)
{
    struct registry r;
    if (option_given(s->in, "propose") || option_given(s->in, "default"))
        return routes_default(s, s->in->out, option_given(s->in, "default"), e);
    int code = registry_load(s->store, &s->in->arena, &r, e);
    const char *role = s->in->operands.count ? s->in->operands.items[0] : NULL;
    if (code == 0 && role && option_given(s->in, "remove"))
        code = models_drop(s, REGISTRY_ROUTE, role, e);
    else if (code == 0 && role)
        code = change_route(s, role, &r, e);
    if (code == 0 && role)
        code = registry_load(s->store, &s->in->arena, &r, e);
    if (code == 0)
        print_routes(s, &r);
    if (code == 0 && role && registry_route(&r, role))
        judge_route(s, &r, role);
    return code;
}

static int run_route(struct invocation *in, struct err *e)
{
    if (in->operands.count && (option_given(in, "propose") || option_given(in, "default")))
        return err_set(e, ERR_USAGE, "--propose and --default are for all roles that have no route; leave out \"%.40s\"", in->operands.items[0]);
    return session_with(in, in->operands.count || option_given(in, "default") ? session_open_or_ask : session_look, route, e);
}

static const struct command action_route = {
    .name = "model route", .summary = "show which model serves a role, or change it",
    .operands = "[ROLE [MODEL]]", .max_operands = 2, .options = route_options,
    .description = "Roles are pm, architect, developer, tester, resource-director and embedding. The fallback may be a model, or "
                   "another role, whose route goes on from there.\n\n"
                   "What is required has to be shown by the exam (`tandem model exam`) of the model's present version. A model that does not show "
                   "it, or was not examined, is passed over for the fallback; when none is left, the role is not served, with an error that "
                   "says what each lacks. Without a requirement a model that was not examined serves, with a warning.",
    .examples = "tandem model route developer qwen2.5-coder-7b --fallback architect\tsmall first, then what the Architect uses\n"
                "tandem model route --default\troutes for all roles, over the models there are",
    .run = run_route,
};

/* ---- set, rm ---- */

/* "member=value", the value as in YAML. */
static int assign(struct arena *a, const char *assignment, json_t *entry, struct err *e)
{
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment)
        return err_set(e, ERR_USAGE, "\"%.100s\": write MEMBER=VALUE, for example slots=2", assignment);
    const char *name = arena_strndup(a, assignment, (size_t)(equals - assignment));
    if (streq(name, "id"))
        return err_set(e, ERR_USAGE, "the id of a model stays; `tandem model import FILE --id %.100s` takes its file in under another one, which "
                       "takes no room", equals + 1);
    const char *text = arena_printf(a, "%s: %s", name, equals + 1);
    struct yaml *y;
    int r = yaml_parse(a, assignment, text, strlen(text), &y, e);
    if (r == 0)
        json_put(entry, name, json_incref(json_object_get(yaml_json_as(y, a, model_type.record), name)));
    return r;
}

/* Beyond what it was trained for a llama-server is given no memory. */
static void note_context(struct session *s, const struct registry *r, const struct model_entry *m)
{
    const struct backend_entry *b = registry_backend(r, *m->backend ? m->backend : "llama-server");
    if (b && b->kind == BACKEND_LLAMA_SERVER && m->trained_context && m->context > m->trained_context)
        fprintf(s->in->out, "Note: %s was trained for a context of %lld tokens, and is loaded with no more.\n", m->id,
                (long long)m->trained_context);
}

static int set(struct session *s, struct err *e)
{
    struct arena *a = &s->in->arena;
    struct registry r;
    struct model_entry entry;
    int code = registry_load(s->store, a, &r, e);
    const struct model_entry *old = code == 0 ? registry_model(&r, s->in->operands.items[0]) : NULL;
    if (code == 0 && !old)
        return err_set(e, ERR_NOT_FOUND, "there is no model \"%.100s\"; `tandem model list` shows what there is", s->in->operands.items[0]);
    json_t *value = code == 0 ? json_keep(a, record_write(model_type.record, old)) : NULL;
    for (size_t i = 1; code == 0 && i < s->in->operands.count; i++)
        code = assign(a, s->in->operands.items[i], value, e);
    if (code == 0)
        code = record_read(model_type.record, a, value, &entry, e);
    struct registry change = { .models = { &entry, 1 } };
    if (code == 0)
        code = models_put(s, &change, e);
    if (code == 0)
        note_context(s, &r, &entry);
    return code;
}

static int run_set(struct invocation *in, struct err *e)
{
    return session_with(in, session_open_or_ask, set, e);
}

static const struct command action_set = {
    .name = "model set", .summary = "change how a model is run",
    .operands = "MODEL MEMBER=VALUE...", .min_operands = 2, .max_operands = 50,
    .description = "Members are those that `tandem model export` prints, and context, slots, replicas, gpu_layers, memory_mib, cache_mib, "
                   "pinned, idle_s, sampling, edit_format, arguments.",
    .examples = "tandem model set heavy idle_s=120 slots=1\tone at a time, evicted after two idle minutes",
    .run = run_set,
};

static int rm(struct session *s, struct err *e)
{
    return models_remove(s, s->in->operands.items[0], e);
}

static int run_rm(struct invocation *in, struct err *e)
{
    return session_with(in, session_open_or_ask, rm, e);
}

static const struct command action_rm = {
    .name = "model rm", .summary = "take a model away, and its file when no other uses it",
    .operands = "MODEL", .min_operands = 1, .max_operands = 1, .run = run_rm,
};

/* ---- the group ---- */

static const struct command *const actions[] = {
    &action_list, &action_import, &action_export, &action_route, &action_set, &action_rm,
    &action_load, &action_unload, &action_ask, &action_embed, &action_exam, &action_log, NULL,
};

const struct command command_model = {
    .name = "model",
    .summary = "the models: what there is, who uses which, and asking one",
    .operands = "",
    .description = "Models are files that Tandem runs itself with llama.cpp's llama-server, or live on servers of others (anything with "
                   "an OpenAI-compatible address, Ollama). A route says which model serves a role.",
    .actions = actions,
};
