/* The store at rest: what goes in comes out, and nothing else does. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "store_fixture.h"
#include "tests/unit/unit.h"

static struct fixture fx;

static void begin(void)
{
	fixture_begin(&fx);
}

static void end(void)
{
	fixture_end(&fx);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	ck_assert_msg(lstat(path, &st) == 0, "%s: %s", path, strerror(errno));
	return st.st_mode & 07777;
}

START_TEST(layout)
{
	static const char *const folders[] = { "blobs/sha256", "trees", "steps", "images", "stat",
					       "tmp" };
	struct stat st;

	ck_assert_uint_eq(mode_of(fixture_path(&fx, ".")), 0700);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		ck_assert_uint_eq(mode_of(fixture_path(&fx, "%s", folders[i])), 0700);
	ck_assert_int_eq(stat(fixture_path(&fx, "reserve"), &st), 0);
	ck_assert_int_ge(st.st_blocks * 512, 1 << 20);
	shell("head -c 43 %s | grep -qx 'Signature: 8a477f597d28d172789f06886806bc55'",
	      fixture_path(&fx, "CACHEDIR.TAG"));
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "tmp")), 0);
}
END_TEST

START_TEST(odd_umask)
{
	struct fixture other;

	umask(0777);
	fixture_begin(&other);
	ck_assert_int_eq(put_all(&other.store, "x", &other.err), 0);
	fixture_reopen(&other);
	ck_assert_int_eq(has_all(&other.store, "x", &other.err), 1);
	umask(022);
	ck_assert_uint_eq(mode_of(fixture_path(&other, "trees/%s", other.map.id)), 0700);
	fixture_end(&other);
}
END_TEST

START_TEST(blobs)
{
	_cleanup_close_ int fd = -1;
	struct digest digest, other, empty;
	char hex[DIGEST_HEX_SIZE], text[8] = "";
	uint64_t bytes = 0;

	digest_of("none", 4, &other);
	ck_assert_int_eq(store_blob_open(&fx.store, &other, &fd, &bytes, &fx.err), 0);
	ck_assert_int_eq(put_blob(&fx.store, "abc", &digest, &fx.err), 0);
	ck_assert_int_eq(put_blob(&fx.store, "abc", &digest, &fx.err), 0);
	ck_assert_int_eq(store_blob_open(&fx.store, &digest, &fd, &bytes, &fx.err), 1);
	ck_assert_uint_eq(bytes, 3);
	ck_assert_int_eq(read(fd, text, 8), 3);
	ck_assert_str_eq(text, "abc");
	digest_hex(&digest, hex);
	ck_assert_uint_eq(mode_of(fixture_path(&fx, "blobs/sha256/%.2s/%s", hex, hex)), 0444);
	/* a blob that may be empty, and one that may not */
	close(TAKE_FD(fd));
	ck_assert_int_eq(put_blob(&fx.store, "", &empty, &fx.err), 0);
	ck_assert_int_eq(store_blob_open(&fx.store, &empty, &fd, &bytes, &fx.err), 1);
	close(TAKE_FD(fd));
	shell("chmod 644 %s; : > %s", fixture_path(&fx, "blobs/sha256/%.2s/%s", hex, hex),
	      fixture_path(&fx, "blobs/sha256/%.2s/%s", hex, hex));
	ck_assert_int_eq(store_blob_open(&fx.store, &digest, &fd, &bytes, &fx.err), 0);
	/* a whole one takes its place */
	ck_assert_int_eq(put_blob(&fx.store, "abc", &digest, &fx.err), 0);
	ck_assert_int_eq(store_blob_open(&fx.store, &digest, &fd, &bytes, &fx.err), 1);
	ck_assert_uint_eq(bytes, 3);
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "tmp")), 0);
}
END_TEST

START_TEST(trees)
{
	_cleanup_close_ int tree = -1, use = -1;
	struct store_layer layer, again;
	struct digest none;
	char hex[DIGEST_HEX_SIZE];
	struct stat st;
	int fd;

	digest_of("none", 4, &none);
	ck_assert_int_eq(store_tree_open(&fx.store, &none, &none, &tree, &use, &fx.err), 0);
	ck_assert_int_eq(put_tree(&fx.store, "t", &layer, &fx.err), 0);
	ck_assert_int_eq(put_tree(&fx.store, "t", &again, &fx.err), 0); /* the second loses silently */
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "tmp")), 0);
	ck_assert_int_eq(store_tree_open(&fx.store, &layer.diff_id, NULL, &tree, &use, &fx.err), 1);
	ck_assert_int_eq(fstat(tree, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0755);
	ck_assert_uint_eq(st.st_uid, fx.map.uids[0].outside);
	ck_assert_uint_eq(st.st_gid, fx.map.gids[0].outside);
	ck_assert_int_eq(faccessat(tree, "bin/ash", F_OK, 0), 0);
	/* in use: an exclusive lock is not to be had, and is when we let go */
	digest_hex(&layer.diff_id, hex);
	fd = open(fixture_path(&fx, "trees/%s/%s/ok", fx.map.id, hex), O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), -1);
	close(TAKE_FD(use));
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	/* somebody is removing it: absent */
	ck_assert_int_eq(store_tree_open(&fx.store, &layer.diff_id, NULL, &tree, &use, &fx.err), 0);
	close(fd);
}
END_TEST

/* Each is another cache than all others; none is reached through a link. */
START_TEST(caches)
{
	static const struct store_cache all[] = {
		{ "/p", NULL, "/c" },	 { "/q", NULL, "/c" },	{ "/p", NULL, "/d" },
		{ "/p", "/p", "/c" },	 { "/p", "x", "/c" },	{ "/p", "x", "/d" },
		{ "/p/c", NULL, "/c" },	 { "/p", NULL, "/c/c" }, { "/p", "../x", "/c" },
	};
	const struct store_cache shared = { "/q", "x", "/c" };
	char hex[DIGEST_HEX_SIZE];
	struct digest one, other;
	int data, lock;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (size_t j = 0; j < i; j++) {
			store_cache_id(&all[i], &one);
			store_cache_id(&all[j], &other);
			ck_assert_msg(!digest_equal(&one, &other), "%zu and %zu", i, j);
		}
	store_cache_id(&shared, &one);
	store_cache_id(&all[4], &other);
	ck_assert(digest_equal(&one, &other));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		ck_assert_int_eq(store_cache_open(&fx.store, &all[i], &data, &lock, &fx.err), 0);
		close(data);
		close(lock);
	}
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "caches/%s", fx.map.id)), ARRAY_SIZE(all));
	store_cache_id(&all[0], &one);
	digest_hex(&one, hex);
	shell("cd %s && rmdir data && mkdir ../../other && ln -s ../../other data",
	      fixture_path(&fx, "caches/%s/%s", fx.map.id, hex));
	ck_assert_int_eq(store_cache_open(&fx.store, &all[0], &data, &lock, &fx.err), -1);
	err_done(&fx.err);
	shell("cd %s && rm -r %s && ln -s ../other %s", fixture_path(&fx, "caches/%s", fx.map.id), hex,
	      hex);
	ck_assert_int_eq(store_cache_open(&fx.store, &all[0], &data, &lock, &fx.err), -1);
	err_done(&fx.err);
}
END_TEST

START_TEST(chain_trees)
{
	_cleanup_close_ int tree = -1, use = -1, made = -1;
	struct store_layer layer = { .needs_lower = true };
	struct store_tmp tmp;
	struct digest chain, other;

	digest_of("layer", 5, &layer.diff_id);
	digest_of("chain", 5, &chain);
	digest_of("other", 5, &other);
	ck_assert_int_eq(store_tmp_new(&fx.store, &tmp, &fx.err), 0);
	ck_assert_int_eq(store_tree_new(&fx.store, &tmp, &made, &fx.err), 0);
	ck_assert_int_eq(store_tree_publish(&fx.store, &tmp, &layer, NULL, &fx.err), -1);
	ck_assert_int_eq(fx.err.code, ERR_STORE);
	ck_assert_int_eq(store_tree_publish(&fx.store, &tmp, &layer, &chain, &fx.err), 0);
	ck_assert_int_eq(store_tmp_drop(&fx.store, &tmp, &fx.err), 0);
	ck_assert_int_eq(store_tmp_drop(&fx.store, &tmp, &fx.err), 0);
	ck_assert_int_eq(store_tree_open(&fx.store, &layer.diff_id, NULL, &tree, &use, &fx.err), 0);
	ck_assert_int_eq(store_tree_open(&fx.store, &layer.diff_id, &other, &tree, &use, &fx.err),
			 0);
	ck_assert_int_eq(store_tree_open(&fx.store, &layer.diff_id, &chain, &tree, &use, &fx.err),
			 1);
}
END_TEST

START_TEST(steps)
{
	struct store_layer layer = { .blob_bytes = 12, .entries = 3, .tree_bytes = UINT64_MAX,
				     .needs_lower = true }, got = { 0 };
	struct digest key;

	digest_of("key", 3, &key);
	digest_of("diff", 4, &layer.diff_id);
	digest_of("blob", 4, &layer.blob);
	ck_assert_int_eq(store_step_get(&fx.store, &key, &got, &fx.err), 0);
	ck_assert_int_eq(store_step_set(&fx.store, &key, &layer, &fx.err), 0);
	ck_assert_int_eq(store_step_get(&fx.store, &key, &got, &fx.err), 1);
	ck_assert(digest_equal(&got.diff_id, &layer.diff_id));
	ck_assert(digest_equal(&got.blob, &layer.blob));
	ck_assert_uint_eq(got.blob_bytes, 12);
	ck_assert_uint_eq(got.entries, 3);
	ck_assert_uint_eq(got.tree_bytes, UINT64_MAX);
	ck_assert(got.needs_lower && !got.has_blob);
	layer.entries = 4;
	ck_assert_int_eq(store_step_set(&fx.store, &key, &layer, &fx.err), 0);
	ck_assert_int_eq(store_step_get(&fx.store, &key, &got, &fx.err), 1);
	ck_assert_uint_eq(got.entries, 4);
}
END_TEST

static void set_image(const char *name, const char *config, int expected)
{
	struct store_layer layers[2] = { { .entries = 1 }, { .entries = 2 } };
	struct store_image image = { .name = (char *)name, .layers = layers, .layer_count = 2,
				     .config = (char *)config, .built_ns = 77 };

	digest_of(config, strlen(config), &image.id);
	ck_assert_int_eq(store_image_set(&fx.store, &image, &fx.err), expected);
}

START_TEST(images)
{
	static const char *const names[] = { "a.b-c", "docker.io/library/alpine:3.20", "web",
					     "zwei\nZeilen end 00", "../../etc/passwd" };
	struct store_image image, *list;
	char long_name[600];
	size_t count;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		set_image(names[i], "{}", 0);
	set_image("web", "{\"a\":\n1}", 0);
	ck_assert_int_eq(store_image_get(&fx.store, "none", &image, &fx.err), 0);
	ck_assert_int_eq(store_image_get(&fx.store, "web", &image, &fx.err), 1);
	ck_assert_str_eq(image.config, "{\"a\":\n1}");
	ck_assert_str_eq(image.spec_file, "");
	ck_assert_uint_eq(image.layer_count, 2);
	ck_assert_uint_eq(image.layers[1].entries, 2);
	ck_assert_uint_eq(image.built_ns, 77);
	store_image_done(&image);
	ck_assert_int_eq(store_image_list(&fx.store, &list, &count, &fx.err), 0);
	ck_assert_uint_eq(count, ARRAY_SIZE(names));
	for (size_t i = 1; i < count; i++)
		ck_assert_int_lt(strcmp(list[i - 1].name, list[i].name), 0);
	for (size_t i = 0; i < count; i++)
		store_image_done(&list[i]);
	free(list);
	memset(long_name, 'a', 599);
	long_name[599] = '\0';
	set_image(long_name, "{}", -1);
	set_image("", "{}", -1);
	/* an id that is not its config's */
	image = (struct store_image){ .name = (char *)"x", .config = (char *)"{}" };
	ck_assert_int_eq(store_image_set(&fx.store, &image, &fx.err), -1);
	ck_assert_int_eq(fx.err.code, ERR_STORE);
}
END_TEST

START_TEST(remembered_digests)
{
	const char *path = fixture_path(&fx, "../file");
	char file[512];
	struct digest digest, got;
	struct stat before;

	snprintf(file, sizeof(file), "%s", path);
	digest_of("x", 1, &digest);
	shell("echo one > %s; touch -d '1 hour ago' %s", file, file);
	ck_assert_int_eq(stat(file, &before), 0);
	/* ctime is now: not at rest */
	ck_assert_int_eq(store_stat_set(&fx.store, file, &before, &digest, &fx.err), 0);
	ck_assert_int_eq(store_stat_get(&fx.store, file, &got, &fx.err), 0);
	sleep(3);
	ck_assert_int_eq(store_stat_set(&fx.store, file, &before, &digest, &fx.err), 0);
	ck_assert_int_eq(store_stat_get(&fx.store, file, &got, &fx.err), 1);
	ck_assert(digest_equal(&digest, &got));
	/* equal size and mtime; ctime tells */
	shell("echo two > %s; touch -d @%lld %s", file, (long long)before.st_mtime, file);
	ck_assert_int_eq(store_stat_get(&fx.store, file, &got, &fx.err), 0);
	ck_assert_int_eq(store_stat_set(&fx.store, file, &before, &digest, &fx.err), 0);
	ck_assert_int_eq(store_stat_get(&fx.store, file, &got, &fx.err), 0);
	ck_assert_int_eq(store_stat_set(&fx.store, "file", &before, &digest, &fx.err), 0);
	ck_assert_int_eq(store_stat_get(&fx.store, "file", &got, &fx.err), 0);
}
END_TEST

START_TEST(open_to_others)
{
	shell("chmod 777 %s", fixture_path(&fx, "."));
	fixture_reopen(&fx);
	ck_assert_uint_eq(mode_of(fixture_path(&fx, ".")), 0700);
	shell("chmod 0 %s", fixture_path(&fx, "."));
	fixture_reopen(&fx);
	ck_assert_uint_eq(mode_of(fixture_path(&fx, ".")), 0700);
}
END_TEST

START_TEST(of_another)
{
	struct store store;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(fixture_path(&fx, "."), 1234, 0), 0);
	ck_assert_int_eq(store_open(&store, fx.top, &fx.map, &fx.err), -1);
	ck_assert_int_eq(fx.err.code, ERR_STORE);
	ck_assert_ptr_nonnull(strstr(fx.err.msg, "1234"));
	ck_assert_ptr_nonnull(fx.err.mend);
}
END_TEST

START_TEST(linked_v1)
{
	struct store store;

	shell("cd %s && mv v1 away && ln -s away v1", fx.top);
	ck_assert_int_eq(store_open(&store, fx.top, &fx.map, &fx.err), -1);
	ck_assert_int_eq(fx.err.code, ERR_STORE);
}
END_TEST

/* The setuid file of an image is out of others' reach. */
START_TEST(other_uid_is_kept_out)
{
	struct store_layer layer;
	char path[512], hex[DIGEST_HEX_SIZE];
	int status;
	pid_t pid;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(put_tree(&fx.store, "#!/bin/sh\n", &layer, &fx.err), 0);
	digest_hex(&layer.diff_id, hex);
	snprintf(path, sizeof(path), "%s",
		 fixture_path(&fx, "trees/%s/%s/tree/bin/sh", fx.map.id, hex));
	shell("chmod 755 %s; chmod 4755 %s", fx.top, path);
	pid = fork();
	if (pid == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		execl(path, path, (char *)NULL);
		_exit(errno == EACCES ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(where_it_is)
{
	struct store store;
	char path[512];

	snprintf(path, sizeof(path), "%s/env", fx.top);
	setenv("DUET_STORE", path, 1);
	ck_assert_int_eq(store_open(&store, NULL, &fx.map, &fx.err), 0);
	ck_assert_int_eq(strncmp(store.path, path, strlen(path)), 0);
	ck_assert_str_eq(store.path + strlen(path), "/v1");
	store_done(&store);
	store_done(&store);
	ck_assert_int_eq(chdir(fx.top), 0);
	ck_assert_int_eq(store_open(&store, "a/b", &fx.map, &fx.err), 0);
	ck_assert_int_eq(store.path[0], '/');
	ck_assert_int_eq(access("a/b/v1/lock", F_OK), 0);
	store_done(&store);
	store_done(NULL);
}
END_TEST

START_TEST(a_store_half_made)
{
	static const char *const lost[] = { "lock", "tmp lock", "images trees lock", "*" };

	for (size_t i = 0; i < ARRAY_SIZE(lost); i++) {
		store_done(&fx.store);
		shell("cd %s/v1 && rm -rf %s", fx.top, lost[i]);
		fixture_reopen(&fx);
		ck_assert_int_eq(put_all(&fx.store, "x", &fx.err), 0);
	}
	/* folders that went later are made when they are needed */
	shell("cd %s/v1 && rm -rf steps images trees blobs stat", fx.top);
	fixture_reopen(&fx);
	ck_assert_int_eq(has_all(&fx.store, "x", &fx.err), 0);
	ck_assert_int_eq(put_all(&fx.store, "x", &fx.err), 0);
	ck_assert_int_eq(has_all(&fx.store, "x", &fx.err), 1);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ layout, 1 }, { odd_umask, 1 }, { blobs, 1 }, { trees, 1 }, { caches, 1 },
		{ chain_trees, 1 }, { steps, 1 }, { images, 1 }, { remembered_digests, 1 },
		{ open_to_others, 1 }, { of_another, 1 }, { linked_v1, 1 },
		{ other_uid_is_kept_out, 1 }, { where_it_is, 1 }, { a_store_half_made, 1 },
	};
	const struct unit unit = { "store", .timeout_s = 60, .setup = begin, .teardown = end };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
