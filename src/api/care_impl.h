/* What the doors of customer care (dialect 003) share. Private to api/. */
#ifndef API_CARE_IMPL_H
#define API_CARE_IMPL_H

#include "api/api_impl.h"
#include "api/care_guard.h"

/* ---- JSON: care_shapes.c, agent_shape.c ---- */

/* {"_id","id","name","email","role"[,"avatar"]} of a user; `times`: createdAt and updatedAt, too. Without the braces.
 */
void put_user(struct jw *w, const struct user *user, bool times);
/* An agent, as the clients' contract has it, with its optional members and the braces. */
void put_agent(struct jw *w, const struct agent *agent, struct arena *arena);
/* One message: {"_id","role","content","timestamp"[,"audioUrl"][,"metadata"]…}. */
void put_care_message(struct jw *w, const struct message *m, struct arena *arena);
/* As that, without the braces. */
void put_care_message_members(struct jw *w, const struct message *m, struct arena *arena);
/* The conversation's document; `system`: messages of role "system", too. */
void put_care_conversation(struct jw *w, const struct care_view *view, bool system, struct arena *arena);
/* As that, without the braces. */
void put_care_members(struct jw *w, const struct care_view *view, bool system, struct arena *arena);
/* Members of "metadata" that are the client's own: of the JSON object those that are none of the server's. */
void put_care_custom(struct jw *w, struct str custom);
/* {"name","company","personality"} of the simulator's agent, with the braces. */
void put_demo_agent(struct jw *w);

/* ---- private rows of /api/conversations: care_conversations.c, care_list.c, care_messages.c, care_upload.c ---- */

/* Answers what went wrong; `text` is what the dialect says when it is the server's own failure. */
void care_refuse(struct http_request *rq, struct err *e, const char *text);
/* The user who asks, and that the id in the path can be one of a conversation. -1 after answering 401 or 404. */
int care_enter(struct http_request *rq, struct user *user);
/* {"_id",…,"user":{"_id","name"}}: the document as its owner gets it; `more` (NULL: nothing) adds members. */
void put_care_document(struct jw *w, const struct care_view *view, const struct user *user, struct arena *arena,
                       void (*more)(struct jw *w));
/* The member of a query that is a number from 1 to `most`; 0: absent. -1 after answering 400. */
int care_limit(struct http_request *rq, unsigned most, unsigned *limit);
/* Says where the next page is: X-Next-Cursor, and Link. `query`: what the page was asked for, "a=b&" or "", and the
 * name of the parameter that takes the cursor. Nothing when there is no next page. */
void care_next_page(struct http_request *rq, struct str query, const char *name, struct str next);
void care_get_messages(struct http_request *rq);
void care_post_message(struct http_request *rq);
void care_post_audio(struct http_request *rq);
/* What is told of a turn beside its reply: title, sentiment, priority, the user's message. */
void put_care_said(struct jw *w, const struct care_said *said, struct arena *arena);
/* Runs a turn; 0, or -1 with *e. Who follows is told when it raised the priority. */
int care_turn(struct http_request *rq, const struct user *user, const struct care_say *say, struct care_said *said,
              struct err *e);

/* Each answers. Called where a request under /api/conversations means the private side (api/private.h). */
void care_get_all(struct http_request *rq);
void care_post_one(struct http_request *rq);
void care_get_one(struct http_request *rq);
void care_put_one(struct http_request *rq);
void care_delete_one(struct http_request *rq);

/* ---- sockets: care_live.c ---- */

/* Tells the owner's sockets that a conversation's priority changed. Any loop. */
void care_live_priority(struct api *api, struct str owner, const struct care_view *view);
/* The user's tokens are good no longer: sockets that showed one are told nothing more. Any loop. */
void care_live_revoke(struct api *api, struct str user_id);

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
/* Whether the path is one that picture_keep made, whether or not it is there still. */
bool picture_is_made(struct str path);
/* An "avatar" member of a body: "" (none), a path under /public/avatars/ that exists, or a data: URL, which is kept. A
 * picture that was made here gets another name, which is the caller's to drop. INVALID_REQUEST. */
int picture_of_text(struct pictures *pictures, struct str text, struct arena *arena, struct str *path, struct err *e);

#endif
