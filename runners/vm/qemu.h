/*
 * QEMU's command line: pure, so that --explain prints it and golden tests hold it. Paths are those
 * inside QEMU's jail (launch.h).
 */
#ifndef DUET_RUNNERS_VM_QEMU_H
#define DUET_RUNNERS_VM_QEMU_H

#include <stdbool.h>
#include <stdint.h>

#include "core/mem.h"
#include "runners/init/proto.h"

#define QEMU_PROGRAM "qemu-system-x86_64"
#define QEMU_KERNEL "/vmlinux"		/* in the jail */
#define QEMU_INITRD "/initrd"
#define QEMU_RAM "/ram"
#define QEMU_DISKS_MAX (PROTO_DISKS_MAX + 1)	/* the layers, and a scratch disk */

/* Descriptors that QEMU is started with. */
enum qemu_fd {
	QEMU_FD_AGENT = 3,	/* sockets: the agent's port, */
	QEMU_FD_CONSOLE,	/* the first serial line, */
	QEMU_FD_CONTROL,	/* QMP */
	QEMU_FD_FLOPPY,		/* the image of a floppy */
	QEMU_FD_STATE,		/* a saved state, by number in a QMP command */
	QEMU_FD_DISK,		/* the first disk's */
	QEMU_FD_END = QEMU_FD_DISK + QEMU_DISKS_MAX
};

/* Where the guest's memory lies. */
enum qemu_ram {
	QEMU_RAM_OWN,		/* in memory of its own */
	QEMU_RAM_SAVE,		/* in the file QEMU_RAM, written to: what a saved state is made of */
	QEMU_RAM_RESTORE	/* in that file, mapped privately: it is not changed */
};

struct qemu_disk {
	bool writable;
	uint64_t placeholder_bytes;	/* not 0: reads as zeros and is as large, for a saved state */
};

struct qemu_machine {
	bool kvm;		/* else TCG */
	uint64_t memory_bytes;
	uint32_t cpus;
	enum qemu_ram ram;
	/* a kernel and its initramfs, at their paths in the jail; neither where a state is restored */
	bool kernel;
	bool floppy;		/* booted instead of a kernel: no agent; port 0xf4 ends QEMU (tests) */
	struct qemu_disk disks[QEMU_DISKS_MAX];
	size_t disk_count;
};

/* The whole argv. */
void qemu_argv(const struct qemu_machine *machine, struct strv *ret);
/* The kernel's command line; no word of it comes from a spec. */
const char *qemu_cmdline(void);

#endif
