/* proctab.h - which processes are there, read from /proc. */
#ifndef TANDEM_TEST_PROCTAB_H
#define TANDEM_TEST_PROCTAB_H

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "check.h"
#include "base/str.h"
#include "os/files.h"

/* Processes whose arguments hold `mark`; a zombie has none. */
static inline int proctab_count(const char *mark)
{
    int count = 0;
    DIR *dir = opendir("/proc");
    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir));) {
        if (!isdigit((unsigned char)d->d_name[0]))
            continue;
        char path[300];
        snprintf(path, sizeof path, "/proc/%s/cmdline", d->d_name);
        STR_LOCAL(args);
        if (file_read_path(path, 1 << 20, &args, NULL) == 0)
            count += memmem(args.data, args.len, mark, strlen(mark)) != NULL;
    }
    closedir(dir);
    return count;
}

/* As above, once they had up to two seconds to die. */
static inline int proctab_count_left(const char *mark)
{
    for (int i = 0; i < 100 && proctab_count(mark); i++)
        usleep(20000);
    return proctab_count(mark);
}

#endif
