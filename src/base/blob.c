#include "base/blob.h"

#include "base/mem.h"

#include <stdlib.h>

struct blob *blob_alloc(size_t n)
{
    struct blob *blob = mem_alloc(sizeof *blob + n + 1);
    atomic_init(&blob->refs, 1);
    blob->n = n;
    blob->data[n] = 0;
    return blob;
}

struct blob *blob_new(struct str bytes)
{
    struct blob *blob = blob_alloc(bytes.n);
    if (bytes.n)
        memcpy(blob->data, bytes.p, bytes.n);
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

struct blob *blob_unref(struct blob *blob)
{
    if (blob && atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) == 1)
        free(blob);
    return NULL;
}
