/* http/listen.h - sockets that take connections.
 *
 * Threads: any; a listener belongs to one.
 */
#ifndef TANDEM_HTTP_LISTEN_H
#define TANDEM_HTTP_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct listener {
    int fd;
    bool local; /* a Unix socket */
    int port;
    char *path;         /* of the Unix socket; NULL: TCP */
    dev_t device;       /* of the file we made, so that no other is unlinked */
    ino_t inode;
};

/* Errors as in server.h. */
int listen_tcp(struct listener *ret, const char *host, int port, struct err *e);
int listen_unix(struct listener *ret, const char *path, struct err *e);
/* Closes, and removes the socket's file where it is still ours. */
void listener_close(struct listener *l);

#endif
