/* roff.c - the man page, tandem.1.
 *
 * man(7) macros, the old ones: every formatter reads them.  No date: the same source gives
 * the same page.
 */
#include "cli/manual.h"

#include "base/str.h"

/* Text that roff must not take for requests.  A '-' that begins a word is a minus (it can
 * be copied into a shell), one inside a word a hyphen. */
static void put(FILE *out, const char *text, size_t len)
{
    char before = '\n';
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool word_starts = before == '\n' || before == ' ' || before == '-' || before == '[';
        if (before == '\n' && (c == '.' || c == '\''))
            fputs("\\&", out);
        if (c == '\\')
            fputs("\\e", out);
        else if (c == '-' && word_starts)
            fputs("\\-", out);
        else
            fputc(c, out);
        before = c;
    }
}

static void put_text(FILE *out, const char *text)
{
    put(out, text, strlen(text));
}

static void heading(FILE *out, const char *text)
{
    fprintf(out, ".SH %s\n", text);
}

/* A phrase of the tables as a sentence. */
static void sentence(FILE *out, const char *phrase)
{
    if (*phrase >= 'a' && *phrase <= 'z')
        fputc(*phrase++ - 'a' + 'A', out);
    put_text(out, phrase);
    fputs(".\n", out);
}

/* Paragraphs as in command.h; lines that begin with two spaces are kept. */
static void paragraphs(FILE *out, const char *text)
{
    bool verbatim = false, fresh = true;
    while (*text) {
        size_t line = strcspn(text, "\n");
        bool keep = starts_with(text, "  ");
        if (keep != verbatim) {
            fputs(keep ? ".PP\n.nf\n.RS 4\n" : ".RE\n.fi\n", out);
            verbatim = keep;
            fresh = !keep;
        }
        if (line && fresh && !keep)
            fputs(".PP\n", out);
        if (line) {
            put(out, text + (keep ? 2 : 0), line - (keep ? 2 : 0));
            fputc('\n', out);
        }
        fresh = line == 0;
        text += line + (text[line] == '\n');
    }
    if (verbatim)
        fputs(".RE\n.fi\n", out);
}

static void option_rows(FILE *out, const struct option *options)
{
    for (const struct option *o = options; o && o->name; o++) {
        fputs(".TP\n", out);
        if (o->letter)
            fprintf(out, "\\fB\\-%c\\fR, ", o->letter);
        fprintf(out, "\\fB\\-\\-%s\\fR", o->name);
        if (o->argument)
            fprintf(out, " \\fI%s\\fR", o->argument);
        fputc('\n', out);
        STR_LOCAL(doc);
        option_doc(o, &doc);
        sentence(out, doc.data);
    }
}

static void example_rows(FILE *out, const char *examples)
{
    while (*examples) {
        size_t line = strcspn(examples, "\n"), command = strcspn(examples, "\t\n");
        fputs(".TP\n\\fB", out);
        put(out, examples, command);
        fputs("\\fR\n", out);
        if (command < line)
            put(out, examples + command + 1, line - command - 1);
        fputc('\n', out);
        examples += line + (examples[line] == '\n');
    }
}

static void command_section(FILE *out, const struct command *c)
{
    fprintf(out, ".SS tandem %s\n", c->name);
    if (c->actions) {
        sentence(out, c->summary);
        if (c->description)
            paragraphs(out, c->description);
        return;
    }
    fprintf(out, "\\fBtandem %s\\fR%s%s", c->name, c->options ? " [\\fIOPTIONS\\fR]" : "",
            *c->operands ? " " : "");
    put_text(out, c->operands);
    fputs("\n.PP\n", out);
    sentence(out, c->summary);
    if (c->description)
        paragraphs(out, c->description);
    option_rows(out, c->options);
    if (c->examples)
        example_rows(out, c->examples);
}

static void settings_section(FILE *out)
{
    heading(out, "SETTINGS");
    fputs("Later ones win: the defaults, \\fIsettings.yaml\\fR in the home\n(pairs: 4), the environment "
          "(TANDEM_PAIRS=4), the command line\n(\\fB\\-\\-set pairs=4\\fR).\n", out);
    size_t count;
    const struct setting *table = setting_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct setting *row = &table[i];
        if (i == 0 || !streq(row->group, table[i - 1].group))
            fprintf(out, ".SS %s\n", row->group);
        fprintf(out, ".TP\n\\fB%s\\fR (%s)\n", row->name, *row->preset ? row->preset : "empty");
        STR_LOCAL(doc);
        str_addf(&doc, "%s; ", row->doc);
        setting_range(row, &doc);
        if (*row->unit)
            str_addf(&doc, " %s", row->unit);
        sentence(out, doc.data);
    }
}

static void term_row(FILE *out, const char *term, const char *text)
{
    fprintf(out, ".TP\n\\fB%s\\fR\n", term);
    put_text(out, text);
    fputc('\n', out);
}

void manual_roff(FILE *out)
{
    fputs(".TH TANDEM 1 \"\" \"tandem " TANDEM_VERSION "\" \"User Commands\"\n", out);
    heading(out, "NAME");
    fputs("tandem \\- a software team that runs on your own machines\n", out);
    heading(out, "SYNOPSIS");
    fputs("\\fBtandem\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIOPERANDS\\fR]\n.br\n"
          "\\fBtandem \\-\\-version\\fR\n", out);
    heading(out, "DESCRIPTION");
    paragraphs(out,
               "Tandem turns a spec, or an idea, into tested code on a branch. An Architect plans tickets "
               "with acceptance criteria; pairs of a Developer and a Tester build each by strict "
               "test-driven development, in a sandbox; the engine itself witnesses every failing and "
               "every passing test and stores the proof. The models are yours: anything with an "
               "OpenAI-compatible endpoint. Nothing else is contacted.\n");
    heading(out, "COMMANDS");
    for (const struct command *c = NULL; (c = command_next(c));)
        command_section(out, c);
    heading(out, "OPTIONS OF EVERY COMMAND");
    option_rows(out, common_options);
    settings_section(out);
    heading(out, "EXIT STATUS");
    term_row(out, "0", "All went well.");
    term_row(out, "1", "It failed; standard error says why.");
    term_row(out, "2", "The command line is wrong.");
    term_row(out, "3", "Some tickets are blocked.");
    heading(out, "ENVIRONMENT");
    term_row(out, "TANDEM_HOME", "Where Tandem keeps its data.");
    term_row(out, "TANDEM_API_KEY", "The key for model servers that ask for one.");
    term_row(out, "TANDEM_NAME", "The setting of that name, in capitals.");
    term_row(out, "VISUAL, EDITOR", "The editor for specs and plans.");
    term_row(out, "NO_COLOR", "When set, no colours.");
    heading(out, "FILES");
    term_row(out, "~/.local/share/tandem", "The home, unless TANDEM_HOME or XDG_DATA_HOME says otherwise.");
    term_row(out, "settings.yaml", "In the home: settings, one a line.");
    heading(out, "SEE ALSO");
    fputs(".BR git (1),\n.BR bwrap (1)\n", out);
}
