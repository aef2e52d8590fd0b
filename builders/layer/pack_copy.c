/*
 * From the host or an image: a file lands at `to` (or in it, under its own name), what is in a folder
 * lands below `to`. Parents are not written, nor is `to` itself: what is there keeps its mode. A folder
 * with nothing in it is the exception, for else nothing would be made.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "builders/layer/pack.h"
#include "builders/layer/walk.h"
#include "core/mem.h"
#include "core/path.h"
#include "core/str.h"

struct copy {
	struct packer *packer;
	char to[PATH_LENGTH_MAX + 1];	/* clean, relative */
	bool folder;			/* there is a folder among the sources */
};

/* Where an entry of the source goes; false when that is too long. */
static bool place(const struct copy *copy, const char *path, char ret[PATH_LENGTH_MAX + 1])
{
	if (strlen(copy->to) + 1 + strlen(path) > PATH_LENGTH_MAX)
		return false;
	stpcpy(stpcpy(stpcpy(ret, copy->to), *copy->to && *path ? "/" : ""), path);
	return true;
}

/* The mode of what `copy` makes: the executable bit of the owner is what a checkout keeps. */
static uint32_t mode_of(const struct layer_pack *args, const struct tar_entry *entry)
{
	if (entry->type == TAR_SYMLINK)
		return 0777;
	if (args->keep_modes && !args->has_mode)
		return entry->mode;
	if (!args->has_mode)
		return entry->type == TAR_FOLDER || entry->mode & 0100 ? 0755 : 0644;
	/* who may read a folder's names may also go through it */
	return entry->type == TAR_FOLDER ? args->mode | (args->mode & 0444) >> 2 : args->mode;
}

static int write_entry(struct copy *copy, const struct tar_entry *entry, const char *path, int fd)
{
	const struct layer_pack *args = copy->packer->args;
	char target[PATH_LENGTH_MAX + 1];
	struct tar_entry placed = *entry;

	placed.path = path;
	if (entry->type == TAR_HARDLINK) {
		if (!place(copy, entry->target, target))
			return err_set(copy->packer->err, ERR_LAYER_LIMIT,
				       "its path becomes too long");
		placed.target = target;
	}
	if (!args->keep) {
		if (!args->keep_owners) {
			placed.uid = args->owner_uid;
			placed.gid = args->owner_gid;
		}
		placed.mode = mode_of(args, entry);
		placed.mtime_s = LAYER_TIME;
		placed.mtime_ns = 0;
	}
	if (pack_entry(copy->packer, &placed) < 0)
		return -1;
	if (args->progress)
		args->progress(args->progress_data, copy->packer->content_bytes, 0);
	return fd >= 0 ? pack_content(copy->packer, fd, entry->size, path) : 0;
}

static int visit(void *data, const struct tar_entry *entry, int fd, struct err *err)
{
	struct copy *copy = data;
	char path[PATH_LENGTH_MAX + 1];

	if (!*entry->path && entry->type == TAR_FOLDER && !copy->packer->args->keep) {
		copy->folder = true;
		return 0;
	}
	if (!place(copy, entry->path, path))
		return err_set(err, ERR_LAYER_LIMIT, "its path becomes too long");
	if (!*path && entry->type != TAR_FOLDER)
		return err_set(err, ERR_LAYER, "a file cannot be put at /");
	if (write_entry(copy, entry, path, fd) < 0) {
		_cleanup_free_ char *safe = str_escape(path, 200);

		return err_wrap(err, "pack %s", safe);
	}
	return 0;
}

/* `to` itself, for a folder with nothing in it. */
static int write_empty(struct copy *copy)
{
	const struct tar_entry folder = { .type = TAR_FOLDER, .mode = 0755 };

	return *copy->to ? write_entry(copy, &folder, copy->to, -1) : 0;
}

int pack_copy(struct packer *packer)
{
	const struct layer_pack *args = packer->args;
	struct copy copy = { .packer = packer };
	const struct walk_args walk = {
		.what = args->selection,
		.keep = args->keep,
		.visit = visit,
		.data = &copy,
	};

	if (!path_clean(args->to, copy.to))
		return err_set(packer->err, ERR_LAYER, "put it at %s: no such path", args->to);
	if (walk_selection(&walk, &packer->devices, packer->err) < 0)
		return -1;
	return packer->entries == 0 && copy.folder ? write_empty(&copy) : 0;
}
