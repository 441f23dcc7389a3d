/* What a worker may do before it sees the first byte of a stranger: compute, talk on one descriptor, end. */
#ifndef SPEECH_MEDIA_CONFINE_H
#define SPEECH_MEDIA_CONFINE_H

#include "speech/media_wire.h"

/* All of the below. Builds with a sanitizer keep their address space and system calls. False: the kernel knows no such
 * filter; everything else is in force. */
bool media_confine(const struct media_job *job, int fd);

/* Closes every descriptor above `fd` and sets the limits of the job. */
void media_confine_limits(const struct media_job *job, int fd);

/* From now on the process may use memory, clocks and `fd`. Opening anything is refused, whatever else is its end. -1
 * when the kernel cannot do it. */
int media_filter(int fd);

#endif
