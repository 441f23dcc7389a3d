/* What of a text is read aloud. */
#ifndef CHAT_VOICE_SCRIPT_IMPL_H
#define CHAT_VOICE_SCRIPT_IMPL_H

#include "base/buf.h"

/* What goes on from one sentence to the next. Zero-initialise. */
struct voice_script {
    bool in_code;    /* between the fences of a block */
    bool in_address; /* of a link, which was cut */
};

/* Appends what is to be spoken of the next sentence (valid UTF-8, at most one line): without Markdown's signs, blocks
 * of code, addresses, tags, emoji. False, and nothing appended, when nothing remains that could be said. */
bool voice_script_add(struct voice_script *script, struct str sentence, struct buf *out);

#endif
