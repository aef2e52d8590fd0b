/*
 * A fuzz target without a fuzzer: TARGET [FILE|FOLDER...] feeds it every file, by default those of
 * tests/fuzz/corpus/TARGET.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/path.h"
#include "tests/fuzz/fuzz.h"

#define FILE_MAX (1u << 20)

static const char *running;	/* for who wants to know which file it was */

static void tell(void)
{
	if (running)
		fprintf(stderr, "while feeding %s\n", running);
}

static int feed(int dir, const char *name)
{
	_cleanup_(err_done) struct err err = { 0 };
	_cleanup_free_ char *text = NULL;
	uint8_t *exact;
	size_t size;

	if (fs_read_file(dir, name, FILE_MAX, &text, &size, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return -1;
	}
	/* a sanitizer sees one byte too many only behind memory of the very size */
	exact = xmemdup(text, size);
	running = name;
	LLVMFuzzerTestOneInput(exact, size);
	running = NULL;
	free(exact);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* How many files there were; -1. */
static int feed_folder(const char *path)
{
	_cleanup_(strv_done) struct strv names = { 0 };
	DIR *folder = opendir(path);
	struct dirent *entry;

	if (!folder)
		return -1;
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			strv_add(&names, entry->d_name);
	if (names.count > 0)
		qsort(names.items, names.count, sizeof(*names.items), by_name);
	for (size_t i = 0; i < names.count; i++)
		if (feed(dirfd(folder), names.items[i]) < 0)
			exit(1);
	closedir(folder);
	return (int)names.count;
}

int main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir");
	_cleanup_free_ char *corpus =
		xasprintf("%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".", path_base(argv[0]));
	int count;

	atexit(tell);
	for (int i = 1; i < argc; i++)
		if (feed_folder(argv[i]) < 0 && feed(AT_FDCWD, argv[i]) < 0)
			return 1;
	if (argc > 1)
		return 0;
	count = feed_folder(corpus);
	if (count <= 0) {
		fprintf(stderr, "%s: no files: %s\n", corpus, count < 0 ? strerror(errno) : "empty");
		return 1;
	}
	printf("%d files\n", count);
	return 0;
}
