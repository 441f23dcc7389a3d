/* Audio that is kept, for a while or until it is dropped: spoken replies and recordings whose clients get a link in
 * place of the bytes. One folder, one file each, under a name that nobody can guess; whoever has the name may have the
 * audio. Private to api/. */
#ifndef API_AUDIO_FILES_H
#define API_AUDIO_FILES_H

#include "base/err.h"
#include "loop/loop.h"
#include "speech/speech.h"

#define AUDIO_FILE_MAX MIB(16)
#define AUDIO_NAME     96 /* bytes of a name, with the NUL */

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

/* As that, but kept until audio_drop, whatever its age: what a stored conversation points to. The name is
 * "<prefix>-<ms>-<random>.<format>"; prefix: lower-case letters. */
int audio_keep_lasting(struct audio_files *files, const char *prefix, enum speech_format format, struct str bytes,
                       char name[AUDIO_NAME], struct err *e);
/* A client's recording, kept like that and served with the type that its content has: "<ms>-<random>-<file name, made
 * harmless>". INVALID_REQUEST: it is no audio that is known here. On the disk when this returns 0. */
struct audio_upload {
    struct str name; /* as the client says */
    struct str bytes;
};
int audio_check_upload(const struct audio_upload *upload, struct err *e);
int audio_keep_upload(struct audio_files *files, const struct audio_upload *upload, char name[AUDIO_NAME],
                      struct err *e);
/* Deletes a file that is kept until then, soon; harmless for any other name. Any loop. */
void audio_drop(struct audio_files *files, struct str name);

#endif
