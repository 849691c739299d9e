/* listen.c - TCP addresses and Unix sockets.
 *
 * A Unix socket whose process has died leaves its file, and bind() refuses it.  Whether
 * somebody listens is found out by connecting.  Between that and binding anew another process
 * might do the same, and one of the two would be left with a socket that no file leads to; so
 * the directory is locked meanwhile (flock works on directories, and leaves nothing behind).
 */
#include "http/listen.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 256, LOCK_TRIES = 100, LOCK_PAUSE_US = 20000 };

/* ---- TCP ---- */

static int open_tcp(const struct addrinfo *at, int *ret_port)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int yes = 1, no = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (at->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    struct sockaddr_storage bound = { 0 };
    socklen_t len = sizeof bound;
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &len) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    *ret_port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                  : ((struct sockaddr_in *)&bound)->sin_port);
    return fd;
}

int listen_tcp(struct listener *ret, const char *host, int port, struct err *e)
{
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    int failure = port < 0 || port > 65535 ? EAI_SERVICE : getaddrinfo(host, service, &hints, &found);
    if (failure)
        return err_set(e, ERR_INVALID, "cannot listen on %s:%d: %s", host, port, gai_strerror(failure));
    int fd = -1, bound = 0;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = open_tcp(at, &bound);
    int saved = errno;
    freeaddrinfo(found);
    if (fd < 0 && saved == EADDRINUSE)
        return err_set(e, ERR_BUSY, "port %d of %s is taken: stop the other program, or choose another port", port, host);
    if (fd < 0)
        return err_set_errno(e, ERR_FAILED, saved, "cannot listen on %s:%d", host, port);
    *ret = (struct listener){ .fd = fd, .port = bound };
    return 0;
}

/* ---- Unix sockets ---- */

/* The directory of the socket, locked. */
static int lock_directory(const char *path, int *ret, struct err *e)
{
    const char *slash = strrchr(path, '/');
    char *name = !slash ? xstrdup(".") : slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), code = 0;
    if (fd < 0)
        code = err_set_errno(e, ERR_FAILED, errno, "cannot make the socket %s: directory %s", path, name);
    for (int i = 0; !code && flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (i == LOCK_TRIES)
            code = err_set(e, ERR_BUSY, "cannot make the socket %s: another process has locked %s", path, name);
        else
            usleep(LOCK_PAUSE_US);
    }
    free(name);
    if (code < 0 && fd >= 0)
        close(fd);
    else
        *ret = fd;
    return code;
}

/* Removes a socket on which nobody listens. */
static int clear_path(const struct sockaddr_un *address, struct err *e)
{
    struct stat st;
    if (lstat(address->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : err_set_errno(e, ERR_FAILED, errno, "cannot make the socket %s", address->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_EXISTS, "%s exists and is no socket: it is left alone; remove it or choose another path",
                       address->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot make a socket");
    /* A full queue of connections (EAGAIN) is a sign of life too. */
    bool dead = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno == ECONNREFUSED;
    close(fd);
    if (!dead)
        return err_set(e, ERR_BUSY, "another process listens on %s", address->sun_path);
    if (unlink(address->sun_path) < 0 && errno != ENOENT)
        return err_set_errno(e, ERR_FAILED, errno, "cannot replace the dead socket %s", address->sun_path);
    return 0;
}

static int open_unix(const struct sockaddr_un *address, struct listener *ret, struct err *e)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct stat st;
    /* The mode of the file that bind makes is that of the socket, less the umask. */
    if (fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ||
        lstat(address->sun_path, &st) < 0 || listen(fd, BACKLOG) < 0) {
        int code = err_set_errno(e, ERR_FAILED, errno, "cannot listen on %s", address->sun_path);
        if (fd >= 0)
            close(fd);
        return code;
    }
    *ret = (struct listener){ .fd = fd, .local = true, .path = xstrdup(address->sun_path),
                              .device = st.st_dev, .inode = st.st_ino };
    return 0;
}

int listen_unix(struct listener *ret, const char *path, struct err *e)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof address.sun_path)
        return err_set(e, ERR_INVALID, "the path of a socket has 1 to %zu bytes, this one has %zu: %s",
                       sizeof address.sun_path - 1, len, path);
    memcpy(address.sun_path, path, len + 1);
    int lock;
    int code = lock_directory(path, &lock, e);
    if (code < 0)
        return code;
    code = clear_path(&address, e);
    if (code == 0)
        code = open_unix(&address, ret, e);
    close(lock);
    return code;
}

void listener_close(struct listener *l)
{
    struct stat st;
    if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
        unlink(l->path);
    if (l->fd >= 0)
        close(l->fd);
    free(l->path);
    *l = (struct listener){ .fd = -1 };
}
