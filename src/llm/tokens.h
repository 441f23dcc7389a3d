/* An estimate of tokens, for budgets and for usage that no upstream reported. No tokenizer: about a quarter of the
 * bytes for ASCII, half of the characters for other alphabets, one each for CJK and the like, two for what lies beyond
 * the basic plane (emoji). Real tokenizers differ by some ten percent either way on ordinary text. */
#ifndef LLM_TOKENS_H
#define LLM_TOKENS_H

#include "base/str.h"

/* 0 only for the empty text. Invalid UTF-8 counts as if it were Latin-1. */
size_t tokens_estimate(struct str text);
/* What a message costs beyond its text (role, separators). */
#define TOKENS_PER_MESSAGE 4

#endif
