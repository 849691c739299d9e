/* cli/manual.h - help, man page and completions, all from the tables of commands,
 * options and settings. */
#ifndef TANDEM_CLI_MANUAL_H
#define TANDEM_CLI_MANUAL_H

#include "base/str.h"
#include "cli/command.h"

/* What an option is for, with its choices. */
void option_doc(const struct option *o, struct str *out);

void manual_version(FILE *out);
/* `tandem help` */
void manual_overview(FILE *out);
/* `tandem help COMMAND` */
void manual_command(FILE *out, const struct command *c);
/* `tandem help settings`: every setting with its value in `s`. */
void manual_settings(FILE *out, const struct settings *s);

/* tandem.1, in the man macros of roff (man(7)). */
void manual_roff(FILE *out);

enum shell { SHELL_BASH, SHELL_ZSH, SHELL_FISH };
void manual_completion(FILE *out, enum shell shell);

#endif
