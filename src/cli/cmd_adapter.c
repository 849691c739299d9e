/* cmd_adapter.c - tandem adapter: programs of one's own that speak for a model. */
#include "cli/commands.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/session.h"
#include "cli/text.h"
#include "model/adapter_check.h"
#include "os/files.h"
#include "os/process.h"
#include "os/share.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_NAME = 60, MAKE_MS = 120000, MAX_MAKE_OUTPUT = 1 << 20, ANSWER_S = 60, MAX_ANSWER_S = 3600, MEMORY_MIB = 2048, WORD_COLUMN = 9, WIDTH = 100 };

/* ---- new ---- */

static const char *const languages[] = { "python", "c", NULL };

static const struct option new_options[] = {
    { .name = "language", .argument = "LANGUAGE", .choices = languages, .doc = "what the template is written in; python without this" },
    { 0 },
};

/* The last part of a path; it stands in texts of the template. */
static int name_of_folder(struct arena *a, const char *folder, const char **ret, struct err *e)
{
    char *path = arena_strdup(a, folder);
    for (size_t len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
        path[len - 1] = '\0';
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    bool good = isalnum((unsigned char)*name) && strlen(name) <= MAX_NAME;
    for (const char *c = name; *c; c++)
        good = good && (isalnum((unsigned char)*c) || strchr("._-", *c));
    if (!good)
        return err_set(e, ERR_USAGE, "\"%.100s\" cannot be an adapter's name: a letter or digit, then letters, digits and . _ -, at most %d",
                       name, MAX_NAME);
    *ret = name;
    return 0;
}

static int check_empty(const char *folder, struct err *e)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? 0 : err_set_errno(e, ERR_EXISTS, errno, "%s is there already", folder);
    size_t entries = 0;
    while (readdir(dir) && entries < 3)
        entries++;
    closedir(dir);
    return entries > 2 ? err_set(e, ERR_EXISTS, "%s is there already, and not empty", folder) : 0;
}

static void put_name(struct str *out, const char *text, size_t len, const char *name)
{
    static const char mark[] = "@NAME@";
    for (const char *at; (at = memmem(text, len, mark, strlen(mark)));) {
        size_t before = (size_t)(at - text);
        str_add_bytes(out, text, before);
        str_add(out, name);
        text += before + strlen(mark);
        len -= before + strlen(mark);
    }
    str_add_bytes(out, text, len);
}

static int write_template(struct arena *a, const char *folder, const char *prefix, const char *name, struct err *e)
{
    struct texts files;
    int fd;
    int r = share_list(a, prefix, NULL, &files, e);
    if (r == 0)
        r = dir_open(folder, true, &fd, e);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < files.count; i++) {
        STR_LOCAL(text);
        const char *bytes, *file = files.items[i] + strlen(prefix);
        size_t len;
        r = share_read(a, files.items[i], NULL, &bytes, &len, e);
        if (r == 0) {
            put_name(&text, bytes, len, name);
            r = file_create(fd, file, text.data, text.len, streq(file, ADAPTER_PROGRAM) ? 0755 : 0644, e);
        }
    }
    close(fd);
    return r;
}

/* Builds what has a Makefile: our own, just written.  False: it could not be, and `said` why. */
static bool build(const char *folder, struct str *said)
{
    const char *const argv[] = { "make", "-s", "-C", folder, NULL }, *const env[] = { "PATH=" PROCESS_PATH, "LC_ALL=C", NULL };
    struct process_options o = { .argv = argv, .env = env, .cwd = NULL, .timeout_ms = MAKE_MS, .max_output = MAX_MAKE_OUTPUT, .merge_stderr = true };
    struct process_result result;
    struct err e;
    if (process_run(&o, &result, &e) < 0) {
        str_add(said, e.text);
        return false;
    }
    bool good = result.end == PROCESS_EXITED && result.status == 0;
    if (!good)
        str_add(said, result.out.data);
    str_rtrim(said);
    process_result_release(&result);
    return good;
}

static int run_new(struct invocation *in, struct err *e)
{
    STR_LOCAL(said);
    STR_LOCAL(word);
    const char *folder = in->operands.items[0], *name = "", *language = option_value(in, "language");
    language = language ? language : languages[0];
    int r = name_of_folder(&in->arena, folder, &name, e);
    if (r == 0)
        r = check_empty(folder, e);
    if (r == 0)
        r = write_template(&in->arena, folder, arena_printf(&in->arena, "adapters/%s/", language), name, e);
    if (r < 0)
        return r;
    char *whole = realpath(folder, NULL);
    bool built = !streq(language, "c") || !whole || build(whole, &said);
    free(whole);
    str_add_shell_word(&word, folder);
    fprintf(in->out, "%s is an adapter that answers with what it was asked.\n", folder);
    if (!built)
        fprintf(in->out, "It could not be built yet (%s); `make -C %s` does that.\n", said.data, word.data);
    fprintf(in->out, "  tandem adapter check %s      whether it keeps to the protocol\n"
                     "  tandem model import %s       takes it in; `tandem model ask %s \"Hello\"` asks it\n", word.data, word.data, name);
    return 0;
}

static const struct command action_new = {
    .name = "adapter new", .summary = "make a folder with an adapter that works, to be changed",
    .operands = "FOLDER", .min_operands = 1, .max_operands = 1, .operand_kind = ARGUMENT_DIR, .options = new_options,
    .description = "The program in it is called `adapter`. It answers something trivial; the model goes in its place. One in C comes with a "
                   "Makefile and is built at once.",
    .examples = "tandem adapter new my-backend\tin Python\n"
                "tandem adapter new my-backend --language c\tin C",
    .run = run_new,
};

/* ---- check ---- */

static const struct option check_options[] = {
    { .name = "file", .argument = "FILE", .kind = ARGUMENT_FILE, .doc = "the model's file that it is given" },
    { .name = "timeout", .argument = "SECONDS", .doc = "how long loading, and one answer, may take; 60 without this" },
    { .name = "json", .doc = "print the findings as JSON" },
    { 0 },
};

struct findings {
    struct invocation *in;
    json_t *rows; /* with --json; NULL */
};

static void tell(enum check_verdict verdict, const char *what, const char *found, const char *remedy, void *ctx)
{
    static const char *const words[] = { "right", "note", "wrong" };
    struct findings *f = ctx;
    if (f->rows) {
        json_t *row = json_object();
        json_put_text(row, "check", what);
        json_put_text(row, "verdict", words[verdict]);
        json_put(row, "found", json_text(found, strlen(found)));
        json_put_text(row, "remedy", remedy);
        json_array_append_new(f->rows, row);
        return;
    }
    STR_LOCAL(text);
    str_addf(&text, "%s%s%s", what, *found ? ": " : "", found);
    text_row(f->in->out, words[verdict], text.data, 0, WORD_COLUMN, WIDTH);
    if (*remedy)
        text_row(f->in->out, "", remedy, 0, WORD_COLUMN, WIDTH);
    fflush(f->in->out);
}

static int check_in(struct invocation *in, struct sandbox *sandbox, const char *file, struct findings *f, struct err *e)
{
    const char *timeout = option_value(in, "timeout");
    long long seconds = ANSWER_S;
    if (timeout && !parse_int(timeout, 1, MAX_ANSWER_S, &seconds))
        return err_set(e, ERR_USAGE, "--timeout is \"%.40s\"; allowed: 1 to %d", timeout, MAX_ANSWER_S);
    struct adapter_checker k = {
        .adapter = { .sandbox = sandbox, .folder = in->operands.items[0], .file = file, .memory_mib = MEMORY_MIB }, .hello_ms = seconds * 1000,
        .answer_ms = seconds * 1000, .cancel = &session_interrupted, .report = tell, .ctx = f,
    };
    const char *lacks = sandbox_lacks(sandbox);
    if (*lacks)
        fprintf(stderr, "tandem: warning: NO SANDBOX, the adapter runs unprotected: %s\n", lacks);
    return adapter_check(&k, e);
}

static int run_check(struct invocation *in, struct err *e)
{
    struct sandbox *sandbox;
    struct findings f = { in, option_given(in, "json") ? json_keep(&in->arena, json_array()) : NULL };
    const char *file = option_value(in, "file");
    char *whole = file ? realpath(file, NULL) : NULL;
    if (file && !whole)
        return err_set(e, ERR_NOT_FOUND, "there is no file %s", file);
    session_catch_signals();
    int r = sandbox_open(&sandbox, sandbox_mode_of(&in->settings), sandbox_scratch_of(&in->settings), e);
    if (r == 0) {
        r = check_in(in, sandbox, whole ? whole : "", &f, e);
        sandbox_free(sandbox);
    }
    free(whole);
    if (r >= 0 && f.rows) {
        STR_LOCAL(text);
        json_write(&text, f.rows);
        fprintf(in->out, "%s\n", text.data);
    } else if (r >= 0) {
        fprintf(in->out, r ? "%d of these have to be put right before it is imported.\n" : "It keeps to the protocol.\n", r);
    }
    return r < 0 ? r : r ? STATUS_FAILED : STATUS_OK;
}

static const struct command action_check = {
    .name = "adapter check", .summary = "say whether an adapter keeps to the protocol, line by line",
    .operands = "FOLDER", .min_operands = 1, .max_operands = 1, .operand_kind = ARGUMENT_DIR, .options = check_options,
    .description = "Runs it in the sandbox, as it will be run, and asks it for all that the protocol knows. The exit status is 1 when "
                   "something is wrong.",
    .examples = "tandem adapter check ./my-backend\ta folder with a program `adapter`\n"
                "tandem adapter check ./my-backend --file weights.bin\tone that loads a model",
    .run = run_check,
};

/* ---- the group ---- */

static const struct command *const actions[] = { &action_new, &action_check, NULL };

const struct command command_adapter = {
    .name = "adapter",
    .summary = "programs of your own that speak for a model",
    .operands = "",
    .description = "An adapter is a folder with a program `adapter`, in any language, that speaks lines of JSON on standard input and output. "
                   "It runs in the sandbox: no network, its folder and the model's file read-only. docs/adapters.md describes the protocol. "
                   "`tandem model import` takes one in.",
    .actions = actions,
};
