/* digest.h - SHA-256 (FIPS 180-4), by OpenSSL's libcrypto. */
#ifndef TANDEM_DIGEST_H
#define TANDEM_DIGEST_H

#include <stddef.h>

enum { DIGEST_HEX_LEN = 64 };

/* A digest as 64 lower-case hexadecimal digits and a NUL. */
struct digest {
    char hex[DIGEST_HEX_LEN + 1];
};

struct digest digest_of(const void *bytes, size_t len);

/* Of bytes that come in pieces: begin, add, and end, which frees it. */
struct digest_stream;
struct digest_stream *digest_begin(void);
void digest_add(struct digest_stream *d, const void *bytes, size_t len);
struct digest digest_end(struct digest_stream *d);

/* Of a header and a body together, as git names its objects: 40 digits or 64.  SHA-1 is
 * git's choice; do not use it for anything else. */
enum digest_kind { DIGEST_SHA1, DIGEST_SHA256 };
struct digest digest_of_object(enum digest_kind kind, const void *header, size_t header_len,
                               const void *body, size_t body_len);

#endif
