/* Customer care on Socket.IO (dialect 003): start_conversation, user_message. */
#include "api/care_impl.h"

void care_live_priority(struct api *api, struct str owner, const struct care_view *view)
{
    (void)api, (void)owner, (void)view;
}
