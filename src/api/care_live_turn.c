/* Turns of customer care's sockets: one line for each conversation, in a task of its own while somebody waits in it.
 * The socket's other events go on meanwhile, and a client that leaves, or comes back elsewhere, changes nothing. */
#include "api/care_live_impl.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

struct care_line {
    struct live_loop *at;
    struct list waiting; /* struct care_live_turn; the first one runs */
    size_t n;
    char id[OBJECT_ID_LEN + 1];
};

/* ---- how much one user asks for at a time, in however many conversations ---- */

struct care_user {
    size_t turns;
    struct str id;
    char text[];
};

static int user_begins(struct live_loop *at, struct str id, struct err *e)
{
    struct care_user *user = map_get(&at->care_users, id);
    if (user && user->turns >= LIMIT_USER_TURNS)
        return err_set(e, ERR_TOO_MANY_TURNS, NULL);
    if (!user) {
        user = mem_zalloc(sizeof *user + id.n);
        memcpy(user->text, id.p, id.n);
        user->id = str_n(user->text, id.n);
        map_put(&at->care_users, user->id, user);
    }
    user->turns++;
    return 0;
}

static void user_ends(struct live_loop *at, struct str id)
{
    struct care_user *user = map_get(&at->care_users, id);
    if (--user->turns)
        return;
    map_remove(&at->care_users, user->id);
    free(user);
}

/* ---- telling ---- */

static void tell(const struct live_loop *at, const struct care_room *room, struct str name, struct str args)
{
    struct str to = str_c(room->name);
    struct sio_emit emit = {.name = name, .args = args};
    sio_broadcast(at->api->live, STR("/"), &to, 1, NULL, &emit);
}

static void tell_outcome(const struct care_line *line, const struct care_live_turn *turn, const struct care_said *said)
{
    struct buf args = BUF_INIT(SIZE_MAX / 2);
    struct care_room all = care_room_of_conversation(str_c(line->id));
    put_ai_response(&args, said);
    /* A message that was sent twice is news to its sender alone. */
    tell(line->at, said->duplicate ? &turn->sender : &all, STR("ai_response"), buf_str(&args));
    buf_free(&args);
    if (said->raised)
        care_live_priority(line->at->api, turn->say.owner, &said->view);
}

static void tell_failure(const struct care_line *line, const struct care_live_turn *turn, const struct err *e)
{
    struct buf args = BUF_INIT(KIB(4));
    put_care_error(&args, STR("Failed to process message"), e);
    tell(line->at, &turn->sender, STR("error"), buf_str(&args));
    buf_free(&args);
}

void care_live_priority(struct api *api, struct str owner, const struct care_view *view)
{
    struct buf args = BUF_INIT(KIB(4));
    struct care_room room = care_room_of_user(owner);
    put_priority(&args, view);
    tell(&api->rooms[loop_index(loop_self())], &room, STR("conversation_priority"), buf_str(&args));
    buf_free(&args);
}

/* ---- the line ---- */

static void run(const struct care_line *line, const struct care_live_turn *turn)
{
    struct care_room all = care_room_of_conversation(str_c(line->id));
    struct care_said said;
    struct err e;
    tell(line->at, &all, STR("typing"), STR("true"));
    if (care_say(line->at->api->care, &turn->say, turn->arena, &said, &e) == 0)
        tell_outcome(line, turn, &said);
    else
        tell_failure(line, turn, &e);
    tell(line->at, &all, STR("typing"), STR("false"));
}

static void line_main(void *arg)
{
    struct care_line *line = arg;
    struct list *first;
    while ((first = list_pop_front(&line->waiting))) {
        struct care_live_turn *turn = container_of(first, struct care_live_turn, link);
        log_request_id = turn->log_id;
        run(line, turn);
        log_request_id = NULL; /* goes with the turn; whoever began this task may be gone */
        line->n--;
        user_ends(line->at, turn->say.owner);
        arena_free(turn->arena);
    }
    map_remove(&line->at->care_lines, str_c(line->id));
    free(line);
}

static struct care_line *line_new(struct live_loop *at, struct str id)
{
    struct care_line *line = mem_zalloc(sizeof *line);
    line->at = at;
    str_copy(line->id, sizeof line->id, id);
    list_init(&line->waiting);
    map_put(&at->care_lines, str_c(line->id), line);
    return line;
}

int care_live_queue(struct live_loop *at, struct care_live_turn *turn, struct err *e)
{
    struct care_line *line = map_get(&at->care_lines, turn->say.conversation_id);
    bool running = line != NULL;
    if (line && line->n >= LIMIT_TURN_QUEUE)
        return err_set(e, ERR_TOO_MANY_TURNS, NULL);
    if (!line && !task_room())
        return err_set(e, ERR_OVERLOADED, NULL);
    if (user_begins(at, turn->say.owner, e) < 0)
        return -1;
    if (!line)
        line = line_new(at, turn->say.conversation_id);
    list_push_back(&line->waiting, &turn->link);
    line->n++;
    if (!running)
        task_spawn("care_line", line_main, line);
    return 0;
}
