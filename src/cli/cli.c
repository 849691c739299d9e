/* cli.c - from argv to an exit status.
 *
 * Reading the command line comes first and complaining last: --help is answered whatever
 * else is wrong, and a wrong settings file does not keep `tandem help` from working.
 * Complaints go to standard error; a standard output that cannot be written (a full disk,
 * /dev/full) is a failure like any other, not a silent success.
 */
#include "cli/command.h"

#include "base/log.h"
#include "base/str.h"
#include "cli/manual.h"
#include "cli/output.h"
#include "cli/place.h"
#include "cli/text.h"
#include "os/files.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_SETTINGS_FILE = 1 << 20,
    MAX_HOME = 400, /* SQLite opens no path of more than 512 bytes */
};

static int check_home(const char *home, struct err *e)
{
    struct stat st;
    errno = 0;
    if (strlen(home) > MAX_HOME)
        return err_set(e, ERR_INVALID, "the home's path has %zu bytes, at most %d can be used: name another with --home or "
                       "TANDEM_HOME: %.60s...", strlen(home), MAX_HOME, home);
    if ((stat(home, &st) == 0 && !S_ISDIR(st.st_mode)) || errno == ENOTDIR)
        return err_set(e, ERR_INVALID, "the home %s is not a directory: name another with --home or TANDEM_HOME", home);
    return 0;
}

/* Below one of the XDG base directories; NULL: there is none. */
static const char *default_home(struct invocation *in, bool apart)
{
    const char *base = getenv(apart ? "XDG_CACHE_HOME" : "XDG_DATA_HOME"), *user = getenv("HOME");
    if (!base || *base != '/') /* the specification: relative paths are ignored */
        base = user && *user ? arena_printf(&in->arena, "%s/%s", user, apart ? ".cache" : ".local/share") : NULL;
    if (!base)
        return NULL;
    return apart ? arena_printf(&in->arena, "%s/tandem/%s", base, in->command->name) : arena_printf(&in->arena, "%s/tandem", base);
}

static int find_home(struct invocation *in, bool apart, const char **ret, struct err *e)
{
    const char *home = option_value(in, "home");
    if (!home || !*home)
        home = getenv("TANDEM_HOME");
    if (!home || !*home)
        home = default_home(in, apart);
    if (!home)
        return err_set(e, ERR_NOT_FOUND, "there is no place to keep data: neither TANDEM_HOME nor HOME is set");
    if (*home != '/') {
        const char *here = place_here(&in->arena);
        if (!here)
            return err_set(e, ERR_FAILED, "the home is \"%.200s\", and the current directory cannot be told", home);
        home = arena_printf(&in->arena, "%s/%s", here, home);
    }
    int r = check_home(home, e);
    if (r == 0)
        *ret = home;
    return r;
}

int invocation_home(struct invocation *in, const char **ret, struct err *e)
{
    return find_home(in, in->command->keeps_apart, ret, e);
}

int invocation_settings(struct invocation *in, struct err *e)
{
    const char *home;
    int r = find_home(in, false, &home, e);
    if (r < 0)
        return r;
    const char *path = arena_printf(&in->arena, "%s/settings.yaml", home);
    STR_LOCAL(text);
    r = file_read_path(path, MAX_SETTINGS_FILE, &text, e);
    if (r == 0)
        r = settings_read_yaml(&in->settings, path, text.data, text.len, e);
    else if (r == ERR_NOT_FOUND)
        r = 0;
    if (r == 0)
        r = settings_read_environment(&in->settings, (const char *const *)environ, e);
    struct texts assignments = option_values(in, "set");
    for (size_t i = 0; r == 0 && i < assignments.count; i++)
        if (settings_assign(&in->settings, assignments.items[i], e) < 0)
            r = err_recode(e, ERR_USAGE);
    return r;
}

int invocation_option_setting(struct invocation *in, const char *name, struct err *e)
{
    const char *value = option_value(in, name);
    if (!value)
        return 0;
    int r = setting_set(&in->settings, name, value, arena_printf(&in->arena, "--%s", name), e);
    return r < 0 ? err_recode(e, ERR_USAGE) : 0;
}

static int run_command(struct invocation *in, struct err *e)
{
    int r = invocation_check(in, e);
    if (r < 0)
        return r;
    settings_init(&in->settings, &in->arena);
    in->settings.here = place_here(&in->arena);
    if (!in->command->ignores_settings) {
        r = invocation_settings(in, e);
        if (r < 0)
            return r;
        log_set_level((enum log_level)in->settings.log);
    }
    return in->command->run(in, e);
}

/* For machines: nothing may be changed on the way, whatever reads it. */
static bool wants_json(const struct invocation *in)
{
    for (size_t i = 0; i < in->given_count; i++)
        if (streq(in->given[i].option->name, "json"))
            return true;
    return false;
}

static int dispatch(struct invocation *in, int argc, char **argv, struct err *e)
{
    if (argc == 2 && (streq(argv[1], "--version") || streq(argv[1], "-V"))) {
        manual_version(in->out);
        return STATUS_OK;
    }
    int r = invocation_parse(in, argc, argv, e);
    if (r < 0)
        return r;
    if (!wants_json(in))
        in->out = output_open(stdout);
    if (option_given(in, "help")) {
        if (in->command)
            manual_command(in->out, in->command);
        else
            manual_overview(in->out);
        return STATUS_OK;
    }
    if (!in->command || in->command->actions) {
        if (in->command)
            manual_command(stderr, in->command);
        else
            manual_overview(stderr);
        return STATUS_USAGE;
    }
    return run_command(in, e);
}

int cli_run(int argc, char **argv)
{
    struct err e = { 0 };
    struct invocation in = { .out = stdout };
    text_init();
    int status = dispatch(&in, argc, argv, &e);
    if (status < 0) {
        fflush(in.out);
        FILE *complaints = output_open(stderr);
        fprintf(complaints, "tandem: %s\n", e.text);
        output_close(complaints, stderr);
        status = status == ERR_USAGE ? STATUS_USAGE : STATUS_FAILED;
    }
    /* A reader that has gone (| head) has seen what it wanted. */
    if ((fflush(in.out) != 0 || ferror(in.out)) && errno != EPIPE) {
        fprintf(stderr, "tandem: cannot write the output: %s\n", strerror(errno));
        if (status == STATUS_OK)
            status = STATUS_FAILED;
    }
    output_close(in.out, stdout);
    arena_release(&in.arena);
    return status;
}
