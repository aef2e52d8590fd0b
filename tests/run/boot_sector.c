/*
 * QEMU as the VM runner starts it, in its jail, with a floppy whose boot sector is here: it writes a
 * text to the first serial line and ends QEMU with an exit code. Neither a kernel nor an image.
 *
 *	boot_sector tcg|kvm FLOPPY
 *
 * FLOPPY is a file that it makes. Prints what our console read, then "exit CODE"; QEMU's own words go
 * to standard error. Exit code 1 when nothing comes in TIMEOUT_MS (then "exit none").
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/proc.h"
#include "runners/vm/vm.h"

#define FLOPPY_BYTES 1474560
#define SECTOR_BYTES 512
#define TIMEOUT_MS 60000
#define TEXT "duet: real mode\r\n"

/* 16-bit x86 at 0x7c00 */
static const uint8_t code[] = {
	0x31, 0xc0,		/* xor ax, ax */
	0x8e, 0xd8,		/* mov ds, ax */
	0xfc,			/* cld */
	0xbe, 0x28, 0x7c,	/* mov si, text */
	0xac,			/* next: lodsb */
	0x84, 0xc0,		/* test al, al */
	0x74, 0x12,		/* jz done */
	0x88, 0xc4,		/* mov ah, al */
	0xba, 0xfd, 0x03,	/* mov dx, 0x3fd: the line's state */
	0xec,			/* wait: in al, dx */
	0xa8, 0x20,		/* test al, 0x20: it takes a byte */
	0x74, 0xfb,		/* jz wait */
	0x88, 0xe0,		/* mov al, ah */
	0xba, 0xf8, 0x03,	/* mov dx, 0x3f8 */
	0xee,			/* out dx, al */
	0xeb, 0xe9,		/* jmp next */
	0xba, 0xf4, 0x00,	/* done: mov dx, 0xf4: isa-debug-exit */
	0xb0, 0x15,		/* mov al, 0x15: exit code 0x15 << 1 | 1 */
	0xee,			/* out dx, al */
	0xf4,			/* halt: hlt */
	0xeb, 0xfd,		/* jmp halt */
	/* 0x7c28: text */
};

static int make_floppy(const char *path)
{
	uint8_t sector[SECTOR_BYTES] = { 0 };
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memcpy(sector, code, sizeof(code));
	memcpy(sector + sizeof(code), TEXT, sizeof(TEXT));
	sector[SECTOR_BYTES - 2] = 0x55;
	sector[SECTOR_BYTES - 1] = 0xaa;
	if (fd < 0 || fs_write_all(fd, sector, sizeof(sector)) < 0 || ftruncate(fd, FLOPPY_BYTES) < 0)
		return -1;
	close(fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Until QEMU has ended; false when it does not. */
static bool listen_to(struct guest *guest)
{
	for (;;) {
		struct pollfd polls[] = {
			{ .fd = guest->console.fd, .events = POLLIN },
			{ .fd = guest->words.fd, .events = POLLIN },
			{ .fd = guest->jail.pidfd, .events = POLLIN },
		};

		if (poll(polls, ARRAY_SIZE(polls), TIMEOUT_MS) <= 0)
			return false;
		console_read(&guest->console);
		console_read(&guest->words);
		if (polls[2].revents)
			return true;
	}
}

int main(int argc, char **argv)
{
	struct guest *guest = xcalloc(1, sizeof(*guest));
	struct vm vm = { .program = -1 };
	struct guest_start start = {
		.machine = { .memory_bytes = 32 << 20, .cpus = 1, .floppy = true },
	};
	struct err err = { 0 };
	bool ended;

	if (argc != 3)
		return 2;
	start.machine.kvm = !strcmp(argv[1], "kvm");
	start.floppy = make_floppy(argv[2]);
	if (start.floppy < 0) {
		perror(argv[2]);
		return 99;
	}
	if (launch_find(&vm.program, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 77;
	}
	if (guest_start(&vm, &start, guest, &err) < 0) {
		fprintf(stderr, "%s\n%s", err.msg, guest->words.text);
		return 98;
	}
	ended = listen_to(guest);
	printf("%s", guest->console.text);
	fprintf(stderr, "%s", guest->words.text);
	if (ended)
		printf("exit %d\n", jail_wait(&guest->jail));
	else
		printf("exit none\n");
	guest_kill(guest);
	free(guest);
	return ended ? 0 : 1;
}
