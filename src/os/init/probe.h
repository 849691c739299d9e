/* probe.h - attempts to get out of the sandbox, made from inside. */
#ifndef TANDEM_PROBE_H
#define TANDEM_PROBE_H

/* What the outside prepared; arguments of INIT_PROBE, in this order. */
enum probe_arg {
    PROBE_HOST_PID,    /* of a process outside */
    PROBE_HOST_PORT,   /* a TCP port that listens on the host's 127.0.0.1 */
    PROBE_HOST_SOCKET, /* an abstract Unix socket that listens on the host */
    PROBE_VARIABLE,    /* "NAME=" of a variable in Tandem's environment (never its value: arguments can be read) */
    PROBE_SCRATCH,     /* a host directory that must not be seen */
    PROBE_TMP_BYTES,   /* how large /tmp may be */
    PROBE_ARGS,
};

/* Prints a line "ok NAME" or "FAIL NAME: detail" for each attempt.  Returns an exit status:
 * 0 when it came to the end. */
int probe(char **args);

#endif
