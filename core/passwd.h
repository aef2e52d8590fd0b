/*
 * The text of an image's /etc/passwd and /etc/group (passwd(5), group(5)): who is meant by
 * "USER[:GROUP]". Pure. Both texts are hostile: an entry with a malformed number, a line over
 * PASSWD_LINE_MAX or a NUL refuses the whole file, so that nobody becomes another user, least of
 * all root, through a reader that guesses.
 */
#ifndef DUET_CORE_PASSWD_H
#define DUET_CORE_PASSWD_H

#include <stddef.h>

#include "core/err.h"
#include "core/job.h"

#define PASSWD_FILE_MAX (1024 * 1024)	/* bytes of either file */
#define PASSWD_LINE_MAX 4096		/* bytes of one line, without its newline */
#define PASSWD_NAME_MAX 256		/* bytes of a user's or group's name */

/* One of the two files. */
struct passwd_text {
	const char *text;	/* borrowed; NULL: the image has no such file */
	size_t size;
};

/*
 * Resolves "USER[:GROUP]". Digits are always ids, never names; a name begins with a letter or "_".
 * NULL and "" are uid 0. A user without a group gets the gid of its passwd entry (0 when there is
 * none, as engines do) and the groups that list its name as a member; with a group given there are
 * no supplementary ones. The first matching entry counts. "root" is 0 where there is no passwd at
 * all. Everything else that cannot be found is refused. Errors: ERR_JOB_USER.
 */
int passwd_identity(const char *user, const struct passwd_text *passwd,
		    const struct passwd_text *group, struct identity *ret, struct err *err);

#endif
