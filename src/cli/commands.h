/* cli/commands.h - the declarations that commands.c lists, one for each file. */
#ifndef TANDEM_CLI_COMMANDS_H
#define TANDEM_CLI_COMMANDS_H

#include "cli/command.h"

extern const struct command command_run, command_resume, command_retry, command_status, command_log, command_show,
    command_runs, command_resolve, command_verify, command_release, command_demo, command_doctor, command_help, command_version, command_man,
    command_completion, command_model, command_serve, command_adapter, command_key;

#endif
