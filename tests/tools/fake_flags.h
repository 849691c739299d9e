/* fake_flags.h - the command line of the fake model server. */
#ifndef TANDEM_TESTS_FAKE_FLAGS_H
#define TANDEM_TESTS_FAKE_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

/* A wrong one ends the process as it ends llama-server: status 1 and its words. */
void flags_read(int argc, char **argv);
/* By the longest name ("--ctx-size"). */
bool flag_is_given(const char *flag);
const char *flag_text(const char *flag, const char *fallback);
int64_t flag_number(const char *flag, int64_t fallback);

#endif
