/* Rooms of a loop's sockets, and broadcasts to those of all loops. A broadcast is one shared record that is posted to
 * each loop which has sockets. It carries its place in the line of broadcasts that its loop began: a socket that moves
 * between loops thus gets each exactly once. */
#include "base/mem.h"
#include "server/socketio_impl.h"

#include <stdlib.h>

struct room {
    struct list members; /* struct membership.of_room */
    size_t n;
    char name[];
};

/* One socket in one room. */
struct membership {
    struct list of_room, of_socket;
    struct sio_socket *socket;
    struct room *room;
};

struct sio_cast {
    atomic_uint refs;
    unsigned origin; /* index of the loop that began it */
    uint64_t number; /* on that loop, from 1 */
    size_t ns;
    uint64_t except; /* sio_serial_number, 0: nobody */
    struct sio_parcel parcel;
    bool to_all;
    struct buf rooms; /* as sio_rooms_pack leaves them */
    struct blob *attachments[];
};

/* ---- Names in a row: a byte for the length, and the name ---- */

static void put_name(struct buf *names, struct str name)
{
    buf_byte(names, (char)name.n);
    buf_str_add(names, name);
}

static bool take_name(struct str *names, struct str *name)
{
    if (names->n == 0)
        return false;
    size_t n = (unsigned char)names->p[0];
    *name = str_n(names->p + 1, n);
    *names = str_from(*names, 1 + n);
    return true;
}

/* ---- Rooms ---- */

static struct room *find_room(const struct sio_socket *s, struct str name)
{
    return map_get(&sio_hall(s)->rooms, name);
}

/* From the shorter side. */
static struct membership *find_membership(const struct sio_socket *s, const struct room *room)
{
    const struct list *mine = s->memberships.next, *theirs = room ? room->members.next : NULL;
    for (; theirs && mine != &s->memberships && theirs != &room->members; mine = mine->next, theirs = theirs->next) {
        struct membership *m = container_of(mine, struct membership, of_socket);
        if (m->room == room)
            return m;
        m = container_of(theirs, struct membership, of_room);
        if (m->socket == s)
            return m;
    }
    return NULL;
}

static void end_membership(struct membership *m)
{
    struct room *room = m->room;
    struct sio_hall *hall = sio_hall(m->socket);
    list_remove(&m->of_room);
    list_remove(&m->of_socket);
    if (list_empty(&room->members)) {
        map_remove(&hall->rooms, str_n(room->name, room->n));
        free(room);
    }
    free(m);
}

static void join(struct sio_socket *s, struct str name)
{
    struct room *room = find_room(s, name);
    if (find_membership(s, room))
        return;
    if (!room) {
        room = mem_alloc(sizeof *room + name.n);
        room->n = name.n;
        memcpy(room->name, name.p, name.n);
        list_init(&room->members);
        map_put(&sio_hall(s)->rooms, str_n(room->name, room->n), room);
    }
    struct membership *m = mem_alloc(sizeof *m);
    *m = (struct membership){.socket = s, .room = room};
    list_push_back(&room->members, &m->of_room);
    list_push_back(&s->memberships, &m->of_socket);
}

int sio_join(struct sio_socket *s, struct str room, struct err *e)
{
    if (room.n == 0 || room.n > LIMIT_ID)
        return err_set(e, ERR_INVALID_REQUEST, "Name of a room has 1 to %d bytes", LIMIT_ID);
    if (s->state == SIO_STATE_OVER)
        return err_set(e, ERR_CANCELLED, NULL);
    join(s, room);
    return 0;
}

void sio_leave(struct sio_socket *s, struct str name)
{
    struct membership *m = find_membership(s, find_room(s, name));
    if (m)
        end_membership(m);
}

bool sio_in_room(const struct sio_socket *s, struct str name)
{
    return find_membership(s, find_room(s, name)) != NULL;
}

void sio_leave_all(struct sio_socket *s)
{
    struct list *first;
    while ((first = list_pop_front(&s->memberships)))
        end_membership(container_of(first, struct membership, of_socket));
}

void sio_rooms_pack(struct sio_socket *s, struct buf *names)
{
    list_each(it, &s->memberships) {
        const struct room *room = container_of(it, struct membership, of_socket)->room;
        put_name(names, str_n(room->name, room->n));
    }
    sio_leave_all(s);
}

void sio_rooms_unpack(struct sio_socket *s, struct buf *names)
{
    struct str rest = buf_str(names), name;
    while (take_name(&rest, &name))
        join(s, name);
    buf_free(names);
}

/* ---- Broadcasts ---- */

struct sio_cast *sio_cast_ref(struct sio_cast *cast)
{
    atomic_fetch_add_explicit(&cast->refs, 1, memory_order_relaxed);
    return cast;
}

struct sio_cast *sio_cast_unref(struct sio_cast *cast)
{
    if (!cast || atomic_fetch_sub_explicit(&cast->refs, 1, memory_order_acq_rel) > 1)
        return NULL;
    blob_unref(cast->parcel.frame);
    for (unsigned i = 0; i < cast->parcel.nattachments; i++)
        blob_unref(cast->attachments[i]);
    buf_free(&cast->rooms);
    free(cast);
    return NULL;
}

static struct blob *encode(struct sio_loop *at, size_t ns, const struct sio_emit *emit)
{
    struct sio_event event = {.nsp = str_c(at->server->namespaces[ns].name),
                              .name = emit->name,
                              .args = emit->args,
                              .attachments = emit->nattachments};
    struct buf *text = sio_scratch(at);
    struct blob *frame = NULL;
    if (sio_event_put(text, &event) == 0)
        frame = eio_frame(&(struct str){buf_str(text).p, text->len}, 1);
    sio_scratch_done(at);
    return frame;
}

/* Takes the frame over. */
static struct sio_cast *cast_new(struct sio_loop *at, size_t ns, const struct str *rooms, size_t n,
                                 const struct sio_emit *emit, struct blob *frame)
{
    struct sio_cast *cast = mem_zalloc(sizeof *cast + emit->nattachments * sizeof(struct blob *));
    atomic_init(&cast->refs, 1);
    cast->origin = at->index;
    cast->number = ++at->casts;
    cast->ns = ns;
    cast->parcel = (struct sio_parcel){.frame = frame,
                                       .attachments = cast->attachments,
                                       .nattachments = emit->nattachments,
                                       .is_volatile = emit->is_volatile};
    for (unsigned i = 0; i < emit->nattachments; i++)
        cast->attachments[i] = blob_ref(emit->attachments[i]);
    cast->to_all = n == 0;
    buf_init(&cast->rooms, n * (LIMIT_ID + 1));
    for (size_t i = 0; i < n; i++)
        if (rooms[i].n <= LIMIT_ID)
            put_name(&cast->rooms, rooms[i]);
    return cast;
}

/* stamp: the same for all that is delivered of one broadcast on this loop. */
static void deliver(const struct sio_cast *cast, struct sio_socket *s, uint64_t stamp)
{
    if (s->stamp == stamp || s->number == cast->except || (s->skip && cast->number <= s->skip[cast->origin]))
        return;
    s->stamp = stamp;
    sio_deliver(s, &cast->parcel);
}

static void deliver_all(struct sio_cast *cast, struct sio_loop *at)
{
    struct sio_hall *hall = &at->halls[cast->ns];
    uint64_t stamp = ++at->stamp;
    struct str names = buf_str(&cast->rooms), name;
    at->seen[cast->origin] = cast->number;
    if (!list_empty(&at->collecting))
        sio_collect(at, cast);
    if (cast->to_all)
        list_each(it, &hall->sockets)
            deliver(cast, container_of(it, struct sio_socket, in_hall), stamp);
    while (take_name(&names, &name)) {
        struct room *room = map_get(&hall->rooms, name);
        if (room)
            list_each(it, &room->members)
                deliver(cast, container_of(it, struct membership, of_room)->socket, stamp);
    }
}

void sio_cast_late(struct sio_cast *cast, struct sio_socket *s)
{
    struct str names = buf_str(&cast->rooms), name;
    bool meant = cast->to_all;
    if (cast->ns != sio_ns_index(s))
        return;
    while (!meant && take_name(&names, &name))
        meant = sio_in_room(s, name);
    if (meant)
        deliver(cast, s, ++s->at->stamp);
}

struct delivery {
    struct sio_cast *cast;
    struct sio_loop *to;
};

static void deliver_there(void *arg)
{
    struct delivery *delivery = arg;
    deliver_all(delivery->cast, delivery->to);
    sio_cast_unref(delivery->cast);
    free(delivery);
}

void sio_broadcast(struct sio_server *server, struct str nsp, const struct str *rooms, size_t n,
                   const struct sio_socket *except, const struct sio_emit *emit)
{
    struct sio_loop *at = sio_here(server);
    size_t ns = sio_find_namespace(server, nsp);
    struct blob *frame = ns < server->n ? encode(at, ns, emit) : NULL;
    if (!frame)
        return;
    struct sio_cast *cast = cast_new(at, ns, rooms, n, emit, frame);
    cast->except = except ? except->number : 0;
    deliver_all(cast, at);
    for (size_t i = 0; i < server->nloops; i++) {
        struct loop *loop = atomic_load_explicit(&server->loops[i]->loop, memory_order_acquire);
        if (i == at->index || !loop)
            continue;
        struct delivery *delivery = mem_alloc(sizeof *delivery);
        *delivery = (struct delivery){sio_cast_ref(cast), server->loops[i]};
        loop_post(loop, deliver_there, delivery);
    }
    sio_cast_unref(cast);
}

/* ---- Visits ---- */

struct visit {
    struct sio_loop *at;
    size_t ns;
    void (*fn)(struct sio_socket *s);
    struct str room; /* behind */
};

static struct visit *visit_new(struct sio_loop *at, size_t ns, struct str room, void (*fn)(struct sio_socket *s))
{
    struct visit *visit = mem_alloc(sizeof *visit + room.n);
    char *name = (char *)(visit + 1);
    memcpy(name, room.p, room.n);
    *visit = (struct visit){at, ns, fn, str_n(name, room.n)};
    return visit;
}

/* fn may take any of them out of the room. */
static void visit_all(void *arg)
{
    struct visit *visit = arg;
    struct room *room = map_get(&visit->at->halls[visit->ns].rooms, visit->room);
    struct sio_socket **all = NULL;
    size_t n = 0, cap = 0;
    struct list none;
    list_init(&none);
    list_each(it, room ? &room->members : &none) {
        if (n == cap) {
            cap = cap ? 2 * cap : 8;
            all = mem_realloc(all, cap * sizeof(struct sio_socket *));
        }
        all[n++] = sio_ref(container_of(it, struct membership, of_room)->socket);
    }
    for (size_t i = 0; i < n; i++) {
        if (sio_is_open(all[i]))
            visit->fn(all[i]);
        sio_unref(all[i]);
    }
    free(all);
    free(visit);
}

void sio_each(struct sio_server *server, struct str nsp, struct str room, void (*fn)(struct sio_socket *s))
{
    struct sio_loop *at = sio_here(server);
    size_t ns = sio_find_namespace(server, nsp);
    if (ns == server->n)
        return;
    visit_all(visit_new(at, ns, room, fn));
    for (size_t i = 0; i < server->nloops; i++) {
        struct loop *loop = atomic_load_explicit(&server->loops[i]->loop, memory_order_acquire);
        if (i != at->index && loop)
            loop_post(loop, visit_all, visit_new(server->loops[i], ns, room, fn));
    }
}
