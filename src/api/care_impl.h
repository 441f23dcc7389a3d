/* What the doors of customer care (dialect 003) share. Private to api/. */
#ifndef API_CARE_IMPL_H
#define API_CARE_IMPL_H

#include "api/api_impl.h"
#include "api/care_guard.h"

/* ---- JSON: care_shapes.c, agent_shape.c ---- */

/* {"_id","id","name","email","role"[,"avatar"]} of a user; `times`: createdAt and updatedAt, too. Without the braces.
 */
void put_user(struct jw *w, const struct user *user, bool times);
/* An agent, as the clients' contract has it, with its optional members. */
void put_agent(struct jw *w, const struct agent *agent, struct arena *arena);
/* One message: {"_id","role","content","timestamp"[,"audioUrl"][,"metadata"]…}. */
void put_care_message(struct jw *w, const struct message *m, struct arena *arena);
/* The conversation's document; `system`: messages of role "system", too. */
void put_care_conversation(struct jw *w, const struct care_view *view, bool system, struct arena *arena);
/* {"name","company","personality"} of the simulator's agent, with the braces. */
void put_demo_agent(struct jw *w);

/* ---- private rows of /api/conversations: care_conversations.c ---- */

/* Each answers. Called where a request under /api/conversations means the private side (api/private.h). */
void care_get_all(struct http_request *rq);
void care_post_one(struct http_request *rq);
void care_get_one(struct http_request *rq);
void care_put_one(struct http_request *rq);
void care_delete_one(struct http_request *rq);

/* ---- sockets: care_live.c ---- */

/* Tells the owner's sockets that a conversation's priority changed. Any loop. */
void care_live_priority(struct api *api, struct str owner, const struct care_view *view);

/* ---- pictures: pictures.c ---- */

/* Pictures that users upload (avatars): type told by content and decoded size, not by name. */
struct pictures;
struct pictures *pictures_new(const struct api_config *config);
struct pictures *pictures_free(struct pictures *pictures); /* takes NULL, returns NULL */
/* Keeps one: *path in the arena, "/public/avatars/<name>". INVALID_REQUEST with what is wrong (type, size, broken,
 * dimensions), BODY_TOO_LARGE. In a task. */
int picture_keep(struct pictures *pictures, struct str bytes, struct arena *arena, struct str *path, struct err *e);
/* Deletes one that picture_keep made; harmless for any other path. */
void picture_drop(struct pictures *pictures, struct str path);
/* An "avatar" member of a body: "" (none), a path under /public/avatars/ that exists, or a data: URL, which is kept.
 * INVALID_REQUEST. */
int picture_of_text(struct pictures *pictures, struct str text, struct arena *arena, struct str *path, struct err *e);

#endif
