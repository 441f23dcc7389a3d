/* Server-sent events (WHATWG HTML, section 9.2), both directions; pure. */
#ifndef WIRE_SSE_H
#define WIRE_SSE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Reader: survives any split of bytes; \n, \r\n and \r line ends; comments; a leading BOM. `retry` is ignored, as are
 * ids that contain a NUL. */
struct sse_reader {
    struct buf line; /* an incomplete line */
    struct buf data; /* of the event under way, when it has several data lines or was split */
    struct buf event, id;
    bool has_data, cr, begun;
    bool dispatched; /* the previous call handed out an event: its data and name go at the next */
};

struct sse_event {
    struct str data;  /* lines joined by \n; valid until the next call or change of the input */
    struct str event; /* "" when not named */
    struct str id;    /* last id seen, "" when none */
};

/* max_event bounds one event (each of its line, data, name and id): beyond it sse_next fails. */
void sse_reader_init(struct sse_reader *r, size_t max_event);
void sse_reader_free(struct sse_reader *r);
/* Takes bytes from *in (advancing it) until one event is complete: 1 and *event; 0 when more is needed (all of *in was
 * taken); -1 with *e (UPSTREAM) past the ceiling, the reader is then of no use. Events without data are skipped. An
 * event whose one data line lies whole in *in with its end costs no copy. */
int sse_next(struct sse_reader *r, struct str *in, struct sse_event *event, struct err *e);
/* At the end of the stream: 1 and the event that lacked its blank line, if it has data; 0 otherwise. Lenient on
 * purpose: some upstreams close right behind the last line. */
int sse_end(struct sse_reader *r, struct sse_event *event);

/* Writer: one event; id and event may be empty (then their lines are left out) and are cut at a line break or NUL. Line
 * breaks (\n, \r\n, \r) in data become several data lines. -1 past the ceiling, then nothing was added. */
int sse_put(struct buf *out, struct str id, struct str event, struct str data);
/* A comment, one line per line of text, and a blank line. */
int sse_put_comment(struct buf *out, struct str text);

#endif
