/*
 * The VM runner: QEMU in a jail, the layers as disks, duet-init as the guest's PID 1, the agent over a
 * virtio-serial port.
 *
 *	duet (here)			QEMU, in its jail		the guest
 *	(1) accel, scratch disk,
 *	    initramfs, argv
 *	(2) jail, exec		->	machine, disks by descriptor
 *	    cold: boots the kernel			->	guest.c: modules, the port, HELLO
 *	    from a saved state: the guest is where HELLO was said (state.c)
 *	(3) agent_run		<------- the port ------->	WELCOME, SETUP (root.c), START, the job
 *	(4) kills QEMU: nothing of the guest is left
 *
 * What the guest sends are frames of the protocol, bytes of its console and what goes through virtio:
 * nothing of it names an object of the host. Whatever ends duet ends QEMU: its death signal.
 */
#include "runners/vm/vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/log.h"
#include "core/proc.h"
#include "runners/explain.h"
#include "runners/vm/initrd.h"

#define HELLO_MS 120000		/* an emulated boot takes 3 s; a loaded host is slower */
#define HELLO_KVM_MS 30000
#define HELLO_UNPROVEN_MS 10000	/* for a KVM that has not run a guest yet: it may hang for ever */
#define EXIT_KILLED 137
#define INIT_BYTES_MAX (4u << 20)
#define MODULES_BYTES_MAX (64u << 20)

/* ---- before anything starts ------------------------------------------------------------------ */

static int check_job(const struct job *job, struct err *err)
{
	for (size_t i = 0; i < job->mount_count; i++) {
		if (job->mounts[i].kind != MOUNT_BIND)
			continue;
		err_set(err, ERR_USAGE, "run on vm: mount %s: a VM has no folders of the host yet",
			job->mounts[i].source);
		return err_mend(err, "--on container, or a copy step puts it into the image");
	}
	return 0;
}

/* A file without a name that holds an empty ext4. */
static int make_scratch(struct vm *vm, struct err *err)
{
	_cleanup_free_ char *program = NULL, *path = NULL;
	char *argv[] = { "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-E",
			 "lazy_itable_init=1,nodiscard,root_owner=0:0", NULL, NULL };
	pid_t self = getpid(), pid;
	int code;

	if (vm->job->vm.root_bytes == 0)
		return 0;
	program = proc_find_helper("mke2fs");
	if (!program) {
		err_set(err, ERR_HOST, "make a scratch disk: mke2fs is not installed");
		return err_mend(err, "sudo apt-get install e2fsprogs");
	}
	if (store_blob_new(vm->store, &vm->scratch, err) < 0)
		return -1;
	if (ftruncate(vm->scratch, (off_t)vm->job->vm.root_bytes) < 0)
		return err_sys_as(err, ERR_STORE, errno, "make a scratch disk");
	path = xasprintf("/proc/%d/fd/%d", (int)self, vm->scratch);
	argv[ARRAY_SIZE(argv) - 2] = path;
	pid = fork();
	if (pid == 0) {
		proc_set_apart(self);
		execv(program, argv);
		_exit(127);
	}
	code = pid < 0 ? -1 : proc_wait(pid);
	if (code != 0)
		return err_set(err, ERR_HOST, "make a scratch disk: mke2fs failed (%d)", code);
	return 0;
}

static void plan_machine(struct vm *vm)
{
	struct qemu_machine *machine = &vm->machine;

	*machine = (struct qemu_machine){ .kvm = vm->kvm, .cpus = vm->job->vm.cpus,
					  .memory_bytes = vm->job->vm.memory_bytes };
	machine->disk_count = vm->rootfs->disk_count;
	if (vm->job->vm.root_bytes)
		machine->disks[machine->disk_count++].writable = true;
}

static int prepare(struct vm *vm, struct err *err)
{
	_cleanup_close_ int init = -1;

	if (check_job(vm->job, err) < 0 || launch_find(&vm->program, err) < 0)
		return -1;
	init = proc_open_own("duet-init", err);
	if (init < 0 ||
	    fs_read_fd(init, "duet-init", INIT_BYTES_MAX, &vm->init, &vm->init_size, err) < 0 ||
	    accel_choose(vm, err) < 0)
		return -1;
	vm_fixed_mounts(&vm->fixed);
	plan_machine(vm);
	return 0;
}

static void vm_done(struct vm *vm)
{
	mem_closep(&vm->program);
	mem_closep(&vm->scratch);
	str_done(&vm->fixed);
	free(vm->init);
}

int vm_make_initrd(const struct vm *vm, struct str *ret, struct err *err)
{
	_cleanup_free_ char *modules = NULL;
	size_t size;

	if (fs_read_fd(vm->rootfs->kernel.modules, "the kernel's modules", MODULES_BYTES_MAX,
		       &modules, &size, err) < 0)
		return -1;
	initrd_make(&(struct initrd){ modules, size, vm->init, vm->init_size, &vm->fixed }, ret);
	return 0;
}

/* ---- the run --------------------------------------------------------------------------------- */

static int boot(const struct vm *vm, struct guest *ret, struct err *err)
{
	_cleanup_(str_done) struct str initrd = { 0 };
	int disks[QEMU_DISKS_MAX];
	struct guest_start start = { .machine = vm->machine, .initrd = &initrd, .disks = disks,
				     .vmlinux = vm->rootfs->kernel.vmlinux };

	if (vm_make_initrd(vm, &initrd, err) < 0)
		return -1;
	start.machine.kernel = true;
	for (size_t i = 0; i < vm->rootfs->disk_count; i++)
		disks[i] = vm->rootfs->disks[i].image;
	disks[vm->rootfs->disk_count] = vm->scratch;
	return guest_start(vm, &start, ret, err);
}

/* The job with its time-out made longer for an emulated guest. */
static void scale(const struct vm *vm, struct job *job)
{
	*job = *vm->job;
	if (vm->kvm || job->timeout_ms == 0)
		return;
	job->timeout_ms *= VM_TCG_FACTOR;
	log_note("the guest is emulated: the time-out of %llu ms is taken as %llu ms",
		 (unsigned long long)vm->job->timeout_ms, (unsigned long long)job->timeout_ms);
}

/* What the job's exit code says nothing of. */
static void tell_ends(const struct job *job, const struct guest *guest, bool full)
{
	if (console_out_of_memory(guest->console.text))
		log_note("the guest ran out of its %llu MiB of memory (target.vm.memory)",
			 (unsigned long long)(job->vm.memory_bytes >> 20));
	if (full)
		log_note("the job's root is full (%s)", job->vm.root_bytes
				? "target.vm.root_size"
				: "it is in memory: target.vm.root_size, target.vm.memory");
}

static int talk(struct vm *vm, struct guest *guest, bool eager, int *ret_code, struct err *err)
{
	bool full = false;
	struct agent_run run = {
		.in = vm->job->no_stdin ? -1 : STDIN_FILENO,
		.out = STDOUT_FILENO,
		.errors = STDERR_FILENO,
		.hello_ms = !vm->kvm		? HELLO_MS
			    : vm->kvm_is_proven ? HELLO_KVM_MS
						: HELLO_UNPROVEN_MS,
		.eager = eager,
		.setup = vm_setup,
		.setup_data = vm,
		.full = &full,
	};
	struct job job;

	scale(vm, &job);
	guest_watch(guest, &run);
	if (agent_run(&run, &job, ret_code, err) < 0)
		return err->code == ERR_AGENT ? guest_blame(guest, err) : -1;
	console_drain(&guest->console);
	tell_ends(vm->job, guest, full);
	return 0;
}

/* One start, to the job's end. *ret_heard: the guest came up. */
static int run_once(struct vm *vm, int *ret_code, bool *ret_heard, struct err *err)
{
	_cleanup_free_ struct guest *guest = xcalloc(1, sizeof(*guest));
	bool saved = vm->job->vm.snapshot && !vm->kvm;
	int result;

	log_debug("the guest starts %s, accelerated by %s", saved ? "from a saved state" : "cold",
		  vm->kvm ? "KVM" : "nothing (TCG)");
	result = saved ? state_start(vm, guest, err) : boot(vm, guest, err);
	/* the disks and the state have locks of their own: gc and other builds may go on */
	store_unlock(vm->store);
	if (result < 0)
		return -1;
	result = talk(vm, guest, saved, ret_code, err);
	*ret_heard = guest->heard;
	guest_kill(guest);
	return result;
}

static int run(struct vm *vm, int *ret_code, struct err *err)
{
	bool heard = false;
	int result;

	if (make_scratch(vm, err) < 0)
		return -1;
	result = run_once(vm, ret_code, &heard, err);
	if (!vm->kvm || vm->kvm_is_proven)
		return result;
	if (heard || vm->job->vm.accel == ACCEL_KVM) {
		if (heard)
			accel_remember(vm, true);
		return result;
	}
	log_note("no guest came up with KVM (%s): it is emulated (TCG)",
		 err->msg ? err->msg : "no reason");
	err_done(err);
	vm->kvm = false;
	plan_machine(vm);
	if (store_lock_shared(vm->store, err) < 0)
		return -1;
	result = run_once(vm, ret_code, &heard, err);
	/* one that does not come up here either says nothing of KVM */
	if (heard)
		accel_remember(vm, false);
	return result;
}

static int vm_run(struct store *store, const struct rootfs *rootfs, const struct job *job,
		  int *ret_code, struct err *err)
{
	_cleanup_(vm_done) struct vm vm = { .store = store, .rootfs = rootfs, .job = job,
					    .program = -1, .scratch = -1 };

	return prepare(&vm, err) < 0 ? -1 : run(&vm, ret_code, err);
}

/* ---- --explain ------------------------------------------------------------------------------- */

static void explain_argv(const struct qemu_machine *machine, struct str *out)
{
	struct strv argv = { 0 };

	qemu_argv(machine, &argv);
	str_add(out, "qemu\n");
	for (size_t i = 0; i < argv.count; i++)
		str_addf(out, "  %s%s", argv.items[i],
			 argv.items[i][0] == '-' && i + 1 < argv.count &&
					 argv.items[i + 1][0] != '-'
				 ? ""
				 : "\n");
	strv_done(&argv);
}

static int vm_explain(struct store *store, const struct rootfs *rootfs, const struct job *job,
		      char **ret_text, struct err *err)
{
	_cleanup_(vm_done) struct vm vm = { .store = store, .rootfs = rootfs, .job = job,
					    .program = -1, .scratch = -1 };
	char key[DIGEST_HEX_SIZE];
	struct str out = { 0 };

	if (prepare(&vm, err) < 0)
		return -1;
	vm.machine.kernel = true;
	str_addf(&out, "runner       vm\naccel        %s\nkernel       %s\nlayers       %zu\n"
		 "disks        %zu\n", vm.kvm ? "kvm" : "tcg", rootfs->kernel.release,
		 rootfs->layer_count, rootfs->disk_count);
	state_key(&vm, key);
	str_addf(&out, "saved state  %s\n", job->vm.snapshot && !vm.kvm ? key : "off");
	explain_job(job, &out);
	explain_argv(&vm.machine, &out);
	explain_inside(job, false, &out);
	*ret_text = out.text;
	return 0;
}

const struct runner vm_runner = {
	.name = "vm",
	.forms = ROOTFS_DISKS,
	.run = vm_run,
	.explain = vm_explain,
};
