/*
 * Two stores side by side, for builds that should be equal: what was fetched is shared by hard links, and
 * the first difference of two trees is told.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/parse.h"
#include "core/str.h"
#include "core/store/internal.h"

#define LIST_BYTES_MAX (1u << 30)
#define FIELDS 10	/* of a list's line: see list.c; the tenth is what a link leads to */
#define PATH_FIELD 8

/* ---- sharing --------------------------------------------------------------------------------- */

static int link_folder(int from, int to, struct err *err)
{
	_cleanup_close_ int fd = fs_reopen(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	int result = 0;

	if (!dir)
		return store_fail(err, errno, "list what was fetched");
	(void)TAKE_FD(fd);
	while (result == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' &&
		    linkat(dirfd(dir), entry->d_name, to, entry->d_name, 0) < 0 && errno != EEXIST)
			result = store_fail(err, errno, "share what was fetched");
	closedir(dir);
	return result;
}

/* One folder of the store with files only; a missing one has none. */
static int share_folder(struct store *from, struct store *to, const char *path, struct err *err)
{
	_cleanup_close_ int a = openat(from->dir, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int b = -1;

	if (a < 0)
		return errno == ENOENT ? 0 : store_fail(err, errno, "open %s of the store", path);
	b = store_folder(to, path, err);
	return b < 0 ? -1 : link_folder(a, b, err);
}

int store_share(struct store *from, struct store *to, struct err *err)
{
	for (unsigned int i = 0; i < 256; i++) {
		char path[STORE_PATH_SIZE];

		snprintf(path, sizeof(path), "blobs/sha256/%02x", i);
		if (share_folder(from, to, path, err) < 0)
			return -1;
	}
	return share_folder(from, to, "pins", err);
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* "TYPE MODE UID GID REST": owners as the image has them; each store may have host ids of its own. */
static void add_line(const struct idmap *map, char *line, struct str *out)
{
	char *rest = line, *type = strsep(&rest, " "), *mode = strsep(&rest, " ");
	char *owner[2] = { strsep(&rest, " "), strsep(&rest, " ") };
	uint32_t ids[2];

	if (rest && parse_id(owner[0], &ids[0]) && parse_id(owner[1], &ids[1]) &&
	    idmap_uid_inside(map, ids[0], &ids[0]) && idmap_gid_inside(map, ids[1], &ids[1]))
		str_addf(out, "%s %s %u %u %s\n", type, mode, ids[0], ids[1], rest);
	else if (rest)
		str_addf(out, "%s %s %s %s %s\n", type, mode, owner[0], owner[1], rest);
	else
		str_addf(out, "%s\n", type);
}

static char *with_inner_owners(const struct idmap *map, char *list)
{
	struct str out = { 0 };
	char *rest = list, *line;

	str_add(&out, "");
	while ((line = strsep(&rest, "\n")))
		if (*line)
			add_line(map, line, &out);
	return out.text;
}

static int read_list(struct store *store, const struct digest *diff_id, const struct digest *chain,
		     char **ret, struct err *err)
{
	_cleanup_close_ int tree = -1, use = -1, out = memfd_create("list", MFD_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	int found = store_tree_open(store, diff_id, chain, &tree, &use, err);

	if (found < 0)
		return -1;
	if (found == 0)
		return err_set(err, ERR_STORE, "open a layer just built");
	if (out < 0)
		return store_fail(err, errno, "make room for a list");
	if (store_list_write(store, tree, out, "-", true, err) < 0 ||
	    fs_read_fd(out, "list", LIST_BYTES_MAX, &text, NULL, err) < 0)
		return -1;
	*ret = with_inner_owners(&store->map, text);
	return 0;
}

/* The fields of a line, and how many; the text is cut. */
static size_t split(char *line, char *fields[FIELDS])
{
	size_t count = 0;

	for (char *save = NULL, *field = strtok_r(line, " ", &save); field && count < FIELDS;
	     field = strtok_r(NULL, " ", &save))
		fields[count++] = field;
	return count;
}

/* Is there a line of this path? What follows it is the end of the line, or what a link leads to. */
static bool has_path(const char *list, const char *path)
{
	_cleanup_free_ char *needle = xasprintf(" %s", path);
	size_t length = strlen(needle);

	for (const char *at = list; (at = strstr(at, needle)); at += length)
		if (at[length] == '\n' || at[length] == ' ' || !at[length])
			return true;
	return false;
}

static void tell_lines(const char *a, const char *b, size_t length_a, size_t length_b,
		       const char *all_b, char **ret)
{
	static const char *const names[FIELDS] = { "type", "mode", "uid", "gid", "links", "bytes",
						   "mtime", "content", "path", "target" };
	_cleanup_free_ char *line_a = xstrndup(a, length_a), *line_b = xstrndup(b, length_b);
	char *fields_a[FIELDS] = { 0 }, *fields_b[FIELDS] = { 0 };
	size_t count_a = split(line_a, fields_a), count_b = split(line_b, fields_b);

	if (count_a > PATH_FIELD && count_b > PATH_FIELD &&
	    !strcmp(fields_a[PATH_FIELD], fields_b[PATH_FIELD])) {
		/* when it was written matters less than what is in it */
		static const size_t order[] = { 0, 7, 9, 5, 1, 2, 3, 4, 6 };

		for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
			const char *is = fields_a[order[i]], *was = fields_b[order[i]];

			if ((is || was) && (!is || !was || strcmp(is, was))) {
				*ret = xasprintf("%s: %s is %s, then %s", fields_a[PATH_FIELD],
						 names[order[i]], is ? is : "none",
						 was ? was : "none");
				return;
			}
		}
	}
	/* one of the two is in one list only */
	if (count_a > PATH_FIELD && !has_path(all_b, fields_a[PATH_FIELD])) {
		*ret = xasprintf("%s: only the first time", fields_a[PATH_FIELD]);
		return;
	}
	*ret = xasprintf("%s: only the second time", count_b > PATH_FIELD ? fields_b[PATH_FIELD] : "");
}

static void compare_texts(const char *a, const char *b, char **ret)
{
	const char *whole_b = b;

	while (*a && *b) {
		size_t length_a = strcspn(a, "\n"), length_b = strcspn(b, "\n");

		if (length_a != length_b || memcmp(a, b, length_a)) {
			tell_lines(a, b, length_a, length_b, whole_b, ret);
			return;
		}
		a += length_a + (a[length_a] == '\n');
		b += length_b + (b[length_b] == '\n');
	}
}

int store_tree_difference(struct store *a, const struct digest *diff_a,
			  const struct digest *chain_a, struct store *b,
			  const struct digest *diff_b, const struct digest *chain_b, char **ret,
			  struct err *err)
{
	_cleanup_free_ char *list_a = NULL, *list_b = NULL;

	if (read_list(a, diff_a, chain_a, &list_a, err) < 0 ||
	    read_list(b, diff_b, chain_b, &list_b, err) < 0)
		return -1;
	*ret = NULL;
	compare_texts(list_a, list_b, ret);
	return 0;
}
