/* Messages of Azure Speech's WebSockets: header lines and a body. In a text message an empty line ends the headers; in
 * a binary one their length stands before them. Pure. */
#ifndef SPEECH_AZURE_SPEECH_USP_H
#define SPEECH_AZURE_SPEECH_USP_H

#include "base/buf.h"
#include "base/err.h"

#define USP_HEADERS_MAX KIB(8)

struct usp_message {
    bool binary;
    struct str path, request_id, timestamp, content_type, stream_id; /* "" when absent */
    struct str body;
};

/* Reads one WebSocket message; what m holds lies in data. Names are taken in any case, spaces around values are left
 * out, headers that have no place in m are passed over, and of a repeated one the first counts. 0, or -1 with *e
 * (UPSTREAM). */
int usp_read(struct usp_message *m, bool binary, struct str data, struct err *e);
/* Appends the message. -1 past out's ceiling or USP_HEADERS_MAX, and when a header's value has control characters. */
int usp_put(struct buf *out, const struct usp_message *m);

#endif
