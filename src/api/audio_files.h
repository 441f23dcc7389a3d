/* Audio that is kept for a while: spoken replies whose clients get a link in place of the bytes. One folder, one file
 * each, under a name that nobody can guess; whoever has the name may have the audio. Private to api/. */
#ifndef API_AUDIO_FILES_H
#define API_AUDIO_FILES_H

#include "base/err.h"
#include "loop/loop.h"
#include "speech/speech.h"

#define AUDIO_FILE_MAX MIB(16)
#define AUDIO_NAME     48 /* bytes of a name, with the NUL */

struct audio_files;

/* folder NULL or "": NULL, nothing is kept. It is made when the first file comes. Files are deleted once they are
 * retention_ms old, at the start and from time to time, by the worker pool on behalf of `loop`, which must not run yet.
 */
struct audio_files *audio_files_new(const char *folder, uint64_t retention_ms, struct loop *loop);
/* Each loop's thread: no more deleting. */
void audio_files_loop_end(struct audio_files *files);
/* After all loops ended. Takes NULL, returns NULL. */
struct audio_files *audio_files_free(struct audio_files *files);

/* Keeps the bytes; it is served at /audio/<name> and /public/audio/<name>. In a task: the worker pool writes. -1 with
 * NOT_CONFIGURED when files is NULL, INTERNAL_ERROR when the disk refuses or there is more than AUDIO_FILE_MAX. */
int audio_keep(struct audio_files *files, enum speech_format format, struct str bytes, char name[AUDIO_NAME],
               struct err *e);

#endif
