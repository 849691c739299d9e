/* cmd_key.c - tandem key: who may ask the models from other programs and machines. */
#include "cli/commands.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/server.h"
#include "model/key.h"
#include "model/registry.h"
#include "web/home_api.h"

#include <time.h>

enum { DAY_S = 86400, MAX_PER_MINUTE = 1000000, MAX_AT_ONCE = 10000 };
static const long long MAX_TOKENS = 1000000000000;

/* ---- add ---- */

static const struct option add_options[] = {
    { .name = "models", .argument = "NAME,...", .doc = "the models and roles that it may name; without this all" },
    { .name = "per-minute", .argument = "N", .doc = "requests that it may make in a minute" },
    { .name = "tokens-per-day", .argument = "N", .doc = "tokens, read and written, from midnight to midnight UTC" },
    { .name = "at-once", .argument = "N", .doc = "calls that it may have under way" },
    { .name = "expires", .argument = "DATE", .doc = "the last day on which it holds (UTC): 2030-12-31" },
    { 0 },
};

static int read_limit(const struct invocation *in, const char *name, long long most, int64_t *ret, struct err *e)
{
    const char *text = option_value(in, name);
    long long n = 0;
    if (text && !parse_int(text, 1, most, &n))
        return err_set(e, ERR_USAGE, "--%s is \"%.40s\"; allowed: 1 to %lld", name, text, most);
    *ret = n;
    return 0;
}

/* The midnight after that day; 0: never. */
static int read_date(const char *text, int64_t *ret, struct err *e)
{
    struct tm tm = { 0 };
    if (!text)
        return 0;
    const char *end = strlen(text) == 10 ? strptime(text, "%Y-%m-%d", &tm) : NULL;
    int day = tm.tm_mday, month = tm.tm_mon;
    time_t t = end ? timegm(&tm) : -1;
    if (!end || *end || t < 0 || tm.tm_mday != day || tm.tm_mon != month)
        return err_set(e, ERR_USAGE, "--expires is \"%.40s\"; write a day as 2030-12-31", text);
    *ret = ((int64_t)t + DAY_S) * 1000;
    return *ret > clock_wall_ms() ? 0 : err_set(e, ERR_USAGE, "--expires %s is over already", text);
}

/* Each has to be there, so that a mistyped name is noticed now. */
static int read_models(struct session *s, struct texts *ret, struct err *e)
{
    struct arena *a = &s->in->arena;
    struct registry r;
    const struct model_entry *m;
    const char *text = option_value(s->in, "models");
    int code = text ? registry_load(s->store, a, &r, e) : 0;
    for (size_t len; code == 0 && text && *text; text += len + (text[len] == ',')) {
        len = strcspn(text, ",");
        const char *name = arena_strndup(a, text, len);
        code = registry_resolve(&r, name, &m, e);
        texts_add(ret, a, name);
    }
    return code < 0 && code != ERR_FAILED ? err_recode(e, ERR_USAGE) : code;
}

static int read_key(struct session *s, struct key_entry *k, struct err *e)
{
    int r = read_limit(s->in, "per-minute", MAX_PER_MINUTE, &k->per_minute, e);
    if (r == 0)
        r = read_limit(s->in, "tokens-per-day", MAX_TOKENS, &k->tokens_per_day, e);
    if (r == 0)
        r = read_limit(s->in, "at-once", MAX_AT_ONCE, &k->at_once, e);
    if (r == 0)
        r = read_date(option_value(s->in, "expires"), &k->expires_ms, e);
    return r == 0 ? read_models(s, &k->models, e) : r;
}

static int put_key(struct session *s, const struct key_entry *k, struct err *e)
{
    const char *person = session_login(&s->in->arena);
    json_t *answer;
    if (!s->server)
        return key_add(s->store, k, person, e);
    struct home_key sent = { person, *k };
    return server_ask(s, "POST", "/tandem/keys", record_write(&home_key_record, &sent), &answer, e);
}

/* To a program the key alone, so that it can be taken as it is. */
static void show_key(struct session *s, const struct key_entry *k, const char *key, bool first)
{
    FILE *out = s->in->out;
    if (!s->term.is_terminal) {
        fprintf(out, "%s\n", key);
        return;
    }
    fprintf(out, "The key %s, which is shown this once and kept nowhere:\n\n    %s\n\nPrograms send it as \"Authorization: Bearer KEY\"; "
                 "most take it from OPENAI_API_KEY.\n", k->id, key);
    if (first)
        fputs("It is the first one: from now on programs on this machine need a key too (setting keyless_local), and `tandem serve "
              "--listen` takes the addresses of other networks.\n", out);
}

static int add(struct session *s, struct err *e)
{
    char key[KEY_LEN + 1];
    int64_t before;
    key_make(key);
    struct digest d = digest_of(key, KEY_LEN);
    struct key_entry k = { .id = s->in->operands.items[0], .digest = d.hex, .created_ms = clock_wall_ms() };
    int r = read_key(s, &k, e);
    if (r == 0)
        r = store_count(s->store, &key_type, NULL, &before, e);
    if (r == 0)
        r = put_key(s, &k, e);
    if (r == 0)
        show_key(s, &k, key, before == 0);
    explicit_bzero(key, sizeof key);
    return r;
}

static int run_add(struct invocation *in, struct err *e)
{
    return session_with(in, session_open_or_ask, add, e);
}

static const struct command action_add = {
    .name = "key add", .summary = "make a key, and show it this once",
    .operands = "NAME", .min_operands = 1, .max_operands = 1, .options = add_options,
    .description = "Only a digest of the key is kept, so nobody can show it again. Limits that are not given do not exist. A request over a "
                   "limit is told 429 and when to come again; calls under way when the tokens of a day run out are still answered.",
    .examples = "tandem key add ann\tmay ask everything\n"
                "tandem key add ci --models developer --per-minute 30 --at-once 2 --expires 2030-12-31\ta key with limits",
    .run = run_add,
};

/* ---- list ---- */

static const struct option json_options[] = {
    { .name = "json", .doc = "print the keys as JSON" },
    { 0 },
};

static const char *number_text(struct arena *a, int64_t n)
{
    return n ? arena_printf(a, "%lld", (long long)n) : "-";
}

/* The last day on which it holds. */
static const char *day_text(struct arena *a, int64_t expires_ms)
{
    char text[32];
    if (!expires_ms)
        return "-";
    clock_format(expires_ms - 1, text);
    return arena_printf(a, "%.10s%s", text, expires_ms <= clock_wall_ms() ? " (over)" : "");
}

static int use_today(struct session *s, const char *id, struct key_use *ret, struct err *e)
{
    int r = store_get(s->store, &s->in->arena, &key_use_type, id, ret, NULL, e);
    if (r == ERR_NOT_FOUND || (r == 0 && ret->day != key_day(clock_wall_ms())))
        *ret = (struct key_use){ 0 };
    return r == ERR_NOT_FOUND ? 0 : r;
}

static json_t *key_json(const struct key_entry *k, const struct key_use *use)
{
    json_t *o = record_write(&key_record, k);
    json_object_del(o, "digest");
    json_put_int(o, "calls_today", use->calls);
    json_put_int(o, "tokens_today", use->tokens);
    return o;
}

static int print_keys(struct session *s, const struct records *keys, struct err *e)
{
    struct arena *a = &s->in->arena;
    enum { COLUMNS = 7 };
    const struct key_entry *k = keys->items;
    const char **cells = ARENA_ARRAY(a, const char *, (keys->count + 1) * COLUMNS);
    const char *head[COLUMNS] = { "KEY", "PER MINUTE", "AT ONCE", "TOKENS A DAY", "TODAY", "UNTIL", "MODELS" };
    memcpy(cells, head, sizeof head);
    for (size_t i = 0; i < keys->count; i++) {
        struct key_use use;
        int r = use_today(s, k[i].id, &use, e);
        if (r < 0)
            return r;
        const char *row[COLUMNS] = { k[i].id, number_text(a, k[i].per_minute), number_text(a, k[i].at_once),
                                     number_text(a, k[i].tokens_per_day), number_text(a, use.tokens), day_text(a, k[i].expires_ms),
                                     k[i].models.count ? texts_join(&k[i].models, a, ", ", 0) : "all" };
        memcpy(cells + (i + 1) * COLUMNS, row, sizeof row);
    }
    output_table(s->in->out, cells, COLUMNS, keys->count + 1);
    return 0;
}

static int print_json(struct session *s, const struct records *keys, struct err *e)
{
    STR_LOCAL(text);
    const struct key_entry *k = keys->items;
    json_t *list = json_keep(&s->in->arena, json_array());
    for (size_t i = 0; i < keys->count; i++) {
        struct key_use use;
        int r = use_today(s, k[i].id, &use, e);
        if (r < 0)
            return r;
        json_array_append_new(list, key_json(&k[i], &use));
    }
    json_write(&text, list);
    fprintf(s->in->out, "%s\n", text.data);
    return 0;
}

static int list(struct session *s, struct err *e)
{
    struct records keys;
    int r = keys_load(s->store, &s->in->arena, &keys, e);
    if (r == 0 && option_given(s->in, "json"))
        return print_json(s, &keys, e);
    if (r == 0 && keys.count)
        return print_keys(s, &keys, e);
    if (r == 0)
        fputs("There are no keys; programs on this machine need none. `tandem key add NAME` makes one.\n", s->in->out);
    return r;
}

static int run_list(struct invocation *in, struct err *e)
{
    return session_with(in, session_look, list, e);
}

static const struct command action_list = {
    .name = "key list", .summary = "show the keys, their limits and what they used today", .operands = "", .options = json_options,
    .run = run_list,
};

/* ---- rm ---- */

static int drop_key(struct session *s, const char *id, struct err *e)
{
    const char *person = session_login(&s->in->arena);
    json_t *answer;
    if (!s->server)
        return key_remove(s->store, id, person, e);
    struct home_key_removal sent = { person, id };
    return server_ask(s, "POST", "/tandem/keys/remove", record_write(&home_key_removal_record, &sent), &answer, e);
}

static int rm(struct session *s, struct err *e)
{
    int64_t left = 0;
    const char *id = s->in->operands.items[0];
    int r = drop_key(s, id, e);
    if (r == 0)
        r = store_count(s->store, &key_type, NULL, &left, e);
    if (r == 0)
        fprintf(s->in->out, "%s holds no longer.%s\n", id, left ? "" : " It was the last key: programs on this machine need none now, others "
                                                                       "cannot ask.");
    return r;
}

static int run_rm(struct invocation *in, struct err *e)
{
    return session_with(in, session_open_or_ask, rm, e);
}

static const struct command action_rm = {
    .name = "key rm", .summary = "take a key away; at once, also in a server that runs",
    .operands = "NAME", .min_operands = 1, .max_operands = 1, .run = run_rm,
};

/* ---- the group ---- */

static const struct command *const actions[] = { &action_add, &action_list, &action_rm, NULL };

const struct command command_key = {
    .name = "key",
    .summary = "the keys with which other programs ask the models",
    .operands = "",
    .description = "Without keys, programs on this machine may ask `tandem serve`, and nobody else. Once there is a key, everybody by TCP "
                   "needs one, programs on this machine too: behind a reverse proxy all the world looks like this machine. The setting "
                   "keyless_local makes an exception for this machine. The home's own socket needs no key.",
    .actions = actions,
};
