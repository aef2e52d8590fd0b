/* The parts of fake_qemu: what it tries, and what it was told to go for. */
#ifndef DUET_TESTS_FAKE_QEMU_H
#define DUET_TESTS_FAKE_QEMU_H

#include <stdbool.h>

#include "runners/vm/qemu.h"

#define X32_BIT 0x40000000l

struct fake_try {
	const char *name;
	bool (*try)(void);	/* true when it got out */
};

#define TRY(function) { #function, function }

/* Each ends with a row without a name. */
extern const struct fake_try fake_file_tries[];		/* fake_qemu_files.c: files and descriptors */
extern const struct fake_try fake_world_tries[];	/* fake_qemu_world.c: all else */

/* Of the line on the control socket: see fake_qemu.c. */
extern char mode[8], dir[256];
extern int port, parent, shm_key;
extern int ram;	/* the guest's memory */

bool fake_opens(const char *path, int flags);
bool outlive(void);

#endif
