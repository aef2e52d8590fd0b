/*
 * KVM or TCG. /dev/kvm may be there, open and answer, and yet hang on a kernel: only a guest that has
 * said hello proves it. So `auto` looks at the processor's flags first, then tries, and remembers the
 * verdict for this boot of the host and this QEMU in the store ("accel": BOOT-ID QEMU VERDICT).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "runners/vm/vm.h"

#define FILE_NAME "accel"
#define CPUINFO_MAX (4u << 20)

enum verdict { VERDICT_NONE, VERDICT_WORKS, VERDICT_BROKEN, VERDICT_TOLD };

static const char *const words[] = {
	[VERDICT_NONE] = "none", [VERDICT_WORKS] = "works", [VERDICT_BROKEN] = "broken",
	[VERDICT_TOLD] = "told", /* there is none, and the user knows */
};

/* "BOOT-ID QEMU ": what a verdict is for. Owned. */
static char *subject(const struct vm *vm)
{
	_cleanup_free_ char *boot = NULL;
	struct err ignored = { 0 };
	struct stat st = { 0 };

	if (fs_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &boot, NULL,
			 &ignored) == 0)
		boot[strcspn(boot, "\n")] = '\0';
	err_done(&ignored);
	fstat(vm->program, &st);
	return xasprintf("%s %llu-%llu-%lld ", boot ? boot : "-", (unsigned long long)st.st_ino,
			 (unsigned long long)st.st_size, (long long)st.st_mtim.tv_sec);
}

static enum verdict recall(const struct vm *vm)
{
	_cleanup_free_ char *text = NULL, *about = subject(vm);
	enum verdict found = VERDICT_NONE;
	struct err ignored = { 0 };

	if (fs_read_file(vm->store->dir, FILE_NAME, 512, &text, NULL, &ignored) == 0 &&
	    str_has_prefix(text, about))
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			if (str_has_prefix(text + strlen(about), words[i]))
				found = (enum verdict)i;
	err_done(&ignored);
	return found;
}

/* A verdict that cannot be written is found out again. */
static void remember(const struct vm *vm, enum verdict verdict)
{
	_cleanup_free_ char *about = subject(vm), *text = xasprintf("%s%s\n", about, words[verdict]);
	struct err ignored = { 0 };

	(void)fs_replace_file(vm->store->dir, FILE_NAME, text, strlen(text), 0600, &ignored);
	err_done(&ignored);
}

void accel_remember(struct vm *vm, bool works)
{
	remember(vm, works ? VERDICT_WORKS : VERDICT_BROKEN);
	vm->kvm_is_proven = works;
}

static bool has_flags(void)
{
	_cleanup_free_ char *text = NULL;
	struct err ignored = { 0 };
	bool found = fs_read_file(AT_FDCWD, "/proc/cpuinfo", CPUINFO_MAX, &text, NULL,
				  &ignored) == 0 &&
		     (strstr(text, " vmx") || strstr(text, " svm"));

	err_done(&ignored);
	return found;
}

/* The device alone: `accel: kvm` is the user's word that it works. */
static const char *why_no_device(const char **ret_mend)
{
	_cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	*ret_mend = NULL;
	if (fd < 0 && errno == ENOENT) {
		*ret_mend = "sudo modprobe kvm_intel or kvm_amd; in a VM: nested virtualization";
		return "/dev/kvm is not there";
	}
	if (fd < 0) {
		*ret_mend = "sudo usermod -aG kvm $USER, and log in again";
		return "/dev/kvm cannot be opened";
	}
	return NULL;
}

const char *accel_why_not(const char **ret_mend)
{
	const char *why = why_no_device(ret_mend);

	return !why && !has_flags() ? "the processor shows neither vmx nor svm" : why;
}

int accel_choose(struct vm *vm, struct err *err)
{
	const char *mend, *why;
	enum verdict verdict;

	if (vm->job->vm.accel == ACCEL_TCG)
		return 0;
	if (vm->job->vm.accel == ACCEL_KVM) {
		why = why_no_device(&mend);
		vm->kvm = !why;
		if (!why)
			return 0;
		err_set(err, ERR_HOST, "run a guest with KVM: %s", why);
		return err_mend(err, "%s; or target.vm.accel: auto", mend);
	}
	verdict = recall(vm);
	why = accel_why_not(&mend);
	if (!why && verdict == VERDICT_BROKEN)
		why = "no guest came up with it";
	vm->kvm = !why;
	vm->kvm_is_proven = vm->kvm && verdict == VERDICT_WORKS;
	if (vm->kvm)
		return 0;
	/* never silent: once since the host booted for everybody, always for those who ask */
	if (verdict == VERDICT_NONE) {
		log_note("no KVM (%s): the guest is emulated (TCG), several times slower", why);
		remember(vm, VERDICT_TOLD);
	} else {
		log_debug("no KVM (%s): the guest is emulated (TCG)", why);
	}
	return 0;
}
