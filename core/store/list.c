/*
 * What a tree holds, as a sealed text of one line an entry, in the order of a walk through sorted
 * folders:
 *
 *	duet-list 1
 *	for KEY
 *	d 755 0 0 0 0 0.000000000 - .
 *	f 644 0 0 1 812 1700000000.000000000 HEX|- etc/passwd
 *	l 777 0 0 1 9 1700000000.000000000 - bin usr/bin
 *	TYPE MODE UID GID LINKS BYTES MTIME CONTENT PATH [TARGET | MAJOR:MINOR]
 *	end HEX
 *
 * Names are escaped so that a blank and a line feed are always ours. A folder has neither links nor
 * bytes of its own (they belong to the file system). CONTENT is the sha256 of a regular file when it
 * was asked for. Owners are as the walking process sees them; trees of one id map are always walked
 * in the same way, so they can be compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/jail.h"
#include "core/path.h"
#include "core/store/internal.h"

#define FLUSH_BYTES (256u << 10)
#define READ_BYTES (64u << 10)

struct entry {
	char *name;	/* owned; as on disk */
	char *shown;	/* owned; escaped: the order of the list */
	char *target;	/* owned; of a symbolic link, escaped; else NULL */
	struct stat st;
	struct digest content;
};

struct entries {
	struct entry *items;
	size_t count;
};

struct walk {
	int root, out;
	bool content;
	int read_errno;		/* why the tree could not be read; 0: it could */
	struct sha256 hash;
	struct str text;	/* not yet written */
	struct str path, shown;	/* where the walk is, raw and escaped */
	uint8_t *block;		/* READ_BYTES, for contents */
	struct err *err;
};

static void entries_done(struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++) {
		free(entries->items[i].name);
		free(entries->items[i].shown);
		free(entries->items[i].target);
	}
	free(entries->items);
}

static bool is_plain(const char *name)
{
	for (; *name; name++)
		if ((unsigned char)*name <= ' ' || *name == '\\' || *name == 0x7f)
			return false;
	return true;
}

static char *escape(const char *name)
{
	struct str out = { 0 };

	if (is_plain(name))
		return xstrdup(name);
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (c <= ' ' || c == '\\' || c == 0x7f)
			str_addf(&out, "\\%02x", c);
		else
			str_addn(&out, name, 1);
	}
	return out.text;
}

static int flush(struct walk *walk)
{
	sha256_add(&walk->hash, walk->text.text, walk->text.length);
	if (fs_write_all(walk->out, walk->text.text, walk->text.length) < 0)
		return store_fail(walk->err, errno, "write the list of a tree");
	walk->text.length = 0;
	return 0;
}

static int read_failed(struct walk *walk, int errnum, const char *what, const char *shown)
{
	walk->read_errno = errnum;
	return store_fail(walk->err, errnum, "%s %s", what, shown);
}

static int hash_content(struct walk *walk, int dir, struct entry *entry)
{
	_cleanup_close_ int fd = openat(dir, entry->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
							  O_CLOEXEC);
	struct sha256 hash;

	if (fd < 0)
		return read_failed(walk, errno, "open", entry->shown);
	sha256_init(&hash);
	for (;;) {
		ssize_t got = read(fd, walk->block, READ_BYTES);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return read_failed(walk, errno, "read", entry->shown);
		if (got == 0)
			break;
		sha256_add(&hash, walk->block, (size_t)got);
	}
	sha256_end(&hash, &entry->content);
	return 0;
}

static int read_target(struct walk *walk, int dir, struct entry *entry)
{
	char target[PATH_LENGTH_MAX + 2];
	ssize_t length = readlinkat(dir, entry->name, target, sizeof(target) - 1);

	if (length < 0)
		return read_failed(walk, errno, "read link", entry->shown);
	target[length] = '\0';
	entry->target = escape(target);
	return 0;
}

struct reading {
	struct walk *walk;
	struct entries *entries;
};

static int read_entry(void *data, int dir, const char *name)
{
	struct reading *reading = data;
	struct entries *entries = reading->entries;
	struct walk *walk = reading->walk;
	struct entry *entry;

	if ((entries->count & (entries->count - 1)) == 0)
		entries->items = xreallocarray(entries->items, entries->count * 2 + 1,
					       sizeof(*entry));
	entry = &entries->items[entries->count++];
	*entry = (struct entry){ .name = xstrdup(name), .shown = escape(name) };
	if (fstatat(dir, name, &entry->st, AT_SYMLINK_NOFOLLOW) < 0)
		return read_failed(walk, errno, "look at", entry->shown);
	if (S_ISLNK(entry->st.st_mode))
		return read_target(walk, dir, entry);
	if (S_ISREG(entry->st.st_mode) && walk->content)
		return hash_content(walk, dir, entry);
	return 0;
}

static char type_letter(mode_t mode)
{
	static const char letters[16] = { [S_IFREG >> 12] = 'f', [S_IFDIR >> 12] = 'd',
					  [S_IFLNK >> 12] = 'l', [S_IFCHR >> 12] = 'c',
					  [S_IFBLK >> 12] = 'b', [S_IFIFO >> 12] = 'p',
					  [S_IFSOCK >> 12] = 's' };
	char letter = letters[mode >> 12 & 15];

	return letter ? letter : '?';
}

static int add_line(struct walk *walk, const struct entry *entry, const char *shown)
{
	const struct stat *st = &entry->st;
	bool folder = S_ISDIR(st->st_mode);
	char hex[DIGEST_HEX_SIZE] = "-", head[256];
	int length;

	if (S_ISREG(st->st_mode) && walk->content)
		digest_hex(&entry->content, hex);
	length = snprintf(head, sizeof(head), "%c %o %u %u %llu %lld %lld.%09ld %s ",
			  type_letter(st->st_mode), (unsigned int)(st->st_mode & 07777),
			  st->st_uid, st->st_gid,
			  folder ? 0 : (unsigned long long)st->st_nlink,
			  folder ? 0 : (long long)st->st_size, (long long)st->st_mtim.tv_sec,
			  st->st_mtim.tv_nsec, hex);
	str_addn(&walk->text, head, (size_t)length);
	str_add(&walk->text, shown);
	if (entry->target) {
		str_addn(&walk->text, " ", 1);
		str_add(&walk->text, entry->target);
	} else if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		str_addf(&walk->text, " %u:%u", major(st->st_rdev), minor(st->st_rdev));
	}
	str_addn(&walk->text, "\n", 1);
	return walk->text.length >= FLUSH_BYTES ? flush(walk) : 0;
}

static int by_shown(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->shown, ((const struct entry *)b)->shown);
}

static void step_into(struct str *path, const char *name)
{
	if (path->length > 0)
		str_addn(path, "/", 1);
	str_add(path, name);
}

static void step_back(struct str *path, size_t length)
{
	path->length = length;
	path->text[length] = '\0';
}

/* No descriptor stays open while the folders below are walked: depth costs memory only. */
static int walk_folder(struct walk *walk)
{
	_cleanup_(entries_done) struct entries entries = { 0 };
	struct reading reading = { .walk = walk, .entries = &entries };
	size_t length = walk->path.length, shown_length = walk->shown.length;
	int dir = fs_open_no_links(walk->root, walk->path.text, O_PATH | O_DIRECTORY, 0);
	int result;

	if (dir < 0)
		return read_failed(walk, errno, "open folder", walk->shown.text);
	result = store_each(dir, ".", read_entry, &reading, walk->err);
	if (result < 0 && walk->read_errno == 0)
		walk->read_errno = errno;
	close(dir);
	if (entries.count > 0)
		qsort(entries.items, entries.count, sizeof(*entries.items), by_shown);
	for (size_t i = 0; result == 0 && i < entries.count; i++) {
		step_into(&walk->path, entries.items[i].name);
		step_into(&walk->shown, entries.items[i].shown);
		result = add_line(walk, &entries.items[i], walk->shown.text);
		if (result == 0 && S_ISDIR(entries.items[i].st.st_mode))
			result = walk_folder(walk);
		step_back(&walk->path, length);
		step_back(&walk->shown, shown_length);
	}
	return result;
}

static int walk_tree(struct walk *walk, const char *key)
{
	struct entry root = { 0 };
	struct digest digest;
	char hex[DIGEST_HEX_SIZE];

	record_begin(&walk->text, "list", key);
	if (fstatat(walk->root, "", &root.st, AT_EMPTY_PATH) < 0)
		return store_fail(walk->err, errno, "look at a tree");
	if (add_line(walk, &root, ".") < 0 || walk_folder(walk) < 0 || flush(walk) < 0)
		return -1;
	sha256_end(&walk->hash, &digest);
	digest_hex(&digest, hex);
	str_addf(&walk->text, "end %s\n", hex);
	return flush(walk);
}

struct list_job {
	int tree, out;
	bool content;
	const char *key;
};

static int list_direct(const struct list_job *job, struct err *err)
{
	struct walk walk = { .root = job->tree, .out = job->out, .content = job->content,
			     .err = err };
	int result;

	walk.block = job->content ? xmalloc(READ_BYTES) : NULL;
	str_add(&walk.path, "");
	str_add(&walk.shown, "");
	sha256_init(&walk.hash);
	result = walk_tree(&walk, job->key);
	if (result < 0 && job->content && store_is_damage(walk.read_errno)) {
		err_done(err);
		result = 0;
	}
	str_done(&walk.text);
	str_done(&walk.path);
	str_done(&walk.shown);
	free(walk.block);
	return result;
}

static int list_inside(void *data)
{
	_cleanup_(err_done) struct err err = { 0 };

	return list_direct(data, &err) < 0;
}

int store_list_write(struct store *store, int tree, int out, const char *key, bool content,
		     struct err *err)
{
	struct list_job job = { .tree = tree, .out = out, .content = content, .key = key };

	if (store->map.kind != IDMAP_RANGE)
		return jail_run(&store->map, list_inside, &job, "list a tree of the store", err);
	return list_direct(&job, err);
}
