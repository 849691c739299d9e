/* git_cache.c - a bounded cache of objects, the least recently used going first.
 *
 * Objects never change, so there is nothing to invalidate; a tree is checked out many times
 * between two commits, and all but one of its blobs are the same each time.  What is in the
 * cache is in the object store as well (git_object.c relies on that).
 */
#include "repo/git_internal.h"

#include "base/alloc.h"

struct object *object_new(const struct oid *oid, enum object_type type, size_t len)
{
    struct object *o = xmalloc(sizeof *o + len + 1);
    *o = (struct object){ .oid = *oid, .type = type, .len = len };
    atomic_init(&o->uses, 1);
    o->data[len] = '\0';
    return o;
}

struct object *object_hold(struct object *o)
{
    atomic_fetch_add(&o->uses, 1);
    return o;
}

void object_put(struct object *o)
{
    if (o && atomic_fetch_sub(&o->uses, 1) == 1)
        free(o);
}

void cache_init(struct object_cache *c)
{
    memset(c, 0, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
}

void cache_release(struct object_cache *c)
{
    cache_clear(c);
    pthread_mutex_destroy(&c->lock);
}

static struct object **slot_of(struct object_cache *c, const struct oid *oid)
{
    unsigned hash = 0; /* the id is a digest: its first digits are as good as any hash */
    for (int i = 0; i < 4; i++) {
        char d = oid->hex[i];
        hash = hash << 4 | (unsigned)(d <= '9' ? d - '0' : d - 'a' + 10);
    }
    struct object **slot = &c->buckets[hash % CACHE_BUCKETS];
    while (*slot && !oid_same(&(*slot)->oid, oid))
        slot = &(*slot)->hash_next;
    return slot;
}

static void unlink_use(struct object_cache *c, struct object *o)
{
    *(o->newer ? &o->newer->older : &c->newest) = o->older;
    *(o->older ? &o->older->newer : &c->oldest) = o->newer;
}

static void link_newest(struct object_cache *c, struct object *o)
{
    o->newer = NULL;
    o->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = o;
    c->newest = o;
}

static void drop_oldest(struct object_cache *c)
{
    struct object *o = c->oldest;
    *slot_of(c, &o->oid) = o->hash_next;
    unlink_use(c, o);
    c->bytes -= sizeof *o + o->len;
    object_put(o);
}

void cache_clear(struct object_cache *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->oldest)
        drop_oldest(c);
    pthread_mutex_unlock(&c->lock);
}

struct object *cache_get(struct object_cache *c, const struct oid *oid)
{
    pthread_mutex_lock(&c->lock);
    struct object *o = *slot_of(c, oid);
    if (o) {
        unlink_use(c, o);
        link_newest(c, o);
        object_hold(o);
    }
    pthread_mutex_unlock(&c->lock);
    return o;
}

void cache_put(struct object_cache *c, struct object *o)
{
    if (o->len > CACHE_OBJECT_MAX)
        return;
    pthread_mutex_lock(&c->lock);
    struct object **slot = slot_of(c, &o->oid);
    if (!*slot) {
        *slot = object_hold(o);
        o->hash_next = NULL;
        link_newest(c, o);
        c->bytes += sizeof *o + o->len;
        while (c->bytes > CACHE_BYTES)
            drop_oldest(c);
    }
    pthread_mutex_unlock(&c->lock);
}
