/* str.h - a growing byte string, always NUL-terminated.
 *
 * `init`/`release`: storage the caller owns.  `data` is never NULL after init.
 */
#ifndef TANDEM_STR_H
#define TANDEM_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
    char *data;
    size_t len, cap; /* cap 0: data points to a shared empty string */
};

extern char str_empty[1];
#define STR_INIT { str_empty, 0, 0 }

void str_init(struct str *s);
void str_release(struct str *s);
/* Empties, keeps the memory. */
void str_clear(struct str *s);
/* Hands the bytes over to the caller (free() them) and leaves `s` empty. */
char *str_detach(struct str *s);

void str_reserve(struct str *s, size_t more);
void str_add(struct str *s, const char *text);
void str_add_bytes(struct str *s, const void *bytes, size_t len);
void str_add_char(struct str *s, char c);
/* One word of a command that a person pastes into a shell: quoted where it has to be. */
void str_add_shell_word(struct str *s, const char *word);
void str_add_str(struct str *s, const struct str *other);
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_vaddf(struct str *s, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* A NULL-terminated list: "one, two". */
void str_add_words(struct str *s, const char *const *words);
/* Cuts to `len` bytes; longer than it is: no effect. */
void str_truncate(struct str *s, size_t len);
/* Removes white space at the end. */
void str_rtrim(struct str *s);

static inline void str_release_at_end(struct str *s) { str_release(s); }
#define STR_LOCAL(name) __attribute__((cleanup(str_release_at_end))) struct str name = STR_INIT

/* ---- plain strings ---- */
bool starts_with(const char *s, const char *prefix);
bool ends_with(const char *s, const char *suffix);
static inline bool streq(const char *a, const char *b) { return strcmp(a, b) == 0; }
/* Whole decimal number in [min, max], nothing around it. */
bool parse_int(const char *s, long long min, long long max, long long *ret);

#endif
