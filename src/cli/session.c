/* session.c - opening what a command needs, in the order in which it can fail.
 *
 * Signals only set a flag; everything is put away by the ordinary end of the command, which is
 * quick because models and children are cancelled.
 */
#include "cli/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/hosting.h"
#include "cli/output.h"
#include "cli/server.h"
#include "os/files.h"
#include "os/runtime.h"
#include "repo/git.h"

#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

atomic_bool session_interrupted;

static void on_signal(int number)
{
    (void)number;
    /* A second one while we are still at it: the person means it. */
    if (atomic_exchange(&session_interrupted, true))
        _exit(STATUS_FAILED);
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

/* A command that is done in a moment, a server that begins or ends is not worth a word; one that was
 * stopped (Ctrl-Z) is. */
enum { QUIET_MS = 3000, PATIENCE_MS = 600000, PAUSE_US = 20000 };

static void say_waiting(const struct session *s, bool *told, int64_t since_ms)
{
    enum { DIGITS = 31 };
    if (*told || clock_steady_ms() - since_ms < QUIET_MS)
        return;
    STR_LOCAL(pid);
    file_read_path(arena_printf(&s->in->arena, "%s/lock", s->home), DIGITS, &pid, NULL);
    fprintf(stderr, "tandem: process %.*s has the home %s and does not answer; waiting for it. Ctrl-C stops that.\n",
            (int)strspn(pid.data, "0123456789"), pid.data, s->home);
    *told = true;
}

int session_open_or_ask(struct session *s, struct invocation *in, struct err *e)
{
    int64_t since = clock_steady_ms();
    bool told = false;
    struct err own;
    int r = session_open(s, in, &own);
    if (r == ERR_BUSY)
        session_catch_signals();
    while (r == ERR_BUSY && !server_runs(s) && clock_steady_ms() - since < PATIENCE_MS && !atomic_load(&session_interrupted)) {
        say_waiting(s, &told, since);
        usleep(PAUSE_US);
        r = session_open(s, in, &own);
    }
    if (r < 0 && e)
        *e = own;
    if (r == ERR_BUSY && atomic_load(&session_interrupted))
        return err_set(e, ERR_CANCELLED, "stopped");
    if (r != ERR_BUSY || !s->server)
        return r;
    const char *server = s->server;
    r = session_look(s, in, e);
    s->server = server;
    s->may_write = true;
    if (r == 0)
        server_warn_settings(s);
    return r;
}

int session_open_shared(struct session *s, struct invocation *in, struct err *e)
{
    struct err why;
    int r = session_open_or_ask(s, in, e);
    s->is_shared = true;
    if (r < 0 || s->server)
        return r;
    if (session_office(s, &why) == 0)
        session_host(s);
    else
        log_info("nobody else can speak to this home while this command works: %s", why.text);
    return 0;
}

int session_open_again(struct session *s, struct err *e)
{
    struct invocation *in = s->in;
    const char *person = s->person;
    bool is_shared = s->is_shared;
    session_close(s);
    int r = is_shared ? session_open_shared(s, in, e) : session_open_or_ask(s, in, e);
    s->person = person;
    return r;
}

/* ---- office ---- */

int session_office(struct session *s, struct err *e)
{
    struct office_options o = { .store = s->store, .home = s->home, .settings = &s->in->settings, .manager = session_manager_of, .ctx = s };
    session_catch_signals();
    return s->office ? 0 : office_open(&s->office, &o, e);
}

int session_eyes(struct session *s, struct team **ret, struct err *e)
{
    const struct settings *set = &s->in->settings;
    struct house_options o = { .home = s->home, .scratch = sandbox_scratch_of(set),
                               .sandbox = s->server ? SANDBOX_IF_THERE : sandbox_mode_of(set) }; /* it is the server that runs code */
    session_catch_signals();
    int r = s->eyes || s->office ? 0 : house_look(&s->house, s->store, &o, e);
    if (r == 0 && !s->eyes) {
        struct team_options options = office_team_options(set);
        options.cancel = &session_interrupted;
        s->eyes = team_new(s->office ? office_house(s->office) : s->house, &options);
    }
    if (r == 0)
        *ret = s->eyes;
    return r;
}

void session_warn_unprotected(struct session *s)
{
    const char *why = s->server ? server_unprotected(s) : house_unprotected(s->office ? office_house(s->office) : s->house);
    if (*why)
        fprintf(stderr, "tandem: warning: NO SANDBOX, the project's code runs unprotected: %s\n", why);
}

void session_close(struct session *s)
{
    team_free(s->eyes);
    house_free(s->house);
    if (s->office)
        office_shut(s->office);
    hosting_close(s->hosting);
    office_close(s->office);
    manager_free(s->manager);
    if (s->store && s->may_write && !s->server)
        runtime_dir_leave(&s->in->arena, s->home);
    store_free(s->store);
    arena_release(&s->hosted);
    s->eyes = NULL;
    s->house = NULL;
    s->hosting = NULL;
    s->office = NULL;
    s->manager = NULL;
    s->store = NULL;
}

int session_with(struct invocation *in, int (*opens)(struct session *s, struct invocation *in, struct err *e),
                 int (*body)(struct session *s, struct err *e), struct err *e)
{
    struct session s;
    int r = opens(&s, in, e);
    if (r == 0)
        r = body(&s, e);
    for (int holders = 0; r == ERR_GONE && holders < SESSION_HOLDERS; holders++) {
        r = session_open_again(&s, e);
        if (r == 0)
            r = body(&s, e);
    }
    session_close(&s);
    return r;
}

/* ---- which project ---- */

static int find_project(struct session *s, const char *name, const char **ret_id, struct project *ret, struct err *e)
{
    struct arena *a = &s->in->arena;
    if (name) {
        int r = project_get(s->store, a, s->home, name, ret, e);
        if (r == 0)
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
