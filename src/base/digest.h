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

#endif
