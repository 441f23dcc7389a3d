/* Which requests under /api/conversations mean a user's private conversations (conflict 5 of the clients' contract).
 * Private to api/. */
#ifndef API_PRIVATE_H
#define API_PRIVATE_H

#include "api/api_impl.h"

/* Whether the request is for the private side: an Authorization header that is not the API token, a 24-hex id or one of
 * its own words in place of an id, the query parameter agentId, or a body with agentId or isCallSimulator. The doors of
 * customer care (care_impl.h) then answer, and ask for a user's token. */
bool private_is(const struct http_request *rq, struct str id);

#endif
