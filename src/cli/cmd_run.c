/* cmd_run.c - tandem run, tandem resume: from a spec or an idea to tested code on a branch. */
#include "base/str.h"
#include "cli/commands.h"
#include "cli/desk.h"
#include "cli/place.h"
#include "cli/propose.h"
#include "cli/wanted.h"
#include "cli/work.h"
#include "model/nearby.h"
#include "os/files.h"
#include "team/spec.h"
#include "team/words.h"

#include <sys/stat.h>
#include <unistd.h>

static const char *const dev_choices[] = { "continue", "replace", NULL };

static const struct option run_options[] = {
    MODEL_OPTIONS,
    { .name = "pairs", .letter = 'p', .argument = "N", .doc = "pairs at work at once (setting pairs)" },
    { .name = "stack", .letter = 's', .argument = "NAME", .doc = "language and test framework; without it found in the repository (--repo), or the Architect proposes one" },
    { .name = "repo", .letter = 'r', .argument = "DIR", .kind = ARGUMENT_DIR, .doc = "build on this git repository, which gets the result; excludes --out" },
    { .name = "dev", .argument = "WHAT", .choices = dev_choices, .doc = "what to do when the repository has a DEV branch already" },
    { .name = "out", .letter = 'o', .argument = "DIR", .kind = ARGUMENT_DIR, .doc = "where the clone of the result goes; ./PROJECT without it; excludes --repo" },
    { .name = "name", .letter = 'n', .argument = "NAME", .doc = "the project's name; from the spec's title without it" },
    TALK_OPTIONS,
    { 0 },
};

/* ---- where the result goes ---- */

/* Absent or empty, so that nothing of the person's is overwritten hours from now. */
static int check_out(const char *dir, struct err *e)
{
    struct stat st;
    if (stat(dir, &st) < 0)
        return 0;
    ARENA_LOCAL(a);
    struct file_entry *entries;
    size_t count = 0;
    int fd;
    int r = dir_open(dir, false, &fd, e);
    if (r < 0)
        return r;
    r = file_list(fd, &a, 1000, &entries, &count, NULL);
    close(fd);
    if (r < 0 || count)
        return err_set(e, ERR_EXISTS, "%s is not empty: name another directory with --out", dir);
    return 0;
}

static int fill_wish(struct invocation *in, struct project_wish *w, struct err *e)
{
    struct arena *a = &in->arena;
    int r = wanted_read(in, &w->spec, &w->idea, e);
    if (r < 0)
        return r;
    w->name = option_value(in, "name");
    if (w->name && !w->name[strspn(w->name, " \t\n")])
        return err_set(e, ERR_USAGE, "--name is empty; without it the spec's title is taken");
    w->stack = option_value(in, "stack");
    r = invocation_option_setting(in, "pairs", e);
    if (r < 0)
        return r;
    w->pairs = in->settings.pairs;
    w->coverage_target = in->settings.coverage_target;
    const char *dev = option_value(in, "dev");
    w->dev = !dev ? DEV_ASK : streq(dev, "continue") ? DEV_CONTINUE : DEV_REPLACE;
    if (option_given(in, "repo")) {
        if (option_given(in, "out"))
            return err_set(e, ERR_USAGE, "--repo and --out exclude each other: the result goes back into the repository");
        return place_whole(a, "--repo", option_value(in, "repo"), &w->repo, e);
    }
    const char *title = w->name ? w->name : w->spec ? spec_title(a, w->spec) : idea_name(a, w->idea);
    const char *out = option_given(in, "out") ? option_value(in, "out") : branch_safe(a, title);
    r = place_whole(a, "--out", out, &w->out, e);
    return r < 0 ? r : check_out(w->out, e);
}

/* The question that only an existing DEV branch raises. */
static int create(struct work *w, struct project_wish *wish, const char **ret_id, bool *ret_stop, struct err *e)
{
    int r = work_create(w, wish, ret_id, e);
    if (r != ERR_EXISTS || wish->dev != DEV_ASK || !wish->repo)
        return r;
    static const struct choice choices[] = { { 'c', "continue" }, { 'r', "replace" }, { 's', "stop" } };
    char answer;
    r = term_ask(&w->session.term, "The repository has a DEV branch already.", choices, 3,
                 "say --dev continue or --dev replace", &answer, e);
    if (r < 0)
        return r == ERR_CANCELLED ? err_set(e, r, "stopped; nothing was begun") : r;
    *ret_stop = answer == 's';
    wish->dev = answer == 'c' ? DEV_CONTINUE : DEV_REPLACE;
    return *ret_stop ? 0 : work_create(w, wish, ret_id, e);
}

/* Nothing was said: a server that runs on this machine is taken, and said. */
static int find_nearby(struct invocation *in, struct texts *models, struct err *e)
{
    const char *word;
    if (!model_nearby(&in->arena, in->settings.nearby, &word))
        return err_set(e, ERR_USAGE, "no model is given, none of the usual addresses answers, and no route is set: "
                                     "--model http://127.0.0.1:8080/v1#NAME (llama-server), ollama:#NAME (Ollama) "
                                     "or any OpenAI-compatible address; or `tandem model import` one and `tandem model route` it");
    texts_add(models, &in->arena, word);
    fprintf(option_given(in, "json") ? stderr : in->out, "No model was given; %s runs here and is used.\n", word);
    return 0;
}

/* Neither a model nor a route: routes over the models that were imported, else what runs nearby. */
static int choose_models(struct invocation *in, struct texts *models, struct err *e)
{
    bool made;
    int r = routes_default_for_run(in, &made, e);
    return r < 0 || made ? r : find_nearby(in, models, e);
}

static int run_run(struct invocation *in, struct err *e)
{
    struct project_wish wish = { 0 };
    struct work w;
    int r = fill_wish(in, &wish, e);
    if (r < 0)
        return r;
    struct texts found = { 0 };
    if (!option_given(in, "model") && !home_has_routes(in))
        r = choose_models(in, &found, e);
    if (r < 0)
        return r;
    r = work_open(&w, in, e);
    wish.models = found.count ? found : w.models;
    const char *id = NULL;
    bool stop = false;
    int64_t after = r == 0 ? store_last_seq(w.session.store) : 0;
    if (r == 0)
        r = create(&w, &wish, &id, &stop, e);
    if (r == 0 && !stop)
        r = work_on(&w, id, after, e);
    work_close(&w);
    return r;
}

const struct command command_run = {
    .name = "run",
    .summary = "build a specification or an idea, ticket by ticket, test first",
    .operands = "SPEC|IDEA...",
    .min_operands = 1, .max_operands = 1000,
    .operand_kind = ARGUMENT_FILE,
    .options = run_options,
    .description = "SPEC is a file (Markdown) and taken as it is; an IDEA in words becomes a specification first. What looks "
                   "like a file (/, ./, .md, .txt, a single word) and does not exist is refused. The "
                   "Architect plans tickets; pairs of Tester and Developer build them, each criterion with a failing "
                   "test that Tandem itself has seen fail and then pass. Spec and plan are shown for approval. The "
                   "result is on the branch DEV of a clone (--out), or of the repository given with --repo; when some tickets are "
                   "blocked, as much of it as is finished, and what a retry adds comes to the same place.\n\n"
                   "Exit status: 0 all tickets are done, 3 some are blocked, 2 usage, 1 failure or interrupted; 0 also "
                   "when you stop at a question.",
    .examples = "tandem run spec.md --model http://127.0.0.1:8080/v1#qwen2.5-coder-7b --pairs 2\tbuild a specification\n"
                "tandem run \"A tool that converts units\" --stack python --model ollama:#qwen2.5-coder\tfrom an idea\n"
                "tandem run spec.md --repo ../app --model URL --model architect=URL#bigger\ton top of a repository",
    .run = run_run,
};

/* ---- resume ---- */

static const struct option resume_options[] = {
    { .name = "out", .letter = 'o', .argument = "DIR", .kind = ARGUMENT_DIR, .doc = "another place for the clone of the result" },
    MODEL_OPTIONS,
    TALK_OPTIONS,
    { 0 },
};

static int move_out(struct work *w, const char *project, const char *dir, struct err *e)
{
    const char *out;
    int r = place_whole(&w->session.in->arena, "--out", dir, &out, e);
    if (r == 0)
        r = check_out(out, e);
    return r < 0 ? r : desk_do(&w->session, &office_set_out, &(struct office_place){ project, out }, &(struct office_nothing){ 0 }, e);
}

static int run_resume(struct invocation *in, struct err *e)
{
    struct work w;
    struct project p;
    const char *id;
    int r = work_open(&w, in, e);
    if (r == 0)
        r = session_project(&w.session, in->operands.count ? in->operands.items[0] : NULL, &id, &p, e);
    if (r == 0 && w.models.count)
        r = desk_do(&w.session, &office_set_models, &(struct office_models){ id, w.models }, &(struct office_nothing){ 0 }, e);
    if (r == 0 && option_given(in, "out"))
        r = move_out(&w, id, option_value(in, "out"), e);
    if (r == 0)
        r = work_on(&w, id, store_last_seq(w.session.store), e);
    work_close(&w);
    return r;
}

const struct command command_resume = {
    .name = "resume",
    .summary = "go on with a project exactly where it stopped",
    .operands = "[PROJECT]",
    .max_operands = 1,
    .options = resume_options,
    .description = "Goes on after Ctrl-C, after a gate, after kill -9 or a power cut. Without PROJECT, the one begun last.",
    .run = run_resume,
};
