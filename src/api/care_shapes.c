/* JSON of customer care (dialect 003). */
#include "api/care_impl.h"

void put_user(struct jw *w, const struct user *user, bool times)
{
    jw_kstr(w, "_id", user->id);
    jw_kstr(w, "id", user->id);
    jw_kstr(w, "name", user->name);
    jw_kstr(w, "email", user->email);
    jw_kstr(w, "role", user->role.n ? user->role : STR("user"));
    if (user->avatar.n)
        jw_kstr(w, "avatar", user->avatar);
    if (times) {
        jw_kiso(w, "createdAt", user->created_us / 1000);
        jw_kiso(w, "updatedAt", user->updated_us / 1000);
    }
}

void put_care_message(struct jw *w, const struct message *m, struct arena *arena)
{
    (void)w, (void)m, (void)arena;
}

void put_care_conversation(struct jw *w, const struct care_view *view, bool system, struct arena *arena)
{
    (void)w, (void)view, (void)system, (void)arena;
}

void put_demo_agent(struct jw *w)
{
    const struct agent *demo = care_demo_agent();
    jw_obj(w);
    jw_kstr(w, "name", demo->name);
    jw_kstr(w, "company", demo->company);
    jw_kstr(w, "personality", demo->personality);
    jw_end_obj(w);
}
