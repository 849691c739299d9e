/* hash.h - FNV-1a, 64 bits (Fowler, Noll and Vo; draft-eastlake-fnv), byte by byte.
 *
 * For tables and comparisons in memory.  It has no secret: whoever makes texts collide on
 * purpose can, so what is equal by hash is compared, and how often is bounded.  What must not
 * be forged has a digest (digest.h).
 */
#ifndef TANDEM_HASH_H
#define TANDEM_HASH_H

#include <stdint.h>

#define HASH_INIT UINT64_C(0xcbf29ce484222325)

static inline uint64_t hash_add(uint64_t hash, char c)
{
    return (hash ^ (unsigned char)c) * UINT64_C(0x100000001b3);
}

#endif
