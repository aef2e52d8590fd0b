/*
 * tar by libarchive: see tar.h. The only file that knows libarchive. Only the tar format is turned
 * on and no filter: the bytes were inflated and hashed before. libarchive wants to translate the
 * UTF-8 of pax headers into the locale, and in a UTF-8 locale it composes what is decomposed. In the
 * "C" locale it keeps the bytes as they are and answers ARCHIVE_WARN, which is let pass for that one
 * reason; so headers are read in that locale, whatever the process has.
 */
#include "builders/layer/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "builders/layer/acl.h"
#include "builders/layer/layer.h"
#include "core/mem.h"
#include "core/str.h"

#define ID_MAX 4294967294ll	/* 2^32 - 1 means "none" to the kernel */

struct tar {
	struct archive *archive;	/* owned */
	struct archive_entry *from;	/* owned; libarchive does not look whether it got one of its own */
	locale_t locale;		/* owned; "C" */
	struct tar_source source;
	struct tar_entry entry;
	struct err source_err;	/* why the source failed */
	uint64_t total;		/* bytes that the source gave */
	uint64_t call_at;	/* `total` when libarchive was last called for a header or a piece */
	bool skipping;		/* it was called to skip content */
	bool has_content;	/* an entry was given, and its content not skipped yet */
	bool padded;		/* the last block was filled up here */
};

#define BLOCK 512

/*
 * Some writers (umoci insert) leave out what follows the last entry's content: the zero bytes up to
 * the next block and the archive's end. Readers in the wild take that, so it is filled up here; tar_next
 * makes sure that it was no content that was missing.
 */
static la_ssize_t fill_up(struct tar *tar, const void **ret)
{
	static const char zeros[BLOCK];

	if (tar->padded || tar->total % BLOCK == 0)
		return 0;
	tar->padded = true;
	*ret = zeros;
	return (la_ssize_t)(BLOCK - tar->total % BLOCK);
}

/*
 * libarchive reads all headers of an entry in one call, and a map of holes (GNU sparse: in pax headers, in
 * blocks behind the header, or before the content) in one call as well, into a list of 48 bytes for
 * each of its entries, which take two bytes and up in the archive. It has no limit and no hook. So what one
 * call may read is limited here, where it reads: that holds for every form of a map, known or not,
 * and cannot take another view of the archive than libarchive does. Skipped content is not counted.
 */
static void begin_call(struct tar *tar, bool skipping)
{
	tar->call_at = tar->total;
	tar->skipping = skipping;
}

/* Skips what is left of the entry's content, which archive_read_next_header would do itself. */
static int skip_content(struct tar *tar)
{
	int result = ARCHIVE_OK;

	begin_call(tar, true);
	if (tar->has_content)
		result = archive_read_data_skip(tar->archive);
	tar->has_content = false;
	begin_call(tar, false);
	return result;
}

/* Did the content of the last entry end before the archive did? */
static bool is_whole(const struct tar *tar)
{
	uint64_t last = tar->entry.type == TAR_FILE ? tar->entry.size % BLOCK : 0;

	return !tar->padded || (last > 0 && last <= tar->total % BLOCK);
}

static la_ssize_t pull(struct archive *archive, void *data, const void **ret)
{
	struct tar *tar = data;
	size_t size;
	int got;

	if (!tar->skipping && tar->total - tar->call_at > TAR_HEADERS_MAX)
		got = err_set(&tar->source_err, ERR_LAYER_LIMIT,
			      "headers or a map of holes of more than %d bytes", TAR_HEADERS_MAX);
	else
		got = tar->source.read(tar->source.data, ret, &size, &tar->source_err);
	if (got == 1) {
		tar->total += size;
		return (la_ssize_t)size;
	}
	if (got == 0)
		return fill_up(tar, ret);
	archive_set_error(archive, EIO, "the source failed");
	return got;
}

struct tar *tar_new(const struct tar_source *source)
{
	struct tar *tar = xcalloc(1, sizeof(*tar));

	tar->source = *source;
	tar->archive = archive_read_new();
	tar->from = tar->archive ? archive_entry_new2(tar->archive) : NULL;
	tar->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!tar->locale || !tar->archive || !tar->from ||
	    archive_read_support_format_tar(tar->archive) != ARCHIVE_OK ||
	    (source->may_be_empty && archive_read_support_format_empty(tar->archive) != ARCHIVE_OK) ||
	    /* archive_read_open does it too, and looks at what it did not get */
	    archive_read_set_callback_data(tar->archive, tar) != ARCHIVE_OK)
		mem_out();
	/*
	 * Reads the first block; what is wrong with it shows again in tar_next. What is not does not: without
	 * memory it fails and gives no reason.
	 */
	if (archive_read_open(tar->archive, tar, NULL, pull, NULL) != ARCHIVE_OK &&
	    (!archive_errno(tar->archive) || archive_errno(tar->archive) == ENOMEM))
		mem_out();
	return tar;
}

static int refuse(struct tar *tar, struct err *err)
{
	const char *text = archive_error_string(tar->archive);
	_cleanup_free_ char *safe = NULL;

	if (tar->source_err.code) {
		err_move(err, &tar->source_err);
		return -1;
	}
	if (archive_errno(tar->archive) == ENOMEM)
		mem_out();
	safe = str_escape(text ? text : "damaged", 200);
	return err_set(err, ERR_LAYER, "read the archive: %s", safe);
}

int tar_keeps_xattr(const char *name)
{
	if (str_has_prefix(name, "user."))
		return !str_has_prefix(name, "user.overlay.");
	return !strcmp(name, "security.capability") ||
	       !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

static int add_xattr(struct tar_entry *entry, const char *name, const void *value, size_t size,
		     struct err *err)
{
	if (entry->xattr_count == TAR_XATTRS_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "more than %d extended attributes",
			       TAR_XATTRS_MAX);
	entry->xattrs[entry->xattr_count++] = (struct tar_xattr){
		.name = xstrdup(name),
		.value = xmemdup(value, size),
		.size = size,
	};
	return 0;
}

static int take_xattrs(struct tar_entry *entry, struct archive_entry *from, struct err *err)
{
	size_t total = 0, size;
	const char *name;
	const void *value;

	tar_drop_xattrs(entry);
	archive_entry_xattr_reset(from);
	while (archive_entry_xattr_next(from, &name, &value, &size) == ARCHIVE_OK) {
		total += size + strlen(name);
		if (total > LAYER_XATTRS_MAX)
			return err_set(err, ERR_LAYER_LIMIT,
				       "more than %d bytes of extended attributes",
				       LAYER_XATTRS_MAX);
		if (tar_keeps_xattr(name) && add_xattr(entry, name, value, size, err) < 0)
			return -1;
	}
	return 0;
}

static const struct {
	int type;
	const char *xattr;
} acl_kinds[] = {
	{ ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access" },
	{ ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default" },
};

static const struct {
	int tag;
	uint16_t kernel;
	bool named;
} acl_tags[] = {
	{ ARCHIVE_ENTRY_ACL_USER_OBJ, ACL_USER_OBJ, false },
	{ ARCHIVE_ENTRY_ACL_USER, ACL_USER, true },
	{ ARCHIVE_ENTRY_ACL_GROUP_OBJ, ACL_GROUP_OBJ, false },
	{ ARCHIVE_ENTRY_ACL_GROUP, ACL_GROUP, true },
	{ ARCHIVE_ENTRY_ACL_MASK, ACL_MASK, false },
	{ ARCHIVE_ENTRY_ACL_OTHER, ACL_OTHER, false },
};

static int add_acl_entry(struct acl *acl, int tag, int permset, int id, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(acl_tags); i++) {
		if (acl_tags[i].tag != tag)
			continue;
		if (acl_tags[i].named && id < 0)
			return err_set(err, ERR_LAYER, "an ACL names somebody without a number");
		/* libarchive's execute, write and read are the kernel's 1, 2 and 4 */
		if (!acl_add(acl, acl_tags[i].kernel, (uint16_t)(permset & 7),
			     acl_tags[i].named ? (uint32_t)id : ACL_NO_ID))
			return err_set(err, ERR_LAYER_LIMIT, "an ACL of more than %d entries",
				       ACL_ENTRIES_MAX);
		return 0;
	}
	return err_set(err, ERR_LAYER, "an ACL that is not POSIX");
}

static int take_acl(struct tar_entry *entry, struct archive_entry *from, int kind,
		    struct err *err)
{
	int type, permset, tag, id, got;
	uint8_t bytes[ACL_BYTES_MAX];
	struct acl acl = { 0 };
	const char *name;

	if (archive_entry_acl_reset(from, acl_kinds[kind].type) == 0)
		return 0;
	for (;;) {
		got = archive_entry_acl_next(from, acl_kinds[kind].type, &type, &permset, &tag,
					     &id, &name);
		if (got == ARCHIVE_EOF)
			break;
		if (got != ARCHIVE_OK)
			return err_set(err, ERR_LAYER, "a damaged ACL");
		if (add_acl_entry(&acl, tag, permset, id, err) < 0)
			return -1;
	}
	if (acl.count == 0)
		return 0;
	acl_sort(&acl);
	return add_xattr(entry, acl_kinds[kind].xattr, bytes, acl_bytes(&acl, bytes), err);
}

static int take_acls(struct tar_entry *entry, struct archive_entry *from, struct err *err)
{
	int types = archive_entry_acl_types(from);

	if (types & ~(ARCHIVE_ENTRY_ACL_TYPE_ACCESS | ARCHIVE_ENTRY_ACL_TYPE_DEFAULT))
		return err_set(err, ERR_LAYER, "an ACL that is not POSIX");
	for (int i = 0; i < (int)ARRAY_SIZE(acl_kinds); i++)
		if (types & acl_kinds[i].type && take_acl(entry, from, i, err) < 0)
			return -1;
	return 0;
}

static const struct {
	unsigned int filetype;
	enum tar_type type;
} types[] = {
	{ AE_IFREG, TAR_FILE },	 { AE_IFDIR, TAR_FOLDER }, { AE_IFLNK, TAR_SYMLINK },
	{ AE_IFIFO, TAR_FIFO },	 { AE_IFCHR, TAR_CHAR },   { AE_IFBLK, TAR_BLOCK },
};

static int take_type(struct tar_entry *entry, struct archive_entry *from, struct err *err)
{
	entry->target = archive_entry_hardlink(from);
	if (entry->target) {
		entry->type = TAR_HARDLINK;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (types[i].filetype != archive_entry_filetype(from))
			continue;
		entry->type = types[i].type;
		if (entry->type != TAR_SYMLINK)
			return 0;
		entry->target = archive_entry_symlink(from);
		if (!entry->target || !*entry->target)
			return err_set(err, ERR_LAYER, "a link without a target");
		return 0;
	}
	return err_set(err, ERR_LAYER, "an entry of an unknown type");
}

static int take_times(struct tar_entry *entry, struct archive_entry *from, struct err *err)
{
	int64_t s = archive_entry_mtime_is_set(from) ? archive_entry_mtime(from) : 0;
	long ns = archive_entry_mtime_is_set(from) ? archive_entry_mtime_nsec(from) : 0;

	if (ns < 0 || ns > 999999999)
		return err_set(err, ERR_LAYER, "a time that is none");
	/* "-1.5" comes as -1 and half a second; times are floored: -2 and half a second */
	if (s < 0 && ns > 0) {
		s -= 1;
		ns = 1000000000 - ns;
	}
	entry->mtime_s = s;
	entry->mtime_ns = (uint32_t)ns;
	return 0;
}

static int take_entry(struct tar *tar, struct archive_entry *from, struct err *err)
{
	int64_t uid = archive_entry_uid(from), gid = archive_entry_gid(from);
	struct tar_entry *entry = &tar->entry;

	if (uid < 0 || uid > ID_MAX || gid < 0 || gid > ID_MAX)
		return err_set(err, ERR_LAYER, "an owner out of range");
	if (archive_entry_size(from) < 0)
		return err_set(err, ERR_LAYER, "a size out of range");
	entry->uid = (uint32_t)uid;
	entry->gid = (uint32_t)gid;
	entry->size = (uint64_t)archive_entry_size(from);
	entry->mode = archive_entry_mode(from) & 07777;
	entry->dev_major = (uint32_t)archive_entry_rdevmajor(from);
	entry->dev_minor = (uint32_t)archive_entry_rdevminor(from);
	if (take_type(entry, from, err) < 0 || take_times(entry, from, err) < 0 ||
	    take_xattrs(entry, from, err) < 0)
		return -1;
	return take_acls(entry, from, err);
}

int tar_next(struct tar *tar, const struct tar_entry **ret, struct err *err)
{
	struct archive_entry *from = tar->from;
	const char *text;
	locale_t before;
	int result;

	if (skip_content(tar) != ARCHIVE_OK)
		return refuse(tar, err);
	before = uselocale(tar->locale);
	result = archive_read_next_header2(tar->archive, from);
	uselocale(before);
	if (result == ARCHIVE_EOF && !tar->source_err.code)
		return is_whole(tar) ? 0 : err_set(err, ERR_LAYER, "the archive is cut short");
	if (result == ARCHIVE_WARN) {
		text = archive_error_string(tar->archive);
		if (text && strstr(text, "can't be converted from UTF-8"))
			result = ARCHIVE_OK;
	}
	if (result != ARCHIVE_OK)
		return refuse(tar, err);
	tar->has_content = true;
	tar->entry.path = archive_entry_pathname(from);
	if (!tar->entry.path || !*tar->entry.path)
		return err_set(err, ERR_LAYER, "an entry without a name");
	if (take_entry(tar, from, err) < 0) {
		_cleanup_free_ char *safe = str_escape(tar->entry.path, 200);

		return err_wrap(err, "%s", safe);
	}
	*ret = &tar->entry;
	return 1;
}

int tar_data(struct tar *tar, const void **ret, size_t *ret_size, uint64_t *ret_offset,
	     struct err *err)
{
	la_int64_t offset;
	int result;

	begin_call(tar, false);
	do
		result = archive_read_data_block(tar->archive, ret, ret_size, &offset);
	while (result == ARCHIVE_OK && *ret_size == 0);
	if (result == ARCHIVE_EOF)
		return 0;
	if (result != ARCHIVE_OK || offset < 0)
		return refuse(tar, err);
	*ret_offset = (uint64_t)offset;
	return 1;
}

uint64_t tar_at(const struct tar *tar)
{
	return (uint64_t)archive_filter_bytes(tar->archive, -1);
}

uint64_t tar_end(const struct tar *tar)
{
	return (uint64_t)archive_filter_bytes(tar->archive, -1);
}

void tar_free(struct tar *tar)
{
	if (!tar)
		return;
	tar_drop_xattrs(&tar->entry);
	archive_entry_free(tar->from);
	archive_read_free(tar->archive);
	freelocale(tar->locale);
	err_done(&tar->source_err);
	free(tar);
}
