/* libmicrohttpd.c - loading libmicrohttpd when the first server is made.
 *
 * Linked, it and GnuTLS with its nine libraries cost about 2 ms at every start, as libcurl
 * does (libcurl.c); only `tandem serve` and its kin need it.  Never unloaded.
 */
#include "http/libmicrohttpd.h"

#include "base/err.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static struct libmicrohttpd functions;
static struct err load_error;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    const struct {
        const char *name;
        void **slot; /* see libcurl.c */
    } wanted[] = {
        { "MHD_start_daemon", (void **)&functions.start_daemon },
        { "MHD_stop_daemon", (void **)&functions.stop_daemon },
        { "MHD_run", (void **)&functions.run },
        { "MHD_get_timeout", (void **)&functions.get_timeout },
        { "MHD_get_daemon_info", (void **)&functions.get_daemon_info },
        { "MHD_add_connection", (void **)&functions.add_connection },
        { "MHD_suspend_connection", (void **)&functions.suspend_connection },
        { "MHD_resume_connection", (void **)&functions.resume_connection },
        { "MHD_get_connection_values_n", (void **)&functions.get_connection_values_n },
        { "MHD_get_connection_info", (void **)&functions.get_connection_info },
        { "MHD_create_response_from_buffer", (void **)&functions.create_response_from_buffer },
        { "MHD_create_response_from_callback", (void **)&functions.create_response_from_callback },
        { "MHD_add_response_header", (void **)&functions.add_response_header },
        { "MHD_queue_response", (void **)&functions.queue_response },
        { "MHD_destroy_response", (void **)&functions.destroy_response },
        { "MHD_get_version", (void **)&functions.get_version },
    };
    void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        err_set(&load_error, ERR_UNAVAILABLE,
                "libmicrohttpd cannot be loaded: %s; install it (Debian: apt-get install libmicrohttpd12)",
                dlerror());
        return;
    }
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *wanted[i].slot = dlsym(library, wanted[i].name);
        if (!*wanted[i].slot) {
            err_set(&load_error, ERR_UNAVAILABLE, "libmicrohttpd.so.12 has no %s: it is older than 0.9.75",
                    wanted[i].name);
            return;
        }
    }
    int major = 0, minor = 0, patch = 0;
    sscanf(functions.get_version(), "%d.%d.%d", &major, &minor, &patch);
    functions.parses_in_place = major == 0 && (minor < 9 || (minor == 9 && patch < 77));
}

int libmicrohttpd_load(const struct libmicrohttpd **ret, struct err *e)
{
    pthread_once(&once, load);
    if (load_error.code)
        return err_set(e, load_error.code, "%s", load_error.text);
    *ret = &functions;
    return 0;
}
