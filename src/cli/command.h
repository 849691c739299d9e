/* cli/command.h - what a command of `tandem` is.
 *
 * One file per command: a `struct command` beside the function that runs it, and one row
 * in commands.c.  A group of commands (tandem model list) is a command whose `actions` are
 * commands of their own, with both words as their names.  Parsing, `tandem help`, --help, the man page and the shell completions
 * all come from these declarations (tests/cli proves that they agree).
 *
 * A text of several paragraphs separates them by an empty line; lines that begin with two
 * spaces are kept as they are.
 */
#ifndef TANDEM_CLI_COMMAND_H
#define TANDEM_CLI_COMMAND_H

#include "base/arena.h"
#include "base/err.h"
#include "base/record.h"
#include "base/setting.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The exit status of the program. */
enum exit_status {
    STATUS_OK = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_BLOCKED = 3, /* some tickets are blocked */
};

/* What a shell offers for an argument. */
enum argument_kind { ARGUMENT_ANY, ARGUMENT_FILE, ARGUMENT_DIR, ARGUMENT_COMMAND, ARGUMENT_SETTING };

struct option {
    const char *name;     /* "out" for --out; lower case and '-' */
    char letter;          /* 'o' for -o; 0: none */
    const char *argument; /* "DIR"; NULL: a switch */
    bool is_repeated;     /* may be given more than once */
    enum argument_kind kind;
    const char *const *choices; /* the only values allowed, NULL-terminated; or NULL */
    const char *doc;      /* a phrase, lower case, no full stop */
};

struct invocation;

struct command {
    const char *name;             /* of an action: with its group's before it, "model list" */
    const char *summary;          /* a phrase, lower case, no full stop */
    const char *operands;         /* for the usage line: "SPEC|IDEA", "[TICKET...]"; "" for none */
    size_t min_operands, max_operands;
    enum argument_kind operand_kind;
    const char *const *operand_choices; /* the only values allowed; or NULL */
    const struct option *options; /* up to a row without name; NULL: none of its own */
    const char *description;      /* paragraphs */
    const char *examples;         /* lines "command line\texplanation"; NULL: none */
    bool keeps_apart;             /* its home is $XDG_CACHE_HOME/tandem/NAME where none is named: nothing of the person's own */
    bool ignores_settings;        /* runs although settings are wrong (help, doctor) */
    const struct command *const *actions; /* of a group, NULL-terminated; it is not run itself */
    /* Returns an exit status, or ERR_* after filling `e` (ERR_USAGE: status 2). */
    int (*run)(struct invocation *in, struct err *e);
};

/* Options that every command takes: --help, --home, --set. */
extern const struct option common_options[];
/* All commands, in the order of the help; NULL-terminated. */
extern const struct command *const command_table[];

/* A parsed command line. */
struct invocation {
    struct arena arena;
    const struct command *command;
    struct texts operands;
    struct settings settings;   /* defaults only, for commands that ignore settings */
    struct given *given;        /* options, as they came */
    size_t given_count;
    bool settings_told;         /* which of them do not count at the server (server.h), or there is no need to */
    FILE *out;                  /* what the command is asked for; failure to write is reported at the end */
};

/* The program: returns its exit status, complaints go to standard error. */
int cli_run(int argc, char **argv);

/* ---- for commands ---- */

/* Options by name; a name that the command does not declare ends the program (a mistake
 * of ours that any test of the command finds). */
bool option_given(const struct invocation *in, const char *name);
/* The last value, NULL when absent. */
const char *option_value(const struct invocation *in, const char *name);
/* All values in order; belongs to the invocation. */
struct texts option_values(struct invocation *in, const char *name);

/* The home: --home, TANDEM_HOME, $XDG_DATA_HOME/tandem, ~/.local/share/tandem; absolute.  Of a
 * command that keeps apart, below $XDG_CACHE_HOME or ~/.cache instead of the last two. */
int invocation_home(struct invocation *in, const char **ret, struct err *e);
/* Reads settings.yaml of the home, the environment and --set into in->settings. */
int invocation_settings(struct invocation *in, struct err *e);
/* An option that is short for --set with the setting of the same name: puts it into in->settings,
 * if it was given.  ERR_USAGE. */
int invocation_option_setting(struct invocation *in, const char *name, struct err *e);

/* By its one or two words; NULL: there is none. */
const struct command *command_find(const char *name);
/* The second word of an action's name. */
const char *command_action(const struct command *c);
/* All commands in the order of the help, each group before its actions; start with NULL, which ends
 * it too. */
const struct command *command_next(const struct command *c);

/* ---- parsing (options.c) ---- */

struct given { const struct option *option; const char *value; };

/* Reads argv[1...] into `in` (zeroed by the caller; in->arena is released by it in any
 * case).  ERR_USAGE with a suggestion where something is near.  in->command is NULL when
 * no command was named. */
int invocation_parse(struct invocation *in, int argc, char **argv, struct err *e);
/* Whether operands and required things fit; separate, so that --help wins over complaints. */
int invocation_check(const struct invocation *in, struct err *e);

#endif
