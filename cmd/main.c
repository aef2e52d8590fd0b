/* duet: the table of commands. Parses the line, runs one command, prints its error once. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "config.h"
#include "core/log.h"
#include "core/str.h"

#define EXIT_DUET 125
#define EXIT_USAGE 2

static const struct command commands[] = {
	{ "init", "spec", "write a first spec, or one from a Dockerfile", "",
	  OPT_FILE | OPT_FROM, 0, false, cmd_init },
	{ "check", "spec", "check a spec and say what is wrong with it", "",
	  OPT_FILE | OPT_ALLOW, 0, false, cmd_check },
	{ "lock", "spec", "write duet.lock: what the inputs from outside the project are",
	  "[NAME...]", OPT_FILE | OPT_STORE | OPT_ALLOW | OPT_LOCKED | OPT_UPDATE, 1 << 20, false,
	  cmd_lock },
	{ "plan", "spec", "print the steps of a build and their keys", "",
	  OPT_FILE | OPT_STORE | OPT_JSON | OPT_ALLOW | OPT_LOCKED, 0, false, cmd_plan },
	{ "schema", "spec", "print the JSON Schema of duet.yaml (--on man: the manual's key list)", "",
	  OPT_ON, 0, false, cmd_schema },
	{ "build", "image", "build the image of a spec", "",
	  OPT_FILE | OPT_STORE | OPT_ON | OPT_JSON | OPT_ALLOW | OPT_CACHE | OPT_LOCKED | OPT_TWICE,
	  0, false, cmd_build },
	{ "pull", "image", "fetch an image from a registry and unpack it", "REFERENCE",
	  OPT_STORE | OPT_ON | OPT_PLATFORM, 1, false, cmd_pull },
	{ "push", "image", "send an image to a registry", "[NAME] REFERENCE",
	  OPT_FILE | OPT_STORE, 2, false, cmd_push },
	{ "export", "image", "write an image as one file", "[NAME] FILE",
	  OPT_FILE | OPT_STORE | OPT_FORMAT, 2, false, cmd_export },
	{ "inspect", "image", "tell what the store knows of an image", "[NAME]",
	  OPT_FILE | OPT_STORE | OPT_JSON | OPT_FORMAT, 1, false, cmd_inspect },
	{ "images", "image", "list the images of the store", "",
	  OPT_STORE | OPT_JSON, 0, false, cmd_images },
	{ "login", "image", "keep a login for a registry, after trying it", "HOST[:PORT]",
	  OPT_LOGIN, 1, false, cmd_login },
	{ "logout", "image", "forget the login for a registry", "HOST[:PORT]",
	  0, 1, false, cmd_logout },
	{ "run", "run", "build what is missing and run the target", "[-- COMMAND...]",
	  OPT_FILE | OPT_STORE | OPT_ON | OPT_EXPLAIN | OPT_TTY | OPT_ALLOW | OPT_LOCKED |
	  OPT_IMAGE, 1 << 20, true, cmd_run },
	{ "shell", "run", "a shell in the target, or in the run step that failed", "[-- COMMAND...]",
	  OPT_FILE | OPT_STORE | OPT_ON | OPT_TTY | OPT_ALLOW | OPT_FAILED, 1 << 20, true,
	  cmd_shell },
	{ "doctor", "house", "tell what this machine lacks, and what mends it", "",
	  OPT_STORE | OPT_JSON, 0, false, cmd_doctor },
	{ "gc", "house", "remove what no image needs (--all: images too)", "",
	  OPT_STORE | OPT_ALL | OPT_JSON, 0, false, cmd_gc },
	{ "store", "house", "`store check`: read everything again and take out what is damaged",
	  "check", OPT_STORE | OPT_JSON, 1, false, cmd_store },
};

enum long_only { LONG_STORE = 256, LONG_ON, LONG_JSON, LONG_EXPLAIN, LONG_ALL, LONG_ALLOW, LONG_PLATFORM,
		 LONG_PASSWORD_STDIN, LONG_NO_VERIFY, LONG_NO_CACHE, LONG_EXPLAIN_CACHE, LONG_FAILED,
		 LONG_FORMAT, LONG_IMAGE,
		 LONG_FROM, LONG_LOCKED, LONG_FROZEN, LONG_CHECK, LONG_UPDATE, LONG_TWICE };

/* Every option once: which command takes it is the OPT_* bit. */
static const struct option_row {
	const char *name;
	int letter;
	unsigned int bit;	/* 0: every command */
	const char *argument;	/* NULL: none */
	const char *help;
} option_rows[] = {
	{ "file", 'f', OPT_FILE, "FILE", "the spec (default: duet.yaml)" },
	{ "directory", 'C', 0, "DIR", "work as if started there" },
	{ "store", LONG_STORE, OPT_STORE, "DIR", "the store (default: $DUET_STORE, the cache folder)" },
	{ "on", LONG_ON, OPT_ON, "RUNNER", "container, vm or all (default: the first of the spec's `on`)" },
	{ "format", LONG_FORMAT, OPT_FORMAT, "FORMAT",
	  "of export: oci, docker-archive, tar, erofs (default: oci); of inspect: oci-runtime" },
	{ "image", LONG_IMAGE, OPT_IMAGE, "REFERENCE", "run this image, without a spec" },
	{ "explain", LONG_EXPLAIN, OPT_EXPLAIN, NULL, "print what would be done, and stop" },
	{ "tty", 't', OPT_TTY, NULL, "give the job a terminal" },
	{ "interactive", 'i', OPT_TTY, NULL, "accepted as in docker: standard input is always passed" },
	{ "allow", LONG_ALLOW, OPT_ALLOW, "WORDS",
	  "allow what reaches outside the project: paths=/PATH, mounts=/PATH, capabilities=NAME, "
	  "seccomp, caches=NAME, mirrors" },
	{ "platform", LONG_PLATFORM, OPT_PLATFORM, "PLATFORM",
	  "which of the image's platforms, as linux/arm64 (default: the host's)" },
	{ "locked", LONG_LOCKED, OPT_LOCKED, NULL, "fail rather than change duet.lock" },
	{ "frozen", LONG_FROZEN, OPT_LOCKED, NULL, "--locked, and ask nobody on the network" },
	{ "check", LONG_CHECK, OPT_UPDATE, NULL,
	  "ask the sources whether they still say what duet.lock says" },
	{ "update", LONG_UPDATE, OPT_UPDATE, NULL, "take what the sources say now, for NAME or all" },
	{ "check-reproducible", LONG_TWICE, OPT_TWICE, NULL,
	  "build twice from nothing, and compare" },
	{ "failed", LONG_FAILED, OPT_FAILED, NULL,
	  "in the run step that failed last, on what it had written" },
	{ "no-cache", LONG_NO_CACHE, OPT_CACHE, NULL, "run every run step again" },
	{ "explain-cache", LONG_EXPLAIN_CACHE, OPT_CACHE, NULL,
	  "say of each step whether it was found, and why not" },
	{ "all", LONG_ALL, OPT_ALL, NULL, "images too" },
	{ "from", LONG_FROM, OPT_FROM, "FILE", "the Dockerfile to take it from" },
	{ "username", 'u', OPT_LOGIN, "USER", "whose login it is (default: it is asked for)" },
	{ "password-stdin", LONG_PASSWORD_STDIN, OPT_LOGIN, NULL,
	  "read the password or token from standard input" },
	{ "no-verify", LONG_NO_VERIFY, OPT_LOGIN, NULL, "keep the login without trying it" },
	{ "json", LONG_JSON, OPT_JSON, NULL, "machine-readable output" },
	{ "quiet", 'q', 0, NULL, "only errors" },
	{ "verbose", 'v', 0, NULL, "say more" },
	{ "help", 'h', 0, NULL, "this text" },
};

static void print_overview(FILE *out)
{
	const char *group = "";

	fprintf(out, "duet %s: one spec, two isolation models\n\nusage: duet COMMAND [options]\n",
		PACKAGE_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(group, commands[i].group))
			fprintf(out, "\n");
		group = commands[i].group;
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
	}
	fprintf(out, "\n`duet COMMAND --help` lists a command's options. Manual: duet(1), duet.yaml(5)\n");
}

static void print_help(const struct command *command)
{
	printf("usage: duet %s [options]%s%s\n%s\n\n", command->name, *command->operands ? " " : "",
	       command->operands, command->summary);
	for (size_t i = 0; i < ARRAY_SIZE(option_rows); i++) {
		const struct option_row *row = &option_rows[i];
		char left[40];

		if (row->bit && !(command->options & row->bit))
			continue;
		if (row->letter < 256)
			snprintf(left, sizeof(left), "-%c, --%s %s", row->letter, row->name,
				 row->argument ? row->argument : "");
		else
			snprintf(left, sizeof(left), "    --%s %s", row->name,
				 row->argument ? row->argument : "");
		printf("  %-24s %s\n", left, row->help);
	}
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int unknown_command(const char *name, struct err *err)
{
	const char *names[ARRAY_SIZE(commands) + 1] = { 0 }, *near;
	_cleanup_free_ char *shown = str_escape(name, 64);

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		names[i] = commands[i].name;
	near = str_nearest(name, names);
	err_set(err, ERR_USAGE, "unknown command `%s`", shown);
	if (near)
		return err_mend(err, "did you mean `duet %s`?", near);
	return err_mend(err, "`duet --help` lists the commands");
}

/* An option that says yes to something. */
static bool *flag_of(struct cli *cli, int letter)
{
	switch (letter) {
	case 't':
		return &cli->tty;
	case LONG_JSON:
		return &cli->json;
	case LONG_EXPLAIN:
		return &cli->explain;
	case LONG_LOCKED:
		return &cli->locked;
	case LONG_CHECK:
		return &cli->check;
	case LONG_UPDATE:
		return &cli->update;
	case LONG_TWICE:
		return &cli->check_reproducible;
	case LONG_PASSWORD_STDIN:
		return &cli->password_stdin;
	case LONG_NO_VERIFY:
		return &cli->no_verify;
	case LONG_FAILED:
		return &cli->failed;
	case LONG_NO_CACHE:
		return &cli->no_cache;
	case LONG_EXPLAIN_CACHE:
		return &cli->explain_cache;
	case LONG_ALL:
		return &cli->all;
	}
	return NULL;
}

static int take_option(struct cli *cli, int letter, char *argument, struct err *err)
{
	bool *flag = flag_of(cli, letter);

	if (flag) {
		*flag = true;
		return 0;
	}
	switch (letter) {
	case 'f':
		cli->file = argument;
		return 0;
	case 'C':
		if (chdir(argument) < 0)
			return err_sys_as(err, ERR_USAGE, errno, "change to %s", argument);
		return 0;
	case 'i':
		return 0;
	case 'q':
		log_set_level(LOG_QUIET);
		return 0;
	case 'v':
		log_set_level(LOG_VERBOSE);
		return 0;
	case LONG_STORE:
		cli->store = argument;
		return 0;
	case LONG_ON:
		cli->on = argument;
		return 0;
	case LONG_IMAGE:
		cli->image = argument;
		return 0;
	case LONG_FORMAT:
		cli->format = argument;
		return 0;
	case LONG_ALLOW:
		if (cli->allow_count == CLI_ALLOW_MAX)
			return err_set(err, ERR_USAGE, "--allow: given more than %d times",
				       CLI_ALLOW_MAX);
		cli->allow[cli->allow_count++] = argument;
		return 0;
	case LONG_PLATFORM:
		cli->platform = argument;
		return 0;
	case LONG_FROM:
		cli->from = argument;
		return 0;
	case LONG_FROZEN:
		cli->frozen = cli->locked = true;
		return 0;
	case 'u':
		cli->username = argument;
		return 0;
	}
	return 0;
}

/* `why` is what getopt said: '?' or ':'. */
static int refuse_option(const struct command *command, const char *word, int why,
			 struct err *err)
{
	_cleanup_free_ char *shown = str_escape(word, 64);

	err_set(err, ERR_USAGE, why == ':' ? "`duet %s`: option `%s` lacks its argument"
					   : "`duet %s` has no option `%s`", command->name, shown);
	return err_mend(err, "`duet %s --help` lists its options", command->name);
}

/* 0, 1 when --help was answered, -1. argv[0] is the command's name. */
static int parse_line(const struct command *command, int argc, char **argv, struct cli *cli,
		      struct err *err)
{
	struct option longs[ARRAY_SIZE(option_rows) + 1] = { 0 };
	/* "+": behind the first operand of a job's command nothing is ours */
	char letters[2 * ARRAY_SIZE(option_rows) + 3] = "+:";
	size_t count = 0, used = strlen(letters);
	const char *from = command->runs_job ? letters : letters + 1;
	int letter;

	for (size_t i = 0; i < ARRAY_SIZE(option_rows); i++) {
		const struct option_row *row = &option_rows[i];

		if (row->bit && !(command->options & row->bit))
			continue;
		longs[count++] = (struct option){ row->name, row->argument ? required_argument
								   : no_argument, NULL, row->letter };
		if (row->letter < 256) {
			letters[used++] = (char)row->letter;
			if (row->argument)
				letters[used++] = ':';
		}
	}
	opterr = 0;
	while ((letter = getopt_long(argc, argv, from, longs, NULL)) != -1) {
		if (letter == 'h') {
			print_help(command);
			return 1;
		}
		if (letter == '?' || letter == ':')
			return refuse_option(command, argv[optind - 1], letter, err);
		if (take_option(cli, letter, optarg, err) < 0)
			return -1;
	}
	cli->has_separator = optind > 1 && !strcmp(argv[optind - 1], "--");
	cli->rest = argv + optind;
	cli->rest_count = argc - optind;
	if (cli->rest_count <= command->operands_max)
		return 0;
	err_set(err, ERR_USAGE, "`duet %s` takes no operand `%s`", command->name,
		cli->rest[command->operands_max]);
	return err_mend(err, "`duet %s --help` tells how it is used", command->name);
}

static int exit_code(const struct command *command, const struct err *err)
{
	switch (err->code) {
	case ERR_JOB_NOT_FOUND:
		return 127;
	case ERR_JOB_NOT_EXEC:
		return 126;
	case ERR_JOB_TIMEOUT:
		return 124;
	}
	if (command && command->runs_job)
		return EXIT_DUET;
	if (err->code >= ERR_USAGE && err->code <= ERR_SPEC_MISSING)
		return EXIT_USAGE;
	return 1;
}

/* What helps wherever it was met. */
static void mend(struct err *err)
{
	switch (err->code) {
	case -ENOSPC:
	case -EDQUOT:
		err_mend(err, "make room on that disk; of a store by `duet gc`, or name another with --store DIR");
		break;
	case -EMFILE:
		err_mend(err, "allow more open files: ulimit -n 256");
		break;
	case -ENOSYS:
		err_mend(err, "run it on Linux 5.11 or newer, without a filter that hides system calls");
		break;
	}
}

/*
 * What the caller took away and everything below counts on. Were one of the three streams closed, the next
 * file to be opened would be it: messages would be written into the store, and a stream would be a spec.
 */
static void settle(void)
{
	for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
		if (fcntl(stream, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_NOCTTY) != stream)
			_exit(EXIT_DUET); /* where would the reason go? */
	/* what the caller left open is not for anything that we start */
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	/* nobody locks himself out of what he makes */
	umask(umask(0) & ~(mode_t)S_IRWXU);
}

int main(int argc, char **argv)
{
	const struct command *command = argc > 1 ? find_command(argv[1]) : NULL;
	struct cli cli = { 0 };
	struct err err = { 0 };
	int code = 0, result;

	settle();
	if (argc > 1 && !strcmp(argv[1], "--version")) {
		puts("duet " PACKAGE_VERSION);
		return 0;
	}
	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		print_overview(argc < 2 ? stderr : stdout);
		return argc < 2 ? EXIT_USAGE : 0;
	}
	result = command ? parse_line(command, argc - 1, argv + 1, &cli, &err)
			 : unknown_command(argv[1], &err);
	if (result == 0)
		result = command->run(&cli, &code, &err);
	if (result == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		result = err_sys(&err, errno, "write standard output");
	if (result >= 0)
		return code;
	if (!err.mend)
		mend(&err);
	log_err(&err);
	code = exit_code(command, &err);
	err_done(&err);
	return code;
}
