/* Immutable bytes with an atomic reference count: encoded once, queued on many connections of many loops. */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include "base/str.h"

#include <stdatomic.h>

struct blob {
    atomic_uint refs;
    size_t n;
    char data[]; /* n bytes and a terminating NUL */
};

/* A new blob with one reference. blob_alloc leaves the bytes for the caller to fill before it is shared. */
struct blob *blob_new(struct str bytes);
struct blob *blob_alloc(size_t n);
struct blob *blob_ref(struct blob *blob);
/* Takes NULL, returns NULL. */
struct blob *blob_unref(struct blob *blob);

static inline struct str blob_str(const struct blob *blob)
{
    return (struct str){blob->data, blob->n};
}

#endif
