/* cmd_help.c - tandem help, tandem version: what there is. */
#include "base/str.h"
#include "cli/commands.h"
#include "cli/manual.h"

static int run_help(struct invocation *in, struct err *e)
{
    if (in->operands.count == 0) {
        manual_overview(in->out);
        return STATUS_OK;
    }
    const char *topic = in->operands.items[0];
    if (streq(topic, "settings")) {
        /* What is wrong with them is said after the table that helps to mend it. */
        int r = invocation_settings(in, e);
        manual_settings(in->out, &in->settings);
        return r;
    }
    const struct command *group = command_find(topic);
    if (in->operands.count == 2 && group && !group->actions)
        return err_set(e, ERR_USAGE, "\"%.60s\" is one word too many: tandem %s has no actions", in->operands.items[1], topic);
    if (in->operands.count == 2)
        topic = arena_printf(&in->arena, "%s %s", topic, in->operands.items[1]);
    const struct command *c = command_find(topic);
    if (!c)
        return err_set(e, ERR_USAGE, "there is no command \"%.60s\"; see tandem help", topic);
    manual_command(in->out, c);
    return STATUS_OK;
}

const struct command command_help = {
    .name = "help",
    .summary = "explain a command, or list the settings",
    .operands = "[COMMAND [ACTION]|settings]",
    .max_operands = 2,
    .operand_kind = ARGUMENT_COMMAND,
    .description = "Without an operand, lists the commands. tandem help settings prints every setting with "
                   "its value, its range, and where the value came from when it is not the default.",
    .examples = "tandem help settings\tevery setting with its present value",
    .ignores_settings = true,
    .run = run_help,
};

static int run_version(struct invocation *in, struct err *e)
{
    (void)e;
    manual_version(in->out);
    return STATUS_OK;
}

const struct command command_version = {
    .name = "version",
    .summary = "print the version",
    .operands = "",
    .ignores_settings = true,
    .run = run_version,
};
