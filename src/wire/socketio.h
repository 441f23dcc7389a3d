/* Socket.IO codec, protocol 5 (revision 4 and 3 differ in what the packets of a handshake carry, see the writers): the
 * text inside an Engine.IO message, `<type>[<attachments>-][/namespace,][ack id][json]`. Pure; the binary attachments
 * of a packet follow it as Engine.IO messages of their own, which the session counts. */
#ifndef WIRE_SOCKETIO_H
#define WIRE_SOCKETIO_H

#include "base/buf.h"
#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"
#include "wire/json.h"

enum sio_type {
    SIO_CONNECT,
    SIO_DISCONNECT,
    SIO_EVENT,
    SIO_ACK,
    SIO_CONNECT_ERROR, /* ERROR in protocol 4 and before */
    SIO_BINARY_EVENT,
    SIO_BINARY_ACK,
};

#define SIO_ATTACHMENTS     10     /* of one packet, as the original has it */
#define SIO_ATTACHMENTS_MAX 64     /* no limit can be set higher */
#define SIO_NAMESPACE_MAX   KIB(8) /* bytes; with the query string of old clients: invalid request */

struct sio_packet {
    enum sio_type type;
    unsigned attachments; /* 1 and more in the binary types, else 0 */
    bool has_id;
    uint64_t id;            /* of the acknowledgement asked for or given */
    struct str nsp;         /* "/" when the packet names none */
    struct json_value data; /* JSON_NONE when there is none */
    struct json_value name; /* of an event, a string or a number: json_text or .raw; else JSON_NONE */
};

/* Reads one packet; every slice points into text (or is the literal "/"). The rules:
 *   - CONNECT: no data, or an object; DISCONNECT: no data; CONNECT_ERROR: a string or an object;
 *   - EVENT, BINARY_EVENT: an array whose first element is a number or a string that names no event of the library
 *     itself (sio_reserved); ACK, BINARY_ACK: an id and an array; other types have no id;
 *   - the binary types announce 1 to max_attachments (itself at most SIO_ATTACHMENTS_MAX) attachments, and their data
 *     holds a placeholder {"_placeholder":true,"num":n} for each exactly once, with no members but these two;
 *   - the namespace is UTF-8 without control characters, the JSON is checked as in json_scan and follows its head at
 *     once. In packets of other types an object that looks like a placeholder is just data.
 * 0, or -1 with INVALID_REQUEST and the reason; *out untouched then. */
int sio_decode(struct str text, unsigned max_attachments, struct sio_packet *out, struct err *e);

/* Splits the namespace of an old client's CONNECT, `/admin?token=x`: the part before the question mark; *query the part
 * behind it, STR_NONE when there is none. Protocol 5 takes the namespace as it stands. */
struct str sio_nsp_path(struct str nsp, struct str *query);
/* Appends what such a query says as later clients say it in auth: a JSON object of texts. Malformed parameters are left
 * out. -1 past out's ceiling; six times the query and two bytes suffice. */
int sio_query_auth(struct buf *out, struct str query);

/* Whether a string is the name of an event that the libraries keep for themselves: never sent, refused when received.
 */
bool sio_reserved(const struct json_value *name);

/* The arguments of a decoded event (without its name) or acknowledgement, for json_each; of other types: none. */
struct json_iter sio_args(const struct sio_packet *packet);
/* Their text, `1,{"a":2}`, "" without arguments: what sio_event_put and sio_ack_put take. */
struct str sio_args_text(const struct sio_packet *packet);

/* Where a placeholder stands: its object's text inside the packet's. */
struct sio_place {
    struct str text;
    unsigned num; /* attachment that belongs there */
};
/* The placeholders of a decoded binary packet in the order of the text; returns their number, which is
 * packet->attachments, 0 for other types. */
size_t sio_places(const struct sio_packet *packet, struct sio_place places[SIO_ATTACHMENTS_MAX]);
/* Appends {"_placeholder":true,"num":num}. -1 past out's ceiling, then nothing was added, as in all writers here. They
 * append the packet without Engine.IO's `4` (one eio_text_put or byte before it), and trust their JSON and namespaces:
 * nsp begins with '/' and holds no comma. */
int sio_placeholder_put(struct buf *out, unsigned num);

/* Any packet, as sio_decode gives it. */
int sio_put(struct buf *out, const struct sio_packet *packet);

/* The answer to CONNECT: `0/nsp,{"sid":…,"pid":…}`. pid "": not offered. sid "": no data at all, which is what clients
 * of protocol 4 and 3 get. */
int sio_connect_put(struct buf *out, struct str nsp, struct str sid, struct str pid);
int sio_disconnect_put(struct buf *out, struct str nsp);
/* The refusal: `4/nsp,{"message":…,"data":…}`. data: JSON, "" for none. */
int sio_connect_error_put(struct buf *out, struct str nsp, struct str message, struct str data);
/* The refusal as clients of protocol 4 and 3 read it: the data when there is any, else the message as a string. */
int sio_error_put(struct buf *out, struct str nsp, struct str message, struct str data);

/* An event to send. */
struct sio_event {
    struct str nsp;       /* "" is "/" */
    struct str name;      /* text, escaped by the writer */
    struct str args;      /* JSON values with commas between, "" for none; placeholders when there are attachments */
    struct str offset;    /* appended as a last argument for clients with recovery; "" for none */
    unsigned attachments; /* 0: EVENT, else BINARY_EVENT */
    bool has_id;          /* an acknowledgement is asked for */
    uint64_t id;
};
int sio_event_put(struct buf *out, const struct sio_event *event);
/* attachments 0: ACK, else BINARY_ACK. args as in struct sio_event. */
int sio_ack_put(struct buf *out, struct str nsp, uint64_t id, struct str args, unsigned attachments);

#endif
