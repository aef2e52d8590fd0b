/*
 * Run while duet is built: writes the filters of filter_table.h as arrays of BPF to
 * standard output.
 *
 *	load the architecture; another than ours: go to the tree
 *	load the call's number; for each guard: compare, load the argument, test, answer
 *	the tree: libseccomp's: it asks for the architecture, then finds the number by halving
 *
 * The guards stand in front, made here by hand: libseccomp cannot say "allowed, but for
 * these two values" when the default is neither of the answers, unless every range of the
 * other values gets a rule of its own.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/jail/filter_table.h"
#include "core/mem.h"

#define CALLS_MAX 1024		/* numbers of calls that are kept track of */
#define CODE_MAX 4096		/* instructions; the kernel's own bound */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW_WORD 0
#else
#define LOW_WORD 4
#endif

#define ARGUMENTS ((uint32_t)offsetof(struct seccomp_data, args))

struct code {
	struct sock_filter at[CODE_MAX];
	size_t length;
};

static void __attribute__((noreturn)) die(const char *what, const char *which)
{
	fprintf(stderr, "filter_make: %s: %s\n", what, which);
	exit(1);
}

static void emit(struct code *code, uint16_t op, uint8_t if_true, uint8_t if_false,
		 uint32_t k)
{
	if (code->length == CODE_MAX)
		die("filter is too long", "guards");
	code->at[code->length++] = (struct sock_filter){ op, if_true, if_false, k };
}

/* The call's number; below 0 when this architecture does not have it. */
static int resolve(const char *word)
{
	_cleanup_free_ char *name = strdup(word);
	char *given = strchr(name, '=');
	int by_name;

	if (given)
		*given++ = '\0';
	by_name = seccomp_syscall_resolve_name(name);
	if (by_name == __NR_SCMP_ERROR) {
		if (!given)
			die("no such system call, and no number", name);
		return atoi(given);
	}
	if (given && by_name >= 0 && by_name != atoi(given))
		die("libseccomp knows another number", word);
	return by_name;
}

static uint32_t action(int answer)
{
	switch (answer) {
	case ALLOW:
		return SCMP_ACT_ALLOW;
	case KILL:
		return SCMP_ACT_KILL_PROCESS;
	default:
		return SCMP_ACT_ERRNO(answer);
	}
}

/* Adds the calls of one list; what an earlier list decided stays. */
static void add_calls(scmp_filter_ctx tree, const struct filter_profile *profile,
		      const struct filter_calls *list, bool *decided)
{
	bool here[CALLS_MAX] = { false };

	for (; list->names; list++) {
		_cleanup_free_ char *names = strdup(list->names);
		char *rest = NULL;

		for (char *word = strtok_r(names, " ", &rest); word;
		     word = strtok_r(NULL, " ", &rest)) {
			int number = resolve(word);

			if (number < 0)
				continue;
			if (number >= CALLS_MAX || here[number])
				die("named twice, or number out of range", word);
			here[number] = true;
			if (decided[number])
				continue;
			decided[number] = true;
			if (list->answer == profile->otherwise)
				continue; /* libseccomp refuses what changes nothing */
			if (seccomp_rule_add(tree, action(list->answer), number, 0) < 0)
				die("add a rule", word);
		}
	}
}

/*
 * One guard: entered with the call's number loaded, left either with an answer or with
 * the tree to come; when the next one is of the same call, with the number loaded again.
 * Others of it would never be reached.
 */
static void emit_guard(struct code *code, const struct filter_guard *guard, bool *guarded)
{
	uint32_t answer = SECCOMP_RET_ERRNO | (uint32_t)guard->answer;
	uint32_t argument = ARGUMENTS + 8 * guard->argument + LOW_WORD;
	uint32_t when = ARGUMENTS + 8 * guard->when + LOW_WORD;
	bool masked = guard->mask != ALL_BITS, conditional = guard->when_bits != 0;
	bool deny = guard->test == GUARD_DENY;
	int number = resolve(guard->call);
	uint32_t left = guard->count;
	bool more = guard[1].call && !strcmp(guard[1].call, guard->call);

	if (number < 0)
		return;
	if (number >= CALLS_MAX || guarded[number])
		die("guarded twice, or number out of range", guard->call);
	guarded[number] = !more;
	/* skipped when it is another call: condition, load, mask, a test per value, return,
	 * jump */
	emit(code, BPF_JMP | BPF_JEQ | BPF_K, 0,
	     (uint8_t)(2 * conditional + 1 + masked + left + 2), (uint32_t)number);
	if (conditional) {
		emit(code, BPF_LD | BPF_W | BPF_ABS, 0, 0, when);
		/* else on to the tree: behind load, mask, tests and return */
		emit(code, BPF_JMP | BPF_JSET | BPF_K, 0, (uint8_t)(1 + masked + left + 1),
		     guard->when_bits);
	}
	emit(code, BPF_LD | BPF_W | BPF_ABS, 0, 0, argument);
	if (masked)
		emit(code, BPF_ALU | BPF_AND | BPF_K, 0, 0, guard->mask);
	for (uint32_t i = 0; i < guard->count; i++) {
		left--;
		/* behind the tests stand the answer, then the way on: DENY meets the
		 * first when a value fits, ONLY the second */
		if (deny)
			emit(code, BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)left, left == 0,
			     guard->values[i]);
		else
			emit(code, BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)(left + 1), 0,
			     guard->values[i]);
	}
	emit(code, BPF_RET | BPF_K, 0, 0, answer);
	if (more)
		emit(code, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	else /* to the tree; its distance comes later */
		emit(code, BPF_JMP | BPF_JA, 0, 0, UINT32_MAX);
}

static void emit_guards(struct code *code, const struct filter_profile *profile)
{
	bool guarded[CALLS_MAX] = { false };

	emit(code, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
	emit(code, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, seccomp_arch_native());
	emit(code, BPF_JMP | BPF_JA, 0, 0, UINT32_MAX);
	emit(code, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_SIZE(profile->guards) && profile->guards[i]; i++)
		for (const struct filter_guard *guard = profile->guards[i]; guard->call;
		     guard++)
			emit_guard(code, guard, guarded);
	for (size_t i = 0; i < code->length; i++)
		if (code->at[i].code == (BPF_JMP | BPF_JA))
			code->at[i].k = (uint32_t)(code->length - i - 1);
}

static void add_tree(struct code *code, scmp_filter_ctx tree, const char *name)
{
	size_t room = sizeof(code->at) - code->length * sizeof(code->at[0]);
	int fd = memfd_create("filter", MFD_CLOEXEC);
	struct sock_filter *start = code->at + code->length;
	ssize_t size;

	if (fd < 0 || seccomp_export_bpf(tree, fd) < 0)
		die("export", name);
	size = pread(fd, start, room, 0);
	close(fd);
	if (size <= 0 || (size_t)size == room || (size_t)size % sizeof(*start) != 0)
		die("read the exported filter", name);
	/* it must not count on what the guards left in the accumulator */
	if (start->code != (BPF_LD | BPF_W | BPF_ABS))
		die("the exported filter does not begin with a load", name);
	code->length += (size_t)size / sizeof(*start);
}

static void make(const struct filter_profile *profile, struct code *code)
{
	scmp_filter_ctx tree = seccomp_init(action(profile->otherwise));
	uint32_t foreign = action(profile->foreign);
	bool decided[CALLS_MAX] = { false };

	if (!tree || seccomp_attr_set(tree, SCMP_FLTATR_ACT_BADARCH, foreign) < 0 ||
	    seccomp_attr_set(tree, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0)
		die("begin", profile->name);
	for (size_t i = 0; i < ARRAY_SIZE(profile->groups) && profile->groups[i]; i++)
		add_calls(tree, profile, profile->groups[i], decided);
	emit_guards(code, profile);
	add_tree(code, tree, profile->name);
	seccomp_release(tree);
}

static void print(const char *name, const struct code *code)
{
	printf("static const struct sock_filter %s_code[] = {\n", name);
	for (size_t i = 0; i < code->length; i++)
		printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", code->at[i].code,
		       code->at[i].jt, code->at[i].jf, code->at[i].k);
	printf("};\n\n");
}

int main(void)
{
	static struct code code;

	printf("/* Written by core/jail/filter_make from filter_table.h. */\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++) {
		code.length = 0;
		make(&profiles[i], &code);
		print(profiles[i].name, &code);
	}
	if (fflush(stdout) != 0 || ferror(stdout))
		die("write", "standard output");
	return 0;
}
