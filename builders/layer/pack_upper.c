/*
 * An overlay's upper as a layer: what was removed becomes .wh.NAME, an opaque folder gets
 * .wh..wh..opq before what is in it (OCI image-spec, layer.md). Times after the clamp become the clamp,
 * so that a command which runs again gives the same bytes. The root is in it only where the command
 * gave it another mode or owner.
 */
#include <string.h>

#include "builders/layer/pack.h"
#include "builders/layer/tarwrite.h"
#include "builders/layer/walk.h"
#include "core/mem.h"
#include "core/path.h"
#include "core/str.h"
#include "core/view.h"

#define OPAQUE_NAME ".wh..wh..opq"
#define ROOT_MODE 0755	/* of the root that a run gets, whatever the layers say */

static int write_mark(struct packer *packer, const char *folder, const char *name)
{
	_cleanup_free_ char *path = path_join(folder, name);
	const struct tar_entry mark = { .type = TAR_FILE, .path = path, .mode = 0644,
					.mtime_s = packer->args->time_s };

	return strlen(path) <= PATH_LENGTH_MAX ? pack_mark(packer, &mark)
					       : err_set(packer->err, ERR_LAYER_LIMIT,
							 "its path becomes too long");
}

static int write_whiteout(struct packer *packer, const char *path)
{
	const char *base = path_base(path);
	_cleanup_free_ char *folder = xstrndup(path, base > path ? (size_t)(base - path - 1) : 0);
	_cleanup_free_ char *name = xasprintf(".wh.%s", base);

	if (str_has_prefix(base, ".wh."))
		return err_set(packer->err, ERR_LAYER,
			       "a name that begins with \".wh.\" cannot be removed by a layer");
	return write_mark(packer, folder, name);
}

/* Takes the overlay's own attribute out; was it there? (Its memory is the walk's.) */
static bool take_opaque(struct tar_entry *entry)
{
	for (size_t i = 0; i < entry->xattr_count; i++) {
		bool opaque = entry->xattrs[i].size == 1 && *(char *)entry->xattrs[i].value == 'y';

		if (strcmp(entry->xattrs[i].name, VIEW_OPAQUE_XATTR))
			continue;
		memmove(&entry->xattrs[i], &entry->xattrs[i + 1],
			(entry->xattr_count - i - 1) * sizeof(entry->xattrs[0]));
		entry->xattr_count--;
		return opaque;
	}
	return false;
}

static bool is_plain_root(const struct tar_entry *entry)
{
	return !*entry->path && entry->mode == ROOT_MODE && entry->uid == 0 && entry->gid == 0 &&
	       entry->xattr_count == 0;
}

static int write_entry(struct packer *packer, struct tar_entry *entry, int fd)
{
	const struct layer_pack *args = packer->args;
	bool opaque = take_opaque(entry);

	if (entry->type == TAR_CHAR)
		return write_whiteout(packer, entry->path);
	if (entry->mtime_s >= args->time_s) {
		entry->mtime_s = args->time_s;
		entry->mtime_ns = 0;
	}
	if (!is_plain_root(entry) && pack_entry(packer, entry) < 0)
		return -1;
	if (args->progress)
		args->progress(args->progress_data, packer->content_bytes, 0);
	if (fd >= 0 && pack_content(packer, fd, entry->size, entry->path) < 0)
		return -1;
	return opaque ? write_mark(packer, entry->path, OPAQUE_NAME) : 0;
}

static int visit(void *data, const struct tar_entry *entry, int fd, struct err *err)
{
	_cleanup_free_ struct tar_entry *copy = xmemdup(entry, sizeof(*entry));

	if (write_entry(data, copy, fd) < 0) {
		_cleanup_free_ char *safe = str_escape(entry->path, 200);

		return err_wrap(err, "pack /%s", safe);
	}
	return 0;
}

int pack_upper(struct packer *packer)
{
	const struct walk_args walk = {
		.what = packer->args->selection,
		.keep = true,
		.upper = true,
		.visit = visit,
		.data = packer,
	};

	return walk_selection(&walk, &packer->devices, packer->err);
}
