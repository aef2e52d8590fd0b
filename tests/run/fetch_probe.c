/*
 * Runs fetch_run for tests/run/fetch.sh:
 *
 *	fetch_probe URL SHA256-HEX BYTES FILE CA-FILE
 *
 * CA-FILE "-": the system's. $FETCH_PLAIN: http:// is allowed. $FETCH_ANY: no digest is known, BYTES is
 * the most that is taken. Prints a line "wait MS" for every wait between tries (it waits at
 * most a twentieth of a second for each), then "done BYTES" or "error CLASS: MESSAGE | MEND".
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "builders/worker/fetch.h"
#include "core/mem.h"
#include "core/parse.h"

#define WAIT_MAX_NS 50000000l

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
		    struct timespec *rest)
{
	struct timespec shorter = *time;

	(void)clock;
	(void)flags;
	printf("wait %lld\n", (long long)time->tv_sec * 1000 + time->tv_nsec / 1000000);
	fflush(stdout);
	if (shorter.tv_sec > 0 || shorter.tv_nsec > WAIT_MAX_NS)
		shorter = (struct timespec){ .tv_nsec = WAIT_MAX_NS };
	(void)rest;
	syscall(SYS_nanosleep, &shorter, NULL);
	return 0;
}

static void progress(void *data, uint64_t done, uint64_t total)
{
	uint64_t *last = data;

	if (total > 0 && done > total)
		printf("progress beyond its end\n");
	*last = done;
}

int main(int argc, char **argv)
{
	uint64_t bytes = 0, last = 0;
	struct fetch fetch = { .progress = progress, .data = &last, .stall_s = 1 };
	_cleanup_(err_done) struct err err = { 0 };

	if (argc != 6 || !digest_parse_hex(argv[2], &fetch.expected) ||
	    !parse_u64(argv[3], &fetch.bytes))
		return 2;
	fetch.url = argv[1];
	fetch.plain_http = getenv("FETCH_PLAIN") != NULL;
	fetch.any_digest = getenv("FETCH_ANY") != NULL;
	if (fetch.any_digest) {
		fetch.bytes_max = fetch.bytes;
		fetch.bytes = 0;
	}
	fetch.ca_file = strcmp(argv[5], "-") ? argv[5] : NULL;
	fetch.out = open(argv[4], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fetch.out < 0)
		return 2;
	if (fetch_run(&fetch, &bytes, NULL, &err) < 0) {
		printf("error %s: %s | %s\n", err_class(err.code), err.msg,
		       err.mend ? err.mend : "no mend");
		return 1;
	}
	if (err.code || err.msg || (last && last != bytes))
		printf("leftovers\n");
	printf("done %llu\n", (unsigned long long)bytes);
	return 0;
}
