/*
 * The one way to a path of the host that a spec names. Beneath the project's folder, with no link out of it,
 * a spec may name what it likes; anything else is opened only when the user allows it (--allow=paths,
 * the configuration file). Callers get a descriptor and keep it: what was checked is what is used,
 * whatever becomes of the name.
 */
#ifndef DUET_CORE_HOST_PATH_H
#define DUET_CORE_HOST_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "core/allowed.h"
#include "core/err.h"

struct host_paths {
	char *dir;	/* owned; the project's folder, absolute, as the spec's paths begin */
	char *real;	/* owned; the same without links */
	int fd;		/* owned; O_PATH of it */
	const struct allowed *allowed;	/* borrowed; NULL: nothing beyond the project */
};

/* Opens the project's folder. NULL with err. */
struct host_paths *host_paths_new(const char *dir, struct err *err);
void host_paths_free(struct host_paths *host);

/*
 * Opens `path`, absolute. `key` is the spec's, for the message. O_NOFOLLOW: of the last component a link is not
 * followed. Returns a descriptor, or -1: ERR_ALLOW with the word that would do when it leads out of the
 * project (whether it is there or not), or -errno. `host` NULL: there is no project, and nothing in it.
 */
int host_path_open(const struct host_paths *host, const char *key, const char *path, int flags,
		   struct err *err);
/* The same for reading a regular file; anything else is -EINVAL. `ret_st` may be NULL. */
int host_path_open_file(const struct host_paths *host, const char *key, const char *path,
			struct stat *ret_st, struct err *err);
/* Reads such a file whole; more than `max` bytes is -EFBIG. Owned text. */
int host_path_read(const struct host_paths *host, const char *key, const char *path, size_t max,
		   char **ret_text, size_t *ret_size, struct err *err);
/* Where it leads: through its links (but O_NOFOLLOW), or by its text when it is not there. Owned. */
char *host_path_where(const char *path, int flags);
/* Does it lead out of the project? By its text alone when `host` is NULL; `dir` as above. */
bool host_path_leads_out(const struct host_paths *host, const char *dir, const char *path,
			 int flags);

#endif
