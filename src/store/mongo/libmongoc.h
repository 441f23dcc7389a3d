/* libmongoc and libbson, loaded when a MongoDB store is first opened and not before: a server on SQLite has no use for
 * them. Included instead of <mongoc/mongoc.h>; the functions keep their names. */
#ifndef STORE_MONGO_LIBMONGOC_H
#define STORE_MONGO_LIBMONGOC_H

#include "base/err.h"

/* Its headers have macros of these names for themselves. */
#pragma push_macro("MIN")
#pragma push_macro("MAX")
#undef MIN
#undef MAX
#include <mongoc/mongoc.h>
#pragma pop_macro("MIN")
#pragma pop_macro("MAX")

/* Every function of the two that this folder calls. */
#define LIBBSON_FUNCTIONS(X)                                                                                           \
    X(bson_append_array_begin)                                                                                         \
    X(bson_append_array_end)                                                                                           \
    X(bson_append_binary)                                                                                              \
    X(bson_append_bool)                                                                                                \
    X(bson_append_document)                                                                                            \
    X(bson_append_document_begin)                                                                                      \
    X(bson_append_document_end)                                                                                        \
    X(bson_append_int32)                                                                                               \
    X(bson_append_int64)                                                                                               \
    X(bson_append_oid)                                                                                                 \
    X(bson_append_utf8)                                                                                                \
    X(bson_as_relaxed_extended_json)                                                                                   \
    X(bson_destroy)                                                                                                    \
    X(bson_free)                                                                                                       \
    X(bson_init)                                                                                                       \
    X(bson_init_static)                                                                                                \
    X(bson_iter_array)                                                                                                 \
    X(bson_iter_as_int64)                                                                                              \
    X(bson_iter_binary)                                                                                                \
    X(bson_iter_document)                                                                                              \
    X(bson_iter_init)                                                                                                  \
    X(bson_iter_init_find)                                                                                             \
    X(bson_iter_key)                                                                                                   \
    X(bson_iter_next)                                                                                                  \
    X(bson_iter_oid)                                                                                                   \
    X(bson_iter_type)                                                                                                  \
    X(bson_iter_utf8)                                                                                                  \
    X(bson_oid_init)

#define LIBMONGOC_FUNCTIONS(X)                                                                                         \
    X(mongoc_client_get_collection)                                                                                    \
    X(mongoc_client_pool_destroy)                                                                                      \
    X(mongoc_client_pool_max_size)                                                                                     \
    X(mongoc_client_pool_new_with_error)                                                                               \
    X(mongoc_client_pool_pop)                                                                                          \
    X(mongoc_client_pool_push)                                                                                         \
    X(mongoc_client_pool_set_error_api)                                                                                \
    X(mongoc_client_read_command_with_opts)                                                                            \
    X(mongoc_client_write_command_with_opts)                                                                           \
    X(mongoc_collection_aggregate)                                                                                     \
    X(mongoc_collection_destroy)                                                                                       \
    X(mongoc_collection_find_with_opts)                                                                                \
    X(mongoc_cursor_destroy)                                                                                           \
    X(mongoc_cursor_error)                                                                                             \
    X(mongoc_cursor_next)                                                                                              \
    X(mongoc_init)                                                                                                     \
    X(mongoc_log_set_handler)                                                                                          \
    X(mongoc_uri_destroy)                                                                                              \
    X(mongoc_uri_get_database)                                                                                         \
    X(mongoc_uri_get_hosts)                                                                                            \
    X(mongoc_uri_get_option_as_bool)                                                                                   \
    X(mongoc_uri_get_option_as_utf8)                                                                                   \
    X(mongoc_uri_get_srv_hostname)                                                                                     \
    X(mongoc_uri_new_with_error)                                                                                       \
    X(mongoc_uri_set_appname)                                                                                          \
    X(mongoc_uri_set_option_as_bool)                                                                                   \
    X(mongoc_uri_set_option_as_int32)                                                                                  \
    X(mongoc_uri_set_option_as_utf8)

struct libmongoc {
#define X(name) __typeof__(&name) fn_##name;
    LIBBSON_FUNCTIONS(X)
    LIBMONGOC_FUNCTIONS(X)
#undef X
};
extern struct libmongoc libmongoc;

/* Loads and initialises both, once per process. NOT_CONFIGURED when they are missing. */
int libmongoc_load(struct err *e);

#ifndef LIBMONGOC_LOADER
#define bson_append_array_begin               libmongoc.fn_bson_append_array_begin
#define bson_append_array_end                 libmongoc.fn_bson_append_array_end
#define bson_append_binary                    libmongoc.fn_bson_append_binary
#define bson_append_bool                      libmongoc.fn_bson_append_bool
#define bson_append_document                  libmongoc.fn_bson_append_document
#define bson_append_document_begin            libmongoc.fn_bson_append_document_begin
#define bson_append_document_end              libmongoc.fn_bson_append_document_end
#define bson_append_int32                     libmongoc.fn_bson_append_int32
#define bson_append_int64                     libmongoc.fn_bson_append_int64
#define bson_append_oid                       libmongoc.fn_bson_append_oid
#define bson_append_utf8                      libmongoc.fn_bson_append_utf8
#define bson_as_relaxed_extended_json         libmongoc.fn_bson_as_relaxed_extended_json
#define bson_destroy                          libmongoc.fn_bson_destroy
#define bson_free                             libmongoc.fn_bson_free
#define bson_init                             libmongoc.fn_bson_init
#define bson_init_static                      libmongoc.fn_bson_init_static
#define bson_iter_array                       libmongoc.fn_bson_iter_array
#define bson_iter_as_int64                    libmongoc.fn_bson_iter_as_int64
#define bson_iter_binary                      libmongoc.fn_bson_iter_binary
#define bson_iter_document                    libmongoc.fn_bson_iter_document
#define bson_iter_init                        libmongoc.fn_bson_iter_init
#define bson_iter_init_find                   libmongoc.fn_bson_iter_init_find
#define bson_iter_key                         libmongoc.fn_bson_iter_key
#define bson_iter_next                        libmongoc.fn_bson_iter_next
#define bson_iter_oid                         libmongoc.fn_bson_iter_oid
#define bson_iter_type                        libmongoc.fn_bson_iter_type
#define bson_iter_utf8                        libmongoc.fn_bson_iter_utf8
#define bson_oid_init                         libmongoc.fn_bson_oid_init
#define mongoc_client_get_collection          libmongoc.fn_mongoc_client_get_collection
#define mongoc_client_pool_destroy            libmongoc.fn_mongoc_client_pool_destroy
#define mongoc_client_pool_max_size           libmongoc.fn_mongoc_client_pool_max_size
#define mongoc_client_pool_new_with_error     libmongoc.fn_mongoc_client_pool_new_with_error
#define mongoc_client_pool_pop                libmongoc.fn_mongoc_client_pool_pop
#define mongoc_client_pool_push               libmongoc.fn_mongoc_client_pool_push
#define mongoc_client_pool_set_error_api      libmongoc.fn_mongoc_client_pool_set_error_api
#define mongoc_client_read_command_with_opts  libmongoc.fn_mongoc_client_read_command_with_opts
#define mongoc_client_write_command_with_opts libmongoc.fn_mongoc_client_write_command_with_opts
#define mongoc_collection_aggregate           libmongoc.fn_mongoc_collection_aggregate
#define mongoc_collection_destroy             libmongoc.fn_mongoc_collection_destroy
#define mongoc_collection_find_with_opts      libmongoc.fn_mongoc_collection_find_with_opts
#define mongoc_cursor_destroy                 libmongoc.fn_mongoc_cursor_destroy
#define mongoc_cursor_error                   libmongoc.fn_mongoc_cursor_error
#define mongoc_cursor_next                    libmongoc.fn_mongoc_cursor_next
#define mongoc_init                           libmongoc.fn_mongoc_init
#define mongoc_log_set_handler                libmongoc.fn_mongoc_log_set_handler
#define mongoc_uri_destroy                    libmongoc.fn_mongoc_uri_destroy
#define mongoc_uri_get_database               libmongoc.fn_mongoc_uri_get_database
#define mongoc_uri_get_hosts                  libmongoc.fn_mongoc_uri_get_hosts
#define mongoc_uri_get_option_as_bool         libmongoc.fn_mongoc_uri_get_option_as_bool
#define mongoc_uri_get_option_as_utf8         libmongoc.fn_mongoc_uri_get_option_as_utf8
#define mongoc_uri_get_srv_hostname           libmongoc.fn_mongoc_uri_get_srv_hostname
#define mongoc_uri_new_with_error             libmongoc.fn_mongoc_uri_new_with_error
#define mongoc_uri_set_appname                libmongoc.fn_mongoc_uri_set_appname
#define mongoc_uri_set_option_as_bool         libmongoc.fn_mongoc_uri_set_option_as_bool
#define mongoc_uri_set_option_as_int32        libmongoc.fn_mongoc_uri_set_option_as_int32
#define mongoc_uri_set_option_as_utf8         libmongoc.fn_mongoc_uri_set_option_as_utf8
#endif

#endif
