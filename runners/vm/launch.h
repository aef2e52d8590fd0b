/*
 * QEMU in its jail: an emulator is assumed lost to its guest, so it gets namespaces of its own, an id
 * without rights, a root with the system's libraries and nothing else, no network, no capabilities,
 * a filter, and the descriptors that it needs.
 */
#ifndef DUET_RUNNERS_VM_LAUNCH_H
#define DUET_RUNNERS_VM_LAUNCH_H

#include "core/err.h"
#include "core/jail/jail.h"
#include "core/jail/notify.h"
#include "core/str.h"
#include "runners/vm/qemu.h"

#define LAUNCH_FILES_MAX 2

struct launch {
	int program;		/* borrowed; QEMU's binary */
	const struct qemu_machine *machine;	/* borrowed */
	int fds[QEMU_FD_END];	/* borrowed; by enum qemu_fd; -1: none */
	int words;		/* borrowed; gets QEMU's own standard output and errors */
	int vmlinux;		/* borrowed; with machine->kernel */
	const struct str *initrd;	/* borrowed; with machine->kernel */
	/* what QEMU opens read and write by name: its memory's file, /dev/kvm */
	struct notify_file files[LAUNCH_FILES_MAX];
	size_t file_count;
	int control;		/* borrowed; our end of QMP: readable once QEMU has started */
};

/* Opens QEMU: $DUET_QEMU, else a folder of the system's. ERR_HOST with the mend when there is none. */
int launch_find(int *ret_program, struct err *err);
/*
 * Starts QEMU and returns when it runs (with files to be opened: when it has opened them). Must be
 * called on the main thread. ERR_HOST, ERR_VM.
 */
int launch_start(const struct launch *launch, struct jail *ret, struct err *err);

#endif
