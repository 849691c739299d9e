/* cmd_demo.c - tandem demo: plays the recorded conversations of the examples.
 *
 * Models are the only thing that is replayed: tests run, git commits and the engine judges
 * as in any run.
 */
#include "base/str.h"
#include "base/yaml.h"
#include "cli/commands.h"
#include "cli/place.h"
#include "cli/work.h"
#include "os/files.h"
#include "os/process.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct option options[] = {
    { .name = "examples", .argument = "DIR", .kind = ARGUMENT_DIR, .doc = "where the examples are" },
    { .name = "pairs", .letter = 'p', .argument = "N", .doc = "pairs at work at once (setting pairs)" },
    MODEL_OPTIONS,
    { .name = "yes", .letter = 'y', .doc = "as always here: accept the plan without asking" },
    { .name = "json", .doc = "print events as JSON, one a line, and a summary as the last" },
    { 0 },
};

enum { MAX_EXAMPLES = 32 };

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Beside the binary in a build tree, below its prefix when installed, or here. */
static int find_examples(struct invocation *in, const char **ret, struct err *e)
{
    struct arena *a = &in->arena;
    char exe[4000];
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (len < 0)
        return err_set_errno(e, ERR_FAILED, errno, "/proc/self/exe");
    exe[len] = '\0';
    *strrchr(exe, '/') = '\0';
    *ret = option_value(in, "examples");
    if (*ret)
        return 0;
    const char *const candidates[] = {
        "examples", arena_printf(a, "%s/../../examples", exe),
        arena_printf(a, "%s/../share/tandem/examples", exe) };
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        if (is_file(arena_printf(a, "%s/units/spec.md", candidates[i]))) {
            *ret = candidates[i];
            return 0;
        }
    }
    return err_set(e, ERR_NOT_FOUND, "no examples are in ./examples, %s or %s; name their directory with --examples", candidates[1],
                   candidates[2]);
}

/* What lies in the directory. */
static int find_names(struct invocation *in, const char *dir, struct texts *ret, struct err *e)
{
    struct file_entry *entries;
    size_t count;
    int fd;
    int r = dir_open(dir, false, &fd, e);
    if (r < 0)
        return r;
    r = file_list(fd, &in->arena, 20000, &entries, &count, e);
    close(fd);
    for (size_t i = 0; r == 0 && i < count && ret->count < MAX_EXAMPLES; i++) {
        const char *slash = strchr(entries[i].path, '/');
        if (slash && streq(slash, "/spec.md"))
            texts_add(ret, &in->arena, arena_strndup(&in->arena, entries[i].path, (size_t)(slash - entries[i].path)));
    }
    return r;
}

/* Those that are asked for, or all. */
static int list_examples(struct invocation *in, const char *dir, struct texts *ret, struct err *e)
{
    struct texts all = { 0 };
    int r = find_names(in, dir, &all, e);
    if (r < 0)
        return err_prefix(e, "the examples");
    if (!all.count)
        return err_set(e, ERR_NOT_FOUND, "%s holds no examples: directories with a spec.md", dir);
    for (size_t i = 0; i < in->operands.count; i++)
        if (!texts_has(&all, in->operands.items[i]))
            return err_set(e, ERR_USAGE, "there is no example \"%s\"; there are: %s", in->operands.items[i],
                           texts_join(&all, &in->arena, ", ", 0));
    *ret = in->operands.count ? in->operands : all;
    return 0;
}

/* The result as a person would look at it. */
static void show_result(struct work *w, const struct project *p)
{
    const char *const log[] = { "git", "-C", p->out, "log", "--graph", "--oneline", "--first-parent", "-m",
                                "--name-status", "--format=%h %s", "-n", "12", "DEV", NULL };
    struct process_options o = { .argv = log, .kind = PROCESS_KIND_GIT, .timeout_ms = 10000,
                                 .env = (const char *const[]){ "GIT_CONFIG_NOSYSTEM=1", "HOME=/nonexistent", NULL } };
    struct process_result result;
    struct err e;
    if (process_run(&o, &result, &e) < 0)
        return;
    fwrite(result.out.data, 1, result.out.len, w->session.in->out);
    process_result_release(&result);
    fprintf(w->session.in->out, "\n");
}

/* examples/NAME/example.yaml */
struct example {
    const char *summary, *stack;
};
static const struct field example_fields[] = {
    FIELD(struct example, summary, FIELD_TEXT, .required = true, .max = 200),
    FIELD(struct example, stack, FIELD_TEXT, .required = true, .max = 40),
};
static const struct record example_record = RECORD("example", struct example, example_fields);

static int read_example(struct arena *a, const char *dir, const char *name, struct example *ret, const char **ret_spec,
                        struct err *e)
{
    STR_LOCAL(spec);
    STR_LOCAL(yaml);
    const char *path = arena_printf(a, "%s/%s/example.yaml", dir, name);
    int r = file_read_path(arena_printf(a, "%s/%s/spec.md", dir, name), 1 << 20, &spec, e);
    if (r == 0)
        r = file_read_path(path, 1 << 16, &yaml, e);
    if (r == 0)
        r = yaml_read_record(path, yaml.data, yaml.len, &example_record, a, ret, e);
    *ret_spec = arena_strndup(a, spec.data, spec.len);
    return r;
}

static int play(struct work *w, const char *dir, const char *name, struct err *e)
{
    struct invocation *in = w->session.in;
    struct arena *a = &in->arena;
    struct example example;
    const char *spec;
    int r = read_example(a, dir, name, &example, &spec, e);
    if (r < 0)
        return r;
    if (!option_given(in, "json"))
        fprintf(in->out, "\n%s: %s\n", name, example.summary);
    struct project_wish wish = { .spec = spec, .name = name, .stack = example.stack, .pairs = in->settings.pairs,
                                 .coverage_target = in->settings.coverage_target, .models = w->models };
    const char *id, *recorded;
    int64_t after = store_last_seq(w->session.store);
    r = place_of_model(a, arena_printf(a, "replay:%s/%s/recording", dir, name), &recorded, e);
    if (r == 0 && !wish.models.count)
        texts_add(&wish.models, a, recorded);
    if (r == 0)
        r = work_create(w, &wish, &id, e);
    if (r == 0)
        r = work_on(w, id, after, e);
    struct project p;
    if (r == STATUS_OK && !option_given(in, "json") && session_project(&w->session, id, &id, &p, e) == 0)
        show_result(w, &p);
    return r;
}

static int run(struct invocation *in, struct err *e)
{
    const char *dir;
    struct texts names = { 0 };
    int r = invocation_option_setting(in, "pairs", e);
    if (r == 0)
        r = find_examples(in, &dir, e);
    if (r == 0)
        r = list_examples(in, dir, &names, e);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        struct work w;
        r = work_open(&w, in, e);
        w.accept = true;
        if (r == 0 && i == 0 && !option_given(in, "json"))
            fprintf(in->out, "All of it is kept in %s: tandem status --home DIR looks into it.\n", w.session.home);
        if (r == 0)
            r = play(&w, dir, names.items[i], e);
        work_close(&w);
    }
    return r;
}

const struct command command_demo = {
    .name = "demo",
    .summary = "play the recorded conversations of the examples",
    .operands = "[EXAMPLE...]",
    .max_operands = MAX_EXAMPLES,
    .options = options,
    .description = "Only the models' answers are replayed: the tests really run, the commits are really made, and the "
                   "engine judges red and green as in any run. Spec and plan are accepted without asking. The results "
                   "are below the home, in out/. That home is ~/.cache/tandem/demo, apart from your own, unless --home or TANDEM_HOME "
                   "names another. Examples are looked for in ./examples, beside a build, then below share/tandem of where "
                   "Tandem is installed.\n\nWith --model the examples are built by a real model instead.",
    .examples = "tandem demo units\tone example\n"
                "tandem demo --model http://127.0.0.1:8080/v1\tthe examples, by your own model",
    .keeps_apart = true,
    .run = run,
};
