/* The store under torn records, races and killed processes; gc. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "store_fixture.h"
#include "tests/unit/unit.h"

#define PUBLISHERS 8

static struct fixture fx;
static struct digest seed_digest;
static char seed_hex[DIGEST_HEX_SIZE];

/* Every test finds "seed" published: its blob, tree, step, image. */
static void begin(void)
{
	fixture_begin(&fx);
	digest_of("seed", 4, &seed_digest);
	digest_hex(&seed_digest, seed_hex);
	ck_assert_int_eq(put_all(&fx.store, "seed", &fx.err), 0);
	ck_assert_int_eq(has_all(&fx.store, "seed", &fx.err), 1);
}

static void end(void)
{
	fixture_end(&fx);
}

static const char *tree_path(const char *name)
{
	return fixture_path(&fx, "trees/%s/%s/%s", fx.map.id, seed_hex, name);
}

static void write_whole(const char *path, const char *text, size_t size)
{
	int fd;

	ck_assert(unlink(path) == 0 || errno == ENOENT);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fs_write_all(fd, text, size), 0);
	close(fd);
}

/* Is the item that the record stands for there? */
static bool stands(int which)
{
	_cleanup_close_ int tree = -1, use = -1;
	struct store_image image = { 0 };
	struct store_layer layer;
	int found;

	if (which == 0)
		found = store_step_get(&fx.store, &seed_digest, &layer, &fx.err);
	else if (which == 1)
		found = store_tree_open(&fx.store, &seed_digest, NULL, &tree, &use, &fx.err);
	else
		found = store_image_get(&fx.store, "web", &image, &fx.err);
	ck_assert_msg(found >= 0, "%s", fx.err.msg ? fx.err.msg : "");
	store_image_done(&image);
	return found == 1;
}

static const char *record_path(int which)
{
	return which == 0 ? fixture_path(&fx, "steps/%s", seed_hex) :
	       which == 1 ? tree_path("ok") : fixture_path(&fx, "images/web");
}

/* Each record, each byte flipped, each length cut, each line lost or doubled: absent, not trusted. */
START_TEST(torn_records)
{
	_cleanup_free_ char *good = NULL, *bad = NULL;
	char path[512];
	size_t size;

	snprintf(path, sizeof(path), "%s", record_path(_i));
	ck_assert_int_eq(fs_read_file(AT_FDCWD, path, 1 << 20, &good, &size, &fx.err), 0);
	bad = xmalloc(2 * size + 16);
	for (size_t i = 0; i < size; i++) {
		memcpy(bad, good, size);
		bad[i] ^= 1;
		write_whole(path, bad, size);
		ck_assert_msg(!stands(_i), "byte %zu flipped", i);
		write_whole(path, good, i);
		ck_assert_msg(!stands(_i), "cut to %zu bytes", i);
	}
	for (size_t i = 0, stop; i < size; i = stop) {
		stop = (size_t)((char *)memchr(good + i, '\n', size - i) - good) + 1;
		memcpy(bad, good, i);
		memcpy(bad + i, good + stop, size - stop);
		write_whole(path, bad, size - (stop - i));
		ck_assert_msg(!stands(_i), "line at %zu lost", i);
		memcpy(bad, good, stop);
		memcpy(bad + stop, good + i, size - i);
		write_whole(path, bad, size + (stop - i));
		ck_assert_msg(!stands(_i), "line at %zu doubled", i);
	}
	memcpy(bad, good, size);
	bad[size] = '\n';
	write_whole(path, bad, size + 1);
	ck_assert(!stands(_i));
	shell("rm %s; mkfifo %s", path, path);
	ck_assert(!stands(_i));
	shell("rm %s; mkdir %s", path, path);
	ck_assert(!stands(_i));
	shell("rmdir %s; ln -s /etc/passwd %s", path, path);
	ck_assert(!stands(_i));
	write_whole(path, good, size);
	ck_assert(stands(_i));
	/* torn, then published again */
	write_whole(path, good, size - 1);
	ck_assert_int_eq(put_all(&fx.store, "seed", &fx.err), 0);
	ck_assert(stands(_i));
	ck_assert_uint_eq(check_store(&fx.store, NULL), 0);
}
END_TEST

/* A sealed record that is right, but for something else. */
START_TEST(misplaced_records)
{
	struct digest other;
	char hex[DIGEST_HEX_SIZE];
	struct store_layer layer;
	struct store_image image;

	digest_of("other", 5, &other);
	digest_hex(&other, hex);
	shell("cp -f %s %s", fixture_path(&fx, "steps/%s", seed_hex), fixture_path(&fx, "steps/%s", hex));
	ck_assert_int_eq(store_step_get(&fx.store, &other, &layer, &fx.err), 0);
	shell("cp -f %s %s", fixture_path(&fx, "images/web"), fixture_path(&fx, "images/shop"));
	ck_assert_int_eq(store_image_get(&fx.store, "shop", &image, &fx.err), 0);
	shell("cp -f %s %s", fixture_path(&fx, "steps/%s", seed_hex), fixture_path(&fx, "images/shop"));
	ck_assert_int_eq(store_image_get(&fx.store, "shop", &image, &fx.err), 0);
	ck_assert_uint_eq(check_store(&fx.store, NULL), 2);
	ck_assert_uint_eq(check_store(&fx.store, NULL), 0);
	ck_assert_int_eq(has_all(&fx.store, "seed", &fx.err), 1);
}
END_TEST

/* A tree whose folder is lost, or that has no record, gives way to a whole one. */
START_TEST(tree_without_parts)
{
	static const char *const parts[] = { "tree", "ok", "ok tree list" };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		shell("cd %s && rm -rf %s", tree_path("."), parts[i]);
		ck_assert(!stands(1));
		ck_assert_int_eq(put_all(&fx.store, "seed", &fx.err), 0);
		ck_assert(stands(1));
	}
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "tmp")), 0);
}
END_TEST

static int publish(const char *seed)
{
	struct store store;
	struct err err = { 0 };

	if (store_open(&store, fx.top, &fx.map, &err) < 0 || put_all(&store, seed, &err) < 0) {
		fprintf(stderr, "publisher: %s\n", err.msg);
		return 1;
	}
	if (!has_all(&store, seed, &err))
		return 2;
	store_done(&store);
	return 0;
}

START_TEST(many_publishers)
{
	pid_t pids[PUBLISHERS];
	int gate[2], status;
	char c;

	ck_assert_int_eq(pipe(gate), 0);
	for (int i = 0; i < PUBLISHERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			close(gate[1]);
			(void)!read(gate[0], &c, 1);
			for (int round = 0; round < 4; round++) {
				char seed[32];

				snprintf(seed, sizeof(seed), "shared %d", round);
				status = publish(seed);
				/* the image's name is one for all seeds: others may be ahead */
				if (status == 1)
					_exit(status);
			}
			_exit(0);
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < PUBLISHERS; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	fixture_reopen(&fx);
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "tmp")), 0);
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "trees/%s", fx.map.id)), 5);
	ck_assert_uint_eq(check_store(&fx.store, NULL), 0);
	for (int round = 0; round < 4; round++) {
		char seed[32];

		snprintf(seed, sizeof(seed), "shared %d", round);
		ck_assert_int_eq(put_all(&fx.store, seed, &fx.err), 0);
		ck_assert_int_eq(has_all(&fx.store, seed, &fx.err), 1);
	}
}
END_TEST

/* What a killed process left goes with the next open; what a live one has stays. */
START_TEST(leftovers)
{
	int ready[2], status;
	struct err err = { 0 };
	struct store_tmp tmp;
	char c, deep[4096] = "";
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct store store;
		int tree;

		if (store_open(&store, fx.top, &fx.map, &err) < 0 ||
		    store_tmp_new(&store, &tmp, &err) < 0 ||
		    store_tree_new(&store, &tmp, &tree, &err) < 0)
			_exit(1);
		(void)!write(ready[1], "r", 1);
		pause();
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	fixture_reopen(&fx);
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "tmp")), 2);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	/* deeper than descriptors go, closed folders, and what no lock belongs to */
	for (int i = 0; i < 300; i++)
		strcat(deep, "d/");
	shell("cd %s && id=$(ls | grep -v lock) && mkdir -p $id/tree/%s && chmod 0 $id/tree/d && "
	      "mkdir -p stray/x && : > 1-2.part && : > nothing", fixture_path(&fx, "tmp"), deep);
	fixture_reopen(&fx);
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "tmp")), 0);
}
END_TEST

/* A map with subuids removes through the jail what it may not remove itself. */
START_TEST(removal_through_the_map)
{
	struct store_layer layer;
	struct store_gc gc;

	fx.map.kind = IDMAP_SUBIDS;
	fixture_reopen(&fx);
	ck_assert_int_eq(put_tree(&fx.store, "other", &layer, &fx.err), 0);
	ck_assert_uint_eq(check_store(&fx.store, NULL), 0);
	ck_assert_int_eq(store_gc(&fx.store, true, &gc, &fx.err), 0);
	ck_assert_uint_eq(gc.removed_trees, 2);
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "tmp")), 0);
}
END_TEST

START_TEST(gc_keeps_what_is_needed)
{
	_cleanup_close_ int tree = -1, use = -1;
	struct store_layer used, loose;
	struct digest key;
	struct store_gc gc;

	ck_assert_int_eq(put_tree(&fx.store, "used", &used, &fx.err), 0);
	ck_assert_int_eq(put_tree(&fx.store, "loose", &loose, &fx.err), 0);
	ck_assert_int_eq(put_blob(&fx.store, "loose", &key, &fx.err), 0);
	ck_assert_int_eq(store_step_set(&fx.store, &key, &loose, &fx.err), 0);
	ck_assert_int_eq(store_tree_open(&fx.store, &used.diff_id, NULL, &tree, &use, &fx.err), 1);
	ck_assert_int_eq(store_gc(&fx.store, false, &gc, &fx.err), 0);
	ck_assert_uint_eq(gc.removed_trees, 1);
	ck_assert_uint_eq(gc.removed_blobs, 1);
	ck_assert_uint_eq(gc.removed_steps, 1);
	ck_assert_uint_eq(gc.kept_in_use, 1);
	ck_assert_uint_ge(gc.freed_bytes, strlen("loose"));
	ck_assert_int_eq(has_all(&fx.store, "seed", &fx.err), 1);
	ck_assert_int_eq(faccessat(tree, "bin/sh", F_OK, 0), 0);
	ck_assert_int_eq(access(fixture_path(&fx, "reserve"), F_OK), 0);
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "tmp")), 0);
	close(TAKE_FD(use));
	ck_assert_int_eq(store_gc(&fx.store, true, &gc, &fx.err), 0);
	ck_assert_uint_eq(gc.removed_trees, 2);
	ck_assert_uint_eq(gc.kept_in_use, 0);
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "trees/%s", fx.map.id)), 0);
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "images")), 0);
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "steps")), 0);
}
END_TEST

START_TEST(gc_and_others)
{
	struct store other;
	struct store_gc gc;
	char pid[32];

	/* in one process the holder is not told by pid; through a child it is */
	ck_assert_int_eq(store_open(&other, fx.top, &fx.map, &fx.err), 0);
	ck_assert_int_eq(store_gc(&fx.store, false, &gc, &fx.err), -1);
	ck_assert_int_eq(fx.err.code, ERR_STORE_BUSY);
	/* our own shared lock is back */
	ck_assert_int_eq(flock(other.lock, LOCK_EX | LOCK_NB), -1);
	store_unlock(&other);
	ck_assert_int_eq(store_gc(&fx.store, false, &gc, &fx.err), 0);
	store_done(&other);
	if (fork() == 0) {
		int gate = open(fixture_path(&fx, "gate"), O_RDWR | O_CREAT, 0600);

		if (store_open(&other, fx.top, &fx.map, &fx.err) == 0 && write(gate, "g", 1) == 1)
			sleep(3);
		_exit(0);
	}
	for (int i = 0; i < 300 && access(fixture_path(&fx, "gate"), F_OK) < 0; i++)
		usleep(10000);
	usleep(100000);
	ck_assert_int_eq(store_gc(&fx.store, false, &gc, &fx.err), -1);
	ck_assert_int_eq(fx.err.code, ERR_STORE_BUSY);
	snprintf(pid, sizeof(pid), "process ");
	ck_assert_msg(strstr(fx.err.msg, pid) || access("/proc/locks", R_OK) < 0, "%s",
		      fx.err.msg);
	(void)wait(NULL);
}
END_TEST

/* openat with O_TMPFILE answers EOPNOTSUPP, as on overlayfs before Linux 6.3. */
static bool without_tmpfile(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, __O_TMPFILE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __O_TMPFILE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

START_TEST(file_system_without_tmpfile)
{
	struct digest digest;
	int fd, dead, status;
	pid_t pid;

	if (!without_tmpfile())
		return;
	ck_assert_int_eq(openat(AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR, 0600), -1);
	ck_assert_int_eq(put_all(&fx.store, "new", &fx.err), 0);
	ck_assert_int_eq(put_all(&fx.store, "new", &fx.err), 0);
	ck_assert_int_eq(has_all(&fx.store, "new", &fx.err), 1);
	ck_assert_int_eq(store_blob_new(&fx.store, &fd, &fx.err), 0);
	pid = fork();
	if (pid == 0) {
		close(fd);
		_exit(store_blob_new(&fx.store, &dead, &fx.err) < 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	/* the dead one's goes, ours stays and can be published */
	fixture_reopen(&fx);
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "tmp")), 1);
	digest_of("", 0, &digest);
	ck_assert_int_eq(store_blob_publish(&fx.store, fd, &digest, &fx.err), 0);
	close(fd);
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "tmp")), 0);
	ck_assert_uint_eq(check_store(&fx.store, NULL), 0);
	store_done(&fx.store);
	shell("rm -rf %s", fx.top);
	fixture_begin(&fx);
	ck_assert_int_eq(put_all(&fx.store, "new", &fx.err), 0);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ torn_records, 3 }, { misplaced_records, 1 }, { tree_without_parts, 1 },
		{ many_publishers, 1 }, { leftovers, 1 }, { removal_through_the_map, 1 },
		{ gc_keeps_what_is_needed, 1 }, { gc_and_others, 1 },
		{ file_system_without_tmpfile, 1 },
	};
	const struct unit unit = { "store under faults", .timeout_s = 120, .setup = begin, .teardown = end };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
