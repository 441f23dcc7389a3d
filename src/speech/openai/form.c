#include "speech/openai/form.h"

#include "base/rand.h"

#define RANDOM_BYTES 16

static void choose_boundary(struct form *f)
{
    unsigned char random[RANDOM_BYTES];
    char hex[2 * RANDOM_BYTES + 1];
    rand_bytes(random, sizeof random);
    hex_encode(hex, random, sizeof random);
    memcpy(f->boundary, "--------", FORM_BOUNDARY - 2 * RANDOM_BYTES);
    memcpy(f->boundary + FORM_BOUNDARY - 2 * RANDOM_BYTES, hex, sizeof hex);
}

static void put_boundary(struct form *f)
{
    if (f->nmarks > 0)
        buf_lit(&f->body, "\r\n");
    buf_lit(&f->body, "--");
    f->marks[f->nmarks++] = f->body.len;
    buf_str_add(&f->body, str_c(f->boundary));
}

void form_begin(struct form *f)
{
    *f = (struct form){.body = BUF_INIT(SIZE_MAX)};
    choose_boundary(f);
}

void form_field(struct form *f, const char *name, struct str value)
{
    put_boundary(f);
    buf_addf(&f->body, "\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n", name);
    buf_str_add(&f->body, value);
}

void form_file(struct form *f, const char *name, const char *filename, const char *type)
{
    put_boundary(f);
    buf_addf(&f->body, "\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\nContent-Type: %s\r\n\r\n",
             name, filename, type);
    f->file_at = f->body.len;
}

size_t form_file_size(const struct form *f)
{
    return f->body.len - f->file_at;
}

static size_t count_boundaries(const struct form *f)
{
    struct str rest = buf_str(&f->body);
    size_t n = 0;
    for (ptrdiff_t at; (at = str_find(rest, str_c(f->boundary))) >= 0; n++)
        rest = str_from(rest, (size_t)at + 1);
    return n;
}

void form_end(struct form *f)
{
    put_boundary(f);
    buf_lit(&f->body, "--\r\n");
    while (count_boundaries(f) != f->nmarks) {
        choose_boundary(f);
        for (size_t i = 0; i < f->nmarks; i++)
            memcpy(f->body.data + f->body.head + f->marks[i], f->boundary, FORM_BOUNDARY);
    }
}

void form_free(struct form *f)
{
    buf_free(&f->body);
}
