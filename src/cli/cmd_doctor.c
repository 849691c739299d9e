/* cmd_doctor.c - tandem doctor: what this machine lacks, and what to do about it.
 *
 * Every check runs the real thing (git itself, a write into the home) rather than looking
 * for packages: what matters is what works.  All checks run, whatever the others say.
 */
#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/manual.h"
#include "cli/text.h"
#include "os/files.h"
#include "os/process.h"
#include "os/sandbox.h"
#include "repo/git.h"
#include "repo/stack.h"
#include "team/team.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum verdict { FINE, NOTE, MISSING };

struct examination {
    struct invocation *in;
    json_t *rows; /* with --json: collected, printed at the end */
    int missing;
};

/* One line; `remedy` says what to do, "" when nothing is to be done. */
static void report(struct examination *x, enum verdict verdict, const char *what, const char *found,
                   const char *remedy)
{
    static const char *const words[] = { "ok", "note", "missing" };
    x->missing += verdict == MISSING;
    if (x->rows) {
        json_t *row = json_object();
        json_put_text(row, "check", what);
        json_put_text(row, "verdict", words[verdict]);
        json_put_text(row, "found", found);
        json_put_text(row, "remedy", remedy);
        json_array_append_new(x->rows, row);
        return;
    }
    STR_LOCAL(text);
    str_addf(&text, "%s%s%s", what, *found ? ": " : "", found);
    text_row(x->in->out, words[verdict], text.data, 0, 9, 100);
    if (*remedy)
        text_row(x->in->out, "", remedy, 0, 9, 100);
    fflush(x->in->out); /* the next check may take a while */
}

/* ---- programs ---- */

struct program {
    const char *name, *what;
    const char *const argv[4];
    const char *marker;  /* what stands before the version in the first line */
    int major, minor;    /* the least version */
    const char *package;
};

static const struct program programs[] = {
    { "git", "repositories", { "git", "--version", NULL }, "git version ", GIT_MAJOR, GIT_MINOR, "git" },
    { "bubblewrap", "the sandbox", { "bwrap", "--version", NULL }, "bubblewrap ", 0, 8, "bubblewrap" },
    { "universal-ctags", "the map of a repository", { "ctags", "--version", NULL }, "Universal Ctags ", 5, 9, "universal-ctags" },
};

/* The first line that a program prints; ERR_* when it cannot be run. */
static int first_line(const char *const *argv, struct str *out, struct err *e)
{
    struct process_options options = { .argv = argv, .timeout_ms = 10000, .max_output = 1 << 20 };
    struct process_result result;
    int r = process_run(&options, &result, e);
    if (r < 0)
        return r;
    if (result.end != PROCESS_EXITED || result.status != 0)
        r = err_set(e, ERR_FAILED, "it does not run");
    else
        str_add_bytes(out, result.out.data, strcspn(result.out.data, "\n"));
    process_result_release(&result);
    return r;
}

static void check_program(struct examination *x, const struct program *p)
{
    struct err e;
    STR_LOCAL(line);
    STR_LOCAL(remedy);
    STR_LOCAL(what);
    str_addf(&what, "%s, for %s", p->name, p->what);
    str_addf(&remedy, "apt-get install %s, or your system's package of it", p->package);
    if (first_line(p->argv, &line, &e) < 0) {
        report(x, MISSING, what.data, e.text, remedy.data);
        return;
    }
    const char *at = strstr(line.data, p->marker);
    int major = 0, minor = 0;
    if (!at || sscanf(at + strlen(p->marker), "%d.%d", &major, &minor) != 2) {
        STR_LOCAL(found);
        str_addf(&found, "\"%.60s\" is another program of that name", line.data);
        report(x, MISSING, what.data, found.data, remedy.data);
        return;
    }
    STR_LOCAL(found);
    str_addf(&found, "%d.%d", major, minor);
    if (major < p->major || (major == p->major && minor < p->minor)) {
        str_addf(&found, " is too old; %d.%d is needed", p->major, p->minor);
        report(x, MISSING, what.data, found.data, remedy.data);
        return;
    }
    report(x, FINE, what.data, found.data, "");
}

/* ---- places ---- */

static bool is_network(const struct statfs *fs)
{
    return fs->f_type == NFS_SUPER_MAGIC || fs->f_type == SMB_SUPER_MAGIC ||
           fs->f_type == (__fsword_t)CIFS_SUPER_MAGIC || fs->f_type == (__fsword_t)SMB2_SUPER_MAGIC;
}

/* Free space, and whether the place is fit for what it is to hold. */
static void check_room(struct examination *x, const char *what, const char *path, int64_t needed_mib)
{
    struct statvfs space;
    struct statfs fs;
    STR_LOCAL(found);
    if (statvfs(path, &space) < 0 || statfs(path, &fs) < 0) {
        str_addf(&found, "%s: %s", path, strerror(errno));
        report(x, MISSING, what, found.data, "");
        return;
    }
    int64_t free_mib = (int64_t)((uint64_t)space.f_bavail * space.f_frsize >> 20);
    str_addf(&found, "%s, %" PRId64 " MiB free", path, free_mib);
    if (is_network(&fs))
        report(x, MISSING, what, found.data,
               "it is on a network file system, whose locks a database cannot rely on; choose a local directory");
    else if (free_mib < needed_mib)
        report(x, NOTE, what, found.data, "that is little; make room or choose another place");
    else
        report(x, FINE, what, found.data, "");
}

static void check_home(struct examination *x)
{
    static const char probe[] = ".doctor";
    struct err e;
    const char *home;
    int dir = -1, r = invocation_home(x->in, &home, &e);
    if (r < 0) {
        report(x, MISSING, "the home", e.text, "set TANDEM_HOME");
        return;
    }
    if (access(home, F_OK) < 0) {
        STR_LOCAL(found);
        str_addf(&found, "%s does not exist yet; the first run makes it", home);
        report(x, FINE, "the home", found.data, "");
        return;
    }
    r = dir_open(home, false, &dir, &e);
    if (r == 0)
        r = file_write(dir, probe, "x", 1, 0600, true, &e);
    if (r == 0)
        r = file_remove(dir, probe, &e);
    if (dir >= 0)
        close(dir);
    if (r < 0)
        err_prefix(&e, "%s", home);
    if (r < 0)
        report(x, MISSING, "the home", e.text, "let it be yours, or choose another: --home DIR or TANDEM_HOME");
    else
        check_room(x, "the home", home, 1024);
}

static void check_settings(struct examination *x)
{
    struct err e;
    if (invocation_settings(x->in, &e) < 0)
        report(x, MISSING, "settings", e.text, "tandem help settings lists them");
    else
        report(x, FINE, "settings", "", "");
}

static void check_scratch(struct examination *x)
{
    char chosen[4096];
    const char *path = x->in->settings.scratch;
    if (!*path) {
        sandbox_scratch_choose(chosen, sizeof chosen);
        path = chosen;
    }
    check_room(x, "room for test runs", path, x->in->settings.disk_mib);
}

/* ---- the sandbox ---- */

struct escapes { struct examination *x; int tried; };

static void on_escape(const char *check, bool ok, const char *detail, void *ctx)
{
    struct escapes *escapes = ctx;
    escapes->tried++;
    if (ok)
        return;
    STR_LOCAL(what);
    str_addf(&what, "the sandbox: %s", check);
    report(escapes->x, MISSING, what.data, detail, "do not run code that you have not read on this machine");
}

/* NULL when there is none. */
static struct sandbox *check_sandbox(struct examination *x)
{
    struct err e;
    struct sandbox *s;
    const char *scratch = x->in->settings.scratch;
    if (sandbox_open(&s, SANDBOX_BWRAP, *scratch ? scratch : NULL, &e) < 0) {
        report(x, MISSING, "the sandbox", e.text, "");
        return NULL;
    }
    struct escapes escapes = { .x = x };
    int failed = sandbox_self_test(s, on_escape, &escapes);
    STR_LOCAL(found);
    str_addf(&found, "%s; %d of %d attempts to escape or to break a limit failed, as they should",
             sandbox_describe(s), escapes.tried - failed, escapes.tried);
    if (failed == 0)
        report(x, FINE, "the sandbox", found.data, "");
    return s;
}

/* ---- stacks ---- */

/* A language that nobody uses here may lack its tools: a note, unless nothing can run. */
static bool check_stack(struct examination *x, const char *name, const char *const *override_dirs,
                        struct sandbox *sandbox)
{
    struct err e;
    struct stack *stack;
    STR_LOCAL(what);
    str_addf(&what, "stack %s", name);
    if (stack_load(&stack, name, override_dirs, &e) < 0) {
        report(x, MISSING, what.data, e.text, "mend the file, or remove it to have ours again");
        return false;
    }
    const char *lacks = "";
    bool usable = false;
    if (stack_doctor(stack, sandbox, &x->in->arena, &lacks, &usable, &e) < 0)
        report(x, NOTE, what.data, e.text, "");
    else if (*lacks)
        report(x, NOTE, what.data, usable ? "tests can be run, but not all is there" : "cannot be used", lacks);
    else
        report(x, FINE, what.data, "", "");
    stack_free(stack);
    return usable;
}

static void on_override(const char *what, const char *fault, void *ctx)
{
    if (!starts_with(what, "stack ")) /* seen with its tools */
        report(ctx, *fault ? MISSING : FINE, what, fault, *fault ? "mend the file, or remove it to have ours again" : "");
}

static void check_overrides(struct examination *x)
{
    struct err e;
    const char *home;
    if (invocation_home(x->in, &home, &e) < 0)
        return; /* said already */
    struct overrides overrides = team_overrides(&x->in->arena, home, NULL);
    if (overrides_examine(&x->in->arena, overrides.dirs, on_override, x, &e) < 0)
        report(x, MISSING, "files in place of ours", e.text, "");
}

static void check_stacks(struct examination *x, struct sandbox *sandbox)
{
    struct err e;
    struct texts names = { 0 };
    struct overrides overrides = { { NULL } };
    const char *home;
    if (invocation_home(x->in, &home, &e) == 0)
        overrides = team_overrides(&x->in->arena, home, NULL);
    if (stack_names(&x->in->arena, overrides.dirs, &names, &e) < 0) {
        report(x, MISSING, "stacks", e.text, "");
        return;
    }
    bool any = false;
    for (size_t i = 0; i < names.count; i++)
        any |= check_stack(x, names.items[i], overrides.dirs, sandbox);
    if (!any)
        report(x, MISSING, "stacks", "no language's tests can be run here", "install what one of them lacks");
}

static int run_doctor(struct invocation *in, struct err *e)
{
    (void)e;
    struct examination x = { .in = in };
    if (option_given(in, "json"))
        x.rows = json_keep(&in->arena, json_array());
    else
        manual_version(in->out);
    check_settings(&x);
    check_home(&x);
    check_scratch(&x);
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        check_program(&x, &programs[i]);
    check_overrides(&x);
    struct sandbox *sandbox = check_sandbox(&x);
    if (sandbox)
        check_stacks(&x, sandbox);
    sandbox_free(sandbox);
    if (x.rows) {
        STR_LOCAL(text);
        json_write(&text, x.rows);
        fprintf(in->out, "%s\n", text.data);
    }
    return x.missing ? STATUS_FAILED : STATUS_OK;
}

static const struct option options[] = {
    { .name = "json", .doc = "print one JSON array instead" },
    { 0 },
};

const struct command command_doctor = {
    .name = "doctor",
    .summary = "examine this machine and say what it lacks",
    .operands = "",
    .options = options,
    .description = "Tries everything that Tandem relies on and says how to mend what does not work. A line "
                   "that begins with \"missing\" must be mended; a \"note\" should be read. Nothing is left behind.",
    .ignores_settings = true,
    .run = run_doctor,
};
