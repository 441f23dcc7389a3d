/* A server-sent event stream as the reply to a request (Content-Type: text/event-stream; Cache-Control: no-cache;
 * X-Accel-Buffering: no), with heartbeats while nothing else is sent. */
#ifndef SERVER_SSE_H
#define SERVER_SSE_H

#include "server/http.h"

/* Sends the head at once. Heartbeat comments go out every SSE_HEARTBEAT while the stream is open. */
void sse_begin(struct http_request *rq);
/* One event; id and event may be empty. Parks while the client reads slowly. -1 CANCELLED once it is gone. */
int sse_send(struct http_request *rq, struct str id, struct str event, struct str data, struct err *e);
/* Bytes that are whole events already (shared by several followers). */
int sse_send_blob(struct http_request *rq, struct blob *events, struct err *e);
void sse_finish(struct http_request *rq);
/* The Last-Event-ID header, or the lastEventId query parameter (EventSource polyfills); .p NULL when absent. */
struct str sse_last_id(struct http_request *rq);

#endif
