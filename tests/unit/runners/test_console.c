/* What a guest's console tells: real texts, hostile ones, and more than fits. */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/str.h"
#include "runners/init/proto.h"
#include "runners/vm/console.h"
#include "tests/unit/unit.h"

#define MEMORY "give it more with target.vm.memory"

static const struct {
	const char *text, *cause, *mend;
} causes[] = {
	{ "", NULL, NULL },
	{ "SeaBIOS (version 1.16.2-debian-1.16.2-1)\r\n", NULL, NULL },
	{ "[    1.2] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n"
	  "[    1.2] CPU: 0 PID: 1 Comm: init Not tainted 6.1.0-56-cloud-amd64 #1\r\n",
	  "its kernel panicked: Attempted to kill init! exitcode=0x00000100", NULL },
	{ "[    0.9] Kernel panic - not syncing: No working init found.  Try passing init= option to "
	  "kernel. See Linux Documentation/admin-guide/init.rst for guidance.\r\n",
	  "its kernel panicked: No working init found.  Try passing init= option to kernel. See Linux "
	  "Documentation/admin-guide/init.rst for guidance.",
	  "the kernel does not take this initramfs: target.vm.kernel: debian is known to" },
	{ "[    0.8] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n",
	  "its kernel panicked: VFS: Unable to mount root fs on unknown-block(0,0)",
	  "the kernel does not take this initramfs: target.vm.kernel: debian is known to" },
	{ "[    0.5] Initramfs unpacking failed: write error\r\n"
	  "[    0.9] Kernel panic - not syncing: No working init found.\r\n",
	  "it ran out of memory", MEMORY },
	{ "[    0.6] Kernel panic - not syncing: System is deadlocked on memory\r\n",
	  "it ran out of memory", MEMORY },
	{ "[    3.1] sh invoked oom-killer: gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE)\r\n"
	  "[    3.2] Out of memory: Killed process 93 (sh) total-vm:2576kB, anon-rss:88kB\r\n",
	  "it ran out of memory", MEMORY },
	{ "[    2.0] x\r\n\nduet-init: load the modules of the disks: No such file or directory\r\n"
	  "[    2.1] reboot: Restarting system\r\n",
	  "load the modules of the disks: No such file or directory", NULL },
	/* no line feed behind it, and one that says it itself */
	{ "duet-init: read /mounts: Invalid argument", "read /mounts: Invalid argument", NULL },
	{ "Kernel panic - not syncing: ", "its kernel panicked: ", NULL },
	{ "duet-init: ", "", NULL },
	/* what a terminal would obey */
	{ "duet-init: \033]0;owned\007\033[2J\xff\xe2\x80\xae\n",
	  "\\x1b]0;owned\\x07\\x1b[2J\\xff\\u{202e}", NULL },
	{ "Kernel panic - not syncing: \b\b\033c\r\n", "its kernel panicked: \\x08\\x08\\x1bc", NULL },
};

START_TEST(test_cause)
{
	const char *mend = "unset";
	_cleanup_free_ char *cause = console_cause(causes[_i].text, &mend);

	if (causes[_i].cause)
		ck_assert_str_eq(cause, causes[_i].cause);
	else
		ck_assert_ptr_null(cause);
	if (causes[_i].mend)
		ck_assert_str_eq(mend, causes[_i].mend);
	else
		ck_assert_ptr_null(mend);
}
END_TEST

/* A mark is one at the start of a line only: a job's own text must not be taken for duet-init's. */
START_TEST(test_mark_in_a_line)
{
	const char *mend;
	_cleanup_free_ char *cause = console_cause("[ 1.0] systemd: no duet-init: found\r\n", &mend);

	ck_assert_ptr_null(cause);
}
END_TEST

START_TEST(test_long_line)
{
	_cleanup_free_ char *line = xmalloc(8192), *cause = NULL;
	const char *mend;

	memset(line, 'A', 8191);
	line[8191] = '\0';
	memcpy(line, "duet-init: ", 11);
	cause = console_cause(line, &mend);
	ck_assert_ptr_nonnull(cause);
	ck_assert_uint_le(strlen(cause), 210);
}
END_TEST

START_TEST(test_out_of_memory)
{
	ck_assert(console_out_of_memory("x\nOut of memory: Killed process 9 (a)\n"));
	ck_assert(console_out_of_memory("x\n" PROTO_CONSOLE_MEMORY "\n"));
	ck_assert(!console_out_of_memory("out of paper\n"));
}
END_TEST

START_TEST(test_tail)
{
	static const struct {
		const char *text;
		size_t count;
		const char *tail;
	} tails[] = {
		{ "", 3, "" },
		{ "\n\n\r\n", 3, "" },
		{ "one", 3, "one\n" },
		{ "one\ntwo\nthree\n", 2, "two\nthree\n" },
		{ "one\r\ntwo\r\nthree", 2, "two\nthree\n" },
		{ "one\n\n\ntwo\n\n", 2, "one\ntwo\n" },
		{ "one\n\n\ntwo\n\n", 1, "two\n" },
		{ "one\ntwo\n", 1, "two\n" },
		{ "one\ntwo\n", 9, "one\ntwo\n" },
		{ "a\033[1mb\n\x9b\n", 2, "a\\x1b[1mb\n\\x9b\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		_cleanup_free_ char *tail = console_tail(tails[i].text, tails[i].count);

		ck_assert_msg(!strcmp(tail, tails[i].tail), "%zu: %s", i, tail);
	}
}
END_TEST

/* ---- reading --------------------------------------------------------------------------------- */

static struct console console;

static int open_pipe(void)
{
	int pair[2];

	ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	console_init(&console, pair[0]);
	return pair[1];
}

START_TEST(test_read)
{
	int fd = open_pipe(), in = console.fd;

	ck_assert(console_read(&console));
	ck_assert_str_eq(console.text, "");
	ck_assert_int_eq(write(fd, "a\0b", 3), 3);
	ck_assert(console_read(&console));
	ck_assert_str_eq(console.text, "a b");
	ck_assert_int_eq(write(fd, "c", 1), 1);
	ck_assert(console_read(&console));
	ck_assert_str_eq(console.text, "a bc");
	close(fd);
	ck_assert(!console_read(&console));
	/* and once more, when somebody looks again */
	ck_assert(!console_read(&console));
	ck_assert_str_eq(console.text, "a bc");
	close(in);
}
END_TEST

/* Every size around what is kept: the last bytes stay, whatever came before. */
START_TEST(test_bounds)
{
	static const size_t sizes[] = { 1, 4095, 4096, 4097, CONSOLE_KEPT - 1, CONSOLE_KEPT,
					CONSOLE_KEPT + 1, CONSOLE_KEPT + 4097, 3 * CONSOLE_KEPT };
	size_t size = sizes[_i], kept = size < CONSOLE_KEPT ? size : CONSOLE_KEPT;
	_cleanup_free_ char *data = xmalloc(size);
	int fd = open_pipe(), in = console.fd;

	for (size_t i = 0; i < size; i++)
		data[i] = (char)('a' + i % 23);
	ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
	close(fd);
	/* a turn is bounded; how many there are is known */
	for (size_t left = size; left >= CONSOLE_TURN_MAX; left -= CONSOLE_TURN_MAX)
		ck_assert(console_read(&console));
	ck_assert(!console_read(&console));
	ck_assert_uint_eq(strlen(console.text), kept);
	ck_assert_uint_eq(console.used, kept);
	ck_assert_int_eq(memcmp(console.text, data + size - kept, kept), 0);
	close(in);
}
END_TEST

/* Sixteen megabytes of anything, as it comes. */
START_TEST(test_flood)
{
	int fd = open_pipe(), in = console.fd, status;
	pid_t pid = fork();

	if (pid == 0) {
		char chunk[1 << 16];

		for (int i = 0; i < 256; i++) {
			for (size_t j = 0; j < sizeof(chunk); j++)
				chunk[j] = (char)(j * 31 + (size_t)i);
			if (write(fd, chunk, sizeof(chunk)) != sizeof(chunk))
				_exit(1);
		}
		_exit(write(fd, "\nduet-init: the end\n", 20) != 20);
	}
	close(fd);
	while (console_read(&console))
		ck_assert_uint_le(console.used, CONSOLE_KEPT);
	ck_assert_uint_eq(strlen(console.text), CONSOLE_KEPT);
	ck_assert(str_has_suffix(console.text, "\nduet-init: the end\n"));
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
	{
		const char *mend;
		_cleanup_free_ char *cause = console_cause(console.text, &mend);
		_cleanup_free_ char *tail = console_tail(console.text, 12);

		ck_assert_str_eq(cause, "the end");
		for (const char *at = tail; *at; at++)
			ck_assert(*at == '\n' || (unsigned char)*at >= 0x20);
		ck_assert_uint_le(strlen(tail), 12 * 210);
	}
	close(in);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_cause, (int)ARRAY_SIZE(causes) }, { test_mark_in_a_line, 1 },
		{ test_long_line, 1 }, { test_out_of_memory, 1 }, { test_tail, 1 },
		{ test_read, 1 }, { test_bounds, 9 }, { test_flood, 1 },
	};
	const struct unit unit = { "console" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
