/* commands.c - the commands there are.  What is not in this table does not exist. */
#include "cli/commands.h"

const struct command *const command_table[] = {
    &command_run,
    &command_resume,
    &command_status,
    &command_log,
    &command_show,
    &command_runs,
    &command_retry,
    &command_resolve,
    &command_verify,
    &command_release,
    &command_model,
    &command_adapter,
    &command_serve,
    &command_key,
    &command_demo,
    &command_doctor,
    &command_help,
    &command_version,
    &command_man,
    &command_completion,
    NULL,
};
