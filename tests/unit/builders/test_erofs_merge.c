/*
 * Merged EROFS files: what an overlay of the layers shows. Random layers against what the rules of
 * an overlay make of their lists, one by one; tests/run/erofs.sh has the kernel's own overlay.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/view.h"
#include "tests/unit/builders/forms.h"
#include "tests/unit/builders/tarmake.h"
#include "tests/unit/unit.h"

#define LAYERS_MAX 64

static int layers[LAYERS_MAX];
static size_t layer_count;
static struct str tar;
static struct layer_result result;
static struct err err;

static void setup(void)
{
	layer_count = 0;
	tar = (struct str){ 0 };
	err = (struct err){ 0 };
}

static void teardown(void)
{
	while (layer_count > 0)
		close(layers[--layer_count]);
	str_done(&tar);
	err_done(&err);
}

static void put(char type, const char *name, const char *text)
{
	tarmake_put(&tar, type, name, text);
}

/* What was put becomes the next layer. */
static void end_layer(void)
{
	int image;

	tarmake_end(&tar);
	image = forms_erofs(&tar, layers, layer_count, &result, &err);
	ck_assert_msg(image >= 0, "%s", err.msg);
	layers[layer_count++] = image;
	str_done(&tar);
}

static int merged(const int *from, size_t count)
{
	int out = memfd_create("merged", MFD_CLOEXEC);

	ck_assert_msg(layer_merge(from, count, out, &result, &err) == 0, "%s", err.msg);
	return out;
}

static char *list_of(int image)
{
	struct str list = { 0 };

	ck_assert_msg(forms_list_erofs(image, &list, &err) == 0, "%s", err.msg);
	return list.text;
}

/* The types and names of a list, "d a\nf a/b\n": from what forms_list_erofs writes. */
static char *shape_of(int image)
{
	_cleanup_free_ char *list = list_of(image);
	struct str shape = { 0 };
	char *rest = list, *line;

	while ((line = strsep(&rest, "\n")) && *line) {
		char *name = strsep(&line, " ");

		str_addf(&shape, "%c %s\n", line[1] == '4' ? 'd' : line[1] == '0' && line[0] == '1' ?
					     'f' : line[0] == '1' && line[1] == '2' ? 'l' : '?', name);
	}
	return shape.text;
}

START_TEST(rules)
{
	static const char wanted[] = "d .\nf a\nd file-again\nf file-again/new\nd kept\n"
				     "f kept/low\nf kept/top\nf now-file\nd opaque\nf opaque/mine\n"
				     "d shadow\nf shadow/new\n";
	_cleanup_free_ char *shape = NULL;
	int image;

	put('0', "a", "low");
	put('0', "gone", "x");
	put('0', "kept/low", "x");
	put('0', "opaque/theirs", "x");
	put('0', "now-file/x", "x");
	put('0', "shadow/old", "x");
	put('0', "file-again/old", "x");
	end_layer();
	put('0', "a", "top");
	put('0', ".wh.gone", "");
	put('0', "kept/top", "x");
	put('0', "opaque/.wh..wh..opq", "");
	put('0', "opaque/mine", "x");
	put('0', "now-file", "x");
	put('0', ".wh.shadow", "");
	put('0', "file-again", "x");
	end_layer();
	put('0', "shadow/new", "x");
	put('0', "file-again/new", "x");
	put('0', ".wh.never-there", "");
	end_layer();
	image = merged(layers, layer_count);
	shape = shape_of(image);
	ck_assert_str_eq(shape, wanted);
	ck_assert_uint_eq(result.entries, 11);
	close(image);
}
END_TEST

/* Metadata, attributes and content are the topmost one's; the marks of layers are gone. */
START_TEST(details)
{
	_cleanup_free_ char *list = NULL;
	struct str pax = { 0 };
	int image;

	tarmake_record(&pax, "SCHILY.xattr.user.a", "1", 1);
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '5', .name = "d", .mode = 0700, .pax = &pax });
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '5', .name = "./", .mode = 0700, .pax = &pax });
	end_layer();
	str_done(&pax);
	tarmake_record(&pax, "SCHILY.xattr.user.b", "2", 1);
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '5', .name = "d", .mode = 01777, .uid = 7,
						   .gid = 8, .mtime = 99, .pax = &pax });
	put('0', "d/.wh..wh..opq", "");
	end_layer();
	str_done(&pax);
	image = merged(layers, layer_count);
	list = list_of(image);
	ck_assert_str_eq(list, ". 040755 0:0 315619200.000000000\n"
			       "d 041777 7:8 99.000000000 user.b 1 d4735e3a265e16ee\n");
	close(image);
}
END_TEST

/* Hard links of a layer stay; their number is that of the names that are left. */
START_TEST(hard_links)
{
	_cleanup_free_ char *list = NULL;
	int image;

	put('0', "a", "x");
	put('1', "b", "a");
	put('1', "c", "a");
	put('1', "d/e", "a");
	end_layer();
	put('0', ".wh.b", "");
	put('0', "c", "y");
	put('1', "f", "c");
	end_layer();
	image = merged(layers, layer_count);
	list = list_of(image);
	ck_assert_ptr_nonnull(strstr(list, "\na 100644 0:0 0.000000000 1 2d711642b726b044 nlink 2 "));
	ck_assert_ptr_nonnull(strstr(list, "\nd/e 100644 0:0 0.000000000 1 2d711642b726b044 nlink 2 "));
	ck_assert_ptr_nonnull(strstr(list, "\nc 100644 0:0 0.000000000 1 a1fce4363854ff88 nlink 2 "));
	ck_assert_ptr_nonnull(strstr(list, "\nf 100644 0:0 0.000000000 1 a1fce4363854ff88 nlink 2 "));
	close(image);
}
END_TEST

static void random_layer(unsigned int *seed)
{
	static const char *const names[] = { "a", "b", "a/a", "a/b", "b/a", "a/a/a", "a/a/b", "b/a/a" };

	for (int i = 0; i < 8; i++) {
		const char *name = names[(size_t)rand_r(seed) % ARRAY_SIZE(names)];
		const char *slash = strrchr(name, '/');
		size_t before = tar.length;
		char mark[32];
		int kind = rand_r(seed) % 7, image;

		snprintf(mark, sizeof(mark), "%.*s.wh.%s", slash ? (int)(slash - name) + 1 : 0, name,
			 slash ? slash + 1 : name);
		if (kind < 2)
			put('0', name, kind ? "one" : "other");
		else if (kind < 4)
			put('5', name, NULL);
		else if (kind == 4)
			put('2', name, "a");
		else if (kind == 5)
			put('0', mark, "");
		else if (slash)
			snprintf(mark, sizeof(mark), "%.*s/.wh..wh..opq", (int)(slash - name), name);
		if (kind == 6 && slash)
			put('0', mark, "");
		tarmake_end(&tar);
		image = forms_erofs(&tar, layers, layer_count, &result, &err);
		tar.length -= 1024;
		if (image >= 0) {
			close(image);
		} else {
			/* what cannot be unpacked is left out again */
			err_done(&err);
			tar.length = before;
		}
	}
	end_layer();
}

/* By the name, not through links: is there something at that very path? */
static bool lies_at(const struct view_layer *views, size_t count, const char *path,
		    struct view_entry *ret)
{
	int found = view_find(views, count, path, false, ret, &err);

	ck_assert_msg(found >= 0 || err.code == -ELOOP, "%s", err.msg ? err.msg : "?");
	err_done(&err);
	return found == 1 && !strcmp(ret->path, path);
}

/* Every entry of the merged image is what the view of the layers finds, and nothing is missing. */
static void check_against_view(int image)
{
	static const char *const names[] = { "a", "b", "a/a", "a/b", "b/a", "b/b", "a/a/a", "a/a/b",
					     "b/a/a", "b/a/b", "a/b/a", "a/a/a/a" };
	struct erofs *all[LAYERS_MAX + 1];
	struct view_layer views[LAYERS_MAX + 1];

	for (size_t i = 0; i <= layer_count; i++) {
		int fd = i < layer_count ? layers[i] : image;

		ck_assert_int_eq(erofs_new(fd, &all[i], &err), 0);
		views[i] = view_of_erofs(all[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct view_entry wanted, found;
		bool same = lies_at(views, layer_count, names[i], &wanted);
		bool lies = lies_at(&views[layer_count], 1, names[i], &found);

		ck_assert_msg(same == lies, "%s: in the view %d, merged %d", names[i], same, lies);
		if (!same)
			continue;
		ck_assert_uint_eq(wanted.node.mode, found.node.mode);
		if (!S_ISDIR(found.node.mode))
			ck_assert_uint_eq(wanted.node.inode.size, found.node.inode.size);
		ck_assert(!found.node.whiteout);
	}
	for (size_t i = 0; i <= layer_count; i++)
		erofs_free(all[i]);
}

START_TEST(random_layers)
{
	unsigned int seed = (unsigned int)_i + 1;
	_cleanup_free_ char *at_once = NULL;
	int image;

	for (int i = 0; i < 4; i++)
		random_layer(&seed);
	image = merged(layers, layer_count);
	check_against_view(image);
	at_once = list_of(image);
	close(image);
	/* in two steps, as it is done when there are more layers than disks */
	for (size_t lower = 1; lower < layer_count; lower++) {
		int pair[LAYERS_MAX] = { merged(layers, lower) };
		_cleanup_free_ char *list = NULL;

		memcpy(pair + 1, layers + lower, (layer_count - lower) * sizeof(int));
		image = merged(pair, layer_count - lower + 1);
		list = list_of(image);
		ck_assert_str_eq(list, at_once);
		close(image);
		close(pair[0]);
	}
}
END_TEST

START_TEST(sixty_layers)
{
	_cleanup_free_ char *list = NULL;
	char name[64], *at;
	int image, count = 0;

	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "d/of-layer-%d", i);
		put('0', name, "x");
		put('0', "d/all", name);
		if (i % 3 == 2) {
			snprintf(name, sizeof(name), "d/.wh.of-layer-%d", i - 1);
			put('0', name, "");
		}
		end_layer();
	}
	image = merged(layers, layer_count);
	list = list_of(image);
	for (at = list; (at = strstr(at, "d/of-layer-")); at++)
		count++;
	ck_assert_int_eq(count, 40);
	ck_assert_uint_eq(result.entries, 42);
	ck_assert_ptr_nonnull(strstr(list, "d/of-layer-59 "));
	close(image);
}
END_TEST

/* The same bytes each time, and none of what a merge leaves out. */
START_TEST(same_bytes)
{
	struct str first = { 0 }, again = { 0 };
	unsigned int seed = 77;
	int image;

	for (int i = 0; i < 3; i++)
		random_layer(&seed);
	for (int i = 0; i < 2; i++) {
		image = merged(layers, layer_count);
		forms_bytes(image, i ? &again : &first);
		close(image);
	}
	ck_assert(first.length == again.length && !memcmp(first.text, again.text, first.length));
	str_done(&first);
	str_done(&again);
}
END_TEST

START_TEST(not_an_image)
{
	int out = memfd_create("out", MFD_CLOEXEC);

	put('0', "a", "x");
	end_layer();
	layers[layer_count++] = tarmake_fd("no image", 8);
	ck_assert_int_eq(layer_merge(layers, layer_count, out, &result, &err), -1);
	ck_assert_int_eq(err.code, ERR_STORE);
	ck_assert_ptr_nonnull(strstr(err.msg, "layer 2"));
	close(out);
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ rules, 1 }, { details, 1 }, { hard_links, 1 }, { random_layers, 200 },
		{ sixty_layers, 1 }, { same_bytes, 1 }, { not_an_image, 1 },
	};
	const struct unit unit = { "merged EROFS", .timeout_s = 60, .setup = setup, .teardown = teardown };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
