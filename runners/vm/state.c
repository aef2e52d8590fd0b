/*
 * Saved states. A guest that has just said HELLO is the same whatever image and job come: its disks
 * are placeholders, its root is not made yet. It is saved once, and every run starts from there:
 *
 *	make	QEMU_RAM_SAVE: the guest's memory is a file of the store, written as it runs; once the
 *		guest is ready, the rest of its state (half a megabyte) is written beside it
 *	start	QEMU_RAM_RESTORE: the memory is that file, mapped privately. QEMU gets a descriptor that
 *		cannot write, whatever it asks for (notify.h): no guest can change what others start
 *		from. The real disks are in the placeholders' places
 *
 * After a start the guest is told the time and gets a seed before anything of the image runs.
 * Under KVM a boot takes less than a second, and a state holds what depends on the host's processor
 * and kernel: states are for TCG.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/digest.h"
#include "core/json.h"
#include "core/log.h"
#include "runners/vm/qmp.h"
#include "runners/vm/vm.h"

#define FORMAT "duet-state-1"	/* raised when a state must not be taken for one of before */
#define READY_MS 120000
#define SAVE_MS 60000
#define SAVE_POLL_MS 5
#define LAYER_BYTES (1ull << 40)	/* of a placeholder: no layer is larger */

#define CAPABILITIES "{\"execute\":\"qmp_capabilities\"}\n"
#define SHARED "{\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":" \
	       "[{\"capability\":\"x-ignore-shared\",\"state\":true}]}}\n"

/* The machine as a state of it has it: placeholders for all disks. */
static void saved_machine(const struct vm *vm, struct qemu_machine *ret)
{
	*ret = vm->machine;
	ret->ram = QEMU_RAM_SAVE;
	ret->kernel = true;
	for (size_t i = 0; i < ret->disk_count; i++)
		ret->disks[i].placeholder_bytes =
			ret->disks[i].writable ? vm->job->vm.root_bytes : LAYER_BYTES;
}

void state_key(const struct vm *vm, char ret[DIGEST_HEX_SIZE])
{
	struct qemu_machine machine;
	struct strv argv = { 0 };
	struct digest digest;
	struct stat st = { 0 };
	struct sha256 hash;
	uint64_t qemu[4];

	saved_machine(vm, &machine);
	qemu_argv(&machine, &argv);
	fstat(vm->program, &st);
	qemu[0] = (uint64_t)st.st_ino;
	qemu[1] = (uint64_t)st.st_size;
	qemu[2] = (uint64_t)st.st_mtim.tv_sec;
	qemu[3] = (uint64_t)st.st_mtim.tv_nsec;
	sha256_init(&hash);
	sha256_add_text(&hash, FORMAT);
	sha256_add_field(&hash, qemu, sizeof(qemu));
	sha256_add_field(&hash, &vm->rootfs->kernel.id, sizeof(vm->rootfs->kernel.id));
	sha256_add_field(&hash, vm->init, vm->init_size);
	sha256_add_field(&hash, vm->fixed.text, vm->fixed.length);
	for (size_t i = 0; i < argv.count; i++)
		sha256_add_text(&hash, argv.items[i]);
	sha256_end(&hash, &digest);
	digest_hex(&digest, ret);
	strv_done(&argv);
}

static void pause_ms(long ms)
{
	const struct timespec time = { .tv_nsec = ms * 1000000 };

	nanosleep(&time, NULL);
}

/* Waits until the state is written. */
static int wait_for_state(struct qmp *qmp, struct err *err)
{
	const int64_t end_ms = clock_ms() + SAVE_MS;
	int64_t left;

	while ((left = end_ms - clock_ms()) > 0) {
		_cleanup_free_ char *answer = NULL, *status = NULL;

		qmp->timeout_ms = left < QMP_TIMEOUT_MS ? (int)left : QMP_TIMEOUT_MS;
		if (qmp_run(qmp, "{\"execute\":\"query-migrate\"}\n", -1, &answer, err) < 0)
			return -1;
		if (json_look(answer, strlen(answer), "return.status", &status) && status) {
			if (!strcmp(status, "completed"))
				return 0;
			if (!strcmp(status, "failed") || !strcmp(status, "cancelled"))
				return err_set(err, ERR_VM, "save the state: QEMU could not");
		}
		pause_ms(SAVE_POLL_MS);
	}
	return err_set(err, ERR_VM, "save the state: QEMU takes too long");
}

static int save(struct guest *guest, int state, struct err *err)
{
	_cleanup_(qmp_done) struct qmp qmp = { .fd = guest->control };

	if (qmp_run(&qmp, CAPABILITIES, -1, NULL, err) < 0 ||
	    qmp_run(&qmp, SHARED, -1, NULL, err) < 0 ||
	    qmp_run(&qmp, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"state\"}}\n", state,
		    NULL, err) < 0 ||
	    qmp_run(&qmp, "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"fd:state\"}}\n", -1, NULL,
		    err) < 0)
		return -1;
	return wait_for_state(&qmp, err);
}

static int boot_and_save(const struct vm *vm, int ram, int state, struct err *err)
{
	_cleanup_(str_done) struct str initrd = { 0 };
	struct guest_start start = { .vmlinux = vm->rootfs->kernel.vmlinux, .initrd = &initrd,
				     .ram = ram };
	struct agent_run run = { .hello_ms = READY_MS };
	_cleanup_free_ struct guest *guest = xcalloc(1, sizeof(*guest));
	int result;

	saved_machine(vm, &start.machine);
	if (vm_make_initrd(vm, &initrd, err) < 0 || guest_start(vm, &start, guest, err) < 0)
		return -1;
	guest_watch(guest, &run);
	result = agent_wait_hello(&run, err);
	if (result < 0)
		guest_blame(guest, err);
	else
		result = save(guest, state, err);
	guest_kill(guest);
	return result;
}

static int make_in(const struct vm *vm, struct store_tmp *tmp, const char *key, struct err *err)
{
	const char *const *files = store_item_files(STORE_STATE);
	int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_close_ int ram = openat(tmp->dir, files[0], flags, 0600);
	_cleanup_close_ int state = openat(tmp->dir, files[1], flags, 0600);

	if (ram < 0 || state < 0 || ftruncate(ram, (off_t)vm->job->vm.memory_bytes) < 0)
		return err_sys_as(err, ERR_STORE, errno, "make a saved state");
	if (boot_and_save(vm, ram, state, err) < 0)
		return -1;
	return store_item_publish(vm->store, tmp, STORE_STATE, key, vm->rootfs->kernel.release, err);
}

static int make(const struct vm *vm, const char *key, struct err *err)
{
	struct err ignored = { 0 };
	struct store_tmp tmp;
	int result;

	if (store_tmp_new(vm->store, &tmp, err) < 0)
		return -1;
	log_debug("no saved state of this machine yet: it is booted once and saved");
	result = make_in(vm, &tmp, key, err);
	(void)store_tmp_drop(vm->store, &tmp, &ignored);
	err_done(&ignored);
	return result;
}

static int start_from(const struct vm *vm, const struct store_item *item, struct guest *ret,
		      struct err *err)
{
	static const char incoming[] = CAPABILITIES SHARED
		"{\"execute\":\"migrate-incoming\",\"arguments\":{\"uri\":\"fd:%d\"}}\n";
	char commands[sizeof(incoming) + 16];
	int disks[QEMU_DISKS_MAX];
	struct guest_start start = { .machine = vm->machine, .ram = item->files[0],
				     .state = item->files[1], .disks = disks,
				     .commands = commands };

	snprintf(commands, sizeof(commands), incoming, QEMU_FD_STATE);
	start.machine.ram = QEMU_RAM_RESTORE;
	for (size_t i = 0; i < vm->rootfs->disk_count; i++)
		disks[i] = vm->rootfs->disks[i].image;
	disks[vm->rootfs->disk_count] = vm->scratch;
	return guest_start(vm, &start, ret, err);
}

int state_start(const struct vm *vm, struct guest *ret, struct err *err)
{
	char key[DIGEST_HEX_SIZE];
	struct store_item item;
	int found, result;

	state_key(vm, key);
	found = store_item_open(vm->store, STORE_STATE, key, &item, err);
	if (found == 0) {
		if (make(vm, key, err) < 0)
			return -1;
		found = store_item_open(vm->store, STORE_STATE, key, &item, err);
		if (found == 0)
			return err_set(err, ERR_STORE, "open a state just saved");
	}
	if (found < 0)
		return -1;
	result = start_from(vm, &item, ret, err);
	store_item_done(&item);
	return result;
}
