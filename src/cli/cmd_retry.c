/* cmd_retry.c - tandem retry: a blocked ticket once more, with a word of help. */
#include "cli/commands.h"
#include "cli/desk.h"
#include "cli/work.h"

static const struct option options[] = {
    { .name = "hint", .argument = "TEXT", .doc = "what the pair should know" },
    { .name = "project", .argument = "PROJECT", .doc = "the project; the one begun last without it" },
    MODEL_OPTIONS,
    TALK_OPTIONS,
    { 0 },
};

static int run(struct invocation *in, struct err *e)
{
    struct work w;
    struct project p;
    const char *id = NULL;
    int r = work_open(&w, in, e);
    if (r == 0)
        r = session_project(&w.session, option_value(in, "project"), &id, &p, e);
    const char *hint = option_value(in, "hint");
    struct office_retry wish = { id, in->operands.count ? in->operands.items[0] : "", hint ? hint : "" };
    int64_t after = r == 0 ? store_last_seq(w.session.store) : 0;
    if (r == 0)
        r = desk_do(&w.session, &office_retry, &wish, &(struct office_nothing){ 0 }, e);
    if (r == 0)
        r = work_on(&w, id, after, e);
    work_close(&w);
    return r;
}

const struct command command_retry = {
    .name = "retry",
    .summary = "start a blocked ticket again",
    .operands = "[T-N|F-N]",
    .max_operands = 1,
    .options = options,
    .description = "Goes on with a blocked ticket (or functionality) where it stands; the attempts are counted anew. "
                   "Without an operand, a project that is blocked before it has tickets. What is finished by it comes into the "
                   "clone that the run made, or into the repository given with --repo: DEV moves forward there, with its "
                   "files where it is checked out in the clone. Where you have commits or changes of your own it is left "
                   "alone, and you are told the command that merges what is new.",
    .examples = "tandem retry T-3 --hint \"dates are ISO 8601, without a time\"\twith a word of help",
    .run = run,
};
