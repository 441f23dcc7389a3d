#include "loop/serial.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

/* One waiting message; released with the arena it is handled in. */
struct mail {
    struct mail *next;
    void (*handle)(void *owner, struct arena *arena, struct str data);
    size_t n;
    char data[]; /* and a NUL behind it */
};

/* Exists while the task does. */
struct serial {
    const struct serial_ops *ops;
    void *owner;
    struct serial **slot; /* the owner's; NULL once it was stopped */
    struct task *task;
    struct mail *first, **end;
    size_t count, bytes;
    bool paused; /* the owner was asked to */
};

static void push(struct serial *serial, struct mail *mail)
{
    *serial->end = mail;
    serial->end = &mail->next;
    serial->count++;
    serial->bytes += mail->n;
}

static struct mail *pop(struct serial *serial)
{
    struct mail *mail = serial->first;
    if (!mail)
        return NULL;
    serial->first = mail->next;
    if (!serial->first)
        serial->end = &serial->first;
    serial->count--;
    serial->bytes -= mail->n;
    return mail;
}

static void pause_owner(struct serial *serial, bool pause)
{
    if (serial->paused == pause)
        return;
    serial->paused = pause;
    if (serial->ops->pause)
        serial->ops->pause(serial->owner, pause);
}

static void run(void *arg)
{
    struct serial *serial = arg;
    const struct serial_ops *ops = serial->ops;
    void *owner = serial->owner;
    serial->task = task_self();
    for (struct mail *mail; (mail = pop(serial));) {
        struct arena *arena = arena_new(ops->name);
        arena_own(arena, mail, free);
        log_request_id = ops->log_id ? ops->log_id(owner) : NULL;
        mail->handle(owner, arena, str_n(mail->data, mail->n));
        arena_free(arena);
        if (serial->count <= SERIAL_WAITING / 2 && serial->bytes <= SERIAL_BYTES / 2)
            pause_owner(serial, false);
    }
    log_request_id = NULL;
    if (serial->slot)
        *serial->slot = NULL;
    free(serial);
    ops->unref(owner);
}

static struct mail *new_mail(const struct str *parts, size_t n)
{
    size_t size = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        size += parts[i].n;
    struct mail *mail = mem_alloc(sizeof *mail + size + 1);
    *mail = (struct mail){.n = size};
    for (size_t i = 0; i < n; at += parts[i++].n)
        if (parts[i].n)
            memcpy(mail->data + at, parts[i].p, parts[i].n);
    mail->data[size] = 0;
    return mail;
}

static struct serial *new_serial(struct serial **slot, const struct serial_ops *ops, void *owner)
{
    struct serial *serial = mem_zalloc(sizeof *serial);
    serial->ops = ops;
    serial->owner = owner;
    serial->slot = slot;
    serial->end = &serial->first;
    ops->ref(owner);
    return serial;
}

bool serial_post_parts(struct serial **slot, const struct serial_ops *ops, void *owner, const struct str *parts,
                       size_t n, void (*handle)(void *owner, struct arena *arena, struct str data))
{
    if (!*slot && !task_room())
        return false;
    struct mail *mail = new_mail(parts, n);
    mail->handle = handle;
    if (*slot) {
        struct serial *serial = *slot;
        push(serial, mail);
        if (serial->count > SERIAL_WAITING || serial->bytes > SERIAL_BYTES)
            pause_owner(serial, true);
        return true;
    }
    *slot = new_serial(slot, ops, owner);
    push(*slot, mail);
    task_spawn(ops->name, run, *slot);
    return true;
}

bool serial_post(struct serial **slot, const struct serial_ops *ops, void *owner, struct str data,
                 void (*handle)(void *owner, struct arena *arena, struct str data))
{
    return serial_post_parts(slot, ops, owner, &data, 1, handle);
}

/* The task frees the record when its handler returns; until then it only finds an empty queue. A handler that stops
 * its own mail is cancelled too: its next wait fails. */
void serial_stop(struct serial **slot)
{
    struct serial *serial = *slot;
    if (!serial)
        return;
    *slot = NULL;
    serial->slot = NULL;
    for (struct mail *mail; (mail = pop(serial));)
        free(mail);
    task_cancel(serial->task);
    pause_owner(serial, false);
}
