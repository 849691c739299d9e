/* model/key.h - keys of other programs: who may ask the models of a home, which, and how much.
 *
 * A key is 256 random bits.  It is shown once, when it is made; the store has its SHA-256 alone.
 * A slow digest, as passwords need one, would add nothing: nobody can try 2^256 keys however fast
 * each try is, and every request would pay for it.
 *
 * Threads: any; results live in the caller's arena.
 */
#ifndef TANDEM_KEY_H
#define TANDEM_KEY_H

#include "base/digest.h"
#include "base/record.h"
#include "store/store.h"

struct key_entry {
    const char *id;       /* its name */
    const char *digest;   /* SHA-256 of the key, in hexadecimal */
    struct texts models;  /* models and roles that it may name; none: all */
    int64_t per_minute;   /* requests; 0 here and below: as many as they like */
    int64_t tokens_per_day; /* read and written, from midnight to midnight UTC */
    int64_t at_once;      /* calls under way */
    int64_t created_ms;
    int64_t expires_ms;   /* 0: never */
};
extern const struct doc_type key_type;
extern const struct record key_record;

/* What a key was used for on its last day of use; under the key's name, written behind the calls. */
struct key_use {
    int64_t day; /* since 1970-01-01 UTC */
    int64_t calls, tokens;
};
extern const struct doc_type key_use_type;

enum { KEY_LEN = 71, MAX_KEYS = 1000 };

/* A new key, with a NUL: "tandem-" and 64 hexadecimal digits. */
void key_make(char ret[KEY_LEN + 1]);
int64_t key_day(int64_t wall_ms);

/* In the order of their names. */
int keys_load(struct store *s, struct arena *a, struct records *ret, struct err *e);
/* Takes a key in.  ERR_INVALID: the name or a limit; ERR_EXISTS: the name is taken; ERR_LIMIT:
 * there are MAX_KEYS. */
int key_add(struct store *s, const struct key_entry *k, const char *person, struct err *e);
/* ERR_NOT_FOUND. */
int key_remove(struct store *s, const char *id, const char *person, struct err *e);

#endif
