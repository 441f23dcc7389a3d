/* Clocks. Wall times are milliseconds since 1970 UTC; durations come from the monotonic clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define ISO_LEN 24 /* 2026-11-21T07:00:13.463Z */

uint64_t clock_mono_ns(void);
uint64_t clock_mono_ms(void);
int64_t clock_wall_ms(void);
int64_t clock_wall_us(void);
/* ISO 8601 with milliseconds and Z, terminated. Times outside of 1970 to 9999 come out as the nearest end. */
void clock_iso(char out[ISO_LEN + 1], int64_t wall_ms);
/* Inverse of clock_iso; also takes a missing fraction or Z. 0, or -1 on anything else (other offsets, days that do not
 * exist); *wall_ms untouched then. */
int clock_iso_parse(const char *text, size_t n, int64_t *wall_ms);
/* As IMF-fixdate (RFC 9110): "Sat, 21 Nov 2026 07:00:13 GMT", terminated. */
void clock_http_date(char out[30], int64_t wall_ms);

#endif
