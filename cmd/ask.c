/* Asking the person at the keyboard, on the terminal itself: standard streams may be something else. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "core/fs.h"

#define LINE_BYTES_MAX 4096

static volatile sig_atomic_t caught;

static void note(int number)
{
	caught = number;
}

static const int stoppers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

/* Reads a line; 0, or -1 with errno (EINTR: a signal came, which is to be had again later). */
static int read_line(int terminal, char *line, size_t *ret_length)
{
	size_t length = 0;
	ssize_t got = 0;
	char c;

	while (!caught && (got = read(terminal, &c, 1)) == 1 && c != '\n' && c != '\r') {
		if (length == LINE_BYTES_MAX) {
			errno = EMSGSIZE;
			return -1;
		}
		line[length++] = c;
	}
	if (caught)
		errno = EINTR;
	*ret_length = length;
	return caught || got < 0 ? -1 : 0;
}

/*
 * With the terminal's echo off, and back again whatever happens: a signal that would end or stop us
 * waits until it is.
 */
static int read_hidden(int terminal, char *line, size_t *ret_length)
{
	struct sigaction before[ARRAY_SIZE(stoppers)], action = { .sa_handler = note };
	struct termios shown, hidden;
	int result, errnum;

	if (tcgetattr(terminal, &shown) < 0)
		return -1;
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
	hidden.c_lflag |= ECHONL;
	caught = 0;
	for (size_t i = 0; i < ARRAY_SIZE(stoppers); i++)
		(void)sigaction(stoppers[i], &action, &before[i]);
	result = tcsetattr(terminal, TCSAFLUSH, &hidden) < 0 ? -1
							     : read_line(terminal, line, ret_length);
	errnum = errno;
	(void)tcsetattr(terminal, TCSAFLUSH, &shown);
	for (size_t i = 0; i < ARRAY_SIZE(stoppers); i++)
		(void)sigaction(stoppers[i], &before[i], NULL);
	if (caught)
		(void)raise(caught);
	errno = errnum;
	return result;
}

int ask_line(const char *prompt, bool hidden, char **ret, struct err *err)
{
	_cleanup_close_ int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	char line[LINE_BYTES_MAX + 1];
	size_t length = 0;
	int result;

	if (terminal < 0)
		return err_set(err, ERR_USAGE, "ask for it: there is no terminal");
	(void)fs_write_all(terminal, prompt, strlen(prompt));
	result = hidden ? read_hidden(terminal, line, &length) : read_line(terminal, line, &length);
	if (result < 0)
		return err_sys(err, errno, "read from the terminal");
	line[length] = '\0';
	*ret = xstrdup(line);
	explicit_bzero(line, sizeof(line));
	return 0;
}

int ask_stdin(size_t max, char **ret, struct err *err)
{
	_cleanup_free_ char *text = xmalloc(max + 1);
	size_t length = 0;
	ssize_t got;

	while ((got = read(STDIN_FILENO, text + length, max + 1 - length)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, errno, "read standard input");
		length += (size_t)got;
		if (length > max)
			return err_set(err, ERR_USAGE, "read standard input: more than %zu bytes", max);
	}
	if (length > 0 && text[length - 1] == '\n')
		length--;
	if (length > 0 && text[length - 1] == '\r')
		length--;
	text[length] = '\0';
	if (strlen(text) != length)
		return err_set(err, ERR_USAGE, "read standard input: there is a NUL in it");
	*ret = TAKE_PTR(text);
	return 0;
}
