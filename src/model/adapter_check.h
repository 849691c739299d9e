/* model/adapter_check.h - whether an adapter keeps to the protocol.
 *
 * Threads: the caller's.
 */
#ifndef TANDEM_MODEL_ADAPTER_CHECK_H
#define TANDEM_MODEL_ADAPTER_CHECK_H

#include "model/adapter.h"

enum check_verdict { CHECK_RIGHT, CHECK_NOTE, CHECK_WRONG };

struct adapter_checker {
    struct adapter_options adapter;
    int64_t hello_ms, answer_ms; /* how long it may take to load, and for one answer */
    const atomic_bool *cancel;   /* may be NULL */
    /* One check: what is right or wrong, and what to do about it ("" when nothing is). */
    void (*report)(enum check_verdict verdict, const char *what, const char *found, const char *remedy, void *ctx);
    void *ctx;
};

/* All checks, each on a running adapter, which is started again when one ended it.  Returns how many
 * found something wrong; ERR_CANCELLED, or ERR_* where nothing could be tried (no sandbox). */
int adapter_check(const struct adapter_checker *k, struct err *e);

#endif
