/* event.h - the bytes of an event: what is stored, hashed and chained.
 *
 * An event is one canonical JSON object (compact, keys sorted, UTF-8):
 *
 *     {"actor":"tester","docs":[["ticket","T-3",2,"<digest>"]],"kind":"red.witnessed",
 *      "on_behalf":"","payload":"<digest>","prev":"<hash>","project":"units","seq":7,
 *      "ticket":"T-3","time":1767225600000}
 *
 * All members are always there.  Its hash is the SHA-256 of exactly these bytes; `prev` is
 * the hash of the event before, 64 zeros for the first.  `docs` names the documents that
 * were written with it: type, id, version, and digest of the body, "" for a deletion.
 */
#ifndef TANDEM_STORE_EVENT_H
#define TANDEM_STORE_EVENT_H

#include "store/store.h"

struct str;

extern const char event_no_hash[DIGEST_HEX_LEN + 1]; /* 64 zeros */

struct event_doc {
    const char *type, *id;
    int64_t version;
    const char *digest;
};

struct event_docs {
    struct event_doc *items;
    size_t count;
};

/* Appends the bytes.  Texts that are NULL are written as "". */
void event_write(struct str *out, const struct event *ev, const struct event_doc *docs,
                 size_t doc_count);

/* Reads them back; texts belong to the arena.  ret->hash is left NULL: it is not in the
 * bytes.  ret_docs may be NULL.  ERR_CORRUPT: these are not the bytes of an event. */
int event_read(struct arena *a, const void *bytes, size_t len, struct event *ret,
               struct event_docs *ret_docs, struct err *e);

#endif
