/* git_run.c - one git process: its environment, and its failure as a sentence.
 *
 * git gets an environment of our making and nothing else: no user or system configuration,
 * no hooks, no prompts, no maintenance in the background, no transport but local files.
 * What must hold is given as GIT_CONFIG_COUNT, which overrides a repository's own
 * configuration; what takes a name is given by argv or standard input, after a check that
 * it cannot be an option.  libgit2 was not taken: it syncs less, merges differently, and
 * the repository must be one that git itself has agreed to.
 */
#include "repo/git_internal.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"

enum { TIMEOUT_MS = 120 * 1000, LONG_TIMEOUT_MS = 3600 * 1000, ENV_MORE_MAX = 8, ARGS_MAX = 32 };

#define CONFIG(n, key, value) "GIT_CONFIG_KEY_" #n "=" key, "GIT_CONFIG_VALUE_" #n "=" value

static const char *const base_env[] = {
    "PATH=" PROCESS_PATH,
    "HOME=/nonexistent",
    "LC_ALL=C",
    "TZ=UTC",
    "GIT_CONFIG_NOSYSTEM=1",
    "GIT_CONFIG_GLOBAL=/dev/null",
    "GIT_ATTR_NOSYSTEM=1",
    "GIT_TERMINAL_PROMPT=0",
    "GIT_ASKPASS=false",
    "GIT_SSH_COMMAND=false",
    "GIT_ALLOW_PROTOCOL=file",
    "GIT_NO_REPLACE_OBJECTS=1",
    "GIT_NO_LAZY_FETCH=1",
    "GIT_OPTIONAL_LOCKS=0",
    "GIT_CONFIG_COUNT=14",
    CONFIG(0, "core.hooksPath", "/dev/null"),
    CONFIG(1, "core.fsync", "all"),
    CONFIG(2, "core.fsyncMethod", "fsync"),
    CONFIG(3, "core.fsmonitor", "false"),
    CONFIG(4, "core.attributesFile", "/dev/null"),
    CONFIG(5, "core.alternateRefsCommand", ":"),
    CONFIG(6, "core.logAllRefUpdates", "false"),
    CONFIG(7, "gc.auto", "0"),
    CONFIG(8, "maintenance.auto", "false"),
    CONFIG(9, "safe.directory", "*"),
    CONFIG(10, "fetch.unpackLimit", "1"),
    CONFIG(11, "transfer.fsckObjects", "false"),
    CONFIG(12, "submodule.recurse", "false"),
    /* a tree that is not there: attributes in the tree change no diff and no merge (git 2.43 looks) */
    CONFIG(13, "attr.tree", "refs/tandem/no-attributes"),
};

static const char **env_make(struct arena *a, const char *const *more)
{
    size_t base = sizeof base_env / sizeof *base_env, count = 0;
    const char **env = ARENA_ARRAY(a, const char *, base + ENV_MORE_MAX + 1);
    memcpy(env, base_env, sizeof base_env);
    for (; more && more[count] && count < ENV_MORE_MAX; count++)
        env[base + count] = more[count];
    return env;
}

static const char **argv_make(struct arena *a, const char *git_dir, const char *const *args)
{
    const char **argv = ARENA_ARRAY(a, const char *, ARGS_MAX + 3);
    size_t count = 0;
    argv[count++] = "git";
    if (git_dir)
        argv[count++] = arena_printf(a, "--git-dir=%s", git_dir);
    for (size_t i = 0; args[i]; i++) {
        if (count > ARGS_MAX)
            out_of_memory(); /* a bug of ours: argument lists are written by hand */
        argv[count++] = args[i];
    }
    return argv;
}

/* The first line of what git complained about that says something. */
static void first_complaint(const struct process_result *p, char *out, size_t size)
{
    const char *line = p->err.data;
    static const char *const skips[] = { "fatal: ", "error: " };
    while (starts_with(line, "warning: ") && strchr(line, '\n'))
        line = strchr(line, '\n') + 1;
    for (size_t i = 0; i < 2; i++)
        if (starts_with(line, skips[i]))
            line += strlen(skips[i]);
    if (*line)
        snprintf(out, size, "%.*s", (int)strcspn(line, "\n"), line);
    else
        process_result_describe(p, out, size);
}

/* "fetch" of { "-c", "gc.auto=1", "fetch", … } */
static const char *command_of(const char *const *args)
{
    for (;; args++) {
        if (streq(args[0], "-c") && args[1])
            args++;
        else if (args[0][0] != '-' || !args[1])
            return args[0];
    }
}

static int call_failed(const struct git_call *call, const struct process_result *p, struct err *e)
{
    char why[512];
    first_complaint(p, why, sizeof why);
    int code = p->end == PROCESS_TIMED_OUT   ? ERR_TIMEOUT
               : p->end == PROCESS_FLOODED   ? ERR_LIMIT
               : p->end == PROCESS_CANCELLED ? ERR_CANCELLED
               : strstr(why, "No space left") || strstr(why, "quota exceeded") ? ERR_FULL
                                                                               : ERR_FAILED;
    return err_set(e, code, "git %s: %s", command_of(call->args), why);
}

int git_run(const struct git_call *call, struct process_result *ret, struct err *e)
{
    ARENA_LOCAL(a);
    struct process_options o = {
        .argv = argv_make(&a, call->git_dir, call->args),
        .env = env_make(&a, call->env),
        .input = call->input,
        .input_len = call->input_len,
        .timeout_ms = call->timeout_ms ? call->timeout_ms : TIMEOUT_MS,
        .max_output = call->max_output,
        .kind = PROCESS_KIND_GIT,
    };
    struct process_result p;
    int r = process_run(&o, &p, e);
    if (r == ERR_NOT_FOUND)
        return err_set(e, ERR_UNAVAILABLE, "git is missing: apt-get install git");
    if (r < 0)
        return r;
    bool answered = p.end == PROCESS_EXITED && (p.status == 0 || p.status == call->also_ok);
    if (!answered && !(p.end == PROCESS_FLOODED && call->cut_ok)) {
        r = call_failed(call, &p, e);
        process_result_release(&p);
        return r;
    }
    *ret = p;
    return 0;
}

int git_do(const char *git_dir, const char *const *args, struct err *e)
{
    struct process_result p;
    int code = git_run(&(struct git_call){ .git_dir = git_dir, .args = args, .timeout_ms = LONG_TIMEOUT_MS }, &p, e);
    if (code == 0)
        process_result_release(&p);
    return code;
}

int git_fetch(const char *git_dir, const char *const *env, const char *from, const char *refspec, struct err *e)
{
    struct process_result p;
    struct git_call call = {
        .git_dir = git_dir,
        .env = env,
        .args = GIT_ARGS("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules",
                         "--no-show-forced-updates", "--update-head-ok", "--prune", from, refspec),
        .timeout_ms = LONG_TIMEOUT_MS,
    };
    int code = git_run(&call, &p, e);
    if (code == 0)
        process_result_release(&p);
    return code;
}

int git_start(const char *git_dir, const char *const *args, struct process **ret, struct err *e)
{
    ARENA_LOCAL(a);
    struct process_options o = {
        .argv = argv_make(&a, git_dir, args),
        .env = env_make(&a, NULL),
        .kind = PROCESS_KIND_GIT,
    };
    int r = process_start(ret, &o, e);
    return r == ERR_NOT_FOUND ? err_set(e, ERR_UNAVAILABLE, "git is missing: apt-get install git") : r;
}

/* ---- version ---- */

static pthread_once_t version_once = PTHREAD_ONCE_INIT;
static struct err version_err;

static void version_look(void)
{
    struct process_result p;
    if (git_run(&(struct git_call){ .args = GIT_ARGS("version") }, &p, &version_err) < 0)
        return;
    int major = 0, minor = 0;
    if (sscanf(p.out.data, "git version %d.%d", &major, &minor) != 2 || major < GIT_MAJOR ||
        (major == GIT_MAJOR && minor < GIT_MINOR))
        err_set(&version_err, ERR_UNAVAILABLE, "git is too old (%.*s): Tandem needs %d.%d or newer",
                (int)strcspn(p.out.data, "\n"), p.out.data, GIT_MAJOR, GIT_MINOR);
    process_result_release(&p);
}

int git_check(struct err *e)
{
    pthread_once(&version_once, version_look);
    return version_err.code ? err_set(e, version_err.code, "%s", version_err.text) : 0;
}
