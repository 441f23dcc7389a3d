#include "server/security_headers.h"

/* Cross-Origin-Resource-Policy is cross-origin because a front end loads our audio from another origin. A year for
 * HSTS as helmet has it. X-XSS-Protection and X-Download-Options only concern browsers long gone. */
#define COMMON                                                                                                         \
    "X-Content-Type-Options: nosniff\r\n"                                                                              \
    "X-DNS-Prefetch-Control: off\r\n"                                                                                  \
    "X-Frame-Options: SAMEORIGIN\r\n"                                                                                  \
    "X-Permitted-Cross-Domain-Policies: none\r\n"                                                                      \
    "Referrer-Policy: no-referrer\r\n"                                                                                 \
    "Cross-Origin-Resource-Policy: cross-origin\r\n"
#define NO_CONTENT "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
#define HSTS       "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"

struct str security_headers(bool secure, bool page)
{
    if (page)
        return secure ? STR(COMMON HSTS) : STR(COMMON);
    return secure ? STR(COMMON NO_CONTENT HSTS) : STR(COMMON NO_CONTENT);
}
