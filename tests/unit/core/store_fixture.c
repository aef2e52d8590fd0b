/* See store_fixture.h. */
#include "store_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/jail.h"
#include "core/mem.h"

/*
 * Weak: these tests need neither namespaces nor /etc/subuid, so the jail is a plain fork here and a
 * map has one extent. Where libcore.a brings the real ones along, they win.
 */
__attribute__((weak)) int jail_run(const struct idmap *map, int (*enter)(void *data), void *data,
				   const char *what, struct err *err)
{
	pid_t pid = fork();
	int status;

	(void)map;
	if (pid == 0)
		_exit(enter(data));
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return err_set(err, ERR_STORE, "%s", what);
	return 0;
}

__attribute__((weak)) bool idmap_uid_outside(const struct idmap *map, uint32_t inside,
					     uint32_t *ret)
{
	*ret = map->uids[0].outside + inside;
	return inside < map->uids[0].count;
}

__attribute__((weak)) bool idmap_gid_outside(const struct idmap *map, uint32_t inside,
					     uint32_t *ret)
{
	*ret = map->gids[0].outside + inside;
	return inside < map->gids[0].count;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why ? why : "?");
	abort();
}

void fixture_map(struct idmap *ret)
{
	bool root = geteuid() == 0;

	*ret = (struct idmap){ .kind = root ? IDMAP_RANGE : IDMAP_SINGLE,
			       .uid_extents = 1, .gid_extents = 1 };
	ret->uids[0].outside = root ? IDMAP_ROOT_BASE : geteuid();
	ret->gids[0].outside = root ? IDMAP_ROOT_BASE : getegid();
	ret->uids[0].count = ret->gids[0].count = root ? IDMAP_COUNT : 1;
	strcpy(ret->id, root ? "range" : "single");
}

void fixture_reopen(struct fixture *fixture)
{
	store_done(&fixture->store);
	if (store_open(&fixture->store, fixture->top, &fixture->map, &fixture->err) < 0)
		die("store_open", fixture->err.msg);
}

void fixture_begin(struct fixture *fixture)
{
	*fixture = (struct fixture){ 0 };
	snprintf(fixture->top, sizeof(fixture->top), "%s/duet-store-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	/* chmod: one test has an odd umask */
	if (!mkdtemp(fixture->top) || chmod(fixture->top, 0700) < 0)
		die("mkdtemp", strerror(errno));
	fixture_map(&fixture->map);
	fixture_reopen(fixture);
}

void fixture_end(struct fixture *fixture)
{
	store_done(&fixture->store);
	err_done(&fixture->err);
	shell("chmod -R u+rwX %s; rm -rf %s", fixture->top, fixture->top);
}

const char *fixture_path(struct fixture *fixture, const char *fmt, ...)
{
	static char buffers[4][512];
	static unsigned int turn;
	char *buffer = buffers[turn++ % 4];
	int length = snprintf(buffer, 512, "%s/v1/", fixture->top);
	va_list args;

	va_start(args, fmt);
	vsnprintf(buffer + length, 512 - (size_t)length, fmt, args);
	va_end(args);
	return buffer;
}

void shell(const char *fmt, ...)
{
	char command[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command) != 0)
		die(command, "gave not 0");
}

unsigned int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int count = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2;
}

int hash_fd(int fd, struct digest *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size;

	if (fs_read_fd(fd, "blob", 1u << 30, &text, &size, err) < 0)
		return -1;
	digest_of(text, size, ret);
	return 0;
}

int put_blob(struct store *store, const char *content, struct digest *ret, struct err *err)
{
	_cleanup_close_ int fd = -1;

	digest_of(content, strlen(content), ret);
	if (store_blob_new(store, &fd, err) < 0)
		return -1;
	if (fs_write_all(fd, content, strlen(content)) < 0)
		return err_sys_as(err, ERR_STORE, errno, "write");
	return store_blob_publish(store, fd, ret, err);
}

static int put_file(int dir, const char *name, const char *content, mode_t mode)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || fs_write_all(fd, content, strlen(content)) < 0)
		return -1;
	return fchmod(fd, mode);
}

static int fill(int tree, const char *seed)
{
	if (mkdirat(tree, "bin", 0755) < 0 || mkdirat(tree, "etc", 0755) < 0 ||
	    fchmodat(tree, "bin", 0755, 0) < 0 || fchmodat(tree, "etc", 0755, 0) < 0 ||
	    put_file(tree, "bin/sh", seed, 0755) < 0 ||
	    put_file(tree, "etc/passwd", "root:x:0:0::/:/bin/sh\n", 0644) < 0 ||
	    put_file(tree, "etc/a b", "", 0600) < 0 || symlinkat("bin", tree, "sbin") < 0 ||
	    mkfifoat(tree, "etc/pipe", 0600) < 0)
		return -1;
	return linkat(tree, "bin/sh", tree, "bin/ash", 0);
}

int put_tree(struct store *store, const char *seed, struct store_layer *ret, struct err *err)
{
	struct store_tmp tmp = { 0 };
	_cleanup_close_ int tree = -1;
	int result = -1;

	*ret = (struct store_layer){ .entries = 8, .tree_bytes = strlen(seed) };
	digest_of(seed, strlen(seed), &ret->diff_id);
	ret->blob = ret->diff_id;
	ret->blob_bytes = strlen(seed);
	ret->has_blob = true;
	if (store_tmp_new(store, &tmp, err) < 0)
		return -1;
	if (store_tree_new(store, &tmp, &tree, err) == 0) {
		if (fill(tree, seed) < 0)
			err_sys_as(err, ERR_STORE, errno, "fill");
		else
			result = store_tree_publish(store, &tmp, ret, NULL, err);
	}
	if (store_tmp_drop(store, &tmp, err) < 0)
		return -1;
	return result;
}

static void image_of(const char *seed, struct store_layer *layer, struct store_image *ret)
{
	*ret = (struct store_image){ .name = (char *)"web", .layers = layer, .layer_count = 1,
				     .config = (char *)"{\"os\":\n\"linux\"}",
				     .spec_file = (char *)"/src/duet.yaml", .built_ns = 1 };
	digest_of(ret->config, strlen(ret->config), &ret->id);
	digest_of(seed, strlen(seed), &ret->plan_key);
}

int put_all(struct store *store, const char *seed, struct err *err)
{
	struct store_layer layer;
	struct store_image image;
	struct digest blob;

	if (put_blob(store, seed, &blob, err) < 0 || put_tree(store, seed, &layer, err) < 0 ||
	    store_step_set(store, &blob, &layer, err) < 0)
		return -1;
	image_of(seed, &layer, &image);
	return store_image_set(store, &image, err);
}

int has_all(struct store *store, const char *seed, struct err *err)
{
	_cleanup_close_ int fd = -1, tree = -1, use = -1;
	struct store_image image = { 0 };
	struct store_layer layer;
	struct digest digest;
	uint64_t bytes;
	int found;

	digest_of(seed, strlen(seed), &digest);
	found = store_blob_open(store, &digest, &fd, &bytes, err) == 1 && bytes == strlen(seed) &&
		store_tree_open(store, &digest, NULL, &tree, &use, err) == 1 &&
		store_step_get(store, &digest, &layer, err) == 1 &&
		digest_equal(&layer.diff_id, &digest) &&
		store_image_get(store, "web", &image, err) == 1 && image.layer_count == 1 &&
		digest_equal(&image.layers[0].diff_id, &digest);
	store_image_done(&image);
	return found;
}

size_t check_store(struct store *store, const char **ret_first)
{
	static char text[1024];
	struct store_damage *items;
	struct err err = { 0 };
	size_t count;

	if (store_check(store, hash_fd, &items, &count, &err) < 0)
		die("store_check", err.msg);
	snprintf(text, sizeof(text), "%s%s%s", count ? items[0].name : "", count ? ": " : "",
		 count ? items[0].what : "");
	store_damage_free(items, count);
	if (ret_first)
		*ret_first = text;
	return count;
}
