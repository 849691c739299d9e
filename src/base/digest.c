/* digest.c - the one use of libcrypto. */
#include "base/digest.h"

#include <openssl/sha.h>

struct digest digest_of(const void *bytes, size_t len)
{
    unsigned char raw[SHA256_DIGEST_LENGTH];
    SHA256(bytes, len, raw);
    struct digest d;
    for (size_t i = 0; i < sizeof raw; i++) {
        d.hex[2 * i] = "0123456789abcdef"[raw[i] >> 4];
        d.hex[2 * i + 1] = "0123456789abcdef"[raw[i] & 15];
    }
    d.hex[DIGEST_HEX_LEN] = '\0';
    return d;
}
