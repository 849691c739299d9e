/* cli/wanted.h - what the words of `tandem run` mean: a specification's file, or an idea. */
#ifndef TANDEM_CLI_WANTED_H
#define TANDEM_CLI_WANTED_H

#include "cli/command.h"

/* One operand that is a file is the specification, read by spec_read; other words are an
 * idea.  Whatever looks like a file and is none, and a file among other words, is refused,
 * so that a mistyped name never becomes an idea.  Sets one of *ret_spec and *ret_idea. */
int wanted_read(struct invocation *in, const char **ret_spec, const char **ret_idea, struct err *e);

#endif
