/* Shared by the fuzz targets of the codecs. */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/buf.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

/* Takes up to n bytes off *rest as a piece in memory of its own, so that the sanitizer sees one byte too many. The
 * caller frees piece.p. */
static inline struct str fuzz_piece(struct str *rest, size_t n)
{
    struct str piece = {rest->p, rest->n < n ? rest->n : n};
    *rest = str_from(*rest, piece.n);
    char *copy = malloc(piece.n ? piece.n : 1);
    CHECK(copy);
    memcpy(copy, piece.p, piece.n);
    piece.p = copy;
    return piece;
}

static inline void fuzz_piece_free(struct str piece)
{
    free((void *)(uintptr_t)piece.p);
}

#endif
