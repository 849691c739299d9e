/* options.c - the command line, read by the tables of command.h.
 *
 * GNU habits: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, switches in one bundle (-yq),
 * options and operands in any order, "--" ends the options.  Not getopt_long: it keeps its
 * state in globals, takes abbreviations (which turn every new option into a change of the
 * old ones) and cannot say "did you mean".
 */
#include "cli/command.h"

#include "base/alloc.h"
#include "base/str.h"
#include "base/suggest.h"

const struct option common_options[] = {
    { .name = "help", .letter = 'h', .doc = "explain the command and do nothing" },
    { .name = "home", .argument = "DIR", .kind = ARGUMENT_DIR,
      .doc = "where Tandem keeps its data (else TANDEM_HOME, else ~/.local/share/tandem)" },
    { .name = "set", .argument = "NAME=VALUE", .is_repeated = true, .kind = ARGUMENT_SETTING,
      .doc = "change a setting for this run; tandem help settings lists them" },
    { 0 },
};

struct parsing {
    struct invocation *in;
    char **argv;
    int argc, at; /* argv[at] is looked at */
    struct err *err;
};

/* ---- lookups ---- */

static const struct option *find_in(const struct option *table, const char *name, size_t len)
{
    for (; table && table->name; table++)
        if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
            return table;
    return NULL;
}

static const struct option *find_letter_in(const struct option *table, char letter)
{
    for (; table && table->name; table++)
        if (table->letter == letter)
            return table;
    return NULL;
}

static const struct option *own_options(const struct invocation *in)
{
    return in->command ? in->command->options : NULL;
}

static const struct option *find_option(const struct invocation *in, const char *name, size_t len)
{
    const struct option *o = find_in(own_options(in), name, len);
    return o ? o : find_in(common_options, name, len);
}

const struct command *command_next(const struct command *before)
{
    bool found = !before;
    for (const struct command *const *c = command_table; *c; c++) {
        if (found)
            return *c;
        found = *c == before;
        for (const struct command *const *a = (*c)->actions; a && *a; a++) {
            if (found)
                return *a;
            found = *a == before;
        }
    }
    return NULL;
}

const struct command *command_find(const char *name)
{
    for (const struct command *c = NULL; (c = command_next(c));)
        if (streq(c->name, name))
            return c;
    return NULL;
}

const char *command_action(const struct command *c)
{
    const char *blank = strchr(c->name, ' ');
    return blank ? blank + 1 : c->name;
}

/* ---- complaints ---- */

/* "; see tandem help run" */
static const char *see(const struct invocation *in)
{
    return in->command ? arena_printf((struct arena *)&in->arena, "tandem help %s", in->command->name)
                       : "tandem help";
}

static int unknown_option(struct parsing *p, const char *name, size_t len)
{
    const char *word = arena_strndup(&p->in->arena, name, len);
    struct suggestion near = { 0 };
    for (const struct option *o = own_options(p->in); o && o->name; o++)
        suggestion_try(&near, word, o->name);
    for (const struct option *o = common_options; o->name; o++)
        suggestion_try(&near, word, o->name);
    if (near.name)
        return err_set(p->err, ERR_USAGE, "there is no option --%.60s; did you mean --%s?", word, near.name);
    return err_set(p->err, ERR_USAGE, "there is no option --%.60s; see %s", word, see(p->in));
}

/* `group` NULL: of the program itself. */
static int unknown_command(struct parsing *p, const struct command *group, const char *word)
{
    struct suggestion near = { 0 };
    const char *before = group ? arena_printf(&p->in->arena, "%s ", group->name) : "";
    for (const struct command *const *c = group ? group->actions : command_table; *c; c++)
        suggestion_try(&near, word, command_action(*c));
    if (near.name)
        return err_set(p->err, ERR_USAGE, "there is no command \"%s%.60s\"; did you mean %s%s?", before, word, before, near.name);
    return err_set(p->err, ERR_USAGE, "there is no command \"%s%.60s\"; see tandem help %s", before, word, group ? group->name : "");
}

/* ---- parsing ---- */

static int check_choice(struct parsing *p, const char *what, const char *value, const char *const *choices)
{
    for (size_t i = 0; choices[i]; i++)
        if (streq(choices[i], value))
            return 0;
    STR_LOCAL(allowed);
    str_add_words(&allowed, choices);
    return err_set(p->err, ERR_USAGE, "%s is \"%.60s\"; allowed: %s", what, value, allowed.data);
}

static int take(struct parsing *p, const struct option *o, const char *value)
{
    struct invocation *in = p->in;
    for (size_t i = 0; !o->is_repeated && o->argument && i < in->given_count; i++)
        if (in->given[i].option == o)
            return err_set(p->err, ERR_USAGE, "--%s is given twice", o->name);
    if (o->choices) {
        const char *what = arena_printf(&in->arena, "--%s", o->name);
        int r = check_choice(p, what, value, o->choices);
        if (r < 0)
            return r;
    }
    in->given[in->given_count++] = (struct given){ o, value };
    return 0;
}

/* argv[at] is "--name" or "--name=value". */
static int parse_long(struct parsing *p)
{
    const char *name = p->argv[p->at] + 2;
    size_t len = strcspn(name, "=");
    const struct option *o = find_option(p->in, name, len);
    if (!o)
        return unknown_option(p, name, len);
    const char *value = name[len] ? name + len + 1 : NULL;
    if (!o->argument && value)
        return err_set(p->err, ERR_USAGE, "--%s takes no value", o->name);
    if (o->argument && !value) {
        if (p->at + 1 >= p->argc)
            return err_set(p->err, ERR_USAGE, "--%s needs a value: --%s %s", o->name, o->name, o->argument);
        value = p->argv[++p->at];
    }
    return take(p, o, value);
}

/* argv[at] is "-x...": switches, the last of which may be an option with its value. */
static int parse_letters(struct parsing *p)
{
    for (const char *c = p->argv[p->at] + 1; *c; c++) {
        const struct option *o = find_letter_in(own_options(p->in), *c);
        if (!o)
            o = find_letter_in(common_options, *c);
        if (!o)
            return err_set(p->err, ERR_USAGE, "there is no option -%c; see %s", *c, see(p->in));
        if (!o->argument) {
            int r = take(p, o, NULL);
            if (r < 0)
                return r;
            continue;
        }
        if (c[1])
            return take(p, o, c + 1);
        if (p->at + 1 >= p->argc)
            return err_set(p->err, ERR_USAGE, "-%c needs a value: -%c %s", *c, *c, o->argument);
        return take(p, o, p->argv[++p->at]);
    }
    return 0;
}

static int parse_operand(struct parsing *p, const char *word)
{
    struct invocation *in = p->in;
    const struct command *group = in->command;
    if (!group || group->actions) {
        const struct command *c = command_find(group ? arena_printf(&in->arena, "%s %s", group->name, word) : word);
        in->command = c && !group == !strchr(c->name, ' ') ? c : group;
        return in->command != group ? 0 : unknown_command(p, group, word);
    }
    texts_add(&in->operands, &in->arena, word);
    return 0;
}

int invocation_parse(struct invocation *in, int argc, char **argv, struct err *e)
{
    struct parsing p = { .in = in, .argv = argv, .argc = argc, .at = 1, .err = e };
    /* A bundle of letters gives at most one option a byte. */
    size_t room = 1;
    for (int i = 1; i < argc; i++)
        room += strlen(argv[i]) + 1;
    in->given = ARENA_ARRAY(&in->arena, struct given, room);

    bool options_end = false;
    for (; p.at < argc; p.at++) {
        const char *word = argv[p.at];
        int r;
        if (!options_end && streq(word, "--")) {
            options_end = true;
            continue;
        }
        if (!options_end && starts_with(word, "--"))
            r = parse_long(&p);
        else if (!options_end && word[0] == '-' && word[1])
            r = parse_letters(&p);
        else
            r = parse_operand(&p, word);
        if (r < 0)
            return r;
    }
    return 0;
}

int invocation_check(const struct invocation *in, struct err *e)
{
    const struct command *c = in->command;
    if (in->operands.count < c->min_operands)
        return err_set(e, ERR_USAGE, "tandem %s needs %s; see %s", c->name, c->operands, see(in));
    if (in->operands.count > c->max_operands)
        return err_set(e, ERR_USAGE, "\"%.60s\" is one word too many for tandem %s; see %s", in->operands.items[c->max_operands],
                       c->name, see(in));
    struct parsing p = { .err = e };
    const char *what = arena_printf((struct arena *)&in->arena, "the word after tandem %s", c->name);
    for (size_t i = 0; c->operand_choices && i < in->operands.count; i++)
        if (check_choice(&p, what, in->operands.items[i], c->operand_choices) < 0)
            return ERR_USAGE;
    return 0;
}

/* ---- for commands ---- */

static const struct option *declared(const struct invocation *in, const char *name)
{
    const struct option *o = find_option(in, name, strlen(name));
    if (!o)
        abort(); /* the command asks for an option that it does not declare */
    return o;
}

bool option_given(const struct invocation *in, const char *name)
{
    const struct option *o = declared(in, name);
    for (size_t i = 0; i < in->given_count; i++)
        if (in->given[i].option == o)
            return true;
    return false;
}

const char *option_value(const struct invocation *in, const char *name)
{
    const struct option *o = declared(in, name);
    for (size_t i = in->given_count; i-- > 0;)
        if (in->given[i].option == o)
            return in->given[i].value;
    return NULL;
}

struct texts option_values(struct invocation *in, const char *name)
{
    const struct option *o = declared(in, name);
    struct texts all = { 0 };
    for (size_t i = 0; i < in->given_count; i++)
        if (in->given[i].option == o)
            texts_add(&all, &in->arena, in->given[i].value);
    return all;
}
