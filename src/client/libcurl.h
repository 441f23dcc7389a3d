/* libcurl, loaded when the first upstream is made and not before: it brings some thirty libraries with it, which cost a
 * server without an upstream 6 ms of its start and 3 MiB of memory. Included instead of <curl/curl.h>; the functions
 * keep their names. Private to client/. */
#ifndef CLIENT_LIBCURL_H
#define CLIENT_LIBCURL_H

#include "base/err.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

/* Every function of libcurl that this folder calls. */
#define LIBCURL_FUNCTIONS(X)                                                                                           \
    X(curl_easy_cleanup)                                                                                               \
    X(curl_easy_getinfo)                                                                                               \
    X(curl_easy_init)                                                                                                  \
    X(curl_easy_pause)                                                                                                 \
    X(curl_easy_setopt)                                                                                                \
    X(curl_easy_strerror)                                                                                              \
    X(curl_getdate)                                                                                                    \
    X(curl_global_init)                                                                                                \
    X(curl_multi_add_handle)                                                                                           \
    X(curl_multi_assign)                                                                                               \
    X(curl_multi_cleanup)                                                                                              \
    X(curl_multi_info_read)                                                                                            \
    X(curl_multi_init)                                                                                                 \
    X(curl_multi_remove_handle)                                                                                        \
    X(curl_multi_setopt)                                                                                               \
    X(curl_multi_socket_action)                                                                                        \
    X(curl_slist_append)                                                                                               \
    X(curl_slist_free_all)

struct libcurl {
#define X(name) __typeof__(&name) fn_##name;
    LIBCURL_FUNCTIONS(X)
#undef X
};
extern struct libcurl libcurl;

/* Loads and initialises it, once per process; from the main thread before others start. NOT_CONFIGURED when the library
 * is missing. */
int libcurl_load(struct err *e);

#ifndef LIBCURL_LOADER
#define curl_easy_cleanup        libcurl.fn_curl_easy_cleanup
#define curl_easy_getinfo        libcurl.fn_curl_easy_getinfo
#define curl_easy_init           libcurl.fn_curl_easy_init
#define curl_easy_pause          libcurl.fn_curl_easy_pause
#define curl_easy_setopt         libcurl.fn_curl_easy_setopt
#define curl_easy_strerror       libcurl.fn_curl_easy_strerror
#define curl_getdate             libcurl.fn_curl_getdate
#define curl_global_init         libcurl.fn_curl_global_init
#define curl_multi_add_handle    libcurl.fn_curl_multi_add_handle
#define curl_multi_assign        libcurl.fn_curl_multi_assign
#define curl_multi_cleanup       libcurl.fn_curl_multi_cleanup
#define curl_multi_info_read     libcurl.fn_curl_multi_info_read
#define curl_multi_init          libcurl.fn_curl_multi_init
#define curl_multi_remove_handle libcurl.fn_curl_multi_remove_handle
#define curl_multi_setopt        libcurl.fn_curl_multi_setopt
#define curl_multi_socket_action libcurl.fn_curl_multi_socket_action
#define curl_slist_append        libcurl.fn_curl_slist_append
#define curl_slist_free_all      libcurl.fn_curl_slist_free_all
#endif

#endif
