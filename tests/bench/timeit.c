/*
 * Times commands in turns, from before their start to after their end, so that what disturbs the
 * machine disturbs them all.
 *
 *	timeit [-n ROUNDS] [-c] [-s] NAME COMMAND... [+++ NAME COMMAND...]...
 *
 * One line for each on standard output, between tabs: name; least, median and 95th percentile in
 * microseconds; ratio of the median to that of the first; peak resident size in KiB of the largest
 * of its processes that was waited for. -c: processor time, of its children too, instead of time. -s: standard
 * error and input stay as they are. The first round is not counted when there are others. 0, 1 when a command failed, 2 on usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONTENDERS_MAX 16
#define ROUNDS_MAX 100000

static bool count_cpu;

struct contender {
	const char *name;
	char **argv;		/* ends with NULL */
	double *spent_us;	/* owned; one for each round */
	long peak_kib;
};

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void start(char **argv, bool keep_streams)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, STDOUT_FILENO) < 0)
		_exit(127);
	if (!keep_streams && (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0))
		_exit(127);
	if (null > STDERR_FILENO)
		close(null);
	execvp(argv[0], argv);
	_exit(127);
}

static double to_us(const struct timeval *time)
{
	return (double)time->tv_sec * 1e6 + (double)time->tv_usec;
}

static int run_once(struct contender *contender, bool keep_streams, double *ret_us)
{
	double began = now_us();
	pid_t pid = fork();
	struct rusage used;
	int status;

	if (pid == 0)
		start(contender->argv, keep_streams);
	if (pid < 0) {
		perror("timeit: fork");
		return -1;
	}
	while (wait4(pid, &status, 0, &used) < 0)
		if (errno != EINTR)
			return -1;
	*ret_us = count_cpu ? to_us(&used.ru_utime) + to_us(&used.ru_stime) : now_us() - began;
	if (used.ru_maxrss > contender->peak_kib)
		contender->peak_kib = used.ru_maxrss;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	fprintf(stderr, "timeit: %s: %s %d\n", contender->name,
		WIFEXITED(status) ? "exit code" : "signal",
		WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return -1;
}

/* Splits the line at "+++"; returns how many there are, 0 when it is malformed. */
static unsigned int split(char **words, struct contender *contenders)
{
	unsigned int count = 0;

	while (words[0]) {
		if (count == CONTENDERS_MAX || !words[1] || !strcmp(words[1], "+++"))
			return 0;
		contenders[count].name = words[0];
		contenders[count++].argv = ++words;
		while (*words && strcmp(*words, "+++"))
			words++;
		if (*words)
			*words++ = NULL;
	}
	return count;
}

static int by_size(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static void report(struct contender *contenders, unsigned int count, unsigned int rounds)
{
	for (unsigned int i = 0; i < count; i++) {
		struct contender *it = &contenders[i];

		qsort(it->spent_us, rounds, sizeof(*it->spent_us), by_size);
		printf("%s\t%.0f\t%.0f\t%.0f\t%.3f\t%ld\n", it->name, it->spent_us[0],
		       it->spent_us[rounds / 2], it->spent_us[rounds * 95 / 100],
		       it->spent_us[rounds / 2] / contenders[0].spent_us[rounds / 2],
		       it->peak_kib);
	}
}

/* Who begins changes from round to round: the second of two always finds warmer caches. */
static int run_all(struct contender *contenders, unsigned int count, unsigned int rounds,
		   bool keep_streams)
{
	double ignored;

	for (unsigned int i = 0; rounds > 1 && i < count; i++)
		if (run_once(&contenders[i], keep_streams, &ignored) < 0)
			return -1;
	for (unsigned int round = 0; round < rounds; round++) {
		for (unsigned int i = 0; i < count; i++) {
			struct contender *it = &contenders[(round + i) % count];

			if (run_once(it, keep_streams, &it->spent_us[round]) < 0)
				return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct contender contenders[CONTENDERS_MAX] = { 0 };
	unsigned int rounds = 100, count;
	bool keep_streams = false;
	int letter, result;

	while ((letter = getopt(argc, argv, "+n:cs")) != -1) {
		if (letter == 'n')
			rounds = (unsigned int)strtoul(optarg, NULL, 10);
		else if (letter == 'c')
			count_cpu = true;
		else if (letter == 's')
			keep_streams = true;
		else
			return 2;
	}
	count = split(argv + optind, contenders);
	if (count == 0 || rounds == 0 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: timeit [-n ROUNDS] [-c] [-s] NAME COMMAND... "
				"[+++ NAME COMMAND...]...\n");
		return 2;
	}
	for (unsigned int i = 0; i < count; i++) {
		contenders[i].spent_us = calloc(rounds, sizeof(double));
		if (!contenders[i].spent_us)
			abort();
	}
	result = run_all(contenders, count, rounds, keep_streams);
	if (result == 0)
		report(contenders, count, rounds);
	for (unsigned int i = 0; i < count; i++)
		free(contenders[i].spent_us);
	return result < 0;
}
