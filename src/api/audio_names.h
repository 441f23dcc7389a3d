/* Names of kept audio, and what a recording is by its first bytes. Pure but for the randomness. Private to api/. */
#ifndef API_AUDIO_NAMES_H
#define API_AUDIO_NAMES_H

#include "api/audio_files.h"

#include <stdint.h>

#define AUDIO_UNFINISHED ".part" /* behind the name while it is written; no name ends so */

enum audio_kind {
    AUDIO_FOREIGN, /* no name of ours: never touched, whatever is asked for */
    AUDIO_BRIEF,   /* "<random>.<format>": deleted by age */
    AUDIO_LASTING, /* "<prefix>-<ms>-<random>.<format>" */
    AUDIO_UPLOAD,  /* "<ms>-<random>-<file name>" */
};

struct audio_name {
    enum audio_kind kind;
    enum speech_format format; /* SPEECH_FORMATS: only the content tells */
};
struct audio_name audio_name_read(struct str name);

/* Made with 128 random bits. prefix: lower-case letters. */
void audio_name_brief(char name[AUDIO_NAME], enum speech_format format);
void audio_name_lasting(char name[AUDIO_NAME], const char *prefix, enum speech_format format, int64_t ms);
/* given: a client's name for its file; what could mean anything to a file system or a browser is taken out of it. */
void audio_name_upload(char name[AUDIO_NAME], struct str given, int64_t ms);

/* The media type of a file that begins with these bytes (AUDIO_HEAD of them, fewer when it is shorter); NULL: no audio
 * that is known here. */
#define AUDIO_HEAD 64
const char *audio_type_of(struct str head);

#endif
