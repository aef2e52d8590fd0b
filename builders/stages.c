/*
 * Building side by side: see stages.h. Each image is built by a fork of this process, which has one
 * thread:
 *
 *	1  the child dies with its parent, opens the store for itself (a lock that is its own), builds
 *	2  what it has to say it writes into its pipe, an error whole; it ends without any clean-up of the
 *	   parent's
 *	3  the parent reads to the end of the pipe, waits for the child, and starts what that one held up
 *
 * What a child has built is in the store; the parent opens it there. A stage that is not (or is no longer)
 * is built by whoever needs it.
 */
#include "builders/stages.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "builders/recorded.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"

#define ANSWER_MAX 65536	/* bytes of an error */

enum part_state { PART_UNNEEDED, PART_WAITS, PART_RUNS, PART_DONE };

/* One image. */
struct part {
	enum part_state state;
	pid_t pid;
	int pipe;		/* owned while it runs */
	struct str answer;	/* owned */
};

struct parts {
	struct build *build;
	int (*make)(struct build *build, size_t number, struct err *err);
	struct part *items;	/* owned; by index of spec->stages */
	size_t count, running;
	size_t failed;		/* the lowest number of those that failed; count: none */
	struct err err;		/* owned; of that one */
};

/* Does `image` take from stage `number` itself? What it begins with is built first, to be found then. */
static bool takes_from(const struct image_spec *image, size_t number)
{
	if (image->from.kind == SOURCE_IMAGE && image->from.image == number)
		return true;
	for (size_t i = 0; i < image->step_count; i++)
		if (step_takes_from(&image->steps[i], number))
			return true;
	return false;
}

/* What is taken from it may be there although the image itself is not. */
static bool is_needed(const struct build *build, size_t number, const bool *found)
{
	const struct plan *plan = &build->plans->image;

	for (size_t i = 0; i < plan->step_count; i++)
		if (plan->steps[i].step && !found[i] &&
		    step_takes_from(plan->steps[i].step, number))
			return true;
	return false;
}

/* What is to be built: from the last to the first, since each stands behind those that it takes from. */
static int find_needed(struct parts *parts, size_t first, size_t *ret_count, struct err *err)
{
	const struct spec *spec = parts->build->spec;
	_cleanup_free_ bool *found = xcalloc(parts->build->plans->image.step_count, sizeof(*found));

	*ret_count = 0;
	if (recorded_steps(parts->build, found, err) < 0)
		return -1;
	for (size_t i = parts->count; i-- > 0;) {
		struct part *part = &parts->items[i];
		bool needed = i == first || is_needed(parts->build, i, found);
		struct digest ignored;
		int built;

		for (size_t j = i + 1; !needed && j < parts->count; j++)
			needed = parts->items[j].state == PART_WAITS &&
				 takes_from(&spec->stages[j], i);
		built = needed ? recorded_image(parts->build, i, &ignored, err) : 0;
		if (built < 0)
			return -1;
		part->state = needed && !built ? PART_WAITS : PART_UNNEEDED;
		*ret_count += part->state == PART_WAITS;
	}
	return 0;
}

/* ---- the child ------------------------------------------------------------------------------- */

static void add_field(struct str *out, const char *text)
{
	str_addn(out, text ? text : "", (text ? strlen(text) : 0) + 1);
}

/* "CODE", place, message, mend, each with a NUL behind it. */
static void tell(int pipe, const struct err *err)
{
	_cleanup_(str_done) struct str out = { 0 };

	str_addf(&out, "%d", err->code);
	str_addn(&out, "", 1);
	add_field(&out, err->place);
	add_field(&out, err->msg);
	add_field(&out, err->mend);
	(void)fs_write_all(pipe, out.text, out.length);
}

static int open_own_store(const struct store *store, struct store *ret, struct err *err)
{
	size_t length = strlen(store->path);
	_cleanup_free_ char *top = xstrndup(store->path, length - strlen("/v1"));
	struct idmap map = store->map;

	return store_open(ret, *top ? top : "/", &map, err);
}

static void build_part(struct parts *parts, size_t number, int pipe)
{
	struct build build = *parts->build;
	struct err err = { 0 };
	struct store store;

	log_set_part(parts->build->plans->stages[number].name);
	build.is_started = true;
	build.store = &store;
	if (open_own_store(parts->build->store, &store, &err) == 0)
		(void)parts->make(&build, number, &err);
	tell(pipe, &err);
	_exit(err.code != 0);
}

/* ---- the parent ------------------------------------------------------------------------------ */

static int start(struct parts *parts, size_t number, struct err *err)
{
	struct part *part = &parts->items[number];
	pid_t self = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make a pipe");
	part->pid = fork();
	if (part->pid == 0) {
		close(ends[0]);
		proc_die_with(self);
		build_part(parts, number, ends[1]);
	}
	close(ends[1]);
	if (part->pid < 0) {
		int errnum = errno;

		close(ends[0]);
		return err_sys(err, errnum, "start a process to build %s",
			       parts->build->spec->stages[number].name);
	}
	part->pipe = ends[0];
	part->state = PART_RUNS;
	parts->running++;
	return 0;
}

static bool may_start(const struct parts *parts, size_t number)
{
	const struct image_spec *image = &parts->build->spec->stages[number];

	for (size_t i = 0; i < number; i++)
		if ((parts->items[i].state == PART_WAITS || parts->items[i].state == PART_RUNS) &&
		    takes_from(image, i))
			return false;
	return parts->items[number].state == PART_WAITS;
}

static int start_more(struct parts *parts, size_t at_most, struct err *err)
{
	for (size_t i = 0; i < parts->count && parts->running < at_most; i++)
		if (may_start(parts, i) && start(parts, i, err) < 0)
			return -1;
	return 0;
}

/* The next text of the answer; NULL when there is none. */
static const char *next_field(const char **at, const char *end)
{
	const char *field = *at;
	const char *stop = field < end ? memchr(field, '\0', (size_t)(end - field)) : NULL;

	if (!stop)
		return NULL;
	*at = stop + 1;
	return field;
}

static void take_answer(const struct part *part, int code, const char *name, struct err *ret)
{
	const char *at = part->answer.text, *end = at + part->answer.length;
	const char *number = at ? next_field(&at, end) : NULL;
	const char *place = number ? next_field(&at, end) : NULL;
	const char *msg = place ? next_field(&at, end) : NULL;
	const char *mend = msg ? next_field(&at, end) : NULL;

	if (mend && code == 0 && atoi(number) == 0)
		return;
	if (!mend || atoi(number) == 0) {
		err_set(ret, ERR_WORKER, "build %s: its process %s %d", name,
			code > 128 ? "was killed by signal" : "ended with", code > 128 ? code - 128 : code);
		return;
	}
	err_set(ret, atoi(number), "%s", msg);
	if (*mend)
		err_mend(ret, "%s", mend);
	if (*place)
		ret->place = xstrdup(place);
}

/* The child has closed its pipe. */
static void end(struct parts *parts, size_t number)
{
	struct part *part = &parts->items[number];
	struct err err = { 0 };
	int code = proc_wait(part->pid);

	close(part->pipe);
	take_answer(part, code, parts->build->spec->stages[number].name, &err);
	str_done(&part->answer);
	part->state = PART_DONE;
	parts->running--;
	parts->build->stages[number].is_made = err.code == 0;
	parts->build->stages[number].has_chain = false;
	if (err.code && number < parts->failed) {
		parts->failed = number;
		err_move(&parts->err, &err);
	}
	err_done(&err);
}

static void read_answer(struct parts *parts, size_t number)
{
	struct part *part = &parts->items[number];
	char buffer[4096];
	ssize_t got = read(part->pipe, buffer, sizeof(buffer));

	if (got < 0 && errno == EINTR)
		return;
	if (got > 0 && part->answer.length + (size_t)got <= ANSWER_MAX)
		str_addn(&part->answer, buffer, (size_t)got);
	else if (got <= 0)
		end(parts, number);
}

static int wait_for_one(struct parts *parts, struct err *err)
{
	struct pollfd polls[SPEC_IMAGES_MAX];
	size_t numbers[SPEC_IMAGES_MAX], count = 0;

	for (size_t i = 0; i < parts->count; i++) {
		if (parts->items[i].state != PART_RUNS)
			continue;
		polls[count] = (struct pollfd){ .fd = parts->items[i].pipe, .events = POLLIN };
		numbers[count++] = i;
	}
	if (poll(polls, count, -1) < 0 && errno != EINTR)
		return err_sys(err, errno, "wait for what is being built");
	for (size_t i = 0; i < count; i++)
		if (polls[i].revents)
			read_answer(parts, numbers[i]);
	return 0;
}

static size_t processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

static int run_all(struct parts *parts, struct err *err)
{
	size_t at_most = processors();
	int result = 0;

	for (;;) {
		if (result == 0 && parts->failed == parts->count)
			result = start_more(parts, at_most, err);
		if (parts->running == 0)
			break;
		if (wait_for_one(parts, err) < 0)
			result = -1;
	}
	if (result == 0 && parts->err.code) {
		err_move(err, &parts->err);
		result = -1;
	}
	err_done(&parts->err);
	return result;
}

int stages_build(struct build *build, size_t first,
		 int (*make)(struct build *build, size_t number, struct err *err), struct err *err)
{
	struct parts parts = { .build = build, .make = make, .count = build->plans->stage_count,
			       .failed = build->plans->stage_count };
	size_t needed;
	int result;

	parts.items = xcalloc(parts.count, sizeof(*parts.items));
	result = find_needed(&parts, first, &needed, err);
	/* one alone is built by who asks for it */
	if (result == 0 && needed > 1)
		result = run_all(&parts, err);
	for (size_t i = 0; result == 0 && i < parts.count; i++)
		if (parts.items[i].state == PART_DONE)
			result = builders_learn(build, i, err);
	free(parts.items);
	return result;
}
