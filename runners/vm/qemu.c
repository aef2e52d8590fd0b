/* QEMU's command line: see qemu.h. Options of QEMU 5.2 to 10; nothing is probed. */
#include "runners/vm/qemu.h"

/*
 * quiet: a line of the serial console costs a guest under TCG as much as a system call does the
 * host. Panics are printed all the same. panic=-1 and reboot=t end a broken guest at once.
 */
const char *qemu_cmdline(void)
{
	return "console=ttyS0 quiet panic=-1 reboot=t";
}

static void add(struct strv *argv, const char *option, const char *value)
{
	strv_add(argv, option);
	strv_add(argv, value);
}

/* Takes `value` over. */
static void take(struct strv *argv, const char *option, char *value)
{
	strv_add(argv, option);
	strv_take(argv, value);
}

/*
 * pc is what boots quickest under TCG; microvm's clock does not work there. A floppy shall start under
 * every KVM, nested ones too that lack registers of "host" or interrupt controllers in the kernel.
 */
static void add_machine(struct strv *argv, const struct qemu_machine *machine)
{
	static const char *const memory[] = {
		[QEMU_RAM_OWN] = "memory-backend-ram,id=ram,size=%llu",
		[QEMU_RAM_SAVE] = "memory-backend-file,id=ram,size=%llu,mem-path=" QEMU_RAM ",share=on",
		[QEMU_RAM_RESTORE] =
			"memory-backend-file,id=ram,size=%llu,mem-path=" QEMU_RAM ",share=off",
	};

	take(argv, "-machine", xasprintf("pc,accel=%s,memory-backend=ram,usb=off,vmport=off",
					 !machine->kvm	   ? "tcg"
					 : machine->floppy ? "kvm,kernel-irqchip=split"
							   : "kvm"));
	add(argv, "-cpu", !machine->kvm	    ? "max,la57=off"
			  : machine->floppy ? "qemu64"
					    : "host");
	take(argv, "-smp", xasprintf("%u", machine->cpus));
	take(argv, "-m", xasprintf("%lluB", (unsigned long long)machine->memory_bytes));
	strv_add(argv, "-object");
	strv_take(argv, xasprintf(memory[machine->ram],
				  (unsigned long long)machine->memory_bytes));
}

static void add_socket(struct strv *argv, const char *name, enum qemu_fd fd)
{
	take(argv, "-chardev", xasprintf("socket,id=%s,fd=%d", name, (int)fd));
}

static void add_disk(struct strv *argv, const struct qemu_disk *disk, size_t number)
{
	const char *read_only = disk->writable ? "off" : "on";

	if (disk->placeholder_bytes == 0) {
		take(argv, "-add-fd",
		     xasprintf("fd=%zu,set=%zu", QEMU_FD_DISK + number, number + 1));
		take(argv, "-blockdev",
		     xasprintf("driver=raw,node-name=disk%zu,read-only=%s,file.driver=file,"
			       "file.filename=/dev/fdset/%zu,file.locking=off%s", number, read_only,
			       number + 1, disk->writable ? ",discard=unmap" : ""));
	} else {
		take(argv, "-blockdev",
		     xasprintf("driver=null-co,node-name=disk%zu,read-only=%s,read-zeroes=on,size=%llu",
			       number, read_only, (unsigned long long)disk->placeholder_bytes));
	}
	take(argv, "-device", xasprintf("virtio-blk-pci,drive=disk%zu", number));
}

void qemu_argv(const struct qemu_machine *machine, struct strv *ret)
{
	struct strv argv = { 0 };

	strv_add(&argv, QEMU_PROGRAM);
	strv_add(&argv, "-nodefaults");
	strv_add(&argv, "-no-user-config");
	strv_add(&argv, "-no-reboot");
	add(&argv, "-display", "none");
	add(&argv, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	add_machine(&argv, machine);
	if (machine->kernel) {
		add(&argv, "-kernel", QEMU_KERNEL);
		add(&argv, "-initrd", QEMU_INITRD);
		add(&argv, "-append", qemu_cmdline());
	}
	add_socket(&argv, "console", QEMU_FD_CONSOLE);
	add(&argv, "-serial", "chardev:console");
	add_socket(&argv, "control", QEMU_FD_CONTROL);
	add(&argv, "-mon", "chardev=control,mode=control");
	if (machine->floppy) {
		take(&argv, "-add-fd", xasprintf("fd=%d,set=0", QEMU_FD_FLOPPY));
		add(&argv, "-drive", "if=floppy,format=raw,read-only=on,file=/dev/fdset/0,file.locking=off");
		add(&argv, "-device", "isa-debug-exit,iobase=0xf4,iosize=4");
	} else {
		add_socket(&argv, "agent", QEMU_FD_AGENT);
		add(&argv, "-device", "virtio-serial-pci,max_ports=2");
		add(&argv, "-device", "virtserialport,chardev=agent,name=" PROTO_PORT_NAME);
	}
	for (size_t i = 0; i < machine->disk_count; i++)
		add_disk(&argv, &machine->disks[i], i);
	if (machine->ram == QEMU_RAM_RESTORE)
		add(&argv, "-incoming", "defer");
	*ret = argv;
}
