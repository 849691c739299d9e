/* banned.h - functions that do not compile here, and what to use instead.
 *
 * Included before every file by the build (-include), after the system headers it needs.
 */
#ifndef TANDEM_BANNED_H
#define TANDEM_BANNED_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat stpcpy /* struct str, arena_printf */
#pragma GCC poison sprintf vsprintf                     /* snprintf, str_addf */
#pragma GCC poison system popen                         /* os/process.h */
/* alloca is forbidden by -Walloca: libfyaml.h names it. */
#pragma GCC poison gets strtok                          /* strchr, strcspn */
#pragma GCC poison atoi atol atoll atof                 /* parse_int */
#pragma GCC poison gmtime localtime ctime asctime       /* clock_format */
#pragma GCC poison tmpnam mktemp                        /* mkdtemp */

#endif
