/* Between the files of the WebSocket codec: inside wire/ only. */
#ifndef WIRE_WS_IMPL_H
#define WIRE_WS_IMPL_H

#include "wire/ws.h"

#define WS_FIN         0x80
#define WS_RSV1        0x40
#define WS_RSV         0x70
#define WS_MASKED      0x80
#define WS_CONTROL_MAX 125

/* Decompresses one message into out, whose ceiling bounds it. 0, or the close code: WS_BAD_DATA when it is no deflate
 * data, WS_TOO_BIG past the ceiling. */
uint16_t ws_inflate_message(struct ws_deflate *d, struct str compressed, struct buf *out);

#endif
