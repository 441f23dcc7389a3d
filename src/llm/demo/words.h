/* English words as the demo responder compares them: lower case, without their endings. Pure. */
#ifndef LLM_DEMO_WORDS_H
#define LLM_DEMO_WORDS_H

#include "base/str.h"

#define WORD_MAX 32

/* Takes the next word (letters, digits, inner apostrophes and bytes beyond ASCII) off *rest into *word; false at the
 * end. */
bool word_next(struct str *rest, struct str *word);
/* The lower-cased stem, terminated; long words are cut. Returns its length. */
size_t word_stem(char out[WORD_MAX], struct str word);
/* Articles, pronouns, auxiliaries, question words: they say nothing about the topic. Takes a word, in any case. */
bool word_is_stop(struct str word);
/* How many words. */
size_t word_count(struct str text);

#endif
