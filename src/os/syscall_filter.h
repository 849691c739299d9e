/* syscall_filter.h - the filter of system calls for the sandbox; inside src/os only. */
#ifndef TANDEM_SYSCALL_FILTER_H
#define TANDEM_SYSCALL_FILTER_H

#include <stdbool.h>

struct err;

/* Writes the filter as a BPF program into a sealed memory file.  With `network` the host's
 * network is shared, and with it the host's abstract Unix sockets: then those are refused. */
int syscall_filter_make(bool network, int *ret_fd, struct err *e);

#endif
