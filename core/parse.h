/*
 * Values from text: numbers, sizes, durations, names. Strict: the whole text must be the value, no
 * sign, no blanks, no overflow. Pure; each returns false and leaves the result alone when refused.
 */
#ifndef DUET_CORE_PARSE_H
#define DUET_CORE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* Decimal digits only, no leading zero but "0" itself. */
bool parse_u64(const char *text, uint64_t *ret);
/* As parse_u64, with a highest value. */
bool parse_u32_max(const char *text, uint32_t max, uint32_t *ret);
/* A uid or gid: 0 to 2^32 - 3 (the two highest mean "none" to the kernel). */
bool parse_id(const char *text, uint32_t *ret);
/* An octal file mode of 1 to 4 digits, or 5 with a leading 0: "644", "0755", "01777". */
bool parse_mode(const char *text, uint32_t *ret);
/* A size in bytes: digits and one of K M G T (powers of 1024; lower case and a closing B or iB too). */
bool parse_size(const char *text, uint64_t *ret_bytes);
/* A duration: "90s", "10m", "1h30m", "250ms"; a bare number counts seconds. 1 ms to 30 days. */
bool parse_duration_ms(const char *text, uint64_t *ret_ms);
/*
 * RFC 3339, "2024-01-02T03:04:05.6789+01:00": the seconds since 1970, fractions cut off. Years 1 to
 * 9999; a leap second counts as the second before it.
 */
bool parse_time(const char *text, int64_t *ret_s);
/* [A-Za-z0-9][A-Za-z0-9_.-]{0,63}: names of images, instances, volumes. */
bool parse_is_name(const char *text);
/* A host name by RFC 1123, at most 63 characters. */
bool parse_is_hostname(const char *text);
/* The name of an environment variable: no '=', no NUL, not empty, no control characters. */
bool parse_is_env_name(const char *text);

#endif
