#include "store/mongo/doc.h"

#include "base/log.h"

#include <stdio.h>

static bson_t *here(struct doc *d)
{
    return &d->at[d->depth];
}

/* The key to use: the list's next index where we are in one. */
static const char *name(struct doc *d, const char *key, char *number, size_t cap)
{
    if (!d->list[d->depth])
        return key;
    snprintf(number, cap, "%u", d->next[d->depth]++);
    return number;
}

#define NAME(d, key) name((d), (key), (char[12]){0}, 12)

void doc_begin(struct doc *d)
{
    d->depth = 0;
    d->list[0] = false;
    bson_init(&d->at[0]);
}

void doc_end(struct doc *d)
{
    bson_destroy(&d->at[0]);
}

void doc_str(struct doc *d, const char *key, struct str s)
{
    bson_append_utf8(here(d), NAME(d, key), -1, s.n ? s.p : "", (int)s.n);
}

void doc_int(struct doc *d, const char *key, int64_t value)
{
    bson_append_int64(here(d), NAME(d, key), -1, value);
}

void doc_int32(struct doc *d, const char *key, int32_t value)
{
    bson_append_int32(here(d), NAME(d, key), -1, value);
}

void doc_bool(struct doc *d, const char *key, bool value)
{
    bson_append_bool(here(d), NAME(d, key), -1, value);
}

void doc_oid(struct doc *d, const char *key, const bson_oid_t *oid)
{
    bson_append_oid(here(d), NAME(d, key), -1, oid);
}

void doc_bin(struct doc *d, const char *key, const void *bytes, size_t n)
{
    bson_append_binary(here(d), NAME(d, key), -1, BSON_SUBTYPE_BINARY, bytes, (uint32_t)n);
}

void doc_put(struct doc *d, const char *key, const struct doc *value)
{
    bson_append_document(here(d), NAME(d, key), -1, &value->at[0]);
}

static void begin(struct doc *d, const char *key, bool list)
{
    if (d->depth + 1 >= DOC_DEPTH)
        die("a document of more than %d levels", DOC_DEPTH);
    const char *called = NAME(d, key);
    bson_t *parent = here(d), *child = &d->at[++d->depth];
    d->list[d->depth] = list;
    d->next[d->depth] = 0;
    if (list)
        bson_append_array_begin(parent, called, -1, child);
    else
        bson_append_document_begin(parent, called, -1, child);
}

void doc_open(struct doc *d, const char *key)
{
    begin(d, key, false);
}

void doc_list(struct doc *d, const char *key)
{
    begin(d, key, true);
}

void doc_close(struct doc *d)
{
    bson_t *child = here(d);
    bool list = d->list[d->depth--];
    if (list)
        bson_append_array_end(here(d), child);
    else
        bson_append_document_end(here(d), child);
}

static void put(struct doc *d, const struct field *f, const void *from)
{
    const char *member = (const char *)from + f->at;
    const struct str *s = (const void *)member;
    switch (f->kind) {
    case FIELD_STR:
        doc_str(d, f->name, *s);
        break;
    case FIELD_STR_IF:
        if (s->n)
            doc_str(d, f->name, *s);
        break;
    case FIELD_INT:
        doc_int(d, f->name, *(const int64_t *)(const void *)member);
        break;
    case FIELD_BOOL:
        doc_bool(d, f->name, *(const bool *)member);
        break;
    case FIELD_ENUM:
        doc_int32(d, f->name, *(const int *)(const void *)member);
        break;
    }
}

void doc_fields(struct doc *d, const struct field *fields, size_t n, const void *from)
{
    for (size_t i = 0; i < n; i++)
        put(d, &fields[i], from);
}

void doc_changes(struct doc *d, const struct field *fields, size_t n, const void *from, unsigned set)
{
    for (size_t i = 0; i < n; i++) {
        struct field f = fields[i];
        if (f.kind == FIELD_STR_IF)
            f.kind = FIELD_STR; /* a value becomes empty by being written so */
        if (f.set & set)
            put(d, &f, from);
    }
}

static void take(bson_iter_t *it, const struct field *f, struct arena *a, void *to)
{
    char *member = (char *)to + f->at;
    switch (f->kind) {
    case FIELD_STR:
    case FIELD_STR_IF:
        if (bson_iter_type(it) == BSON_TYPE_UTF8) {
            uint32_t n = 0;
            const char *text = bson_iter_utf8(it, &n);
            *(struct str *)(void *)member = arena_str(a, str_n(text, n));
        }
        break;
    case FIELD_INT:
        *(int64_t *)(void *)member = bson_iter_as_int64(it);
        break;
    case FIELD_BOOL:
        *(bool *)member = bson_iter_as_int64(it) != 0;
        break;
    case FIELD_ENUM:
        *(int *)(void *)member = (int)bson_iter_as_int64(it);
        break;
    }
}

static void clear(const struct field *f, void *to)
{
    char *member = (char *)to + f->at;
    switch (f->kind) {
    case FIELD_STR:
    case FIELD_STR_IF:
        *(struct str *)(void *)member = STR("");
        break;
    case FIELD_INT:
        *(int64_t *)(void *)member = 0;
        break;
    case FIELD_BOOL:
        *(bool *)member = false;
        break;
    case FIELD_ENUM:
        *(int *)(void *)member = 0;
        break;
    }
}

void fields_read(const bson_t *doc, const struct field *fields, size_t n, struct arena *a, void *to)
{
    bson_iter_t it;
    for (size_t i = 0; i < n; i++)
        clear(&fields[i], to);
    if (!bson_iter_init(&it, doc))
        return;
    while (bson_iter_next(&it)) {
        const char *key = bson_iter_key(&it);
        for (size_t i = 0; i < n; i++)
            if (strcmp(fields[i].name, key) == 0) {
                take(&it, &fields[i], a, to);
                break;
            }
    }
}

int64_t doc_get_int(const bson_t *doc, const char *key)
{
    bson_iter_t it;
    return bson_iter_init_find(&it, doc, key) ? bson_iter_as_int64(&it) : 0;
}

bool doc_get_oid(const bson_t *doc, const char *key, bson_oid_t *out)
{
    bson_iter_t it;
    if (!bson_iter_init_find(&it, doc, key) || bson_iter_type(&it) != BSON_TYPE_OID)
        return false;
    *out = *bson_iter_oid(&it);
    return true;
}

bool doc_get_doc(const bson_t *doc, const char *key, bson_t *out)
{
    bson_iter_t it;
    uint32_t n = 0;
    const uint8_t *bytes = NULL;
    if (!bson_iter_init_find(&it, doc, key))
        return false;
    if (bson_iter_type(&it) == BSON_TYPE_DOCUMENT)
        bson_iter_document(&it, &n, &bytes);
    else if (bson_iter_type(&it) == BSON_TYPE_ARRAY)
        bson_iter_array(&it, &n, &bytes);
    return bytes && bson_init_static(out, bytes, n);
}
