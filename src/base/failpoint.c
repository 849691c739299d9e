/* failpoint.c - SIGKILL on demand: what a power cut leaves behind, at a chosen instant. */
#include "base/failpoint.h"

#ifdef TANDEM_FAILPOINTS

#include "base/str.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic long passes;

static void note(const char *file, const char *name)
{
    int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    char line[128];
    int len = snprintf(line, sizeof line, "%s\n", name);
    ssize_t ignored = write(fd, line, (size_t)len);
    (void)ignored;
    close(fd);
}

void failpoint(const char *name)
{
    const char *list = getenv("TANDEM_FAILPOINT_LIST");
    if (list)
        note(list, name);
    const char *armed = getenv("TANDEM_FAILPOINT");
    if (!armed)
        return;
    size_t len = strlen(name);
    if (strncmp(armed, name, len) != 0 || (armed[len] && armed[len] != ':'))
        return;
    long long nth = 1;
    if (armed[len] == ':' && !parse_int(armed + len + 1, 1, 1000000, &nth))
        return;
    if (atomic_fetch_add(&passes, 1) + 1 == nth) {
        kill(getpid(), SIGKILL);
        pause();
    }
}

#else
typedef int failpoints_are_off;
#endif
