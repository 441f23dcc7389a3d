/* Keyed digests (HMAC-SHA256, RFC 2104), for what this server signs and later checks itself. */
#ifndef AUTH_MAC_H
#define AUTH_MAC_H

#include "base/str.h"

#define MAC_LEN 32

void mac_sign(unsigned char out[MAC_LEN], struct str key, struct str data);
/* In constant time. */
bool mac_matches(const unsigned char mac[MAC_LEN], struct str key, struct str data);

#endif
