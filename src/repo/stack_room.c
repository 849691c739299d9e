/* stack_room.c - a room with a tree in it, a stack's programs beside it, and what is run there.
 *
 * Nothing survives between runs, not even a build directory: a verdict must not depend on
 * what an earlier run left behind.  Within a run the build comes before the tests, in the same
 * room: they see what it leaves, all of which comes from the tree.
 */
#include "repo/stack_room.h"

#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"
#include "os/files.h"

#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_ARGS = 6000 };

static int write_runners(struct running *run)
{
    if (run->stack->runner_count == 0)
        return 0;
    int fd = -1;
    int r = dir_open(run->runner_path, true, &fd, run->err);
    if (r < 0)
        return r;
    if (fchmod(fd, 0755) != 0) /* the room's user must get at them */
        r = err_set(run->err, ERR_FAILED, "cannot open %s to the sandbox", run->runner_path);
    for (size_t i = 0; r == 0 && i < run->stack->runner_count; i++) {
        const struct tree_change *f = &run->stack->runners[i];
        r = file_create(fd, f->path, f->bytes, f->len, 0755, run->err);
    }
    close(fd);
    return r;
}

int running_enter(struct running *run, struct repo *r, const struct oid *tree)
{
    int code = sandbox_room_make(run->sandbox, &run->room, run->err);
    if (code < 0)
        return code;
    bool is_plain = !streq(run->room.out_seen, "/out"); /* SANDBOX_NONE: real paths */
    snprintf(run->runner_path, sizeof run->runner_path, "%s/stack", run->room.path);
    run->runners = is_plain ? run->runner_path : "/stack";
    code = write_runners(run);
    if (code == 0 && tree)
        code = repo_checkout(r, tree, run->room.work_fd, run->err);
    if (code < 0)
        sandbox_room_remove(run->sandbox, &run->room);
    return code;
}

const char *running_prepared(const struct running *run)
{
    bool is_plain = !streq(run->room.out_seen, "/out");
    return is_plain && run->prepared ? run->prepared : "/prepared";
}

static const char *fill(const struct running *run, const char *text)
{
    const char *seconds = arena_printf(run->arena, "%" PRId64, run->stack->spec.suite.seconds);
    const char *const pairs[] = { "{out}", run->room.out_seen, "{work}", run->room.work_seen,
                                  "{stack}", run->runners, "{seconds}", seconds,
                                  "{prepared}", running_prepared(run), NULL };
    return stack_fill(run->arena, text, pairs);
}

const char *const *running_fill(const struct running *run, const struct texts *words, const char *list_name,
                                const struct texts *list)
{
    size_t list_count = list ? list->count : 0;
    if (list_count > MAX_ARGS)
        list_count = MAX_ARGS;
    const char **out = ARENA_ARRAY(run->arena, const char *, words->count + list_count + 1);
    size_t n = 0;
    for (size_t i = 0; i < words->count; i++) {
        if (list_name && streq(words->items[i], list_name)) {
            for (size_t k = 0; k < list_count; k++)
                out[n++] = list->items[k];
            list_count = 0;
        } else {
            out[n++] = fill(run, words->items[i]);
        }
    }
    return out;
}

const char *const *running_env(const struct running *run, bool with_coverage)
{
    const struct stack_spec *spec = &run->stack->spec;
    struct texts all = { 0 };
    for (size_t i = 0; i < spec->suite.env.count; i++)
        texts_add(&all, run->arena, spec->suite.env.items[i]);
    for (size_t i = 0; with_coverage && i < spec->coverage.env.count; i++)
        texts_add(&all, run->arena, spec->coverage.env.items[i]);
    bool is_prepared = run->prepared && *run->prepared;
    for (size_t i = 0; is_prepared && i < spec->prepare.env.count; i++)
        texts_add(&all, run->arena, spec->prepare.env.items[i]);
    return running_fill(run, &all, NULL, NULL);
}

/* What the host must get, when a program is not there. */
static int say_package(const struct running *run, const char *program, int code)
{
    if (code != ERR_NOT_FOUND)
        return code;
    for (size_t i = 0; i < run->stack->spec.tools.count; i++) {
        const struct stack_tool *tool = (const struct stack_tool *)run->stack->spec.tools.items + i;
        if (streq(tool->name, program) || streq(tool->check.items[0], program))
            return err_set(run->err, ERR_UNAVAILABLE, "%s is missing: %s", tool->name, stack_tool_install(run->arena, tool));
    }
    return err_set(run->err, ERR_UNAVAILABLE, "%s is missing on this machine", program);
}

int running_execute(struct running *run, const char *const *argv, const char *const *env, struct sandbox_result *ret)
{
    const struct suite_options *o = run->options;
    struct sandbox_run job = {
        .argv = argv,
        .env = env,
        .room = &run->room,
        .limits = o ? o->limits : NULL,
        .cancel = o ? o->cancel : NULL,
        .on_output = o ? o->on_output : NULL,
        .ctx = o ? o->ctx : NULL,
        .network = run->network,
    };
    bool is_plain = run->runners == run->runner_path;
    if (run->stack->runner_count && !is_plain) {
        job.readonly[job.readonly_count].source = run->runner_path;
        job.readonly[job.readonly_count++].target = run->runners;
    }
    if (run->prepared && *run->prepared && !is_plain) {
        job.readonly[job.readonly_count].source = run->prepared;
        job.readonly[job.readonly_count++].target = running_prepared(run);
    }
    int r = sandbox_run(run->sandbox, &job, ret, run->err);
    if (r < 0)
        return say_package(run, argv[0], r);
    if (ret->process.end == PROCESS_CANCELLED && !ret->limit_hit) { /* the sandbox ends runs like that, too */
        sandbox_result_release(ret);
        return err_set(run->err, ERR_CANCELLED, "the test run was stopped");
    }
    return 0;
}

const char *running_output(const struct running *run, const struct sandbox_result *done, size_t max_head, size_t max_tail)
{
    STR_LOCAL(all);
    str_add_str(&all, &done->process.out);
    if (all.len && all.data[all.len - 1] != '\n' && done->process.err.len)
        str_add_char(&all, '\n');
    str_add_str(&all, &done->process.err);
    const char *clean = stack_strip(run->stack, run->arena, all.data, all.len);
    size_t len = strlen(clean);
    if (len <= max_head + max_tail)
        return clean;
    size_t head = utf8_floor(clean, max_head);
    const char *tail = strchr(clean + len - max_tail, '\n');
    return arena_printf(run->arena, "%.*s\n[...]\n%s", (int)head, clean, tail ? tail + 1 : "");
}
