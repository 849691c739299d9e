/* cmd_man.c - tandem man, tandem completion: files that packagers and shells read. */
#include "base/str.h"
#include "cli/commands.h"
#include "cli/manual.h"

static int run_man(struct invocation *in, struct err *e)
{
    (void)e;
    manual_roff(in->out);
    return STATUS_OK;
}

const struct command command_man = {
    .name = "man",
    .summary = "print the man page",
    .operands = "",
    .description = "Prints tandem.1, made from the same tables as the help. make install installs it.",
    .examples = "tandem man | man -l -\tread it without installing",
    .ignores_settings = true,
    .run = run_man,
};

static const char *const shells[] = { [SHELL_BASH] = "bash", [SHELL_ZSH] = "zsh", [SHELL_FISH] = "fish", NULL };

static int run_completion(struct invocation *in, struct err *e)
{
    (void)e;
    for (int i = 0; shells[i]; i++)
        if (streq(shells[i], in->operands.items[0]))
            manual_completion(in->out, (enum shell)i);
    return STATUS_OK;
}

const struct command command_completion = {
    .name = "completion",
    .summary = "print the completions of a shell",
    .operands = "bash|zsh|fish",
    .min_operands = 1,
    .max_operands = 1,
    .operand_choices = shells,
    .description = "Prints a script that completes commands, options and settings. make install puts it "
                   "where the shells look.",
    .examples = "eval \"$(tandem completion bash)\"\tin ~/.bashrc\n"
                "tandem completion fish >~/.config/fish/completions/tandem.fish\tonce",
    .ignores_settings = true,
    .run = run_completion,
};
