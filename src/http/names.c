/* names.c - Host and Origin against what was configured. */
#include "http/names.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

enum { LONGEST_NAME = 255 };

static bool is_listed(const char *word, const char *list)
{
    size_t len = strlen(word);
    for (const char *at = list + strspn(list, " "); *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        if ((n == 1 && *at == '*') || (n == len && strncasecmp(at, word, n) == 0))
            return true;
        at += n;
    }
    return false;
}

/* The name of a host without its port, brackets and last dot; false: it is none, or too long. */
static bool plain_name(const char *host, char out[LONGEST_NAME + 1])
{
    bool six = *host == '[';
    if (six && !strchr(host, ']'))
        return false;
    size_t len = six ? strcspn(host, "]") + 1 : strcspn(host, ":");
    bool port = host[len] == ':' && strspn(host + len + 1, "0123456789") == strlen(host + len + 1);
    if (len > LONGEST_NAME || (host[len] && !port))
        return false;
    if (six)
        snprintf(out, LONGEST_NAME + 1, "%.*s", (int)len - 2, host + 1);
    else
        snprintf(out, LONGEST_NAME + 1, "%.*s", (int)(len && host[len - 1] == '.' ? len - 1 : len), host);
    return true;
}

static bool is_address(const char *name)
{
    struct in6_addr address;
    return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

bool host_is_ours(const char *host, const char *hosts)
{
    static const char local[] = ".localhost";
    char name[LONGEST_NAME + 1];
    if (!plain_name(host, name))
        return false;
    size_t len = strlen(name);
    bool below = len >= sizeof local && strcasecmp(name + len - (sizeof local - 1), local) == 0;
    return is_address(name) || below || strcasecmp(name, "localhost") == 0 || is_listed(name, hosts);
}

bool origin_is_allowed(const char *origin, const char *host, const char *origins)
{
    const char *name = starts_with(origin, "http://") ? origin + 7 : starts_with(origin, "https://") ? origin + 8 : NULL;
    return is_listed(origin, origins) || (name && host && strcasecmp(name, host) == 0);
}
