/* protocol.h - what the sandbox and its first process (init.c) say to each other.
 *
 * Over a SOCK_SEQPACKET pair, each message a struct init_message:
 *
 *   init    -> READY      it dies with its parent now
 *   sandbox -> GO         run the program
 *   init    -> FAILED e   the program could not be executed (errno), or
 *   init    -> ENDED s    it ended with this wait status
 *
 * The order is the point: before READY the parent-death signal may not be armed yet, and
 * the end of the socket (Tandem is gone) makes init exit; from GO on the signal is armed.
 */
#ifndef TANDEM_INIT_PROTOCOL_H
#define TANDEM_INIT_PROTOCOL_H

#include <stdint.h>

enum init_kind { INIT_READY = 'R', INIT_GO = 'G', INIT_FAILED = 'F', INIT_ENDED = 'E' };

struct init_message {
    int32_t kind, value;
};

/* The arguments: [0] any, [1] a role, then
 *   INIT_WATCHER  the argv to run and to clean up after;
 *   INIT_FIRST    the descriptor of the socket, one that the program is to have as INIT_KEPT_FD
 *                 (-1: none), INIT_LIMITS numbers (-1: unlimited), the
 *                 count of environment strings, those, the program's argv (probe.h's for
 *                 INIT_PROBE). */
#define INIT_WATCHER "watch"
#define INIT_FIRST "first"
enum init_limit {
    INIT_LIMIT_MEMORY,    /* address space, bytes */
    INIT_LIMIT_PROCESSES,
    INIT_LIMIT_FILE,      /* largest file, bytes */
    INIT_LIMIT_OPEN,      /* descriptors */
    INIT_LIMIT_CPU,       /* seconds, of each process */
    INIT_LIMITS,
};
enum { INIT_ARG_ROLE = 1, INIT_ARG_SOCKET, INIT_ARG_COMMAND = INIT_ARG_SOCKET, INIT_ARG_KEPT, INIT_ARG_LIMITS, INIT_ARG_ENV_COUNT = INIT_ARG_LIMITS + INIT_LIMITS };

/* Where the program, which is the first process's first child, and its own children find that: these
 * seldom inherit more than three descriptors. */
enum { INIT_KEPT_FD = 3 };
#define INIT_KEPT_PATH "/proc/2/fd/3"

/* As argv[0] of the program: run the escape attempts of probe.c instead. */
#define INIT_PROBE ":probe:"

#endif
