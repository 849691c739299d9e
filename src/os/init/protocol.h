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

/* The arguments: [0] name, [1] mode, [2] descriptor of the socket, then INIT_LIMITS
 * numbers (-1: unlimited), [n] count of environment strings, those, the program's argv
 * (for INIT_PROBE: probe.h's). */
enum init_mode {
    INIT_SANDBOX = 's', /* first process of a pid namespace: all others die with it */
    INIT_PLAIN = 'p',   /* no sandbox: finds and kills what the program left behind itself */
};
enum init_limit {
    INIT_LIMIT_MEMORY,    /* address space, bytes */
    INIT_LIMIT_PROCESSES,
    INIT_LIMIT_FILE,      /* largest file, bytes */
    INIT_LIMIT_OPEN,      /* descriptors */
    INIT_LIMIT_CPU,       /* seconds, of each process */
    INIT_LIMITS,
};
enum { INIT_ARG_MODE = 1, INIT_ARG_SOCKET, INIT_ARG_LIMITS, INIT_ARG_ENV_COUNT = INIT_ARG_LIMITS + INIT_LIMITS };

/* As argv[0] of the program: run the escape attempts of probe.c instead. */
#define INIT_PROBE ":probe:"

#endif
