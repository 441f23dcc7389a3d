/* libhttp-parser, the reference for our own HTTP codec, in one program with it: names that both have are renamed. */
#ifndef HTTP_REFERENCE_H
#define HTTP_REFERENCE_H

#define http_method  reference_method
#define HTTP_GET     REFERENCE_GET
#define HTTP_HEAD    REFERENCE_HEAD
#define HTTP_POST    REFERENCE_POST
#define HTTP_PUT     REFERENCE_PUT
#define HTTP_PATCH   REFERENCE_PATCH
#define HTTP_DELETE  REFERENCE_DELETE
#define HTTP_OPTIONS REFERENCE_OPTIONS
#include <http_parser.h>
#undef http_method
#undef HTTP_GET
#undef HTTP_HEAD
#undef HTTP_POST
#undef HTTP_PUT
#undef HTTP_PATCH
#undef HTTP_DELETE
#undef HTTP_OPTIONS

#endif
