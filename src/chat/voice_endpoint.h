/* End-pointing: whether somebody who fell silent is done, by the words that were understood so far. */
#ifndef CHAT_VOICE_ENDPOINT_H
#define CHAT_VOICE_ENDPOINT_H

#include "base/str.h"

/* Whether the text sounds complete: not when it ends with a word that wants another one ("and", "my", "um") or a comma.
 * No text sounds complete. `language` ("en-US") chooses the words: English, German, French, Spanish; for others only
 * signs count. "" is English. Pure. */
bool voice_endpoint_complete(struct str text, struct str language);

#endif
