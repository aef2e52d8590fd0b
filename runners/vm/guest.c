/* One QEMU: its sockets, its jail, its end. See vm.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/json.h"
#include "core/log.h"
#include "runners/vm/vm.h"

#define END_WAIT_MS 500		/* a QEMU whose guest panicked ends by itself */
#define REPLIES_MAX (1 << 20)	/* bytes of QMP that are kept: errors come first, then events */
#define REPLIES_DRAIN_MAX (1 << 20)	/* bytes; its socket holds less when QEMU is gone */
#define TAIL_LINES 12

static int make_pair(int *ret_ours, int *ret_theirs, struct err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "make socketpair");
	*ret_ours = pair[0];
	*ret_theirs = pair[1];
	return 0;
}

/* QEMU's ends; all are closed once it has started. */
struct ends {
	int agent, console, control, words;
};

static void ends_done(struct ends *ends)
{
	mem_closep(&ends->agent);
	mem_closep(&ends->console);
	mem_closep(&ends->control);
	mem_closep(&ends->words);
}

static int make_sockets(struct guest *guest, struct ends *ends, struct err *err)
{
	int pair[2];

	if (make_pair(&guest->agent, &ends->agent, err) < 0 ||
	    make_pair(&guest->console_fd, &ends->console, err) < 0 ||
	    make_pair(&guest->control, &ends->control, err) < 0)
		return -1;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make pipe");
	guest->words_fd = pair[0];
	ends->words = pair[1];
	if (fcntl(guest->console_fd, F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(guest->words_fd, F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(guest->control, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(err, errno, "make sockets non-blocking");
	console_init(&guest->console, guest->console_fd);
	console_init(&guest->words, guest->words_fd);
	return 0;
}

static void fill_fds(const struct guest_start *start, const struct ends *ends,
		     struct launch *launch)
{
	for (int i = 0; i < QEMU_FD_END; i++)
		launch->fds[i] = -1;
	launch->fds[QEMU_FD_AGENT] = ends->agent;
	launch->fds[QEMU_FD_CONSOLE] = ends->console;
	launch->fds[QEMU_FD_CONTROL] = ends->control;
	if (start->machine.floppy)
		launch->fds[QEMU_FD_FLOPPY] = start->floppy;
	if (start->machine.ram == QEMU_RAM_RESTORE)
		launch->fds[QEMU_FD_STATE] = start->state;
	for (size_t i = 0; i < start->machine.disk_count; i++)
		if (start->machine.disks[i].placeholder_bytes == 0)
			launch->fds[QEMU_FD_DISK + i] = start->disks[i];
}

static int launch_with(const struct vm *vm, const struct guest_start *start,
		       const struct ends *ends, struct guest *guest, struct err *err)
{
	_cleanup_close_ int kvm = -1;
	struct launch launch = {
		.program = vm->program,
		.machine = &start->machine,
		.words = ends->words,
		.vmlinux = start->vmlinux,
		.initrd = start->initrd,
		.control = guest->control,
	};

	fill_fds(start, ends, &launch);
	if (start->machine.ram != QEMU_RAM_OWN)
		launch.files[launch.file_count++] = (struct notify_file){ QEMU_RAM, start->ram };
	if (start->machine.kvm) {
		kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
		if (kvm < 0)
			return err_sys_as(err, ERR_HOST, errno, "open /dev/kvm");
		launch.files[launch.file_count++] = (struct notify_file){ "/dev/kvm", kvm };
	}
	return launch_start(&launch, &guest->jail, err);
}

int guest_start(const struct vm *vm, const struct guest_start *start, struct guest *ret,
		struct err *err)
{
	_cleanup_(ends_done) struct ends ends = { -1, -1, -1, -1 };
	struct guest *guest = ret;

	*guest = (struct guest){ .jail = { .pid = -1, .pidfd = -1, .alive = -1 }, .agent = -1,
				 .console_fd = -1, .control = -1, .words_fd = -1 };
	if (make_sockets(guest, &ends, err) == 0 &&
	    (!start->commands ||
	     fs_write_all(guest->control, start->commands, strlen(start->commands)) == 0) &&
	    launch_with(vm, start, &ends, guest, err) == 0)
		return 0;
	if (!err->code)
		err_sys(err, errno, "write to QEMU's control socket");
	guest_kill(guest);
	return -1;
}

void guest_kill(struct guest *guest)
{
	jail_kill(&guest->jail);
	mem_closep(&guest->agent);
	mem_closep(&guest->console_fd);
	mem_closep(&guest->control);
	mem_closep(&guest->words_fd);
	guest->agent = guest->console_fd = guest->control = guest->words_fd = -1;
	str_done(&guest->replies);
}

/* ---- what is looked at ----------------------------------------------------------------------- */

static bool console_ready(void *data)
{
	return console_read(data);
}

/* What came on QMP, a chunk at most: its bytes; 0: nothing is there; -1: it has ended. */
static ssize_t take_replies(struct guest *guest)
{
	char chunk[4096];
	ssize_t got = recv(guest->control, chunk, sizeof(chunk), MSG_DONTWAIT);
	size_t room = REPLIES_MAX - guest->replies.length;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got <= 0)
		return -1;
	str_addn(&guest->replies, chunk, (size_t)got < room ? (size_t)got : room);
	return got;
}

static bool control_ready(void *data)
{
	return take_replies(data) >= 0;
}

static void drain(struct guest *guest)
{
	size_t taken = 0;
	ssize_t got;

	console_drain(&guest->console);
	console_drain(&guest->words);
	while (taken < REPLIES_DRAIN_MAX && (got = take_replies(guest)) > 0)
		taken += (size_t)got;
}

void guest_watch(struct guest *guest, struct agent_run *run)
{
	const struct agent_watch watches[] = {
		{ guest->console_fd, console_ready, &guest->console },
		{ guest->words_fd, console_ready, &guest->words },
		{ guest->control, control_ready, guest },
	};

	memcpy(run->watches, watches, sizeof(watches));
	run->watch_count = ARRAY_SIZE(watches);
	run->channel = guest->agent;
	run->peer_death = guest->jail.pidfd;
	run->heard = &guest->heard;
}

/* ---- why it ended ---------------------------------------------------------------------------- */

/* The error of a QMP command, when one failed: owned, escaped; NULL. */
static char *control_error(const struct str *replies)
{
	const char *at = replies->text;

	while (at && *at) {
		size_t length = strcspn(at, "\n");
		_cleanup_free_ char *text = NULL;

		if (json_look(at, length, "error.desc", &text) && text)
			return str_escape(text, 256);
		at += length + (at[length] == '\n');
	}
	return NULL;
}

/* QEMU's exit code, or 128 + its signal; -1 while it runs. */
static int ended(struct guest *guest)
{
	struct pollfd death = { .fd = guest->jail.pidfd, .events = POLLIN };
	int code;

	if (poll(&death, 1, END_WAIT_MS) != 1)
		return -1;
	code = jail_wait(&guest->jail);
	return code;
}

int guest_blame(struct guest *guest, struct err *err)
{
	_cleanup_free_ char *control = NULL, *cause = NULL, *words = NULL, *tail = NULL;
	const char *mend;
	int code = ended(guest);

	if (code == JAIL_EXIT_MEMORY)
		return err_sys(err, ENOMEM, "start QEMU");
	drain(guest);
	tail = console_tail(guest->console.text, TAIL_LINES);
	if (*tail)
		log_debug("the last lines of the guest's console:\n%s", tail);
	cause = console_cause(guest->console.text, &mend);
	control = control_error(&guest->replies);
	words = console_tail(guest->words.text, 1);
	words[strcspn(words, "\n")] = '\0';
	if (cause) {
		err_set(err, ERR_VM, "run the guest: %s", cause);
	} else if (control || *words) {
		err_set(err, ERR_VM, "run QEMU: %s", control ? control : words);
	} else if (code >= 0) {
		err_set(err, ERR_VM, "run QEMU: it %s %d", code > 128 ? "was killed by signal"
								     : "ended with exit code",
			code > 128 ? code - 128 : code);
	} else {
		err_wrap(err, "run the guest");
		err->code = ERR_VM;
		mend = "-v shows the last lines of its console";
	}
	return mend ? err_mend(err, "%s", mend) : -1;
}
