/* Speech in a format that a driver cannot make itself: its PCM, encoded by the media layer as it comes. */
#ifndef SPEECH_ENCODED_H
#define SPEECH_ENCODED_H

#include "speech/media.h"
#include "speech/speech_driver.h"

/* As tts_ops.open, for a driver that calls it from there: the driver is opened once more, for PCM. NOT_CONFIGURED when
 * media is NULL. */
struct tts_stream *encoded_open(struct tts *tts, const struct tts_request *rq, struct media *media, struct arena *arena,
                                struct err *e);

#endif
