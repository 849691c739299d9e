/* synced.h - which directories a test's process synced: a power cut cannot be had here.
 *
 * Defines fsync for the whole test program, which notes the path and then does it.  For one
 * source file of a program, and one thread at a time. */
#ifndef TANDEM_TESTS_SYNCED_H
#define TANDEM_TESTS_SYNCED_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    char paths[100][PATH_MAX];
    size_t count;
} synced;

int fsync(int fd)
{
    char link[40];
    if (synced.count < sizeof synced.paths / sizeof *synced.paths) {
        char *path = synced.paths[synced.count];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, path, PATH_MAX - 1);
        path[len < 0 ? 0 : len] = '\0';
        synced.count++;
    }
    return (int)syscall(SYS_fsync, fd);
}

static bool was_synced(const char *path)
{
    for (size_t i = 0; i < synced.count; i++)
        if (strcmp(synced.paths[i], path) == 0)
            return true;
    return false;
}

#endif
