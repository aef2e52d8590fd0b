/*
 * Stands in for QEMU ($DUET_QEMU), with a guest that says one thing without end and reads nothing. There
 * is no way into the jail but its own bytes: vm_flood.sh writes what to do over `orders` below, as
 * "WHAT PHASE MIB":
 *
 *	WHAT	hello, eof, credit, data, exit: frames of the agent; console, words, qmp: bytes there
 *	PHASE	boot: at once; run: once the job runs; end: once its exit code is told
 *	MIB	so much is sent, then QEMU ends; 0: for ever
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runners/init/proto.h"
#include "runners/vm/qemu.h"

#define EXIT_CODE 7

static volatile char orders[] = "flood-orders:........................";

static char what[16], phase[16];
static uint8_t nonce[16];
static uint8_t much[1 << 16];
static size_t used;

static void put(int fd, const void *data, size_t size)
{
	if (write(fd, data, size) != (ssize_t)size)
		_exit(3);
}

static void put_frame(unsigned int type, const void *payload, size_t length)
{
	const struct proto_head head = { .length = (uint32_t)length, .type = (uint8_t)type };

	put(QEMU_FD_AGENT, &head, sizeof(head));
	if (length)
		put(QEMU_FD_AGENT, payload, length);
}

static void get(void *data, size_t size)
{
	for (char *at = data; size > 0;) {
		ssize_t got = read(QEMU_FD_AGENT, at, size);

		if (got <= 0)
			_exit(4);
		at += got;
		size -= (size_t)got;
	}
}

static void say_hello(void)
{
	const struct proto_hello hello = { .version = PROTO_VERSION };

	put_frame(PROTO_HELLO, &hello, sizeof(hello));
}

/* As an honest guest does; WELCOME, SETUP and START are taken. */
static void reach_phase(void)
{
	static uint8_t payload[PROTO_PAYLOAD_MAX];
	struct proto_exit status = { .code = EXIT_CODE };
	struct proto_head head;

	if (!strcmp(phase, "boot"))
		return;
	say_hello();
	do {
		get(&head, sizeof(head));
		get(payload, head.length);
		if (head.type == PROTO_WELCOME)
			memcpy(nonce, ((struct proto_hello *)payload)->nonce, sizeof(nonce));
	} while (head.type != PROTO_START);
	put_frame(PROTO_STARTED, NULL, 0);
	if (strcmp(phase, "end") != 0)
		return;
	memcpy(status.nonce, nonce, sizeof(nonce));
	put_frame(PROTO_EXIT, &status, sizeof(status));
}

/* ---- the flood ------------------------------------------------------------------------------- */

static void add(const void *data, size_t size)
{
	while (used + size <= sizeof(much)) {
		memcpy(much + used, data, size);
		used += size;
	}
}

static void add_frames(unsigned int type, unsigned int stream, size_t length)
{
	struct {
		struct proto_head head;
		union {
			struct proto_hello hello;
			uint8_t bytes[4096];
		} payload;
	} frame = { .head = { .length = (uint32_t)length, .type = (uint8_t)type,
			      .stream = (uint8_t)stream } };

	if (type == PROTO_HELLO)
		frame.payload.hello.version = PROTO_VERSION;
	add(&frame, sizeof(frame.head) + length);
}

static const struct {
	const char *what;
	int fd;
	unsigned int type, stream;	/* of the agent's */
	size_t length;
	const char *text;		/* else */
} floods[] = {
	{ "hello", QEMU_FD_AGENT, PROTO_HELLO, 0, sizeof(struct proto_hello), NULL },
	{ "eof", QEMU_FD_AGENT, PROTO_EOF, PROTO_STDOUT, 0, NULL },
	{ "credit", QEMU_FD_AGENT, PROTO_CREDIT, PROTO_STDIN, sizeof(uint32_t), NULL },
	{ "data", QEMU_FD_AGENT, PROTO_DATA, PROTO_STDOUT, 0, NULL },
	{ "output", QEMU_FD_AGENT, PROTO_DATA, PROTO_STDOUT, 4096, NULL },
	{ "console", QEMU_FD_CONSOLE, 0, 0, 0, "[    0.0] a line of the kernel\r\n" },
	{ "words", STDERR_FILENO, 0, 0, 0, "qemu-system-x86_64: warning: a flood\n" },
	{ "qmp", QEMU_FD_CONTROL, 0, 0, 0, "{\"event\": \"RTC_CHANGE\"}\r\n" },
};

/* The descriptor to flood. */
static int fill(void)
{
	for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		if (strcmp(what, floods[i].what) != 0)
			continue;
		if (floods[i].text)
			add(floods[i].text, strlen(floods[i].text));
		else
			add_frames(floods[i].type, floods[i].stream, floods[i].length);
		return floods[i].fd;
	}
	_exit(5);
}

int main(void)
{
	char text[sizeof(orders)];
	unsigned int mib;
	uint64_t sent = 0;
	int fd;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = orders[i];
	if (sscanf(text, "flood-orders:%15s %15s %u", what, phase, &mib) != 3)
		return 2;
	/* a state is saved: its memory's file is opened by name, and QMP greets behind it */
	if (open(QEMU_RAM, O_RDWR | O_CLOEXEC) >= 0)
		put(QEMU_FD_CONTROL, "{\"QMP\": {}}\r\n", 13);
	fd = fill();
	reach_phase();
	while (mib == 0 || sent < (uint64_t)mib << 20) {
		ssize_t done = write(fd, much + sent % used, used - sent % used);

		if (done < 0 && errno != EINTR)
			break;
		sent += done > 0 ? (uint64_t)done : 0;
	}
	return 0;
}
