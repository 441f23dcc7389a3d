/* What the doors of speech over HTTP share. Private to api/. */
#ifndef API_SPEECH_IMPL_H
#define API_SPEECH_IMPL_H

#include "api/api_impl.h"

/* POST /v1/audio/speech; POST /api/tts by the body's dialect, and of one dialect: speech_tts.c, speech_post.c */
void speech_post_v1(struct http_request *rq);
void speech_post_tts(struct http_request *rq);
void speech_post_tts_aimcs(struct http_request *rq);
void speech_post_tts_openai(struct http_request *rq);
/* POST /v1/audio/transcriptions and …/translations; POST /api/stt: speech_stt.c, speech_upload.c */
void speech_post_transcription(struct http_request *rq);
void speech_post_translation(struct http_request *rq);
void speech_post_stt(struct http_request *rq);

/* Begins to speak: *first is the first piece of audio. NULL with *e, made fit for the client. From here on the client's
 * going away ends the task. Strings of `say` stay valid until tts_close. */
struct tts_stream *speech_begin(struct http_request *rq, const struct tts_request *say, struct str *first,
                                struct err *e);
/* As tts_next, the error made fit for the client. */
int speech_next(struct tts_stream *s, struct str *audio, struct err *e);
/* The whole reply: audio as it is made. When that fails, the connection is cut; what is closed is s. */
void speech_reply_audio(struct http_request *rq, struct tts_stream *s, struct str first, enum speech_format format);

/* An upstream's own words become ours; its status stays. */
void speech_public_error(struct err *e);
/* "en" as "en-US": what recognizers take. Other text comes back as it is; -1 when it cannot be a language. */
int speech_language(struct str given, struct str *language, struct err *e);

#endif
