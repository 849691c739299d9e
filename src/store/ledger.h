/* ledger.h - what the log last said about each document, while it is being verified. */
#ifndef TANDEM_STORE_LEDGER_H
#define TANDEM_STORE_LEDGER_H

#include "base/arena.h"
#include "base/digest.h"

#include <stdbool.h>
#include <stdint.h>

struct ledger_entry {
    const char *type, *id;
    int64_t seq, version; /* of the event that wrote it last, and of the document then */
    char digest[DIGEST_HEX_LEN + 1];
    bool seen;
};

/* A hash table (FNV-1a, linear probing): memory for each document, not for each change. */
struct ledger {
    struct arena arena;
    struct ledger_entry *slots; /* type NULL: empty */
    size_t count, cap;
};

/* The entry of a document; a new one, zeroed, when `add`; otherwise NULL when absent.  Valid
 * until the next add. */
struct ledger_entry *ledger_find(struct ledger *l, const char *type, const char *id, bool add);
void ledger_release(struct ledger *l);

#endif
