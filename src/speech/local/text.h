/* Text as flite can read it: what it knows is ASCII. Pure. */
#ifndef SPEECH_LOCAL_TEXT_H
#define SPEECH_LOCAL_TEXT_H

#include "base/buf.h"

/* Appends valid UTF-8 as plain ASCII on one line: letters lose their marks (é: e), Greek and Cyrillic are
 * transliterated, typographic signs become plain ones or words, Markdown's signs and what nobody can read aloud (emoji,
 * other scripts) go. -1 past out's ceiling. */
int text_plain(struct str text, struct buf *out);
/* Whether there is anything to say in plain text. */
bool text_speakable(struct str plain);
/* The length of the first piece of plain text that is spoken in one go: a sentence; when that has more than `max`
 * letters (a figure or a sign counts for four), up to a comma or a space. At least 1 unless the text is empty. */
size_t text_piece(struct str plain, size_t max);

#endif
