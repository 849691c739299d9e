/* manual.c - what `tandem help` prints.
 *
 * Wrapped for the terminal it is read on (at most 100 columns, 80 when there is none), so
 * the declarations hold sentences and not layouts.
 */
#include "cli/manual.h"

#include "base/str.h"
#include "cli/text.h"

#include <sys/ioctl.h>
#include <unistd.h>

enum { NARROWEST = 40, WIDEST = 100, USUAL = 80 };

static size_t width_of(FILE *out)
{
    struct winsize size;
    int fd = fileno(out);
    if (fd < 0 || !isatty(fd) || ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return USUAL;
    return size.ws_col < NARROWEST ? NARROWEST : size.ws_col > WIDEST ? WIDEST : size.ws_col;
}

void manual_version(FILE *out)
{
    fputs("tandem " TANDEM_VERSION "\n", out);
}

void manual_overview(FILE *out)
{
    size_t width = width_of(out);
    fputs("tandem - a software team that runs on your own machines\n\n"
          "Usage: tandem COMMAND [OPTIONS] [OPERANDS]\n"
          "       tandem --version\n\n"
          "Commands:\n", out);
    for (const struct command *const *c = command_table; *c; c++)
        text_row(out, (*c)->name, (*c)->summary, 2, 14, width);
    fputc('\n', out);
    text_wrap(out, "tandem help COMMAND explains a command, tandem help settings lists what can be "
                   "configured.\n", 0, width);
}

void option_doc(const struct option *o, struct str *out)
{
    str_add(out, o->doc);
    if (o->choices) {
        str_add(out, ": ");
        str_add_words(out, o->choices);
    }
    if (o->is_repeated)
        str_add(out, " (may be repeated)");
}

static void print_options(FILE *out, const struct option *options, size_t width)
{
    for (const struct option *o = options; o && o->name; o++) {
        STR_LOCAL(term);
        if (o->letter)
            str_addf(&term, "-%c, ", o->letter);
        else
            str_add(&term, "    ");
        str_addf(&term, "--%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
        STR_LOCAL(doc);
        option_doc(o, &doc);
        text_row(out, term.data, doc.data, 2, 26, width);
    }
}

static void print_examples(FILE *out, const char *examples)
{
    fputs("\nExamples:\n", out);
    while (*examples) {
        size_t line = strcspn(examples, "\n"), command = strcspn(examples, "\t\n");
        if (command < line)
            fprintf(out, "  # %.*s\n", (int)(line - command - 1), examples + command + 1);
        fprintf(out, "  %.*s\n", (int)command, examples);
        examples += line + (examples[line] == '\n');
    }
}

static void manual_group(FILE *out, const struct command *group, size_t width)
{
    fprintf(out, "tandem %s - %s\n\nUsage: tandem %s ACTION [OPTIONS] [OPERANDS]\n\n", group->name, group->summary, group->name);
    if (group->description) {
        text_wrap(out, group->description, 0, width);
        fputc('\n', out);
    }
    fputs("Actions:\n", out);
    for (const struct command *const *c = group->actions; *c; c++)
        text_row(out, command_action(*c), (*c)->summary, 2, 14, width);
    fputc('\n', out);
    fprintf(out, "tandem help %s ACTION explains one.\n", group->name);
}

void manual_command(FILE *out, const struct command *c)
{
    size_t width = width_of(out);
    if (c->actions) {
        manual_group(out, c, width);
        return;
    }
    fprintf(out, "tandem %s - %s\n\n", c->name, c->summary);
    fprintf(out, "Usage: tandem %s%s%s%s\n", c->name, c->options ? " [OPTIONS]" : "",
            *c->operands ? " " : "", c->operands);
    if (c->description) {
        fputc('\n', out);
        text_wrap(out, c->description, 0, width);
    }
    if (c->options) {
        fputs("\nOptions:\n", out);
        print_options(out, c->options, width);
    }
    fputs("\nOptions of every command:\n", out);
    print_options(out, common_options, width);
    if (c->examples)
        print_examples(out, c->examples);
}

void manual_settings(FILE *out, const struct settings *s)
{
    size_t width = width_of(out), count;
    const struct setting *table = setting_table(&count);
    text_wrap(out, "Later ones win: the defaults, settings.yaml in the home (pairs: 4), the "
                   "environment (TANDEM_PAIRS=4), the command line (--set pairs=4). A path that does not begin with / "
                   "is meant from the home in settings.yaml, and from the current directory elsewhere.\n", 0, width);
    for (size_t i = 0; i < count; i++) {
        const struct setting *row = &table[i];
        if (i == 0 || !streq(row->group, table[i - 1].group))
            fprintf(out, "\n%s\n", row->group);
        STR_LOCAL(value);
        str_addf(&value, "%s: ", row->name);
        setting_format(row, s, &value);
        STR_LOCAL(doc);
        str_addf(&doc, "%s; ", row->doc);
        setting_range(row, &doc);
        if (*row->unit)
            str_addf(&doc, " %s", row->unit);
        if (!streq(s->from[i], "default"))
            str_addf(&doc, " [%s; default: %s]", s->from[i], *row->preset ? row->preset : "empty");
        text_row(out, value.data, doc.data, 2, 28, width);
    }
}
