/*
 * Speaks to a registry as duet does, for registry.sh and others:
 *
 *	registry_probe [OPTION...] HOST REPOSITORY ACTION...
 *
 *	--plain-http  --push  --user U --secret S  --identity T
 *	--quick		the worker's part in this process, without its jail; it waits at most a twentieth
 *			of a second before another try, and prints "wait MS" for how long it wanted to,
 *			and a server that says nothing for a second has stalled
 *	manifest REF OUT		prints "manifest DIGEST BYTES TYPE"
 *	manifest-of REF DIGEST OUT	the same, and it must have this digest
 *	blob DIGEST SIZE OUT		taken up where OUT ends; prints "blob DIGEST BYTES"
 *	tee DIGEST SIZE OUT COPY	the same, with COPY written from a pipe
 *	put-blob FILE			prints "put DIGEST"
 *	mount-blob FILE REPOSITORY	the same, from another repository where it can be
 *	put-manifest REF TYPE FILE
 *
 * Actions are done one after the other, but blobs that follow each other at the same time. Exit 0 or
 * 1; then "error[CLASS]: MESSAGE" and "mend: MEND" are on stderr. 2: this program was called wrongly.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "builders/oci/registry.h"
#include "builders/worker/registry/talk.h"
#include "core/mem.h"
#include "core/parse.h"

#define WAIT_MAX_NS 50000000l
#define STALL_S 1u

static bool quick;
static uint32_t under_way;
static pid_t readers[WORKER_OPEN_MAX];	/* of pipes */
static size_t reader_count;

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *rest)
{
	struct timespec shorter = *time;

	(void)clock;
	(void)flags;
	(void)rest;
	printf("wait %lld\n", (long long)time->tv_sec * 1000 + time->tv_nsec / 1000000);
	fflush(stdout);
	if (shorter.tv_sec > 0 || shorter.tv_nsec > WAIT_MAX_NS)
		shorter = (struct timespec){ .tv_nsec = WAIT_MAX_NS };
	syscall(SYS_nanosleep, &shorter, NULL);
	return 0;
}

static _Noreturn void die(const struct err *err)
{
	fflush(stdout);
	fprintf(stderr, "error[%s]: %s\n", err_class(err->code), err->msg);
	if (err->mend)
		fprintf(stderr, "mend: %s\n", err->mend);
	_exit(1);
}

static _Noreturn void misused(const char *what)
{
	fprintf(stderr, "registry_probe: %s\n", what);
	_exit(2);
}

/* ---- the worker in this process -------------------------------------------------------------- */

struct inside {
	int socket;
	int login;
	struct worker_request request;
};

static void *run_inside(void *data)
{
	struct inside *inside = data;
	struct err err = { 0 };
	struct talk *talk = talk_new(inside->socket, &inside->request, inside->login, &err);

	if (!talk)
		die(&err);
	talk_hurry(talk, STALL_S);
	talk_go(talk);
	return NULL;
}

static int login_file(const struct registry_access *access)
{
	static struct worker_login login = { .version = WORKER_VERSION };
	FILE *file = tmpfile();

	if (access->user)
		snprintf(login.user, sizeof(login.user), "%s", access->user);
	if (access->secret)
		snprintf(login.secret, sizeof(login.secret), "%s", access->secret);
	if (access->identity_token)
		snprintf(login.identity_token, sizeof(login.identity_token), "%s",
			 access->identity_token);
	if (!file || fwrite(&login, sizeof(login), 1, file) != 1 || fflush(file))
		misused("write the login");
	return dup(fileno(file));
}

static void open_inside(struct registry *ret, const char *host, const char *repository,
			const struct registry_access *access, bool push)
{
	static struct inside inside;
	struct worker_reply ready;
	struct err err = { 0 };
	pthread_t thread;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		misused("make socketpair");
	*ret = (struct registry){ .worker = { .jail = { .pid = -1, .pidfd = -1, .alive = -1 },
					      .op = WORKER_REGISTRY, .socket = pair[0] } };
	inside.socket = pair[1];
	inside.login = login_file(access);
	inside.request.flags = (access->plain_http ? WORKER_PLAIN_HTTP : 0) |
			       (push ? WORKER_PUSH : 0);
	snprintf(inside.request.text, sizeof(inside.request.text), "%s/%s", host, repository);
	pthread_create(&thread, NULL, run_inside, &inside);
	if (worker_take(&ret->worker, &ready, &err) != 1)
		die(&err);
}

/* ---- actions --------------------------------------------------------------------------------- */

static int open_out(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		misused(path);
	return fd;
}

static int open_in(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		misused(path);
	return fd;
}

static void digest_file(int fd, struct digest *ret, uint64_t *ret_bytes)
{
	static char chunk[65536];
	struct sha256 hash;
	ssize_t got;

	*ret_bytes = 0;
	sha256_init(&hash);
	while ((got = pread(fd, chunk, sizeof(chunk), (off_t)*ret_bytes)) > 0) {
		sha256_add(&hash, chunk, (size_t)got);
		*ret_bytes += (uint64_t)got;
	}
	sha256_end(&hash, ret);
}

/* Takes the answers to all blobs. */
static void wait_for_blobs(struct registry *registry)
{
	struct worker_reply reply;
	struct err err = { 0 };
	char text[DIGEST_TEXT_SIZE];
	int taken;

	while (under_way > 0) {
		taken = worker_take(&registry->worker, &reply, &err);
		if (taken < 0)
			die(&err);
		if (taken == 0)
			continue;
		digest_text(&reply.blob, text);
		printf("blob %s %llu\n", text, (unsigned long long)reply.blob_bytes);
		under_way--;
	}
	while (reader_count > 0)
		waitpid(readers[--reader_count], NULL, 0);
}

static void manifest(struct registry *registry, char **words, bool of)
{
	int out = open_out(words[of ? 2 : 1]);
	struct err err = { 0 };
	struct digest digest, expected;
	char type[256], text[DIGEST_TEXT_SIZE];
	uint64_t bytes;

	if (of && !digest_parse(words[1], &expected))
		misused("DIGEST");
	if (registry_get_manifest(registry, words[0], of ? &expected : NULL, out, &digest, &bytes,
				  type, &err) < 0)
		die(&err);
	close(out);
	digest_text(&digest, text);
	printf("manifest %s %llu %s\n", text, (unsigned long long)bytes, type);
}

static void get_manifest(struct registry *registry, char **words)
{
	manifest(registry, words, false);
}

static void get_manifest_of(struct registry *registry, char **words)
{
	manifest(registry, words, true);
}

static void blob(struct registry *registry, char **words, const int *pipes, size_t pipe_count)
{
	int out = open_out(words[2]);
	struct err err = { 0 };
	struct digest digest;
	uint64_t bytes;
	uint32_t id;

	if (!digest_parse(words[0], &digest) || !parse_u64(words[1], &bytes))
		misused("DIGEST SIZE");
	if (registry_get_blob(registry, &digest, bytes, out, pipes, pipe_count, &id, &err) < 0)
		die(&err);
	close(out);
	under_way++;
}

static void get_blob(struct registry *registry, char **words)
{
	blob(registry, words, NULL, 0);
}

/* `cat` by another process, as layers are unpacked by one. */
static void tee_blob(struct registry *registry, char **words)
{
	int ends[2], copy = open(words[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (copy < 0 || pipe2(ends, O_CLOEXEC) < 0)
		misused(words[3]);
	fflush(stdout);
	if (reader_count == ARRAY_SIZE(readers))
		misused("too many at once");
	readers[reader_count] = fork();
	if (readers[reader_count++] == 0) {
		char chunk[4096];
		ssize_t got;

		close(ends[1]);
		while ((got = read(ends[0], chunk, sizeof(chunk))) > 0)
			if (write(copy, chunk, (size_t)got) != got)
				_exit(1);
		_exit(0);
	}
	close(ends[0]);
	close(copy);
	blob(registry, words, ends + 1, 1);
	close(ends[1]);
}

static void put(struct registry *registry, const char *path, const char *from)
{
	int file = open_in(path);
	struct err err = { 0 };
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;
	uint64_t bytes;

	digest_file(file, &digest, &bytes);
	if (registry_put_blob(registry, &digest, bytes, file, from, "put", NULL, &err) < 0)
		die(&err);
	close(file);
	digest_text(&digest, text);
	printf("put %s\n", text);
}

static void put_blob(struct registry *registry, char **words)
{
	put(registry, words[0], NULL);
}

static void mount_blob(struct registry *registry, char **words)
{
	put(registry, words[0], words[1]);
}

static void put_manifest(struct registry *registry, char **words)
{
	int file = open_in(words[2]);
	struct err err = { 0 };

	if (registry_put_manifest(registry, words[0], words[1], file, &err) < 0)
		die(&err);
	close(file);
}

static const struct action {
	const char *name;
	int words;
	bool at_once;	/* it is not waited for */
	void (*run)(struct registry *registry, char **words);
} actions[] = {
	{ "manifest", 2, false, get_manifest },	 { "manifest-of", 3, false, get_manifest_of },
	{ "blob", 3, true, get_blob },		 { "tee", 4, true, tee_blob },
	{ "put-blob", 1, false, put_blob },	 { "mount-blob", 2, false, mount_blob },
	{ "put-manifest", 3, false, put_manifest },
};

static const struct action *find_action(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(actions[i].name, name))
			return &actions[i];
	misused(name);
}

int main(int argc, char **argv)
{
	struct registry_access access = { 0 };
	bool push = false;
	const struct {
		const char *name;
		bool *flag;
		char **value;
	} options[] = {
		{ "--plain-http", &access.plain_http, NULL }, { "--push", &push, NULL },
		{ "--quick", &quick, NULL },		      { "--user", NULL, &access.user },
		{ "--secret", NULL, &access.secret },
		{ "--identity", NULL, &access.identity_token },
	};
	struct registry registry;
	struct err err = { 0 };
	int at = 1;

	for (; at < argc && !strncmp(argv[at], "--", 2); at++) {
		size_t i = 0;

		while (i < ARRAY_SIZE(options) && strcmp(options[i].name, argv[at]))
			i++;
		if (i == ARRAY_SIZE(options) || (options[i].value && at + 1 >= argc))
			misused(argv[at]);
		if (options[i].flag)
			*options[i].flag = true;
		else
			*options[i].value = argv[++at];
	}
	if (argc - at < 3)
		misused("HOST REPOSITORY ACTION...");
	if (quick)
		open_inside(&registry, argv[at], argv[at + 1], &access, push);
	else if (registry_open(&registry, argv[at], argv[at + 1], &access, push, &err) < 0)
		die(&err);
	for (at += 2; at < argc;) {
		const struct action *action = find_action(argv[at++]);

		if (argc - at < action->words)
			misused(action->name);
		if (!action->at_once)
			wait_for_blobs(&registry);
		action->run(&registry, argv + at);
		at += action->words;
	}
	wait_for_blobs(&registry);
	if (!quick)
		registry_close(&registry, false);
	return 0;
}
