/* Where words begin and end, for what looks for words in a text: letters, digits, marks and '_' of any script belong to
 * a word; blanks, punctuation, symbols and emojis do not. An apostrophe ends a word ("how's" has the word "how"). */
#ifndef CHAT_WORD_H
#define CHAT_WORD_H

#include "base/str.h"

/* Takes the next character off *rest (not empty). A byte that begins no valid character counts as one by itself, and as
 * a letter. */
uint32_t word_char_next(struct str *rest);
bool word_char(uint32_t character);
/* Takes the next word off *rest into *word; false at the end. */
bool word_take(struct str *rest, struct str *word);
/* Whether a word does not go on at the begin of `rest`. */
bool word_ends(struct str rest);

#endif
