/* completion.c - shell completions.
 *
 * Static scripts: pressing TAB starts no tandem and opens no home.  What can be completed
 * is in the tables: commands, options, their fixed choices, files, settings.
 */
#include "cli/manual.h"

#include "base/str.h"

/* Text in single quotes, for bash and zsh; in fish \' does the same. */
static void quoted(FILE *out, const char *text, enum shell shell)
{
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'')
            fputs(shell == SHELL_FISH ? "\\'" : "'\\''", out);
        else if (*text == '\\' && shell == SHELL_FISH)
            fputs("\\\\", out);
        else
            fputc(*text, out);
    }
    fputc('\'', out);
}

static void words(FILE *out, const char *const *list, const char *between)
{
    for (size_t i = 0; list[i]; i++)
        fprintf(out, "%s%s", i ? between : "", list[i]);
}

static void command_names(FILE *out, const char *between)
{
    for (const struct command *const *c = command_table; *c; c++)
        fprintf(out, "%s%s", c == command_table ? "" : between, (*c)->name);
}

static void setting_names(FILE *out, const char *between)
{
    size_t count;
    const struct setting *table = setting_table(&count);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%s=", i ? between : "", table[i].name);
}

/* ---- bash ---- */

static void bash_reply(FILE *out, enum argument_kind kind, const char *const *choices)
{
    fputs("mapfile -t COMPREPLY < <(compgen ", out);
    if (choices) {
        fputs("-W '", out);
        words(out, choices, " ");
        fputs("'", out);
    } else if (kind == ARGUMENT_FILE) {
        fputs("-f", out);
    } else if (kind == ARGUMENT_DIR) {
        fputs("-d", out);
    } else if (kind == ARGUMENT_COMMAND) {
        fputs("-W '", out);
        command_names(out, " ");
        fputs(" settings'", out);
    } else if (kind == ARGUMENT_SETTING) {
        fputs("-W '", out);
        setting_names(out, " ");
        fputs("'", out);
    } else {
        fputs("-W ''", out);
    }
    fputs(" -- \"$cur\")", out);
}

static void bash_option_values(FILE *out, const struct option *options)
{
    for (const struct option *o = options; o && o->name; o++) {
        if (!o->argument)
            continue;
        fprintf(out, "        --%s", o->name);
        if (o->letter)
            fprintf(out, "|-%c", o->letter);
        fputs(") ", out);
        bash_reply(out, o->kind, o->choices);
        fputs("; return ;;\n", out);
    }
}

static void bash_option_names(FILE *out, const struct option *options)
{
    for (const struct option *o = options; o && o->name; o++)
        fprintf(out, " --%s", o->name);
}

static void action_names(FILE *out, const struct command *group, const char *between)
{
    for (const struct command *const *c = group->actions; *c; c++)
        fprintf(out, "%s%s", c == group->actions ? "" : between, command_action(*c));
}

static void bash_command(FILE *out, const struct command *c)
{
    if (c->actions) {
        fprintf(out, "    %s) mapfile -t COMPREPLY < <(compgen -W '", c->name);
        action_names(out, c, " ");
        fputs("' -- \"$cur\") ;;\n", out);
        return;
    }
    fprintf(out, "    '%s')\n        case $prev in\n", c->name);
    bash_option_values(out, c->options);
    bash_option_values(out, common_options);
    fputs("        esac\n        if [[ $cur == -* ]]; then\n            mapfile -t COMPREPLY < <(compgen -W '", out);
    bash_option_names(out, c->options);
    bash_option_names(out, common_options);
    fputs("' -- \"$cur\")\n        else\n            ", out);
    bash_reply(out, c->operand_kind, c->operand_choices);
    fputs("\n        fi ;;\n", out);
}

static void bash(FILE *out)
{
    fputs("# bash completion of tandem\n"
          "_tandem() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} word command=\n"
          "    COMPREPLY=()\n"
          "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
          "        case $command,$word in\n"
          "        ,", out);
    command_names(out, "|,");
    fputs(") command=$word ;;\n", out);
    for (const struct command *c = NULL; (c = command_next(c));)
        if (command_action(c) != c->name)
            fprintf(out, "        %.*s,%s) command='%s' ;;\n", (int)(command_action(c) - c->name - 1), c->name, command_action(c), c->name);
    fputs("        esac\n    done\n"
          "    case $command in\n", out);
    for (const struct command *c = NULL; (c = command_next(c));)
        bash_command(out, c);
    fputs("    *) mapfile -t COMPREPLY < <(compgen -W '--version --help ", out);
    command_names(out, " ");
    /* No space behind "pairs=". */
    fputs("' -- \"$cur\") ;;\n    esac\n"
          "    if [[ ${COMPREPLY[0]-} == *= ]]; then compopt -o nospace 2>/dev/null; fi\n"
          "}\n"
          "complete -o filenames -F _tandem tandem\n", out);
}

/* ---- zsh ---- */

/* Text inside '...[...]...' of _arguments: brackets and colons mean something there. */
static void zsh_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '[' || *text == ']' || *text == ':' || *text == '\\')
            fputc('\\', out);
        fputs(*text == '\'' ? "'\\''" : (char[]){ *text, '\0' }, out);
    }
}

static void zsh_action(FILE *out, enum argument_kind kind, const char *const *choices)
{
    if (choices) {
        fputs("(", out);
        words(out, choices, " ");
        fputs(")", out);
    } else if (kind == ARGUMENT_FILE) {
        fputs("_files", out);
    } else if (kind == ARGUMENT_DIR) {
        fputs("_files -/", out);
    } else if (kind == ARGUMENT_COMMAND) {
        fputs("(", out);
        command_names(out, " ");
        fputs(" settings)", out);
    } else if (kind == ARGUMENT_SETTING) {
        fputs("_tandem_settings", out);
    }
}

static void zsh_options(FILE *out, const struct option *options)
{
    for (const struct option *o = options; o && o->name; o++) {
        fputs(" \\\n            ", out);
        if (o->letter && !o->is_repeated)
            fprintf(out, "'(-%c --%s)'", o->letter, o->name);
        if (o->is_repeated)
            fputs("'*'", out);
        if (o->letter)
            fprintf(out, "{-%c,--%s}'[", o->letter, o->name);
        else
            fprintf(out, "'--%s[", o->name);
        zsh_escaped(out, o->doc);
        fputs("]", out);
        if (o->argument) {
            fputs(":", out);
            zsh_escaped(out, o->argument);
            fputs(":", out);
            zsh_action(out, o->kind, o->choices);
        }
        fputs("'", out);
    }
}

static void zsh_command(FILE *out, const struct command *c, const char *word)
{
    fprintf(out, "        %s) _arguments", word);
    zsh_options(out, c->options);
    zsh_options(out, common_options);
    if (c->max_operands) {
        fputs(" \\\n            '*:", out);
        zsh_escaped(out, c->operands);
        fputs(":", out);
        zsh_action(out, c->operand_kind, c->operand_choices);
        fputs("'", out);
    }
    fputs(" ;;\n", out);
}

static void zsh_group(FILE *out, const struct command *group)
{
    fprintf(out, "        %s)\n        if (( CURRENT == 2 )); then compadd -- ", group->name);
    action_names(out, group, " ");
    fputs("; return; fi\n        shift words; (( CURRENT-- ))\n        case $words[1] in\n", out);
    for (const struct command *const *c = group->actions; *c; c++)
        zsh_command(out, *c, command_action(*c));
    fputs("        esac ;;\n", out);
}

static void zsh(FILE *out)
{
    fputs("#compdef tandem\n"
          "_tandem_settings() {\n    compadd -S '' -- ", out);
    setting_names(out, " ");
    fputs("\n}\n"
          "_tandem() {\n"
          "    local curcontext=$curcontext state line\n"
          "    local -a commands=(", out);
    for (const struct command *const *c = command_table; *c; c++) {
        fprintf(out, "\n        '%s:", (*c)->name);
        zsh_escaped(out, (*c)->summary);
        fputc('\'', out);
    }
    fputs(")\n    _arguments -C '--version[print the version]'", out);
    zsh_options(out, common_options);
    fputs(" \\\n            '1: :->command' '*:: :->rest'\n"
          "    case $state in\n"
          "    command) _describe command commands ;;\n"
          "    rest)\n        case $words[1] in\n", out);
    for (const struct command *const *c = command_table; *c; c++) {
        if ((*c)->actions)
            zsh_group(out, *c);
        else
            zsh_command(out, *c, (*c)->name);
    }
    fputs("        esac ;;\n    esac\n}\n"
          "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _tandem \"$@\"; else compdef _tandem tandem; fi\n", out);
}

/* ---- fish ---- */

static void fish_argument(FILE *out, enum argument_kind kind, const char *const *choices)
{
    if (choices) {
        fputs(" -a '", out);
        words(out, choices, " ");
        fputs("'", out);
    } else if (kind == ARGUMENT_FILE) {
        fputs(" -F", out);
    } else if (kind == ARGUMENT_DIR) {
        fputs(" -a '(__fish_complete_directories)'", out);
    } else if (kind == ARGUMENT_COMMAND) {
        fputs(" -a '", out);
        command_names(out, " ");
        fputs(" settings'", out);
    } else if (kind == ARGUMENT_SETTING) {
        fputs(" -a '", out);
        setting_names(out, " ");
        fputs("'", out);
    }
}

/* " -n '...'": after the words of the command. */
static void fish_after(FILE *out, const struct command *c)
{
    const char *action = command_action(c);
    if (action == c->name)
        fprintf(out, " -n '__fish_seen_subcommand_from %s'", c->name);
    else
        fprintf(out, " -n '__fish_seen_subcommand_from %.*s; and __fish_seen_subcommand_from %s'", (int)(action - c->name - 1),
                c->name, action);
}

static void fish_options(FILE *out, const struct option *options, const struct command *command)
{
    for (const struct option *o = options; o && o->name; o++) {
        fputs("complete -c tandem", out);
        if (command)
            fish_after(out, command);
        fprintf(out, " -l %s", o->name);
        if (o->letter)
            fprintf(out, " -s %c", o->letter);
        if (o->argument) {
            fputs(" -r", out);
            fish_argument(out, o->kind, o->choices);
        }
        fputs(" -d ", out);
        quoted(out, o->doc, SHELL_FISH);
        fputc('\n', out);
    }
}

static void fish(FILE *out)
{
    fputs("# fish completion of tandem\ncomplete -c tandem -f\n", out);
    fputs("complete -c tandem -n __fish_use_subcommand -l version -d 'print the version'\n", out);
    fish_options(out, common_options, NULL);
    const struct command *group = NULL;
    for (const struct command *c = NULL; (c = command_next(c));) {
        const char *action = command_action(c);
        if (c->actions)
            group = c;
        if (action == c->name) {
            fprintf(out, "complete -c tandem -n __fish_use_subcommand -a %s -d ", c->name);
        } else {
            fprintf(out, "complete -c tandem -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from ", group->name);
            action_names(out, group, " ");
            fprintf(out, "' -a %s -d ", action);
        }
        quoted(out, c->summary, SHELL_FISH);
        fputc('\n', out);
        fish_options(out, c->options, c);
        if (c->operand_choices || c->operand_kind != ARGUMENT_ANY) {
            fputs("complete -c tandem", out);
            fish_after(out, c);
            fish_argument(out, c->operand_kind, c->operand_choices);
            fputc('\n', out);
        }
    }
}

void manual_completion(FILE *out, enum shell shell)
{
    switch (shell) {
    case SHELL_BASH: bash(out); break;
    case SHELL_ZSH: zsh(out); break;
    case SHELL_FISH: fish(out); break;
    }
}
