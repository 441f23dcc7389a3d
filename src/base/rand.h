/* Random bytes from the kernel, buffered per thread; ids made of them. Good for secrets. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include "base/str.h"

#define UUID_LEN 36

void rand_bytes(void *out, size_t n);
uint64_t rand_u64(void);
/* Uniform in [0, n); n > 0. */
uint64_t rand_below(uint64_t n);
/* A random UUID, version 4 (RFC 9562), lower case, terminated. */
void rand_uuid(char out[UUID_LEN + 1]);
/* 24 lower-case hex digits, terminated: the second it was made, then 64 random bits, so ids sort by time and are not
 * guessed. In MongoDB's form (https://www.mongodb.com/docs/manual/reference/bson-types/#objectid). */
#define OBJECT_ID_LEN 24
void rand_object_id(char out[OBJECT_ID_LEN + 1]);
/* Whether the text is such an id. */
bool is_object_id(struct str text);

#endif
