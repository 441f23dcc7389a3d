/* Between the files of the HTTP codec: inside wire/ only. */
#ifndef WIRE_HTTP_IMPL_H
#define WIRE_HTTP_IMPL_H

#include "wire/http.h"
#include "wire/http_chars.h"

/* One "name: value" line at *at: 1 and *at behind it, 0 when it is not complete before end, -1. */
int http_field_parse(struct http_header *h, const char **at, const char *end, struct err *e);

#endif
