/* cli/commands.h - the declarations that commands.c lists, one for each file. */
#ifndef TANDEM_CLI_COMMANDS_H
#define TANDEM_CLI_COMMANDS_H

#include "cli/command.h"

extern const struct command command_doctor, command_help, command_version, command_man,
    command_completion;

#endif
