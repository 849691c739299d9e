/* libcurl.c - loading libcurl when the first request is made.
 *
 * Linked, libcurl and what it brings (some thirty libraries: TLS, Kerberos, LDAP, HTTP/2)
 * cost 4.7 ms at every start, which is most of the 5 ms that `tandem --version` may take.
 * Loaded here, commands that make no request never see it.  The library is never unloaded:
 * it keeps threads and thread-local data of its own.
 */
#include "http/libcurl.h"

#include "base/err.h"

#include <dlfcn.h>
#include <pthread.h>

static struct libcurl functions;
static struct err load_error;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    /* POSIX promises that an object pointer can hold a function's address; ISO C does not,
     * so the addresses are stored through void **. */
    const struct {
        const char *name;
        void **slot;
    } wanted[] = {
        { "curl_global_init", (void **)&functions.global_init },
        { "curl_easy_init", (void **)&functions.easy_init },
        { "curl_easy_cleanup", (void **)&functions.easy_cleanup },
        { "curl_easy_reset", (void **)&functions.easy_reset },
        { "curl_easy_setopt", (void **)&functions.easy_setopt },
        { "curl_easy_getinfo", (void **)&functions.easy_getinfo },
        { "curl_easy_strerror", (void **)&functions.easy_strerror },
        { "curl_slist_append", (void **)&functions.slist_append },
        { "curl_slist_free_all", (void **)&functions.slist_free_all },
        { "curl_multi_init", (void **)&functions.multi_init },
        { "curl_multi_cleanup", (void **)&functions.multi_cleanup },
        { "curl_multi_setopt", (void **)&functions.multi_setopt },
        { "curl_multi_add_handle", (void **)&functions.multi_add_handle },
        { "curl_multi_remove_handle", (void **)&functions.multi_remove_handle },
        { "curl_multi_perform", (void **)&functions.multi_perform },
        { "curl_multi_poll", (void **)&functions.multi_poll },
        { "curl_multi_info_read", (void **)&functions.multi_info_read },
    };
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        err_set(&load_error, ERR_UNAVAILABLE,
                "libcurl cannot be loaded: %s; install it (Debian: apt-get install libcurl4)",
                dlerror());
        return;
    }
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *wanted[i].slot = dlsym(library, wanted[i].name);
        if (!*wanted[i].slot) {
            err_set(&load_error, ERR_UNAVAILABLE,
                    "libcurl.so.4 has no %s: it is older than 7.85", wanted[i].name);
            return;
        }
    }
    CURLcode code = functions.global_init(CURL_GLOBAL_ALL);
    if (code != CURLE_OK)
        err_set(&load_error, ERR_UNAVAILABLE, "libcurl does not start: %s",
                functions.easy_strerror(code));
}

int libcurl_load(const struct libcurl **ret, struct err *e)
{
    pthread_once(&once, load);
    if (load_error.code)
        return err_set(e, load_error.code, "%s", load_error.text);
    *ret = &functions;
    return 0;
}
