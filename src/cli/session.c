/* session.c - opening what a command needs, in the order in which it can fail.
 *
 * Signals only set a flag and tell the team; everything is put away by the ordinary end of
 * the command, which is quick because models and children are cancelled.
 */
#include "cli/session.h"

#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/served.h"
#include "os/files.h"
#include "repo/git.h"

#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

atomic_bool session_interrupted;
static struct team *_Atomic team_to_stop;

static void on_signal(int number)
{
    (void)number;
    /* A second one while we are still at it: the person means it. */
    if (atomic_exchange(&session_interrupted, true))
        _exit(STATUS_FAILED);
    struct team *t = atomic_load(&team_to_stop);
    if (t)
        team_stop(t);
}

const char *session_login(struct arena *a)
{
    const struct passwd *pw = getpwuid(getuid());
    return pw ? arena_strdup(a, pw->pw_name) : "person";
}

void session_catch_signals(void)
{
    struct sigaction sa = { .sa_handler = on_signal };
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

static const char *who_works_on(struct arena *a, const struct project *p)
{
    struct git_person who = git_person(p->source);
    return *who.name && *who.email ? arena_printf(a, "%s <%s>", who.name, who.email) : session_login(a);
}

/* A home whose database has gone is not begun anew: that would cost the projects in it. */
static int check_whole(struct arena *a, const char *home, struct err *e)
{
    struct stat st;
    struct file_entry *projects;
    size_t count = 0;
    int fd;
    if (stat(arena_printf(a, "%s/store.db", home), &st) == 0 && st.st_size)
        return 0;
    if (dir_open(arena_printf(a, "%s/projects", home), false, &fd, NULL) < 0)
        return 0;
    int r = file_list(fd, a, 1, &projects, &count, NULL);
    close(fd);
    if (r == 0 && !count)
        return 0;
    return err_set(e, ERR_CORRUPT, "the home %s holds projects, but its database store.db is gone or empty; nothing was changed. "
                   "Restore the home from a copy, or move it away to begin a new one", home);
}

static int begin(struct session *s, struct invocation *in, struct err *e)
{
    *s = (struct session){ .in = in };
    term_init(&s->term, STDIN_FILENO, STDOUT_FILENO, &in->settings);
    s->term.cancel = &session_interrupted;
    int r = invocation_home(in, &s->home, e);
    return r < 0 ? r : check_whole(&in->arena, s->home, e);
}

const char *const *session_inks(const struct session *s)
{
    return output_inks(s->in->out, s->term.colors);
}

int session_look(struct session *s, struct invocation *in, struct err *e)
{
    int r = begin(s, in, e);
    if (r == 0)
        r = store_open_reader(&s->store, s->home, team_doc_types, team_doc_type_count, e);
    return r;
}

int session_open(struct session *s, struct invocation *in, struct err *e)
{
    int r = begin(s, in, e);
    s->may_write = true;
    if (r == 0)
        r = store_open(&s->store, s->home, team_doc_types, team_doc_type_count, e);
    return r;
}

/* ---- models ---- */

const char *const drift_choices[] = { "warn", "fail", NULL };

void model_options_from_settings(const struct settings *set, struct model_options *o)
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

/* "ROLE=" before a URL; all roles without. */
static int split_role(const char *word, int *ret_role, bool *ret_heavy, const char **ret_url, struct err *e)
{
    size_t len = strspn(word, "abcdefghijklmnopqrstuvwxyz");
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

static int open_named(struct session *s, const char *name, struct model **ret, struct err *e)
{
    int r = session_manager(s, e);
    if (r == 0 && !manager_steps(s->manager, name))
        r = err_set(e, ERR_USAGE, "there is no model \"%.100s\" (`tandem model list` shows what there is); an address begins with "
                                  "http://, https://, unix: or replay:", name);
    if (r == 0)
        *ret = manager_model(s->manager, name, 0);
    return r;
}

static int open_address(struct session *s, const char *url, struct model **ret, struct err *e)
{
    struct model_options o = model_default_options;
    int r = model_options_parse(url, &s->in->arena, &o, e);
    if (r < 0)
        return option_given(s->in, "model") ? err_recode(e, ERR_USAGE) : r; /* else it was remembered */
    model_options_from_settings(&s->in->settings, &o);
    const char *drift = option_value(s->in, "drift");
    o.drift = drift && streq(drift, "fail") ? DRIFT_FAIL : DRIFT_WARN;
    return model_open(ret, &o, e);
}

static int keep_model(struct session *s, struct model *m, struct err *e)
{
    if (s->model_count == sizeof s->models / sizeof *s->models) {
        model_free(m);
        return err_set(e, ERR_USAGE, "more than %zu models are given", s->model_count);
    }
    s->models[s->model_count++] = m;
    return 0;
}

static void fill_roles(struct model *(*roles)[ROLE_COUNT], struct model *m)
{
    for (int i = ROLE_PM; i < ROLE_COUNT; i++)
        if (!(*roles)[i])
            (*roles)[i] = m;
}

static int open_model(struct session *s, const char *word, struct err *e)
{
    int role;
    bool heavy;
    const char *url;
    struct model *m;
    int r = split_role(word, &role, &heavy, &url, e);
    if (r == 0)
        r = is_name(url) ? open_named(s, url, &m, e) : open_address(s, url, &m, e);
    if (r == 0)
        r = keep_model(s, m, e);
    if (r < 0)
        return r;
    if (heavy)
        fill_roles(&s->heavy, m);
    else if (role > ROLE_ENGINE)
        s->by_role[role] = m;
    else
        fill_roles(&s->by_role, m);
    for (int i = ROLE_PM; i < ROLE_COUNT && is_name(url); i++)
        if (s->by_role[i] == m)
            s->served[i] = url;
    return 0;
}

/* Roles that no --model is for are served by their routes, with their fallbacks. */
static int open_routes(struct session *s, struct err *e)
{
    int r = served_by_routes(s, e);
    for (int i = ROLE_PM; r == 0 && i < ROLE_COUNT; i++) {
        size_t steps = s->by_role[i] ? 0 : manager_steps(s->manager, role_names[i]);
        for (size_t k = 0; r == 0 && k < steps && k < 2; k++) {
            struct model **place = k ? &s->heavy[i] : &s->by_role[i];
            if (!*place)
                r = keep_model(s, *place = manager_model(s->manager, role_names[i], k), e);
        }
    }
    return r;
}

/* Models for single roles first, so that the one for all fills the rest. */
static int open_models(struct session *s, const struct texts *remembered, struct err *e)
{
    struct texts words = option_values(s->in, "model");
    if (!words.count && remembered)
        words = *remembered;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < words.count; i++) {
            const char *word = words.items[i];
            bool single = word[strspn(word, "abcdefghijklmnopqrstuvwxyz")] == '=';
            int r = single == (pass == 0) ? open_model(s, word, e) : 0;
            if (r < 0)
                return r;
        }
    }
    if (!words.count) {
        int r = session_manager(s, e);
        if (r == 0)
            r = open_routes(s, e);
        if (r < 0)
            return r;
    }
    const char *record = option_value(s->in, "record");
    return record ? recording_start(record, e) : 0;
}

/* ---- the team ---- */

static void limits_from_settings(const struct settings *set, struct team_limits *l)
{
    *l = team_default_limits;
    l->attempts = set->attempts;
    l->review_rounds = set->review_rounds;
    l->replans = set->replans;
    l->coverage_target = set->coverage_target;
    l->ticket_tokens = set->ticket_tokens;
    l->ticket_minutes = set->ticket_minutes;
    l->map_tokens = set->map_tokens;
    l->answer_tokens = set->answer_tokens;
    l->tree_files = set->tree_files;
    l->tree_mib = set->tree_mib;
    l->queue.attempts = set->task_attempts;
    l->queue.lease_ms = set->lease_s * 1000;
    l->prepare_ms = set->prepare_timeout_s * 1000;
    l->cache_mib = set->cache_mib;
    l->suite = (struct sandbox_limits){
        .timeout_ms = set->suite_timeout_s * 1000, .memory_mib = set->memory_mib, .processes = set->processes,
        .file_mib = set->file_mib, .tmp_mib = set->tmp_mib, .disk_mib = set->disk_mib,
        .max_output = (size_t)set->output_kib * 1024,
    };
}

static int start_team(struct session *s, const struct team_watcher *w, bool works, struct err *e)
{
    const struct settings *set = &s->in->settings;
    struct team_options o = {
        .home = s->home, .sandbox = set->sandbox == SETTING_SANDBOX_NONE ? SANDBOX_IF_THERE : SANDBOX_BWRAP,
        .scratch = *set->scratch ? set->scratch : NULL,
        .network = set->network,
    };
    memcpy(o.models, s->by_role, sizeof o.models);
    memcpy(o.heavy, s->heavy, sizeof o.heavy);
    served_by_blocks(s, o.edits);
    limits_from_settings(set, &o.limits);
    if (w)
        o.watcher = *w;
    int r = works ? team_open(&s->team, s->store, &o, e) : team_look(&s->team, s->store, &o, e);
    if (r < 0)
        return r;
    const char *why = team_unprotected(s->team);
    if (*why && !w) /* a run says so with its other events */
        fprintf(stderr, "tandem: warning: NO SANDBOX, the project's code runs unprotected: %s\n", why);
    atomic_store(&team_to_stop, s->team);
    session_catch_signals();
    return 0;
}

int session_team(struct session *s, const struct texts *remembered, const struct team_watcher *w, struct err *e)
{
    int r = open_models(s, remembered, e);
    return r < 0 ? r : start_team(s, w, true, e);
}

int session_ask_models(struct session *s, struct err *e)
{
    if (s->term.is_terminal) {
        fprintf(s->in->out, "Asking the models; one that is being loaded is waited for.\n");
        fflush(s->in->out);
    }
    for (size_t i = 0; i < s->model_count; i++) {
        const char *name;
        int64_t context;
        int r = model_describe(s->models[i], &session_interrupted, &name, &context, e);
        if (r == ERR_CANCELLED)
            return err_set(e, r, "stopped while a model was waited for; nothing was begun");
        if (r < 0)
            return r;
    }
    return 0;
}

int session_team_by_hand(struct session *s, struct err *e)
{
    return start_team(s, NULL, true, e);
}

int session_team_look(struct session *s, struct err *e)
{
    return start_team(s, NULL, false, e);
}

/* Prompts that are not what they were when the conversation was recorded. */
static void tell_drift(struct model *m)
{
    STR_LOCAL(diff);
    int64_t count = replay_drift(m, &diff);
    if (count > 0)
        fprintf(stderr, "tandem: warning: %lld prompt%s differ%s from the recording; the first:\n%s\n", (long long)count,
                count == 1 ? "" : "s", count == 1 ? "s" : "", diff.data);
}

void session_close(struct session *s)
{
    atomic_store(&team_to_stop, NULL);
    team_free(s->team);
    for (size_t i = 0; i < s->model_count; i++) {
        tell_drift(s->models[i]);
        model_free(s->models[i]);
    }
    recording_start(NULL, NULL);
    manager_free(s->manager);
    s->manager = NULL;
    store_free(s->store);
    s->store = NULL;
    s->team = NULL;
    s->model_count = 0;
}

int session_with(struct invocation *in, int (*opens)(struct session *s, struct invocation *in, struct err *e),
                 int (*body)(struct session *s, struct err *e), struct err *e)
{
    struct session s;
    int r = opens(&s, in, e);
    if (r == 0)
        r = body(&s, e);
    session_close(&s);
    return r;
}

/* ---- which project ---- */

static int find_project(struct session *s, const char *name, const char **ret_id, struct project *ret, struct err *e)
{
    struct arena *a = &s->in->arena;
    if (name) {
        int r = store_get(s->store, a, &project_type, name, ret, NULL, e);
        if (r == ERR_NOT_FOUND)
            return err_set(e, ERR_NOT_FOUND, "there is no project \"%s\" in %s; tandem status lists them", name, s->home);
        *ret_id = name;
        return r;
    }
    struct store_found found;
    struct store_query q = { 0 };
    int r = store_find(s->store, a, &project_type, &q, &found, e);
    if (r < 0)
        return r;
    if (!found.count)
        return err_set(e, ERR_NOT_FOUND, "there is no project in %s yet; tandem run begins one", s->home);
    const struct project *all = found.docs;
    size_t last = 0;
    for (size_t i = 1; i < found.count; i++)
        if (all[i].created_ms > all[last].created_ms)
            last = i;
    *ret_id = found.ids[last];
    *ret = all[last];
    return 0;
}

int session_project(struct session *s, const char *name, const char **ret_id, struct project *ret, struct err *e)
{
    int r = find_project(s, name, ret_id, ret, e);
    if (r == 0 && s->may_write)
        s->person = who_works_on(&s->in->arena, ret);
    return r;
}
