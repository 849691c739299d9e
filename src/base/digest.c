/* digest.c - the one use of libcrypto. */
#include "base/digest.h"

#include "base/alloc.h"

#include <openssl/evp.h>
#include <pthread.h>

static struct digest to_hex(const unsigned char *raw, size_t len)
{
    struct digest d = { "" };
    for (size_t i = 0; i < len; i++) {
        d.hex[2 * i] = "0123456789abcdef"[raw[i] >> 4];
        d.hex[2 * i + 1] = "0123456789abcdef"[raw[i] & 15];
    }
    return d;
}

/* Looked up once: OpenSSL takes longer to find an algorithm by its name than to digest a page. */
static EVP_MD *algorithms[2];
static pthread_once_t looked_up = PTHREAD_ONCE_INIT;

static void look_up(void)
{
    algorithms[DIGEST_SHA1] = EVP_MD_fetch(NULL, "SHA1", NULL);
    algorithms[DIGEST_SHA256] = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static const EVP_MD *algorithm(enum digest_kind kind)
{
    pthread_once(&looked_up, look_up);
    return algorithms[kind];
}

struct digest digest_of(const void *bytes, size_t len)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned raw_len = 0;
    if (!EVP_Digest(bytes, len, raw, &raw_len, algorithm(DIGEST_SHA256), NULL))
        out_of_memory();
    return to_hex(raw, raw_len);
}

/* What OpenSSL calls a context is our struct digest_stream. */
struct digest_stream *digest_begin(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestInit_ex(ctx, algorithm(DIGEST_SHA256), NULL))
        out_of_memory();
    return (struct digest_stream *)ctx;
}

void digest_add(struct digest_stream *d, const void *bytes, size_t len)
{
    if (!EVP_DigestUpdate((EVP_MD_CTX *)d, bytes, len))
        out_of_memory();
}

struct digest digest_end(struct digest_stream *d)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!EVP_DigestFinal_ex((EVP_MD_CTX *)d, raw, &len))
        out_of_memory();
    EVP_MD_CTX_free((EVP_MD_CTX *)d);
    return to_hex(raw, len);
}

struct digest digest_of_object(enum digest_kind kind, const void *header, size_t header_len,
                               const void *body, size_t body_len)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestInit_ex(ctx, algorithm(kind), NULL) ||
        !EVP_DigestUpdate(ctx, header, header_len) || !EVP_DigestUpdate(ctx, body, body_len) ||
        !EVP_DigestFinal_ex(ctx, raw, &len))
        out_of_memory(); /* nothing else can go wrong */
    EVP_MD_CTX_free(ctx);
    return to_hex(raw, len);
}
