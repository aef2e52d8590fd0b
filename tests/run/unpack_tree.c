/*
 * For the tests that compare trees: unpack_tree [-e] [-x] [-s] [-d DIGEST] BLOB TREE [LOWER...] calls
 * layer_unpack as whoever runs it and prints the result. LOWER: trees below, lowest first. With -e
 * TREE and LOWER are EROFS files; TREE is made anew. unpack_tree -m FILE LOWER... calls layer_merge.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "builders/layer/layer.h"
#include "core/mem.h"

#define LOWER_MAX 240

static void print(const struct layer_result *result)
{
	char text[DIGEST_TEXT_SIZE];

	digest_text(&result->blob, text);
	printf("blob %s %llu\n", text, (unsigned long long)result->blob_bytes);
	digest_text(&result->diff_id, text);
	printf("diff-id %s %llu\n", text, (unsigned long long)result->plain_bytes);
	printf("entries %llu bytes %llu devices %llu owners-lost %llu needs-lower %d\n",
	       (unsigned long long)result->entries, (unsigned long long)result->tree_bytes,
	       (unsigned long long)result->devices, (unsigned long long)result->owners_lost,
	       result->needs_lower);
}

static int open_to(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		perror(path);
	return fd;
}

int main(int argc, char **argv)
{
	struct layer_unpack args = { 0 };
	struct layer_result result = { 0 };
	int lower[LOWER_MAX], option, in = O_PATH | O_DIRECTORY, out = in;
	struct err err = { 0 };
	bool merge = false;

	while ((option = getopt(argc, argv, "exsmd:")) != -1) {
		if (option == 'x')
			args.allow_xz = true;
		else if (option == 's')
			args.single_uid = true;
		else if (option == 'e')
			args.form = LAYER_EROFS;
		else if (option == 'm')
			merge = true;
		else if (option == 'd' && digest_parse(optarg, &args.expected))
			args.has_expected = true;
		else
			return 2;
	}
	if (argc - optind < 2 || argc - optind - 2 > LOWER_MAX)
		return 2;
	if (merge || args.form == LAYER_EROFS) {
		in = O_RDONLY;
		out = O_RDWR | O_CREAT | O_TRUNC;
	}
	if (!merge)
		args.blob = open_to(argv[optind++], O_RDONLY);
	args.out = open_to(argv[optind], out);
	args.lower = lower;
	for (int i = optind + 1; i < argc; i++)
		lower[args.lower_count++] = open_to(argv[i], in);
	if (args.blob < 0 || args.out < 0)
		return 2;
	if ((merge ? layer_merge(lower, args.lower_count, args.out, &result, &err) :
		     layer_unpack(&args, &result, &err)) < 0) {
		fprintf(stderr, "%s: %s\n", err_class(err.code), err.msg);
		return 1;
	}
	print(&result);
	return 0;
}
