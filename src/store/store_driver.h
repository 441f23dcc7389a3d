/* For drivers (and app/, which picks one): what a store is made of. Users include store/store.h. */
#ifndef STORE_STORE_DRIVER_H
#define STORE_STORE_DRIVER_H

#include "store/store.h"

/* X(operation, READ or WRITE, request, result). Requests come checked and completed by store.c: ids made, times set,
 * limits within bounds. A number as the result is a count (of what was changed, or 1 for "new"). */
#define STORE_OPS(X)                                                                                                   \
    X(user_create, WRITE, struct user, struct user)                                                                    \
    X(user_get, READ, struct str, struct user)                                                                         \
    X(user_by_email, READ, struct str, struct user)                                                                    \
    X(user_update, WRITE, struct user_change, struct user)                                                             \
    X(session_create, WRITE, struct session, int64_t)                                                                  \
    X(session_rotate, WRITE, struct session_rotation, struct session_rotated)                                          \
    X(session_delete, WRITE, struct str, int64_t)                                                                      \
    X(session_clear, WRITE, struct session_clear, int64_t)                                                             \
    X(session_purge, WRITE, int64_t, int64_t)                                                                          \
    X(agent_create, WRITE, struct agent, struct agent)                                                                 \
    X(agent_get, READ, struct agent_ref, struct agent)                                                                 \
    X(agent_update, WRITE, struct agent_change, struct agent)                                                          \
    X(agent_delete, WRITE, struct agent_ref, int64_t)                                                                  \
    X(agent_list, READ, struct agent_query, struct agent_page)                                                         \
    X(conversation_get, READ, struct str, struct conversation)                                                         \
    X(conversation_update, WRITE, struct conversation_change, struct conversation)                                     \
    X(conversation_delete, WRITE, struct str, int64_t)                                                                 \
    X(conversation_list, READ, struct conversation_query, struct conversation_page)                                    \
    X(append, WRITE, struct store_append, struct store_appended)                                                       \
    X(message_get, READ, struct message_ref, struct message)                                                           \
    X(message_update, WRITE, struct message_change, int64_t)                                                           \
    X(message_list, READ, struct message_query, struct message_page)                                                   \
    X(interrupt_streaming, WRITE, int64_t, int64_t)                                                                    \
    X(setting_put, WRITE, struct setting, int64_t)                                                                     \
    X(setting_add, WRITE, struct setting, int64_t)                                                                     \
    X(setting_get, READ, struct setting_ref, struct setting)                                                           \
    X(setting_delete, WRITE, struct setting_ref, int64_t)                                                              \
    X(setting_list, READ, struct str, struct setting_page)                                                             \
    X(processed_add, WRITE, struct processed, int64_t)                                                                 \
    X(processed_purge, WRITE, int64_t, int64_t)                                                                        \
    X(usage_add, WRITE, struct usage, int64_t)                                                                         \
    X(usage_total, READ, struct usage_query, struct usage_total)                                                       \
    X(stats, READ, int64_t, struct store_stats)                                                                        \
    X(check, READ, int64_t, struct store_report)

enum store_op {
#define X(op, kind, in_type, out_type) STORE_OP_##op,
    STORE_OPS(X)
#undef X
        STORE_OP_COUNT
};

/* One operation on its way. `in` and `out` have the types of its row. */
struct store_call {
    enum store_op op;
    struct arena *arena;
    const void *in;
    void *out;
};

enum store_cap {
    STORE_BLOCKS = 1, /* the operations block: store.c runs them on the worker pool, several at a time */
};

struct store_ops {
    const char *name; /* the value of STORE_DRIVER */
    unsigned caps;
    int (*open)(const struct store_config *config, struct store **out, struct err *e);
    void (*close)(struct store *st);       /* frees *st */
    bool (*is_up)(const struct store *st); /* NULL: always */
    /* Runs call (with store_call_run) on threads of the driver's own while the caller waits. NULL: store.c runs it,
     * where STORE_BLOCKS says, with conn = the store. */
    int (*submit)(struct store *st, const struct store_call *call, struct err *e);
/* conn is what the driver gave to store_call_run. out is the caller's only once the call succeeded. */
#define X(op, kind, in_type, out_type)                                                                                 \
    int (*op)(void *conn, struct arena *a, const in_type *in, out_type *out, struct err *e);
    STORE_OPS(X)
#undef X
};

/* The base of every driver's store; container_of leads back. */
struct store {
    const struct store_ops *ops;
};

/* Whether the operation changes anything, and its name. */
bool store_op_writes(enum store_op op);
const char *store_op_name(enum store_op op);
/* The driver's function for the call. */
int store_call_run(const struct store_ops *ops, void *conn, const struct store_call *call, struct err *e);

#endif
