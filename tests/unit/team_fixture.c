/* team_fixture.c - see the header. */
#include "team_fixture.h"

#include "base/alloc.h"
#include "base/json.h"
#include "model/backend.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

const char one_spec[] = "# Numbers\n\n- `double(n)` in the module `doubling` returns twice `n`.\n- It refuses text.\n";

/* ---- the scripted model ---- */

struct line {
    const char *key, *text;
    bool prefix;
};
struct asked {
    const char *key, *prompt;
};
struct script {
    struct model base;
    pthread_mutex_t lock; /* guards what follows, and the arena */
    struct arena arena;
    int64_t context; /* 0: unreachable */
    struct line lines[200];
    size_t line_count;
    struct asked asked[500];
    size_t asked_count;
};

static int script_describe(struct model *m, const atomic_bool *cancel, const char **ret_name, int64_t *ret_context, struct err *e)
{
    (void)cancel;
    if (!((struct script *)m)->context)
        return err_set(e, ERR_UNAVAILABLE, "the script cannot be reached");
    if (ret_name)
        *ret_name = "scripted";
    if (ret_context)
        *ret_context = ((struct script *)m)->context;
    return 0;
}

static const char *line_for(const struct script *s, const char *key)
{
    const char *found = NULL;
    for (size_t i = 0; i < s->line_count; i++) {
        if (!s->lines[i].prefix && streq(s->lines[i].key, key))
            return s->lines[i].text;
        if (s->lines[i].prefix && starts_with(key, s->lines[i].key))
            found = s->lines[i].text;
    }
    return found;
}

static int script_chat(struct model *m, const struct chat_request *q, struct chat_answer *answer, struct err *e)
{
    struct script *s = (struct script *)m;
    if (!s->context)
        return err_set(e, ERR_UNAVAILABLE, "the script cannot be reached");
    pthread_mutex_lock(&s->lock);
    const char *key = arena_printf(&s->arena, "%s/%s/%s/%lld", *q->key.ticket ? q->key.ticket : "project", q->key.role,
                                   q->key.step, (long long)q->key.occurrence);
    STR_LOCAL(prompt);
    for (size_t i = 0; i < q->message_count; i++)
        str_addf(&prompt, "<<%s>>\n%s\n", chat_role_name(q->messages[i].role), q->messages[i].text);
    assert_true(s->asked_count < sizeof s->asked / sizeof *s->asked);
    s->asked[s->asked_count++] = (struct asked){ key, arena_strndup(&s->arena, prompt.data, prompt.len) };
    const char *text = line_for(s, key);
    int r = 0;
    if (text) {
        str_add(&answer->text, text);
        snprintf(answer->finish, sizeof answer->finish, "stop");
        snprintf(answer->model, sizeof answer->model, "scripted");
        answer->prompt_tokens = (int64_t)prompt.len / 4;
        answer->completion_tokens = (int64_t)strlen(text) / 4;
    } else {
        print_message("the script has nothing for %s; the prompt ends:\n%s\n", key,
                      prompt.data + (prompt.len > 1500 ? prompt.len - 1500 : 0));
        r = err_set(e, ERR_FAILED, "the script has nothing for %s", key);
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

static void script_free(struct model *m)
{
    struct script *s = (struct script *)m;
    arena_release(&s->arena);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static const struct backend script_backend = { .name = "script", .describe = script_describe, .chat = script_chat, .free = script_free };

static void add_line(struct team_fixture *f, const char *key, const char *text, bool prefix)
{
    struct script *s = f->script;
    pthread_mutex_lock(&s->lock);
    assert_true(s->line_count < sizeof s->lines / sizeof *s->lines);
    s->lines[s->line_count++] = (struct line){ arena_strdup(&s->arena, key), arena_strdup(&s->arena, text), prefix };
    pthread_mutex_unlock(&s->lock);
}

void says(struct team_fixture *f, const char *key, const char *text)
{
    add_line(f, key, text, false);
}

void says_always(struct team_fixture *f, const char *prefix, const char *text)
{
    add_line(f, prefix, text, true);
}

void script_context(struct team_fixture *f, int64_t tokens)
{
    f->script->context = tokens;
}

void script_unreachable(struct team_fixture *f)
{
    f->script->context = 0;
}

const char *prompt_of(struct team_fixture *f, const char *key)
{
    for (size_t i = 0; i < f->script->asked_count; i++)
        if (streq(f->script->asked[i].key, key))
            return f->script->asked[i].prompt;
    return NULL;
}

size_t calls_of(struct team_fixture *f, const char *prefix)
{
    size_t n = 0;
    for (size_t i = 0; i < f->script->asked_count; i++)
        n += starts_with(f->script->asked[i].key, prefix);
    return n;
}

/* ---- the team ---- */

static void open_store(struct team_fixture *f)
{
    check_ok(store_open(&f->store, f->place.home, team_doc_types, team_doc_type_count, &f->e), &f->e);
}

static void close_team(struct team_fixture *f)
{
    team_free(f->team);
    house_free(f->house);
    store_free(f->store);
    f->team = NULL;
    f->house = NULL;
    f->store = NULL;
}

int team_set_up(void **state)
{
    struct team_fixture *f = calloc(1, sizeof *f);
    scratch_make(&f->s);
    f->script = xcalloc(1, sizeof *f->script);
    f->script->base.backend = &script_backend;
    f->script->context = 16384;
    pthread_mutex_init(&f->script->lock, NULL);
    f->place = (struct house_options){ .home = scratch_path(&f->s, "home"), .queue = queue_default_limits };
    f->place.queue.pause_ms = 5;
    f->options = (struct team_options){ .limits = team_default_limits };
    for (int i = ROLE_PM; i < ROLE_COUNT; i++)
        f->options.models[i] = &f->script->base;
    open_store(f);
    *state = f;
    return 0;
}

int team_tear_down(void **state)
{
    struct team_fixture *f = *state;
    close_team(f);
    model_free(&f->script->base);
    scratch_remove(&f->s);
    free(f);
    return 0;
}

void open_team(struct team_fixture *f)
{
    check_ok(house_open(&f->house, f->store, &f->place, &f->e), &f->e);
    f->team = team_new(f->house, &f->options);
}

void reopen_team(struct team_fixture *f)
{
    close_team(f);
    open_store(f);
    open_team(f);
}

static const char *make_source(struct team_fixture *f, const char *const *files)
{
    scratch_sh(&f->s, "git init -q source");
    for (; *files; files += 2)
        scratch_write(&f->s, arena_printf(&f->s.arena, "source/%s", files[0]), files[1]);
    scratch_sh(&f->s, "cd source; git add -A; git commit -qm Begin");
    return scratch_path(&f->s, "source");
}

void begin_project(struct team_fixture *f, int64_t pairs, const char *spec, const char *plan, const char *const *files)
{
    if (!f->team)
        open_team(f);
    says(f, "project/architect/plan-1/1", plan);
    struct project_wish w = { .name = "numbers", .spec = spec, .stack = "python", .pairs = pairs,
                              .repo = files ? make_source(f, files) : NULL, .coverage_target = 0, .dev = f->dev };
    check_ok(team_create(f->team, &f->s.arena, &w, &f->id, &f->e), &f->e);
    run_team(f, TEAM_GATE);
    check_ok(team_approve(f->team, f->id, "", "Ada", &f->e), &f->e);
}

static void say_why_blocked(struct team_fixture *f)
{
    struct store_found found;
    struct project p;
    check_ok(store_get(f->store, &f->s.arena, &project_type, f->id, &p, NULL, &f->e), &f->e);
    check_ok(project_tickets(f->store, &f->s.arena, f->id, &found, &f->e), &f->e);
    print_message("project %s: %s\n", project_state_names[p.state], p.blocked);
    const struct ticket *t = found.docs;
    for (size_t i = 0; i < found.count; i++)
        print_message("T-%lld %s, stage %s: %s\n", (long long)t[i].number, column_names[t[i].column], t[i].stage, t[i].blocked);
    check_ok(project_functionalities(f->store, &f->s.arena, f->id, &found, &f->e), &f->e);
    const struct functionality *fs = found.docs;
    for (size_t i = 0; i < found.count; i++)
        print_message("F-%lld: %s\n", (long long)fs[i].number, fs[i].blocked);
}

void run_team(struct team_fixture *f, enum team_end wanted)
{
    enum team_end end;
    check_ok(team_run(f->team, f->id, &end, &f->e), &f->e);
    if (end != wanted) {
        say_why_blocked(f);
        fail_msg("the team ended with %d, not %d", (int)end, (int)wanted);
    }
}

/* ---- what came of it ---- */

struct ticket ticket_of(struct team_fixture *f, int64_t number)
{
    struct ticket t;
    check_ok(store_get(f->store, &f->s.arena, &ticket_type, arena_printf(&f->s.arena, "%s/T-%lld", f->id, (long long)number),
                       &t, NULL, &f->e), &f->e);
    return t;
}

struct functionality functionality_of(struct team_fixture *f, int64_t number)
{
    struct functionality t;
    check_ok(store_get(f->store, &f->s.arena, &functionality_type,
                       arena_printf(&f->s.arena, "%s/F-%lld", f->id, (long long)number), &t, NULL, &f->e), &f->e);
    return t;
}

static struct event *events_of(struct team_fixture *f, const char *kind, size_t *ret_count)
{
    struct event *events;
    check_ok(store_events(f->store, &f->s.arena, 0, f->id, NULL, kind, 0, &events, ret_count, &f->e), &f->e);
    return events;
}

size_t count_events(struct team_fixture *f, const char *kind)
{
    size_t count;
    events_of(f, kind, &count);
    return count;
}

json_t *event_payload(struct team_fixture *f, const char *kind, size_t n)
{
    size_t count, len;
    const char *text;
    json_t *payload;
    struct event *events = events_of(f, kind, &count);
    if (n >= count)
        fail_msg("there are %zu events of kind %s", count, kind);
    check_ok(store_blob(f->store, &f->s.arena, events[n].payload, &text, &len, &f->e), &f->e);
    check_ok(json_parse(&f->s.arena, text, len, &payload, &f->e), &f->e);
    return payload;
}

const char *event_text(struct team_fixture *f, const char *kind, size_t n, const char *name)
{
    return json_text_of(event_payload(f, kind, n), name, "");
}

const char *file_on(struct team_fixture *f, const char *branch, const char *path)
{
    struct repo *r;
    struct oid commit;
    const char *text;
    size_t len;
    check_ok(repo_open(&r, project_repo_path(&f->s.arena, f->place.home, f->id), &f->e), &f->e);
    int code = repo_ref(r, arena_printf(&f->s.arena, "refs/heads/%s", branch), &commit, &f->e);
    if (code == 0)
        code = repo_file(r, &f->s.arena, &commit, path, &text, &len, &f->e);
    repo_free(r);
    return code < 0 ? NULL : text;
}

const char *one_ticket(struct team_fixture *f, const char *kind, const char *const *criteria)
{
    STR_LOCAL(out);
    str_addf(&out, "{\"functionalities\": [{\"id\": \"f\", \"title\": \"Core\"}], \"tickets\": [{\"id\": \"a\", "
                   "\"functionality\": \"f\", \"title\": \"Double\", \"description\": \"double(n)\", \"kind\": \"%s\", "
                   "\"criteria\": [", kind);
    for (size_t i = 0; criteria[i]; i++)
        str_addf(&out, "%s{\"clause\": 1, \"text\": \"%s\"}", i ? ", " : "", criteria[i]);
    str_add(&out, "]}]}");
    return arena_strdup(&f->s.arena, out.data);
}
