/*
 * QEMU's command line against its golden files (tests/golden/argv, one argument a line; written anew by
 * DUET_GOLDEN_WRITE=1, to be reviewed), and the rules that every one of them keeps.
 */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/str.h"
#include "runners/vm/qemu.h"
#include "tests/unit/unit.h"

#define GOLDEN_MAX 65536

#define LAYER { false, 0 }
#define SCRATCH { true, 0 }
#define PLACEHOLDER { false, 1ull << 40 }
#define MACHINE .memory_bytes = 256 << 20, .cpus = 1

static const struct {
	const char *golden;
	struct qemu_machine machine;
} cases[] = {
	{ "cold-none", { MACHINE, .kernel = true } },
	{ "cold-one", { MACHINE, .kernel = true, .disks = { LAYER }, .disk_count = 1 } },
	{ "cold-eight",
	  { MACHINE, .kernel = true, .disk_count = 8,
	    .disks = { LAYER, LAYER, LAYER, LAYER, LAYER, LAYER, LAYER, LAYER } } },
	{ "cold-all",
	  { MACHINE, .kernel = true, .disk_count = QEMU_DISKS_MAX,
	    .disks = { LAYER, LAYER, LAYER, LAYER, LAYER, LAYER, LAYER, LAYER, SCRATCH } } },
	{ "cold-scratch", { MACHINE, .kernel = true, .disks = { LAYER, SCRATCH }, .disk_count = 2 } },
	{ "cold-large",
	  { .memory_bytes = 6ull << 30, .cpus = 255, .kernel = true, .disks = { LAYER },
	    .disk_count = 1 } },
	{ "kvm", { MACHINE, .kvm = true, .kernel = true, .disks = { LAYER }, .disk_count = 1 } },
	{ "save",
	  { MACHINE, .ram = QEMU_RAM_SAVE, .kernel = true, .disk_count = 2,
	    .disks = { PLACEHOLDER, { true, 64 << 20 } } } },
	{ "restore",
	  { MACHINE, .ram = QEMU_RAM_RESTORE, .disks = { LAYER, SCRATCH }, .disk_count = 2 } },
	{ "floppy", { .memory_bytes = 32 << 20, .cpus = 1, .floppy = true } },
	{ "floppy-kvm", { .memory_bytes = 32 << 20, .cpus = 1, .floppy = true, .kvm = true } },
};

static char *join(const struct strv *argv)
{
	struct str out = { 0 };

	for (size_t i = 0; i < argv->count; i++)
		str_addf(&out, "%s\n", argv->items[i]);
	return out.text;
}

START_TEST(test_golden)
{
	const char *srcdir = getenv("srcdir");
	_cleanup_free_ char *folder = xasprintf("%s/tests/golden/argv", srcdir ? srcdir : ".");
	_cleanup_free_ char *name = xasprintf("%s.txt", cases[_i].golden);
	_cleanup_close_ int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *wanted = NULL, *got = NULL;
	_cleanup_(strv_done) struct strv argv = { 0 };
	struct err err = { 0 };

	qemu_argv(&cases[_i].machine, &argv);
	got = join(&argv);
	if (getenv("DUET_GOLDEN_WRITE"))
		fs_replace_file(dir, name, got, strlen(got), 0644, &err);
	ck_assert_msg(fs_read_file(dir, name, GOLDEN_MAX, &wanted, NULL, &err) == 0, "%s",
		      err.msg);
	ck_assert_str_eq(got, wanted);
}
END_TEST

/* How often `option` stands there, with `value` behind it when that is not NULL. */
static size_t count(const struct strv *argv, const char *option, const char *value)
{
	size_t found = 0;

	for (size_t i = 0; i + 1 < argv->count; i++)
		found += !strcmp(argv->items[i], option) &&
			 (!value || !strcmp(argv->items[i + 1], value));
	return found + (!value && !strcmp(argv->items[argv->count - 1], option));
}

/* THREATS 2.5: no file sharing of QEMU's own, no vsock, no network, nobody at a monitor but us. */
START_TEST(test_rules)
{
	static const char *const never[] = {
		"9p", "fsdev", "virtfs", "vsock", "telnet", "tcp:", "vnc", "spice", "unix:", ",path=",
		"server", "netdev", "gdb", "-s", "-S", "-daemonize", "-pidfile", "-runas", "-chroot",
		"-qmp", "-monitor", "mux=", "stdio", "hmp", "mode=readline", "backing", "qcow2", "-usb",
		"-plugin", "-readconfig", "-L", "/tmp", "/home", "/root", "http",
	};
	_cleanup_(strv_done) struct strv argv = { 0 };

	qemu_argv(&cases[_i].machine, &argv);
	ck_assert_str_eq(argv.items[0], QEMU_PROGRAM);
	for (size_t i = 1; i < argv.count; i++)
		for (size_t j = 0; j < ARRAY_SIZE(never); j++)
			ck_assert_msg(never[j][0] == '-' ? strcmp(argv.items[i], never[j]) != 0
							 : !strstr(argv.items[i], never[j]),
				      "%s: %s", cases[_i].golden, argv.items[i]);
	ck_assert_uint_eq(count(&argv, "-nodefaults", NULL), 1);
	ck_assert_uint_eq(count(&argv, "-no-user-config", NULL), 1);
	ck_assert_uint_eq(count(&argv, "-no-reboot", NULL), 1);
	ck_assert_uint_eq(count(&argv, "-display", "none"), 1);
	ck_assert_uint_eq(count(&argv, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,"
						   "spawn=deny,resourcecontrol=deny"), 1);
	ck_assert_uint_eq(count(&argv, "-sandbox", NULL), 1);
	ck_assert_uint_eq(count(&argv, "-mon", NULL), 1);
	ck_assert_uint_eq(count(&argv, "-mon", "chardev=control,mode=control"), 1);
	ck_assert_uint_eq(count(&argv, "-chardev", "socket,id=control,fd=5"), 1);
	ck_assert_uint_eq(count(&argv, "-chardev", NULL), cases[_i].machine.floppy ? 2 : 3);
	ck_assert_uint_eq(count(&argv, "-append", NULL), cases[_i].machine.kernel ? 1 : 0);
}
END_TEST

/* V6: what is not ours to write is opened read-only by QEMU as well. */
START_TEST(test_read_only)
{
	const struct qemu_machine *machine = &cases[_i].machine;
	_cleanup_(strv_done) struct strv argv = { 0 };
	size_t disk = 0;

	qemu_argv(machine, &argv);
	for (size_t i = 1; i < argv.count; i++) {
		if (strcmp(argv.items[i - 1], "-blockdev") != 0)
			continue;
		ck_assert_ptr_nonnull(strstr(argv.items[i], machine->disks[disk].writable
								    ? "read-only=off"
								    : "read-only=on"));
		ck_assert(str_has_prefix(argv.items[i], machine->disks[disk].placeholder_bytes
								? "driver=null-co,"
								: "driver=raw,"));
		disk++;
	}
	ck_assert_uint_eq(disk, machine->disk_count);
}
END_TEST

/*
 * V4: the command line is made of a machine's numbers alone; nothing in struct qemu_machine is text, so
 * no word of a spec, a job or an image can be in it. Two machines that are alike have the same one.
 */
START_TEST(test_pure)
{
	_cleanup_(strv_done) struct strv one = { 0 }, two = { 0 };

	setenv("HOSTNAME", "x init=/bin/sh", 1);
	qemu_argv(&cases[_i].machine, &one);
	setenv("HOSTNAME", "a,readonly=off,b", 1);
	qemu_argv(&cases[_i].machine, &two);
	ck_assert_uint_eq(one.count, two.count);
	for (size_t i = 0; i < one.count; i++)
		ck_assert_str_eq(one.items[i], two.items[i]);
	ck_assert_str_eq(qemu_cmdline(), "console=ttyS0 quiet panic=-1 reboot=t");
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_golden, (int)ARRAY_SIZE(cases) },
		{ test_rules, (int)ARRAY_SIZE(cases) },
		{ test_read_only, (int)ARRAY_SIZE(cases) },
		{ test_pure, (int)ARRAY_SIZE(cases) },
	};
	const struct unit unit = { "qemu" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
