/* Speech Synthesis Markup (SSML 1.1) for one text in one voice. Pure; a fuzz target. */
#ifndef SPEECH_SSML_H
#define SPEECH_SSML_H

#include "base/buf.h"
#include "base/err.h"

struct ssml {
    struct str text;     /* UTF-8; what XML has no place for (control characters, U+FFFE, U+FFFF) is left out */
    struct str voice;    /* a name as Azure has them */
    struct str language; /* "en-US"; "": the voice's */
    double speed;        /* 1: as the voice is; 0.5 to 2, beyond: the nearest of them */
};

/* Appends a document that is well-formed whatever the text says. -1 with INVALID_REQUEST when the voice or the language
 * is no such name, or the text is not UTF-8; out may then hold a part. */
int ssml_put(struct buf *out, const struct ssml *ssml, struct err *e);
/* Whether this may be a language: letters, digits and '-', as in "en-US". */
bool ssml_language_valid(struct str language);

#endif
