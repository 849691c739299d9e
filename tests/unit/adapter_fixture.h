/* adapter_fixture.h - adapters for tests: the templates as users get them, and small scripts, in the
 * real sandbox.
 *
 * Include check.h first.
 */
#ifndef TANDEM_TESTS_ADAPTER_FIXTURE_H
#define TANDEM_TESTS_ADAPTER_FIXTURE_H

#include "model/adapter.h"
#include "os/sandbox.h"
#include "scratch.h"

/* One for all tests of the program; opened by the first call. */
struct sandbox *adapter_sandbox(void);
/* For the group's end. */
int adapter_sandbox_close(void **state);

/* A new folder in the room with one of the templates, called `name`; that in C is built. */
const char *adapter_template(struct scratch *room, const char *language, const char *name);
/* A new folder with this Python program, which has json, sys, time and say(**line) at hand, and said
 * hello if `hello` says what more is in it ("" for a plain one; NULL: it says nothing). */
const char *adapter_script(struct scratch *room, const char *name, const char *hello, const char *python);
/* A program in whatever form. */
const char *adapter_program(struct scratch *room, const char *name, const char *text, int mode);

struct adapter_options adapter_options_for(const char *folder);

#endif
