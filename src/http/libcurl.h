/* http/libcurl.h - libcurl's functions, loaded on first use.
 *
 * For src/http alone.  Threads: any.
 */
#ifndef TANDEM_HTTP_LIBCURL_H
#define TANDEM_HTTP_LIBCURL_H

#include <curl/curl.h>

struct err;

/* The functions the client calls, under their names without "curl_". */
struct libcurl {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    void (*easy_cleanup)(CURL *easy);
    void (*easy_reset)(CURL *easy);
    CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
    CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
    const char *(*easy_strerror)(CURLcode code);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_cleanup)(CURLM *multi);
    CURLMcode (*multi_setopt)(CURLM *multi, CURLMoption option, ...);
    CURLMcode (*multi_add_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_remove_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_perform)(CURLM *multi, int *ret_running);
    CURLMcode (*multi_poll)(CURLM *multi, struct curl_waitfd *more, unsigned more_count,
                            int timeout_ms, int *ret_ready);
    CURLMsg *(*multi_info_read)(CURLM *multi, int *ret_left);
};

/* Loads and initialises the library at the first call.  ERR_UNAVAILABLE: it is missing. */
int libcurl_load(const struct libcurl **ret, struct err *e);

#endif
