/* A walk over an EROFS image: see image.h. */
#include "tests/fuzz/image.h"

#include <string.h>
#include <sys/stat.h>

#include "core/view.h"
#include "tests/fuzz/fuzz.h"

#define ENTRIES_MAX 3000	/* that are looked at: a hostile folder may hold itself */
#define DEPTH_MAX 300		/* a layer's paths have up to 256 components */
#define PATHS_MAX 24
#define CHUNK 5000		/* bytes: more than a block */
#define NAME_LONGEST (255 + 32)	/* of an attribute, with its prefix */

struct walk {
	struct erofs *erofs;
	bool sound;
	struct strv *paths;
	size_t entries;
	unsigned int depth;
	const char *path;	/* of the folder */
	const struct erofs_inode *folder;
	bool again;		/* the second time: every name is looked up */
};

/* In a sound image nothing fails. */
static bool went_well(const struct walk *walk, int result, struct err *err)
{
	FUZZ_CHECK(!walk->sound || result >= 0);
	fuzz_check_err(err, result);
	return result >= 0;
}

static int take_xattr(void *data, const char *name, const void *value, size_t size,
		      struct err *err)
{
	static volatile uint8_t seen;
	const uint8_t *bytes = value;

	(void)data;
	(void)err;
	FUZZ_CHECK(strlen(name) <= NAME_LONGEST);
	for (size_t i = 0; i < size; i++)
		seen ^= bytes[i];
	(void)seen;
	return 0;
}

static void read_content(struct walk *walk, const struct erofs_inode *inode)
{
	const uint64_t offsets[] = { 0, 1, inode->size / 2,
				     inode->size > CHUNK ? inode->size - CHUNK : 0, inode->size };
	char buffer[CHUNK];

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		struct err err = { 0 };
		ssize_t got = erofs_read(walk->erofs, inode, buffer, sizeof(buffer), offsets[i],
					 &err);

		if (went_well(walk, (int)got, &err))
			FUZZ_CHECK(offsets[i] >= inode->size ? got == 0 :
				   (uint64_t)got == (inode->size - offsets[i] < CHUNK ?
							     inode->size - offsets[i] : CHUNK));
	}
}

static void walk_folder(struct walk *walk, const struct erofs_inode *folder, const char *path);

static int take_entry(void *data, const char *name, uint64_t nid, struct err *err)
{
	struct walk *walk = data;
	struct erofs_inode inode, found;
	struct err inner = { 0 };

	(void)err;
	FUZZ_CHECK(*name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, ".."));
	if (walk->again) {
		int result = erofs_lookup(walk->erofs, walk->folder, name, &found, &inner);

		FUZZ_CHECK(result != 0 && (result < 0 || found.nid == nid));
		went_well(walk, result, &inner);
		return 0;
	}
	if (++walk->entries > ENTRIES_MAX)
		return 1;
	if (went_well(walk, erofs_inode(walk->erofs, nid, &inode, &inner), &inner)) {
		_cleanup_free_ char *path = xasprintf("%s%s%s", walk->path, *walk->path ? "/" : "",
						      name);

		if (walk->paths && walk->paths->count < PATHS_MAX && strlen(path) < PATH_LENGTH_MAX)
			strv_add(walk->paths, path);
		walk_folder(walk, &inode, path);
	}
	return 0;
}

/* What is no folder, too. */
static void walk_folder(struct walk *walk, const struct erofs_inode *folder, const char *path)
{
	struct walk below = *walk;
	struct err err = { 0 };
	int result;

	went_well(walk, erofs_each_xattr(walk->erofs, folder, take_xattr, NULL, &err), &err);
	if (S_ISREG(folder->mode) || S_ISLNK(folder->mode))
		read_content(walk, folder);
	if (!S_ISDIR(folder->mode) || walk->depth > DEPTH_MAX)
		return;
	below.depth++;
	below.path = path;
	below.folder = folder;
	result = erofs_each(walk->erofs, folder, take_entry, &below, &err);
	if (went_well(walk, result, &err) && result == 0) {
		below.again = true;
		result = erofs_each(walk->erofs, folder, take_entry, &below, &err);
		went_well(walk, result, &err);
	}
	walk->entries = below.entries;
}

size_t image_walk(struct erofs *erofs, bool sound, struct strv *ret_paths)
{
	struct walk walk = { .erofs = erofs, .sound = sound, .paths = ret_paths, .path = "" };
	struct erofs_inode root;
	struct err err = { 0 };

	if (went_well(&walk, erofs_root(erofs, &root, &err), &err))
		walk_folder(&walk, &root, "");
	return walk.entries;
}

struct erofs *image_open(int fd, bool sound)
{
	struct erofs *erofs = NULL;
	struct err err = { 0 };
	int result = erofs_new(fd, &erofs, &err);

	FUZZ_CHECK(!sound || result == 0);
	fuzz_check_err(&err, result);
	return erofs;
}
