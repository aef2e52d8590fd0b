/*
 * For erofs.sh: EROFS files by duet-worker in its jail. erofs_worker BLOB FILE [LOWER...], or
 * erofs_worker -m FILE LOWER... to merge.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "builders/worker/client.h"
#include "core/mem.h"

int main(int argc, char **argv)
{
	struct worker_request request = { .version = WORKER_VERSION, .op = WORKER_EROFS };
	int fds[WORKER_LOWER_MAX + 2], first = 1;
	struct worker_reply reply;
	struct idmap map;
	struct err err = { 0 };
	const char *why;
	size_t count = 0;

	if (argc > 1 && !strcmp(argv[1], "-m")) {
		request.op = WORKER_MERGE;
		first = 2;
	}
	for (int i = first; i < argc && count < ARRAY_SIZE(fds); i++) {
		bool out = i == 2;	/* in both forms */
		int fd = open(argv[i], (out ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY) | O_CLOEXEC,
			      0644);

		if (fd < 0) {
			perror(argv[i]);
			return 2;
		}
		fds[count++] = fd;
	}
	request.fd_count = (uint32_t)count;
	if (idmap_find(&map, false, &why, &err) < 0 ||
	    worker_run(&map, &request, fds, count, "erofs", &reply, &err) < 0) {
		fprintf(stderr, "%s: %s\n", err_class(err.code), err.msg);
		return 1;
	}
	printf("entries %llu bytes %llu\n", (unsigned long long)reply.entries,
	       (unsigned long long)reply.tree_bytes);
	return 0;
}
