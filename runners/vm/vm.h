/* The VM runner: what its files share. */
#ifndef DUET_RUNNERS_VM_VM_H
#define DUET_RUNNERS_VM_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"
#include "core/rootfs.h"
#include "core/str.h"
#include "runners/agent.h"
#include "runners/runner.h"
#include "runners/vm/accel.h"
#include "runners/vm/console.h"
#include "runners/vm/launch.h"
#include "runners/vm/qemu.h"

#define VM_TCG_FACTOR 4	/* a job's time-out is so much longer where the guest is emulated */

/* Everything a run needs, made before anything starts. */
struct vm {
	struct store *store;		/* borrowed */
	const struct rootfs *rootfs;	/* borrowed */
	const struct job *job;		/* borrowed */
	int program;			/* owned; QEMU's binary */
	char *init;			/* owned; duet-init's bytes */
	size_t init_size;
	struct str fixed;		/* owned; the mounts that are the same for every job */
	int scratch;			/* owned; the scratch disk, or -1 */
	bool kvm;
	bool kvm_is_proven;		/* a guest has said hello under this KVM since the host booted */
	struct qemu_machine machine;	/* without a kernel's or a state's part */
};

/* A started QEMU and our ends of its sockets. */
struct guest {
	struct jail jail;
	int agent, console_fd, control, words_fd;	/* owned */
	struct console console;	/* the guest's serial console */
	struct console words;	/* QEMU's own standard errors */
	struct str replies;	/* QMP lines that came and were not taken: the first of them */
	bool heard;		/* duet-init has spoken */
};

/* ---- guest.c: one QEMU ---- */

struct guest_start {
	struct qemu_machine machine;
	int vmlinux;			/* borrowed; with machine.kernel */
	const struct str *initrd;	/* borrowed; likewise */
	int ram;			/* borrowed; with QEMU_RAM_SAVE and _RESTORE */
	int state;			/* borrowed; with _RESTORE */
	int floppy;			/* borrowed; with machine.floppy */
	const int *disks;		/* borrowed; by number; not looked at for placeholders */
	const char *commands;		/* QMP that QEMU finds waiting for it; NULL: none */
};

/* Starts a machine; guest_kill is to be called when it gave 0. ERR_HOST, ERR_VM. */
int guest_start(const struct vm *vm, const struct guest_start *start, struct guest *ret,
		struct err *err);
/* Ends it, whatever it does. */
void guest_kill(struct guest *guest);
/* What agent_run has to look at beside the channel: console, QEMU's words, QMP. */
void guest_watch(struct guest *guest, struct agent_run *run);
/*
 * After a failure in err: QEMU's end is awaited for a moment, and err becomes why the guest ended,
 * with a mend, where anything tells; the last lines of the console are shown with -v. -1.
 */
int guest_blame(struct guest *guest, struct err *err);

/* ---- setup.c: what the guest is told ---- */

/* The file of mounts that are the same for every job (PROTO_FIXED_FILE). */
void vm_fixed_mounts(struct str *out);
/* An agent_run's setup: `data` is a struct vm. */
void vm_setup(void *data, struct str *out);

/* vm.c: the initramfs. */
int vm_make_initrd(const struct vm *vm, struct str *ret, struct err *err);

/* ---- state.c: saved states ---- */

/* Starts from a saved state, made when there is none; ERR_VM. Only under TCG (see state.c). */
int state_start(const struct vm *vm, struct guest *ret, struct err *err);
/* What the state of this machine is found by: all that matters to it. */
void state_key(const struct vm *vm, char ret[DIGEST_HEX_SIZE]);

extern const struct runner vm_runner;

#endif
