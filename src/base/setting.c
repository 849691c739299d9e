/* setting.c - the table of settings, and the reading of values.
 *
 * One table with offsets into one struct (after tmux's options-table.c): the code reads
 * `settings.pairs`, checked by the compiler, and a new setting is one member and one row.
 * Looking values up by name at run time would let a mistyped name compile.
 *
 * Defaults are written as text and go through the same checks as everybody's values.
 */
#include "base/setting.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/suggest.h"
#include "base/utf8.h"
#include "base/yaml.h"

#include <ctype.h>
#include <inttypes.h>

static const char *const bools[] = { "false", "true", NULL };
static const char *const whens[] = { "auto", "always", "never", NULL };
static const char *const sandboxes[] = { "required", "none", NULL };
static const char *const log_levels[] = { "debug", "info", "warning", "error", NULL };

#define INT(member, low, high, value, of, text) \
    { .name = #member, .kind = SETTING_INT, .offset = offsetof(struct settings, member), \
      .min = (low), .max = (high), .preset = value, .unit = of, .doc = text, .group = GROUP }
#define BOOL(member, value, text) \
    { .name = #member, .kind = SETTING_BOOL, .offset = offsetof(struct settings, member), \
      .choices = bools, .preset = value, .unit = "", .doc = text, .group = GROUP }
#define CHOICE(member, words, value, text) \
    { .name = #member, .kind = SETTING_CHOICE, .offset = offsetof(struct settings, member), \
      .choices = words, .preset = value, .unit = "", .doc = text, .group = GROUP }
#define WORDS(of_kind, member, bytes, value, text) \
    { .name = #member, .kind = (of_kind), .offset = offsetof(struct settings, member), \
      .max = (bytes), .preset = value, .unit = "", .doc = text, .group = GROUP }
#define TEXT(member, bytes, value, text) WORDS(SETTING_TEXT, member, bytes, value, text)
#define PATH(member, value, text) WORDS(SETTING_PATH, member, 4096, value, text)

static const struct setting table[] = {
#define GROUP "The team"
    INT(pairs, 1, 16, "2", "pairs", "how many pairs of Developer and Tester work at once"),
    INT(attempts, 1, 40, "10", "answers", "tries at the red or the green of a criterion before a person is asked"),
    INT(review_rounds, 0, 20, "3", "rounds", "how often a review may send a ticket back"),
    INT(replans, 1, 10, "3", "answers", "tries at a spec, plan, scope or review that passes its checks"),
    INT(ticket_tokens, 1000, 1000000000, "400000", "tokens", "what a ticket may use, prompts and answers, before it is blocked"),
    INT(ticket_minutes, 1, 10080, "120", "minutes", "what a ticket may take before it is blocked"),
    INT(coverage_target, 0, 100, "80", "percent", "line coverage that a finished ticket must have"),
#undef GROUP
#define GROUP "The queue"
    INT(task_attempts, 1, 20, "3", "runs", "tries at a task that fails by accident before a person is told"),
    INT(lease_s, 5, 3600, "60", "seconds", "silence after which a worker's task is given to another"),
#undef GROUP
#define GROUP "Models"
    INT(context_tokens, 0, 10000000, "0", "tokens", "context of the models; 0: what the server says, or else 8192"),
    INT(answer_tokens, 0, 1000000, "0", "tokens", "room kept for an answer; 0: a quarter of the context, at most 4096"),
    INT(map_tokens, 0, 100000, "1500", "tokens", "room for the map of the repository in a prompt"),
    INT(answer_kib, 1, 1048576, "4096", "KiB", "an answer longer than this is cut off as broken"),
    INT(connect_s, 1, 600, "5", "seconds", "time to reach a model server"),
    INT(first_token_s, 1, 86400, "600", "seconds", "time until an answer begins (the prompt is being read)"),
    INT(stall_s, 1, 86400, "60", "seconds", "silence in the middle of an answer"),
    INT(total_s, 1, 604800, "3600", "seconds", "time for a whole answer"),
    INT(patience_s, 0, 604800, "300", "seconds", "how long a busy or loading server is waited for, or one that answered before and is away; else 3 s"),
    INT(ollama_keep_s, -1, 31536000, "1800", "seconds", "how long an Ollama keeps a model loaded after a call; -1: for ever"),
    PATH(api_key_file, "", "file that holds the API key (or put the key into TANDEM_API_KEY)"),
    PATH(ca_file, "", "PEM file of the company's certificate authority"),
    TEXT(nearby, 4096, "http://127.0.0.1:8080/v1 ollama: http://127.0.0.1:8000/v1 http://127.0.0.1:1234/v1",
         "where a running model server is looked for when none is given and no route is set; ollama: is where OLLAMA_HOST says"),
#undef GROUP
#define GROUP "Running models"
    PATH(models_dir, "", "where model files are kept; empty: models in the home"),
    WORDS(SETTING_PROGRAM, llama_server, 4096, "llama-server", "llama.cpp's server: a program in /usr/local/bin or /usr/bin, or a path"),
    INT(model_memory_mib, 0, 16777216, "0", "MiB", "memory for models; 0: three quarters of the machine's"),
    INT(model_vram_mib, 0, 16777216, "0", "MiB", "memory of the GPUs for models; 0: not counted"),
    INT(model_queue, 1, 100000, "256", "calls", "how many may wait for one model"),
    INT(slot_files_mib, 0, 16777216, "4096", "MiB", "what models have read of conversations, in files of the home while they have no slot; 0: nothing"),
    INT(model_load_s, 1, 86400, "900", "seconds", "time for loading a model"),
    INT(model_ageing_s, 0, 86400, "60", "seconds", "after this wait even a model with work to do makes room for another"),
    INT(embed_texts, 1, 10000, "32", "texts", "of one request for vectors"),
    INT(embed_bytes, 1024, 67108864, "131072", "bytes", "of one request for vectors, unless it is a single text"),
    INT(vectors_kept, 0, 10000000, "200000", "vectors", "of texts, that are kept in the home; more are made each time"),
#undef GROUP
#define GROUP "Serving"
    TEXT(listen, 200, "127.0.0.1:8799", "HOST:PORT where tandem serve is found by other programs; none: on the home's socket alone"),
    TEXT(hosts, 4096, "", "names under which the server is asked, besides addresses and localhost, with blanks between them; *: any"),
    TEXT(origins, 4096, "", "origins whose web pages may ask (https://chat.example.org), with blanks between them; *: any"),
    BOOL(keyless_local, "false", "programs on this machine need no key even when there are keys; not behind a reverse proxy"),
    INT(queue_wait_s, 0, 86400, "600", "seconds", "how long a call of another program waits for a slot; 0: as long as it takes"),
    INT(http_connections, 8, 100000, "1024", "connections", "open at once"),
    INT(http_connections_per_address, 1, 100000, "256", "connections", "of them from one IPv4 address or IPv6 /64"),
    INT(http_workers, 2, 4096, "256", "requests", "being worked at, waiting for a model included; three quarters of them may be commands that look at a project at work"),
    INT(http_waiting, 0, 100000, "256", "requests", "that wait for a worker; more are turned away"),
    INT(http_head_s, 1, 3600, "10", "seconds", "time for the head of a request, all of it"),
    INT(http_idle_s, 1, 86400, "60", "seconds", "an idle connection is closed"),
    INT(http_grace_s, 1, 3600, "10", "seconds", "time for a body or a whole answer, before http_rate counts"),
    INT(http_rate, 1, 1000000000, "1024", "bytes", "what a second more is given for; slower clients are cut off"),
    INT(http_stall_s, 1, 86400, "30", "seconds", "a stream that its client does not read is broken off"),
    INT(http_body_mib, 1, 1024, "32", "MiB", "the largest body of a request"),
    INT(http_bodies_mib, 1, 1048576, "256", "MiB", "the bodies of all requests under way"),
#undef GROUP
#define GROUP "Running tests"
    INT(suite_timeout_s, 1, 86400, "120", "seconds", "time for one run of a test suite"),
    INT(prepare_timeout_s, 1, 86400, "900", "seconds", "time for a stack's prepare step (dependencies)"),
    INT(cache_mib, 0, 1048576, "4096", "MiB", "results of prepare steps kept in the home; the ones not used for longest go"),
    INT(memory_mib, 64, 1048576, "2048", "MiB", "memory of a test run"),
    INT(processes, 8, 100000, "256", "processes", "processes and threads of a test run"),
    INT(file_mib, 1, 1048576, "256", "MiB", "largest file a test run may write"),
    INT(tmp_mib, 1, 1048576, "256", "MiB", "size of /tmp in a test run"),
    INT(disk_mib, 1, 1048576, "1024", "MiB", "what a test run may write into its work directory"),
    INT(output_kib, 16, 1048576, "4096", "KiB", "output kept of a test run; more of it ends the run"),
    CHOICE(sandbox, sandboxes, "required", "none: run generated code unprotected where no sandbox can be had"),
    BOOL(network, "false", "let a stack's prepare step use the network"),
    PATH(scratch, "", "directory for test runs, outside every home; empty: TMPDIR, or memory when there is plenty, or /tmp"),
#undef GROUP
#define GROUP "Input"
    INT(spec_kib, 1, 1024, "256", "KiB", "largest spec"),
    INT(tree_files, 1, 10000000, "50000", "files", "what the repository under work may have"),
    INT(tree_mib, 1, 1048576, "1024", "MiB", "size of the repository under work, all its files together"),
#undef GROUP
#define GROUP "The terminal"
    CHOICE(color, whens, "auto", "colours; auto: on a terminal, unless NO_COLOR is set"),
    CHOICE(unicode, whens, "auto", "symbols beyond ASCII; auto: when the locale is UTF-8"),
    CHOICE(log, log_levels, "warning", "messages for the administrator on standard error"),
#undef GROUP
};

enum { ROWS = sizeof table / sizeof *table };
_Static_assert(sizeof table / sizeof *table <= SETTING_MAX, "make SETTING_MAX larger");

const struct setting *setting_table(size_t *ret_count)
{
    *ret_count = ROWS;
    return table;
}

const struct setting *setting_find(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (streq(table[i].name, name))
            return &table[i];
    return NULL;
}

/* ---- values ---- */

static int choice_index(const struct setting *row, const char *value)
{
    for (int i = 0; row->choices[i]; i++)
        if (streq(row->choices[i], value))
            return i;
    return -1;
}

/* NULL: nobody can say where it is. */
static const char *whole_path(const struct settings *s, const struct setting *row, const char *path)
{
    bool is_whole = !*path || *path == '/' || (row->kind == SETTING_PROGRAM && !strchr(path, '/'));
    while (starts_with(path, "./"))
        path += 2;
    return is_whole ? path : s->here ? arena_printf(s->arena, "%s/%s", streq(s->here, "/") ? "" : s->here, path) : NULL;
}

static bool store_text(struct settings *s, const struct setting *row, const char *value)
{
    const char *text = row->kind == SETTING_TEXT ? value : whole_path(s, row, value);
    if (!text || strlen(text) > (size_t)row->max || !utf8_valid(text, strlen(text), NULL))
        return false;
    *(const char **)((char *)s + row->offset) = arena_strdup(s->arena, text);
    return true;
}

/* Whether `value` is allowed; then it is stored. */
static bool store(struct settings *s, const struct setting *row, const char *value)
{
    void *at = (char *)s + row->offset;
    long long number;
    int choice;
    switch (row->kind) {
    case SETTING_INT:
        if (!parse_int(value, row->min, row->max, &number))
            return false;
        *(int64_t *)at = number;
        return true;
    case SETTING_BOOL:
    case SETTING_CHOICE:
        choice = choice_index(row, value);
        if (choice < 0)
            return false;
        if (row->kind == SETTING_BOOL)
            *(bool *)at = choice != 0;
        else
            *(int *)at = choice;
        return true;
    case SETTING_TEXT:
    case SETTING_PATH:
    case SETTING_PROGRAM:
        return store_text(s, row, value);
    }
    return false;
}

/* What its range does not tell of a text. */
static const char *more_allowed(const struct settings *s, const struct setting *row, const char *value)
{
    if (row->kind == SETTING_INT || row->kind == SETTING_BOOL || row->kind == SETTING_CHOICE)
        return "";
    if (!utf8_valid(value, strlen(value), NULL))
        return ", in UTF-8";
    return row->kind != SETTING_TEXT && !whole_path(s, row, value) ? ", from the root (/...)" : "";
}

void settings_init(struct settings *s, struct arena *a)
{
    *s = (struct settings){ .arena = a };
    for (size_t i = 0; i < ROWS; i++) {
        if (!store(s, &table[i], table[i].preset))
            abort(); /* the table contradicts itself */
        s->from[i] = "default";
    }
}

int setting_set(struct settings *s, const char *name, const char *value, const char *from,
                struct err *e)
{
    const struct setting *row = setting_find(name);
    if (!row) {
        struct suggestion near = { 0 };
        for (size_t i = 0; i < ROWS; i++)
            suggestion_try(&near, name, table[i].name);
        return err_set(e, ERR_INVALID, "there is no setting \"%.60s\" (%s)%s%s%s", name, from,
                       near.name ? "; did you mean " : "; see tandem help settings",
                       near.name ? near.name : "", near.name ? "?" : "");
    }
    if (!store(s, row, value)) {
        STR_LOCAL(range);
        setting_range(row, &range);
        return err_set(e, ERR_INVALID, "%s is \"%.60s\" (%s); allowed: %s%s%s%s", row->name, value,
                       from, range.data, *row->unit ? " " : "", row->unit, more_allowed(s, row, value));
    }
    s->from[row - table] = arena_strdup(s->arena, from);
    return 0;
}

int settings_assign(struct settings *s, const char *assignment, struct err *e)
{
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment)
        return err_set(e, ERR_INVALID, "--set %.60s: write name=value, for example --set pairs=4",
                       assignment);
    ARENA_LOCAL(a);
    const char *name = arena_strndup(&a, assignment, (size_t)(equals - assignment));
    return setting_set(s, name, equals + 1, "--set", e);
}

/* "pairs" and "TANDEM_PAIRS". */
static bool is_variable_of(const struct setting *row, const char *name, size_t len)
{
    if (len != strlen(row->name))
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] != toupper((unsigned char)row->name[i]))
            return false;
    return true;
}

int settings_read_environment(struct settings *s, const char *const *environment, struct err *e)
{
    static const char prefix[] = "TANDEM_";
    struct settings fresh = *s;
    ARENA_LOCAL(a);
    for (; *environment; environment++) {
        const char *equals = strchr(*environment, '=');
        if (!equals || !starts_with(*environment, prefix))
            continue;
        const char *name = *environment + strlen(prefix);
        for (size_t i = 0; i < ROWS; i++) {
            if (!is_variable_of(&table[i], name, (size_t)(equals - name)))
                continue;
            const char *from = arena_printf(&a, "%.*s in the environment",
                                            (int)(equals - *environment), *environment);
            int r = setting_set(&fresh, table[i].name, equals + 1, from, e);
            if (r < 0)
                return r;
        }
    }
    *s = fresh;
    return 0;
}

/* A scalar as one would write it; NULL when it is none. */
static const char *scalar_text(struct arena *a, const json_t *v)
{
    if (json_is_string(v))
        return json_string_value(v);
    if (json_is_integer(v))
        return arena_printf(a, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    if (json_is_real(v))
        return arena_printf(a, "%g", json_real_value(v));
    if (json_is_boolean(v))
        return bools[json_is_true(v)];
    return NULL;
}

int settings_read_yaml(struct settings *s, const char *file_name, const char *text, size_t len,
                       struct err *e)
{
    ARENA_LOCAL(a);
    struct yaml *y;
    int r = yaml_parse(&a, file_name, text, len, &y, e);
    if (r < 0)
        return r;
    json_t *document = yaml_json(y, &a);
    if (!document || json_is_null(document))
        return 0; /* an empty file, or comments only */
    if (!json_is_object(document))
        return err_set(e, ERR_INVALID, "%s: write one setting a line, for example pairs: 4", file_name);
    struct settings fresh = *s;
    const char *name, *slash = strrchr(file_name, '/');
    json_t *value;
    fresh.here = slash ? arena_strndup(&a, file_name, slash == file_name ? 1 : (size_t)(slash - file_name)) : s->here;
    json_object_foreach(document, name, value) {
        const char *from = arena_printf(&a, "%s:%d", file_name, yaml_line(y, name));
        const char *written = scalar_text(&a, value);
        if (!written)
            return err_set(e, ERR_INVALID, "%s: %.60s needs one value on the same line", from, name);
        r = setting_set(&fresh, name, written, from, e);
        if (r < 0)
            return r;
    }
    fresh.here = s->here;
    *s = fresh;
    return 0;
}

/* ---- for people ---- */

void setting_format(const struct setting *row, const struct settings *s, struct str *out)
{
    const void *at = (const char *)s + row->offset;
    switch (row->kind) {
    case SETTING_INT: str_addf(out, "%" PRId64, *(const int64_t *)at); break;
    case SETTING_BOOL: str_add(out, bools[*(const bool *)at]); break;
    case SETTING_CHOICE: str_add(out, row->choices[*(const int *)at]); break;
    case SETTING_TEXT:
    case SETTING_PATH:
    case SETTING_PROGRAM:
        str_add(out, *(const char *const *)at);
        break;
    }
}

void setting_range(const struct setting *row, struct str *out)
{
    switch (row->kind) {
    case SETTING_INT:
        str_addf(out, "%" PRId64 " to %" PRId64, row->min, row->max);
        break;
    case SETTING_BOOL:
    case SETTING_CHOICE:
        str_add_words(out, row->choices);
        break;
    case SETTING_PATH:
        str_addf(out, "a path of at most %" PRId64 " bytes", row->max);
        break;
    case SETTING_PROGRAM:
    case SETTING_TEXT:
        str_addf(out, "a text of at most %" PRId64 " bytes", row->max);
        break;
    }
}
