/* System call filters: see filter.h; their rules are in filter_table.h. */
#include "core/jail/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/digest.h"
#include "core/jail/filter_code.h"
#include "core/mem.h"

static const struct filter filters[FILTER_COUNT] = {
    [FILTER_JOB] = {"job", job_code, ARRAY_SIZE(job_code)},
    [FILTER_JOB_SINGLE] = {"job-single", job_single_code, ARRAY_SIZE(job_single_code)},
    [FILTER_UNPACK] = {"unpack", unpack_code, ARRAY_SIZE(unpack_code)},
    [FILTER_FETCH] = {"fetch", fetch_code, ARRAY_SIZE(fetch_code)},
    [FILTER_QEMU] = {"qemu", qemu_code, ARRAY_SIZE(qemu_code)},
    [FILTER_OWNERS] = {"owners", owners_code, ARRAY_SIZE(owners_code)},
    [FILTER_NO_SETID] = {"no-setid", no_setid_code, ARRAY_SIZE(no_setid_code)},
};

const struct filter *filter_get(enum filter_kind kind)
{
	return &filters[kind];
}

int filter_load_gaining(enum filter_kind kind, struct err *err)
{
	const struct filter *filter = filter_get(kind);
	const struct sock_fprog program = {
	    .len = filter->length,
	    .filter = (struct sock_filter *)filter->code, /* the kernel only reads it */
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return err_sys(err, errno, "load the system call filter %s",
			       filter->name);
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
		return err_set(err, -EPERM,
			       "load the system call filter %s: it is not there when "
			       "read back",
			       filter->name);
	return 0;
}

/* PR_GET_SECCOMP says that there is a filter, not how many: without this one it is EBADF. */
int filter_load_no_setid(struct err *err)
{
	if (filter_load_gaining(FILTER_NO_SETID, err) < 0)
		return -1;
	if (fchmod(-1, S_ISUID) == 0 || errno != EPERM)
		return err_set(err, -EPERM,
			       "load the system call filter %s: it refuses nothing when "
			       "tried",
			       filter_get(FILTER_NO_SETID)->name);
	return 0;
}

int filter_load(enum filter_kind kind, struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "set no_new_privs");
	if (filter_load_gaining(kind, err) < 0)
		return -1;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return err_set(err, -EPERM,
			       "set no_new_privs: it is not set when read back");
	return 0;
}

void filter_digest(enum filter_kind kind, char ret_hex[65])
{
	const struct filter *filter = filter_get(kind);
	struct digest digest;

	digest_of(filter->code, filter->length * sizeof(filter->code[0]), &digest);
	digest_hex(&digest, ret_hex);
}
