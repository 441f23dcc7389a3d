/* The conformance mode (CONFORMANCE=true): what the black-box suites of the Engine.IO and Socket.IO protocols expect of
 * a server under test, and a namespace of our own for tests and measurements, all in place of chat. */
#ifndef API_CONFORMANCE_H
#define API_CONFORMANCE_H

#include "api/api_impl.h"
#include "server/socketio.h"

/* The suites take one message per turn of their loop and lose a second one that comes in the same TCP segment, so some
 * messages keep a distance: the open packet from the answer to the upgrade (eio_config.open_delay), greetings from the
 * answer to CONNECT. */
#define CONFORMANCE_DELAY_MS 25

/* For sio_new, with any owner.
 *   /        emits `auth` with the CONNECT's auth; `message` comes back as `message-back`, `message-with-ack` as ack
 *   /custom  emits `auth`
 *   /lab     join(room), leave(room), both acknowledged; broadcast(room, …) and shout(room, …) reach the room as
 *            `cast`, without and with the sender; emit-volatile(n, arg) emits `volatile` n times with a number from 0
 *            on and arg; ask(ms, …) emits `question` and tells what was acknowledged as `answered` {ok, args};
 *            bye(close) disconnects. CONNECT is refused when auth.refuse is a string, with this message */
extern const struct sio_namespace conformance_namespaces[];
extern const size_t conformance_namespace_count;

/* /engine.io/: every message comes back. ctx of the routes: what conformance_engine made; eio_free frees it. */
extern const struct door door_conformance;
struct eio_server *conformance_engine(const struct eio_config *config, size_t nloops);

#endif
