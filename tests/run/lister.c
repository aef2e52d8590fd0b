/*
 * Lists what a tree shows, to be compared with what the same program shows of another: type, mode,
 * owner, size, time, attributes, target, which names are one file, content. It is static, so that it
 * runs in every image, on both runners.
 *
 *	lister FOLDER [WORD...]		-PATH	leaves PATH out, and what is below
 *					=PATH	says no time of PATH
 *					owners	says no owners
 *					times	says no time of anything
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/digest.h"
#include "core/mem.h"

#define DEPTH 32	/* descriptors that nftw may hold */

struct entry {
	char *path;	/* owned; below the folder, without a leading slash */
	struct stat st;
};

static struct entry *entries;
static size_t entry_count;
static size_t top_length;	/* of the folder's name, with its slash */
static char **words;
static int word_count;

static void die(const char *path)
{
	fprintf(stderr, "lister: %s: %s\n", path, strerror(errno));
	exit(1);
}

static bool has_word(char kind, const char *path)
{
	for (int i = 0; i < word_count; i++)
		if (words[i][0] == kind && !strcmp(words[i] + 1, path))
			return true;
	return false;
}

static void print_escaped(const char *text)
{
	for (; *text; text++)
		if (*text > ' ' && *text < 127 && *text != '\\')
			putchar(*text);
		else
			printf("\\%02x", (unsigned char)*text);
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *where)
{
	const char *name = strlen(path) > top_length ? path + top_length : "";

	(void)where;
	if (type == FTW_DNR || type == FTW_NS)
		die(path);
	if (has_word('-', name))
		return FTW_SKIP_SUBTREE;
	if (!*name)
		return FTW_CONTINUE;
	if ((entry_count & (entry_count - 1)) == 0)
		entries = xreallocarray(entries, entry_count ? 2 * entry_count : 1,
					sizeof(*entries));
	entries[entry_count++] = (struct entry){ xstrdup(name), *st };
	return FTW_CONTINUE;
}

static int by_path(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* The device too: two layers are two file systems, and numbers of one may be those of the other. */
static int by_file(const void *a, const void *b)
{
	const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;

	if (x->st.st_dev != y->st.st_dev)
		return x->st.st_dev < y->st.st_dev ? -1 : 1;
	if (x->st.st_ino != y->st.st_ino)
		return x->st.st_ino < y->st.st_ino ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* The first name of the same file, and how many there are: where st_nlink counts hidden ones too. */
static const char *first_name(struct entry **sorted, const struct entry *entry, size_t *ret_count)
{
	struct entry **at = bsearch(&entry, sorted, entry_count, sizeof(*sorted), by_file);
	size_t low, high;

	if (!at)
		abort();
	low = high = (size_t)(at - sorted);
	while (low > 0 && sorted[low - 1]->st.st_ino == entry->st.st_ino &&
	       sorted[low - 1]->st.st_dev == entry->st.st_dev)
		low--;
	while (high + 1 < entry_count && sorted[high + 1]->st.st_ino == entry->st.st_ino &&
	       sorted[high + 1]->st.st_dev == entry->st.st_dev)
		high++;
	*ret_count = high - low + 1;
	return sorted[low]->path;
}

static void print_content(const char *path)
{
	static char block[1 << 16];
	char hex[DIGEST_HEX_SIZE];
	struct digest digest;
	struct sha256 hash;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	sha256_init(&hash);
	while (fd >= 0 && (got = read(fd, block, sizeof(block))) > 0)
		sha256_add(&hash, block, (size_t)got);
	if (fd < 0 || got < 0)
		die(path);
	close(fd);
	sha256_end(&hash, &digest);
	digest_hex(&digest, hex);
	printf(" %s", hex);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_attributes(const char *path)
{
	static char names[1 << 16], value[1 << 16];
	ssize_t length = llistxattr(path, names, sizeof(names)), size;
	char *sorted[256];
	size_t count = 0;

	if (length < 0 && errno != ENOTSUP)
		die(path);
	for (char *name = names; name < names + length && count < 256; name += strlen(name) + 1)
		sorted[count++] = name;
	if (count > 1)
		qsort(sorted, count, sizeof(*sorted), by_text);
	for (size_t i = 0; i < count; i++) {
		size = lgetxattr(path, sorted[i], value, sizeof(value));
		if (size < 0)
			die(path);
		printf(" %s=", sorted[i]);
		for (ssize_t j = 0; j < size; j++)
			printf("%02x", (unsigned char)value[j]);
	}
}

static void print_entry(const char *path, const struct entry *entry, struct entry **sorted)
{
	const struct stat *st = &entry->st;
	static char target[1 << 13];
	const char *first;
	ssize_t length;
	size_t names;

	print_escaped(entry->path);
	printf(" %06o", (unsigned int)st->st_mode);
	if (!has_word('o', "wners"))
		printf(" %u:%u", st->st_uid, st->st_gid);
	if (!has_word('t', "imes") && !has_word('=', entry->path))
		printf(" %lld.%09ld", (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	if (S_ISREG(st->st_mode)) {
		printf(" %lld", (long long)st->st_size);
		print_content(path);
	} else if (S_ISLNK(st->st_mode)) {
		length = readlink(path, target, sizeof(target) - 1);
		if (length < 0)
			die(path);
		target[length] = '\0';
		printf(" ->");
		print_escaped(target);
	} else if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		printf(" %u:%u", major(st->st_rdev), minor(st->st_rdev));
	}
	if (!S_ISDIR(st->st_mode)) {
		first = first_name(sorted, entry, &names);
		if (names > 1) {
			printf(" %zu names, first ", names);
			print_escaped(first);
		}
	}
	print_attributes(path);
	putchar('\n');
}

int main(int argc, char **argv)
{
	struct entry **sorted;

	if (argc < 2) {
		fprintf(stderr, "lister: which folder?\n");
		return 2;
	}
	words = argv + 2;
	word_count = argc - 2;
	top_length = strcmp(argv[1], "/") ? strlen(argv[1]) + 1 : 1;
	if (nftw(argv[1], visit, DEPTH, FTW_PHYS | FTW_ACTIONRETVAL) != 0)
		die(argv[1]);
	if (entry_count == 0)
		return 0;
	qsort(entries, entry_count, sizeof(*entries), by_path);
	sorted = xcalloc(entry_count, sizeof(*sorted));
	for (size_t i = 0; i < entry_count; i++)
		sorted[i] = &entries[i];
	qsort(sorted, entry_count, sizeof(*sorted), by_file);
	for (size_t i = 0; i < entry_count; i++) {
		_cleanup_free_ char *path = xasprintf("%s%s%s", argv[1],
						      strcmp(argv[1], "/") ? "/" : "",
						      entries[i].path);

		print_entry(path, &entries[i], sorted);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
