/*
 * QEMU as the VM runner starts it, in its jail, with a floppy whose boot sector is here: it writes a
 * text to the first serial line, waits for a byte from there, writes another text, and ends QEMU with
 * an exit code. Neither a kernel nor an image.
 *
 *	boot_sector tcg|kvm|saved DIR
 *
 * `saved`: the guest is saved where it waits, with its memory in a file and a placeholder for a disk,
 * and twice restored from there, the file being as before (runners/vm/state.c does the same with a real
 * guest).
 *
 * DIR is for the files that it makes. Prints what our console read, then "exit CODE"; QEMU's own words
 * go to standard error.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/proc.h"
#include "runners/vm/qmp.h"
#include "runners/vm/vm.h"

#define FLOPPY_BYTES 1474560
#define SECTOR_BYTES 512
#define MEMORY_BYTES (32 << 20)
#define DISK_BYTES (1 << 20)
#define TIMEOUT_MS 60000
#define RESTORES 2
#define FIRST_TEXT "duet: real mode\r\n"
#define SECOND_TEXT "duet: the end\r\n"

#define CAPABILITIES "{\"execute\":\"qmp_capabilities\"}\n"
#define SHARED "{\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":" \
	       "[{\"capability\":\"x-ignore-shared\",\"state\":true}]}}\n"
#define TAKE_FD_STATE "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"state\"}}\n"
#define MIGRATE "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"fd:state\"}}\n"
#define QUERY "{\"execute\":\"query-migrate\"}\n"
#define INCOMING "{\"execute\":\"migrate-incoming\",\"arguments\":{\"uri\":\"fd:7\"}}\n"
_Static_assert(QEMU_FD_STATE == 7, "INCOMING names it");

/* 16-bit x86 at 0x7c00 */
static const uint8_t code[] = {
	0x31, 0xc0,		/* xor ax, ax */
	0x8e, 0xd8,		/* mov ds, ax */
	0xfc,			/* cld */
	0xbe, 0x3e, 0x7c,	/* mov si, first text */
	0xe8, 0x1b, 0x00,	/* call print */
	0xba, 0xfd, 0x03,	/* mov dx, 0x3fd: the line's state */
	0xec,			/* more: in al, dx */
	0xa8, 0x01,		/* test al, 1: a byte has come */
	0x74, 0xfb,		/* jz more */
	0xba, 0xf8, 0x03,	/* mov dx, 0x3f8 */
	0xec,			/* in al, dx */
	0xbe, 0x50, 0x7c,	/* mov si, second text */
	0xe8, 0x09, 0x00,	/* call print */
	0xba, 0xf4, 0x00,	/* mov dx, 0xf4: isa-debug-exit */
	0xb0, 0x15,		/* mov al, 0x15: exit code 0x15 << 1 | 1 */
	0xee,			/* out dx, al */
	0xf4,			/* halt: hlt */
	0xeb, 0xfd,		/* jmp halt */
	0xac,			/* print: lodsb */
	0x84, 0xc0,		/* test al, al */
	0x74, 0x12,		/* jz done */
	0x88, 0xc4,		/* mov ah, al */
	0xba, 0xfd, 0x03,	/* mov dx, 0x3fd */
	0xec,			/* wait: in al, dx */
	0xa8, 0x20,		/* test al, 0x20: it takes a byte */
	0x74, 0xfb,		/* jz wait */
	0x88, 0xe0,		/* mov al, ah */
	0xba, 0xf8, 0x03,	/* mov dx, 0x3f8 */
	0xee,			/* out dx, al */
	0xeb, 0xe9,		/* jmp print */
	0xc3,			/* done: ret */
	/* 0x7c3e: first text, 0x7c50: second text, each ended by NUL */
};

_Static_assert(sizeof(code) == 0x3e && sizeof(FIRST_TEXT) == 0x50 - 0x3e, "where the texts lie");

static const char *dir;
static struct guest guest;
static struct vm vm = { .program = -1 };

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "boot_sector: %s: %s\n%s", what, err->msg ? err->msg : strerror(errno),
		guest.words.text);
	exit(98);
}

static int open_in(const char *name, off_t size, int flags)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0 || ((flags & O_CREAT) && ftruncate(fd, size) < 0))
		die(path, &(struct err){ 0 });
	return fd;
}

static int make_floppy(void)
{
	uint8_t sector[SECTOR_BYTES] = { 0 };
	int fd = open_in("floppy", FLOPPY_BYTES, O_RDWR | O_CREAT | O_TRUNC);

	memcpy(sector, code, sizeof(code));
	memcpy(sector + sizeof(code), FIRST_TEXT, sizeof(FIRST_TEXT));
	memcpy(sector + sizeof(code) + sizeof(FIRST_TEXT), SECOND_TEXT, sizeof(SECOND_TEXT));
	sector[SECTOR_BYTES - 2] = 0x55;
	sector[SECTOR_BYTES - 1] = 0xaa;
	if (fs_write_all(fd, sector, sizeof(sector)) < 0)
		die("write the floppy", &(struct err){ 0 });
	close(fd);
	return open_in("floppy", 0, O_RDONLY);
}

/* Until QEMU has ended or `text` has come: true; false in TIMEOUT_MS. */
static bool listen_to(const char *text)
{
	for (;;) {
		struct pollfd polls[] = {
			{ .fd = guest.console.fd, .events = POLLIN },
			{ .fd = guest.words.fd, .events = POLLIN },
			{ .fd = guest.jail.pidfd, .events = POLLIN },
		};

		if (poll(polls, ARRAY_SIZE(polls), TIMEOUT_MS) <= 0)
			return false;
		console_drain(&guest.console);
		console_drain(&guest.words);
		if (polls[2].revents || (text && strstr(guest.console.text, text)))
			return true;
	}
}

static void start(const struct guest_start *start)
{
	struct err err = { 0 };

	if (guest_start(&vm, start, &guest, &err) < 0)
		die("start", &err);
}

/* The byte that it waits for; what it says then, and its end. */
static void go_on(void)
{
	bool ended;

	(void)!write(guest.console_fd, "g", 1);
	ended = listen_to(NULL);
	printf("%s", guest.console.text);
	fprintf(stderr, "%s", guest.words.text);
	if (ended)
		printf("exit %d\n", jail_wait(&guest.jail));
	else
		printf("exit none\n");
	guest_kill(&guest);
}

/* ---- saved ----------------------------------------------------------------------------------- */

static void save(int state)
{
	_cleanup_(qmp_done) struct qmp qmp = { .fd = guest.control };
	struct err err = { 0 };

	if (qmp_run(&qmp, CAPABILITIES, -1, NULL, &err) < 0 ||
	    qmp_run(&qmp, SHARED, -1, NULL, &err) < 0 ||
	    qmp_run(&qmp, TAKE_FD_STATE, state, NULL, &err) < 0 ||
	    qmp_run(&qmp, MIGRATE, -1, NULL, &err) < 0)
		die("save", &err);
	for (int i = 0; i < 1000; i++) {
		_cleanup_free_ char *answer = NULL;

		if (qmp_run(&qmp, QUERY, -1, &answer, &err) < 0 || strstr(answer, "\"failed\""))
			die("save", &err);
		if (strstr(answer, "\"completed\""))
			return;
		usleep(10000);
	}
	die("save: it takes too long", &err);
}

/* FNV-1a of the memory's file. */
static uint64_t sum_of(int fd)
{
	uint64_t sum = 0xcbf29ce484222325;
	static uint8_t chunk[1 << 16];
	off_t at = 0;
	ssize_t got;

	while ((got = pread(fd, chunk, sizeof(chunk), at)) > 0) {
		for (ssize_t i = 0; i < got; i++)
			sum = (sum ^ chunk[i]) * 0x100000001b3;
		at += got;
	}
	return sum;
}

/* What comes before on the serial line is lost: its state is that of the saved guest. */
static void wait_for_resume(void)
{
	struct pollfd polled = { .fd = guest.control, .events = POLLIN };
	struct str said = { 0 };
	char chunk[4096];

	while (!said.text || !strstr(said.text, "\"RESUME\"")) {
		ssize_t got;

		if (poll(&polled, 1, TIMEOUT_MS) <= 0)
			break;
		got = read(guest.control, chunk, sizeof(chunk));
		if (got <= 0)
			break;
		str_addn(&said, chunk, (size_t)got);
	}
	str_done(&said);
}

static void saved(struct guest_start *with)
{
	int disk = open_in("disk", DISK_BYTES, O_RDWR | O_CREAT | O_TRUNC);
	uint64_t sum;

	close(disk);
	disk = open_in("disk", 0, O_RDONLY); /* QEMU asks for just this much */
	with->machine.disk_count = 1;
	with->machine.disks[0].placeholder_bytes = 1ull << 40;
	with->machine.ram = QEMU_RAM_SAVE;
	with->ram = open_in("ram", MEMORY_BYTES, O_RDWR | O_CREAT | O_TRUNC);
	with->state = open_in("state", 0, O_RDWR | O_CREAT | O_TRUNC);
	start(with);
	if (!listen_to(FIRST_TEXT))
		die("the guest does not come up", &(struct err){ 0 });
	save(with->state);
	printf("%s", guest.console.text);
	guest_kill(&guest);
	sum = sum_of(with->ram);
	close(with->ram);
	close(with->state);
	with->machine.ram = QEMU_RAM_RESTORE;
	with->machine.disks[0].placeholder_bytes = 0;
	with->disks = &disk;
	with->commands = CAPABILITIES SHARED INCOMING;
	for (int i = 0; i < RESTORES; i++) {
		with->ram = open_in("ram", 0, O_RDONLY);
		with->state = open_in("state", 0, O_RDONLY);
		start(with);
		wait_for_resume();
		go_on();
		if (sum_of(with->ram) != sum)
			printf("the memory's file was changed\n");
		close(with->ram);
		close(with->state);
	}
	close(disk);
}

int main(int argc, char **argv)
{
	struct guest_start with = {
		.machine = { .memory_bytes = MEMORY_BYTES, .cpus = 1, .floppy = true },
	};
	struct err err = { 0 };

	if (argc != 3)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	dir = argv[2];
	with.machine.kvm = !strcmp(argv[1], "kvm");
	with.floppy = make_floppy();
	if (launch_find(&vm.program, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 77;
	}
	if (!strcmp(argv[1], "saved")) {
		saved(&with);
		return 0;
	}
	start(&with);
	listen_to(FIRST_TEXT);
	go_on();
	return 0;
}
