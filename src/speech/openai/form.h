/* A multipart/form-data body (RFC 7578) with fields and, last, one file that grows as it comes. Pure. */
#ifndef SPEECH_OPENAI_FORM_H
#define SPEECH_OPENAI_FORM_H

#include "base/buf.h"

#define FORM_BOUNDARY 40
#define FORM_FIELDS   15

struct form {
    struct buf body; /* behind form_file: append the file's bytes here */
    char boundary[FORM_BOUNDARY + 1];
    size_t marks[FORM_FIELDS + 2]; /* where the boundary stands in the body */
    size_t nmarks;
    size_t file_at; /* where the file begins */
};

void form_begin(struct form *f);
/* At most FORM_FIELDS of them, all before the file. The name is a literal, the value may hold anything. */
void form_field(struct form *f, const char *name, struct str value);
void form_file(struct form *f, const char *name, const char *filename, const char *type);
/* How many bytes the file has so far. */
size_t form_file_size(const struct form *f);
/* Completes the body. What it holds does not contain the boundary: when it does, another is chosen. */
void form_end(struct form *f);
void form_free(struct form *f);

#endif
