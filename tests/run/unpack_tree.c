/*
 * For the tests that compare trees: unpack_tree [-x] [-s] [-d DIGEST] BLOB TREE [LOWER...] calls
 * layer_unpack as whoever runs it and prints the result. LOWER: trees below, lowest first.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "builders/layer/layer.h"
#include "core/mem.h"

#define LOWER_MAX 64

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

static int open_folder(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		perror(path);
	return fd;
}

int main(int argc, char **argv)
{
	struct layer_unpack args = { 0 };
	struct layer_result result;
	int lower[LOWER_MAX], option;
	struct err err = { 0 };

	while ((option = getopt(argc, argv, "xsd:")) != -1) {
		if (option == 'x')
			args.allow_xz = true;
		else if (option == 's')
			args.single_uid = true;
		else if (option == 'd' && digest_parse(optarg, &args.expected))
			args.has_expected = true;
		else
			return 2;
	}
	if (argc - optind < 2 || argc - optind - 2 > LOWER_MAX)
		return 2;
	args.blob = open(argv[optind], O_RDONLY | O_CLOEXEC);
	args.out = open_folder(argv[optind + 1]);
	args.lower = lower;
	for (int i = optind + 2; i < argc; i++)
		lower[args.lower_count++] = open_folder(argv[i]);
	if (args.blob < 0 || args.out < 0)
		return 2;
	if (layer_unpack(&args, &result, &err) < 0) {
		fprintf(stderr, "%s: %s\n", err_class(err.code), err.msg);
		return 1;
	}
	print(&result);
	return 0;
}
