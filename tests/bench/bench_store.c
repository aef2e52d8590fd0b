/*
 * What a run of an image that is all there costs in the store: store_open, store_image_get,
 * store_step_get, store_tree_open, store_done; and what the list of a tree adds to publishing one.
 * bench_store DIR [ROUNDS [ENTRIES]]: microseconds on standard output.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/store/internal.h"
#include "tests/unit/core/store_fixture.h"

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void must(int ok, struct err *err)
{
	if (ok)
		return;
	fprintf(stderr, "%s\n", err->msg ? err->msg : "?");
	exit(1);
}

enum { OPEN, STEP, TREE, IMAGE, DONE, PARTS };

static void look_up(const char *dir, struct idmap *map, double *spent)
{
	_cleanup_close_ int tree = -1, use = -1;
	struct store_image image;
	struct store_layer layer;
	struct digest digest;
	struct store store;
	struct err err = { 0 };
	double at[PARTS + 1];

	digest_of("seed", 4, &digest);
	at[OPEN] = now_us();
	must(store_open(&store, dir, map, &err) == 0, &err);
	at[STEP] = now_us();
	must(store_step_get(&store, &digest, &layer, &err) == 1, &err);
	at[TREE] = now_us();
	must(store_tree_open(&store, &digest, NULL, &tree, &use, &err) == 1, &err);
	at[IMAGE] = now_us();
	must(store_image_get(&store, "web", &image, &err) == 1, &err);
	at[DONE] = now_us();
	store_done(&store);
	at[PARTS] = now_us();
	store_image_done(&image);
	for (int i = 0; i < PARTS; i++)
		spent[i] += at[i + 1] - at[i];
}

static void publish_large(const char *dir, struct idmap *map, unsigned int entries)
{
	struct store_layer layer = { 0 };
	struct store_tmp tmp;
	struct store store;
	struct err err = { 0 };
	double start, listed;
	char name[64];
	int tree, list;

	must(store_open(&store, dir, map, &err) == 0, &err);
	must(store_tmp_new(&store, &tmp, &err) == 0, &err);
	must(store_tree_new(&store, &tmp, &tree, &err) == 0, &err);
	for (unsigned int i = 0; i < entries; i++) {
		snprintf(name, sizeof(name), "folder%u", i / 50);
		if (i % 50 == 0)
			must(mkdirat(tree, name, 0755) == 0, &err);
		snprintf(name, sizeof(name), "folder%u/some-file-%u", i / 50, i);
		close(openat(tree, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	}
	list = memfd_create("list", MFD_CLOEXEC);
	start = now_us();
	must(store_list_write(&store, tree, list, "key", false, &err) == 0, &err);
	listed = now_us();
	printf("list of %u entries: %.0f\n", entries, listed - start);
	digest_of("large", 5, &layer.diff_id);
	must(store_tree_publish(&store, &tmp, &layer, NULL, &err) == 0, &err);
	printf("publish (list, syncfs, rename, fsync): %.0f\n", now_us() - listed);
	must(store_tmp_drop(&store, &tmp, &err) == 0, &err);
	store_done(&store);
}

int main(int argc, char **argv)
{
	static const char *const names[PARTS] = { "open", "step", "tree", "image", "done" };
	unsigned int rounds = argc > 2 ? (unsigned int)atoi(argv[2]) : 2000;
	double spent[PARTS] = { 0 }, total = 0;
	struct store store;
	struct err err = { 0 };
	struct idmap map;

	if (argc < 2 || rounds == 0)
		return 2;
	fixture_map(&map);
	must(store_open(&store, argv[1], &map, &err) == 0, &err);
	must(put_all(&store, "seed", &err) == 0, &err);
	store_done(&store);
	for (unsigned int i = 0; i < rounds; i++)
		look_up(argv[1], &map, spent);
	for (int i = 0; i < PARTS; i++) {
		printf("%s: %.1f\n", names[i], spent[i] / rounds);
		total += spent[i] / rounds;
	}
	printf("all: %.1f\n", total);
	if (argc > 3)
		publish_large(argv[1], &map, (unsigned int)atoi(argv[3]));
	return 0;
}
