/* editor.c - the person's editor on a temporary file.
 *
 * The editor needs the terminal itself, so it is not started through os/process.h (which
 * gives children pipes and a session of their own) but plainly, in the foreground, while
 * we ignore the keys meant for it.  Words of VISUAL and EDITOR are split here, not by a
 * shell.
 */
#include "cli/term.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/record.h"
#include "base/str.h"
#include "os/files.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_TEXT = 16 << 20, MAX_WORDS = 64 };

/* Splits at spaces outside quotes. */
static struct texts split_words(struct arena *a, const char *line)
{
    struct texts words = { 0 };
    while (words.count < MAX_WORDS) {
        line += strspn(line, " \t");
        if (!*line)
            break;
        STR_LOCAL(word);
        char quote = 0;
        for (; *line && (quote || (*line != ' ' && *line != '\t')); line++) {
            if (quote ? *line == quote : *line == '"' || *line == '\'')
                quote = quote ? 0 : *line;
            else
                str_add_char(&word, *line);
        }
        texts_add(&words, a, word.data);
    }
    return words;
}

static bool is_on_path(struct arena *a, const char *program)
{
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
        size_t len = strcspn(at, ":");
        if (len && access(arena_printf(a, "%.*s/%s", (int)len, at, program), X_OK) == 0)
            return true;
        at += len + (at[len] == ':');
    }
    return false;
}

static int find_editor(struct arena *a, struct texts *ret, struct err *e)
{
    static const char *const variables[] = { "VISUAL", "EDITOR" };
    static const char *const usual[] = { "editor", "nano", "vi" };
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        struct texts words = value ? split_words(a, value) : (struct texts){ 0 };
        if (words.count) {
            *ret = words;
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        if (is_on_path(a, usual[i])) {
            texts_add(ret, a, usual[i]);
            return 0;
        }
    }
    return err_set(e, ERR_UNAVAILABLE, "no editor was found; set EDITOR, for example EDITOR=nano");
}

/* Runs it in the foreground; the wait status. */
static int run_editor(const struct term *t, const struct texts *words, const char *path, int *ret_status,
                      struct err *e)
{
    const char *argv[MAX_WORDS + 2] = { 0 };
    memcpy(argv, words->items, words->count * sizeof *argv);
    argv[words->count] = path;

    /* Ctrl-C and Ctrl-\ go to the editor; it must not inherit that we ignore them. */
    struct sigaction ignore = { .sa_handler = SIG_IGN }, old_int, old_quit;
    sigaction(SIGINT, &ignore, &old_int);
    sigaction(SIGQUIT, &ignore, &old_quit);
    sigset_t defaults, none;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGQUIT);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, t->in_fd, 0);
    posix_spawn_file_actions_adddup2(&files, t->out_fd, 1);
    posix_spawn_file_actions_adddup2(&files, t->out_fd, 2);

    pid_t pid;
    int failure = posix_spawnp(&pid, argv[0], &files, &attributes, (char *const *)argv, environ);
    while (!failure && waitpid(pid, ret_status, 0) < 0)
        if (errno != EINTR)
            failure = errno;
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGQUIT, &old_quit, NULL);
    return failure ? err_set_errno(e, ERR_UNAVAILABLE, failure, "cannot run the editor \"%s\"", argv[0]) : 0;
}

static int edit_file(const struct term *t, int dir, const char *path, const char *name, const char *text,
                     size_t len, struct arena *a, struct str *out, struct err *e)
{
    struct texts words = { 0 };
    int status = 0;
    int r = find_editor(a, &words, e);
    if (r == 0)
        r = file_write(dir, name, text, len, 0600, false, e);
    if (r == 0)
        r = run_editor(t, &words, path, &status, e);
    if (r < 0)
        return r;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(e, ERR_CANCELLED, "the editor \"%s\" ended without success, so nothing was changed",
                       words.items[0]);
    return file_read(dir, name, MAX_TEXT, out, e);
}

int term_edit(const struct term *t, const char *name, const char *text, size_t len, struct str *out,
              struct err *e)
{
    if (!t->can_ask)
        return err_set(e, ERR_UNAVAILABLE, "there is no terminal to open an editor on");
    ARENA_LOCAL(a);
    const char *tmp = getenv("TMPDIR");
    char *folder = arena_printf(&a, "%s/tandem-edit-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        return err_set_errno(e, ERR_FAILED, errno, "cannot make %s", folder);
    int dir = -1;
    int r = dir_open(folder, false, &dir, e);
    if (r == 0) {
        r = edit_file(t, dir, arena_printf(&a, "%s/%s", folder, name), name, text, len, &a, out, e);
        struct err ignored;
        dir_empty(dir, &ignored); /* editors leave backups */
        close(dir);
    }
    rmdir(folder);
    return r;
}
