/* A lock as a file: see lock.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "core/fs.h"
#include "core/json.h"
#include "core/lock.h"
#include "core/parse.h"
#include "core/str.h"

#define DEPTH_MAX 6
#define SHOWN_MAX 200	/* bytes of a foreign text in a message */

/* The members of the file that hold entries. */
static const char *const kind_members[LOCK_KINDS] = { "images", "archives", "debian", "kernels" };

/* ---- reading --------------------------------------------------------------------------------- */

/* Where the reading is: "archives: https://...". */
struct reading {
	struct lock *lock;
	enum lock_kind kind;
	char *at;	/* owned */
};

static int refuse(const struct reading *reading, const char *member, const char *why,
		  struct err *err)
{
	_cleanup_free_ char *at = str_escape(reading->at ? reading->at : "", SHOWN_MAX);
	_cleanup_free_ char *shown = str_escape(member, SHOWN_MAX);

	err_set(err, ERR_LOCK, "read %s: %s%s%s: %s", reading->lock->file, at, *at ? ": " : "",
		shown, why);
	return err_mend(err, "take the file from your version control, or remove it: the next build "
			     "writes it");
}

struct members {
	const struct reading *reading;
	const char *const *known;
};

static int look_at_member(void *data, const char *key, const struct json_in *value,
			  struct err *err)
{
	const struct members *members = data;

	(void)value;
	for (size_t i = 0; members->known[i]; i++)
		if (!strcmp(members->known[i], key))
			return 0;
	return refuse(members->reading, key, "this duet does not know such a member", err);
}

static int check_members(const struct reading *reading, const struct json_in *map,
			 const char *const *known, struct err *err)
{
	struct members members = { reading, known };

	if (!json_in_is_map(map))
		return refuse(reading, "value", "not a map", err);
	return json_in_each(map, look_at_member, &members, err);
}

static int take_digest(const struct reading *reading, const struct json_in *map,
		       const char *member, struct digest *ret, struct err *err)
{
	const char *text = json_in_text(json_in_get(map, member));

	return text && digest_parse(text, ret) ? 0 : refuse(reading, member, "not a digest", err);
}

static int take_layers(const struct reading *reading, const struct json_in *list,
		       struct lock_image *image, struct err *err)
{
	size_t count = json_in_count(list);

	if (!json_in_is_list(list))
		return refuse(reading, "layers", "not a list", err);
	image->layers = xcalloc(count + 1, sizeof(*image->layers));
	for (size_t i = 0; i < count; i++) {
		const char *text = json_in_text(json_in_item(list, i));

		if (!text || !digest_parse(text, &image->layers[i]))
			return refuse(reading, "layers", "not a list of digests", err);
	}
	image->layer_count = count;
	return 0;
}

static int read_image(const struct reading *reading, const struct json_in *map, const char *key,
		      struct err *err)
{
	static const char *const known[] = { "index", "manifest", "config", "layers", NULL };
	struct lock_image image = { .has_index = json_in_get(map, "index") };
	int result = -1;

	if (check_members(reading, map, known, err) == 0 &&
	    (!image.has_index || take_digest(reading, map, "index", &image.index, err) == 0) &&
	    take_digest(reading, map, "manifest", &image.manifest, err) == 0 &&
	    take_digest(reading, map, "config", &image.config, err) == 0)
		result = take_layers(reading, json_in_get(map, "layers"), &image, err);
	if (result == 0)
		lock_image_set(reading->lock, key, &image);
	free(image.layers);
	return result;
}

static int read_archive(const struct reading *reading, const struct json_in *map, const char *key,
			struct err *err)
{
	static const char *const known[] = { "sha256", "bytes", NULL };
	struct lock_archive archive = { 0 };
	const char *hex;
	int64_t bytes;

	if (check_members(reading, map, known, err) < 0)
		return -1;
	hex = json_in_text(json_in_get(map, "sha256"));
	if (!hex || !digest_parse_hex(hex, &archive.sha256))
		return refuse(reading, "sha256", "not 64 hexadecimal digits", err);
	if (!json_in_number(json_in_get(map, "bytes"), &bytes) || bytes < 0)
		return refuse(reading, "bytes", "not a number of bytes", err);
	archive.bytes = (uint64_t)bytes;
	lock_archive_set(reading->lock, key, &archive);
	return 0;
}

/* "NAME VERSION ARCHITECTURE SHA256-HEX", of the characters that Debian Policy allows. */
static bool is_package(const char *line)
{
	static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789.+-:~";
	struct digest digest;

	for (int i = 0; i < 3; i++) {
		size_t length = strspn(line, characters);

		if (length == 0 || line[length] != ' ')
			return false;
		line += length + 1;
	}
	return digest_parse_hex(line, &digest);
}

static int take_packages(const struct reading *reading, const struct json_in *list,
			 struct lock_debian *debian, struct err *err)
{
	struct digest digest;

	if (!json_in_is_list(list))
		return refuse(reading, "packages", "not a list", err);
	for (size_t i = 0; i < json_in_count(list); i++) {
		const char *line = json_in_text(json_in_item(list, i));

		if (!line || !is_package(line) ||
		    (i > 0 && strcmp(debian->packages.items[i - 1], line) >= 0))
			return refuse(reading, "packages", "not a sorted list of packages", err);
		strv_add(&debian->packages, line);
	}
	lock_list_digest(&debian->packages, &digest);
	if (!digest_equal(&digest, &debian->list))
		return refuse(reading, "list", "not the digest of the packages", err);
	return 0;
}

static int read_debian(const struct reading *reading, const struct json_in *map, const char *key,
		       struct err *err)
{
	static const char *const known[] = { "in_release", "date", "list", "packages", NULL };
	struct lock_debian debian = { 0 };
	int result = -1;

	if (check_members(reading, map, known, err) == 0 &&
	    take_digest(reading, map, "in_release", &debian.in_release, err) == 0 &&
	    take_digest(reading, map, "list", &debian.list, err) == 0) {
		const char *date = json_in_text(json_in_get(map, "date"));

		result = date && parse_time(date, &debian.date_s)
				 ? 0 : refuse(reading, "date", "not a time by RFC 3339", err);
	}
	if (result == 0)
		result = take_packages(reading, json_in_get(map, "packages"), &debian, err);
	if (result == 0)
		lock_debian_set(reading->lock, key, &debian);
	strv_done(&debian.packages);
	return result;
}

static int read_kernel(const struct reading *reading, const struct json_in *map, const char *key,
		       struct err *err)
{
	static const char *const known[] = { "id", "release", "package", NULL };
	struct lock_kernel kernel = { 0 };
	const char *release;

	if (check_members(reading, map, known, err) < 0 ||
	    take_digest(reading, map, "id", &kernel.id, err) < 0 ||
	    take_digest(reading, map, "package", &kernel.package, err) < 0)
		return -1;
	release = json_in_text(json_in_get(map, "release"));
	if (!release)
		return refuse(reading, "release", "not a text", err);
	kernel.release = (char *)release; /* only until it is copied */
	lock_kernel_set(reading->lock, key, &kernel);
	return 0;
}

static int read_entry(void *data, const char *key, const struct json_in *value, struct err *err)
{
	static int (*const readers[LOCK_KINDS])(const struct reading *, const struct json_in *,
						const char *, struct err *) = {
		read_image, read_archive, read_debian, read_kernel,
	};
	struct reading *reading = data;

	free(reading->at);
	reading->at = xasprintf("%s: %s", kind_members[reading->kind], key);
	if (strlen(key) > LOCK_KEY_MAX)
		return refuse(reading, "name", "too long", err);
	return readers[reading->kind](reading, value, key, err);
}

static int take_text(const struct reading *reading, const struct json_in *map, const char *member,
		     char **ret, struct err *err)
{
	const char *text = json_in_text(json_in_get(map, member));

	if (!text)
		return refuse(reading, member, "not a text", err);
	*ret = xstrdup(text);
	return 0;
}

static int read_maker(struct reading *reading, const struct json_in *map, struct err *err)
{
	static const char *const known[] = { "duet_init", "plan", "layer", "erofs", NULL };
	struct lock_maker *maker = &reading->lock->maker;

	free(reading->at);
	reading->at = xstrdup("made_by");
	if (check_members(reading, map, known, err) < 0 ||
	    take_digest(reading, map, "duet_init", &maker->init, err) < 0 ||
	    take_text(reading, map, "plan", &maker->plan, err) < 0 ||
	    take_text(reading, map, "layer", &maker->layer, err) < 0)
		return -1;
	return take_text(reading, map, "erofs", &maker->erofs, err);
}

static int read_root(struct reading *reading, const struct json_in *root, struct err *err)
{
	static const char *const known[] = { "version", "made_by", "images", "archives", "debian",
					     "kernels", NULL };
	int64_t version;

	/* before the members: another version may have others */
	if (!json_in_number(json_in_get(root, "version"), &version))
		return refuse(reading, "version", "not a number", err);
	if (version != LOCK_VERSION) {
		err_set(err, ERR_LOCK, "read %s: version: it is %lld, this duet knows %d",
			reading->lock->file, (long long)version, LOCK_VERSION);
		return err_mend(err, "take a newer duet, or remove the file: the next build writes it");
	}
	if (check_members(reading, root, known, err) < 0 ||
	    read_maker(reading, json_in_get(root, "made_by"), err) < 0)
		return -1;
	for (int kind = 0; kind < LOCK_KINDS; kind++) {
		const struct json_in *map = json_in_get(root, kind_members[kind]);

		reading->kind = (enum lock_kind)kind;
		free(reading->at);
		reading->at = NULL;
		if (map && !json_in_is_map(map))
			return refuse(reading, kind_members[kind], "not a map", err);
		if (map && json_in_each(map, read_entry, reading, err) != 0)
			return -1;
	}
	return 0;
}

int lock_parse(struct lock *ret, const char *file, const char *text, size_t size, struct err *err)
{
	struct lock lock = { .file = xstrdup(file), .exists = true };
	struct reading reading = { .lock = &lock };
	struct json_in *root;
	int result;

	if (json_in_new(text, size, DEPTH_MAX, ERR_LOCK, &root, err) < 0) {
		lock_done(&lock);
		err_wrap(err, "read %s", file);
		return err_mend(err, "take the file from your version control, or remove it: the next "
				     "build writes it");
	}
	result = read_root(&reading, root, err);
	free(reading.at);
	json_in_free(root);
	if (result < 0) {
		lock_done(&lock);
		return -1;
	}
	/* what was just read is not a change, and nobody asked for it */
	free(TAKE_PTR(lock.change));
	for (size_t i = 0; i < lock.count; i++)
		lock.entries[i].used = false;
	*ret = lock;
	return 0;
}

/* Whoever made the project made it: what a link leads to is not the lock, and nothing of it is shown. */
static int open_lock(const char *file, struct err *err)
{
	_cleanup_close_ int fd = openat(AT_FDCWD, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
							O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno != ELOOP)
		return err_sys(err, errno, "open %s", file);
	if (fd < 0)
		err_set(err, ERR_LOCK, "read %s: it is a symbolic link", file);
	else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		err_set(err, ERR_LOCK, "read %s: not a regular file", file);
	else
		return TAKE_FD(fd);
	return err_mend(err, "take the file itself from your version control, or remove it: the next "
			     "build writes it");
}

int lock_read(struct lock *ret, const char *file, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = open_lock(file, err);
	size_t size;

	if (fd >= 0)
		return fs_read_fd(fd, file, LOCK_FILE_MAX, &text, &size, err) < 0
			       ? -1
			       : lock_parse(ret, file, text, size, err);
	if (err->code != -ENOENT)
		return -1;
	err_done(err);
	*ret = (struct lock){ .file = xstrdup(file) };
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put_digest(struct json_out *out, const char *key, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	digest_text(digest, text);
	json_out_text(out, key, text);
}

static void put_image(struct json_out *out, const struct lock_image *image)
{
	if (image->has_index)
		put_digest(out, "index", &image->index);
	put_digest(out, "manifest", &image->manifest);
	put_digest(out, "config", &image->config);
	json_out_list(out, "layers");
	for (size_t i = 0; i < image->layer_count; i++)
		put_digest(out, NULL, &image->layers[i]);
	json_out_end(out);
}

static void put_archive(struct json_out *out, const struct lock_archive *archive)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&archive->sha256, hex);
	json_out_text(out, "sha256", hex);
	json_out_number(out, "bytes", archive->bytes);
}

static void put_debian(struct json_out *out, const struct lock_debian *debian)
{
	time_t seconds = (time_t)debian->date_s;
	struct tm date = { 0 };
	char text[40];

	gmtime_r(&seconds, &date);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &date);
	put_digest(out, "in_release", &debian->in_release);
	json_out_text(out, "date", text);
	put_digest(out, "list", &debian->list);
	json_out_texts(out, "packages", &debian->packages);
}

static void put_kernel(struct json_out *out, const struct lock_kernel *kernel)
{
	put_digest(out, "id", &kernel->id);
	json_out_text(out, "release", kernel->release);
	put_digest(out, "package", &kernel->package);
}

static void put_entry(struct json_out *out, const struct lock_entry *entry)
{
	json_out_map(out, entry->key);
	switch (entry->kind) {
	case LOCK_IMAGE:
		put_image(out, &entry->image);
		break;
	case LOCK_ARCHIVE:
		put_archive(out, &entry->archive);
		break;
	case LOCK_DEBIAN:
		put_debian(out, &entry->debian);
		break;
	case LOCK_KERNEL:
		put_kernel(out, &entry->kernel);
		break;
	case LOCK_KINDS:
		break;
	}
	json_out_end(out);
}

char *lock_text(const struct lock *lock)
{
	const struct lock_maker *maker = &lock->maker;
	struct json_out out;
	size_t at = 0;

	json_out_init(&out);
	json_out_number(&out, "version", LOCK_VERSION);
	json_out_map(&out, "made_by");
	put_digest(&out, "duet_init", &maker->init);
	json_out_text(&out, "plan", maker->plan ? maker->plan : "");
	json_out_text(&out, "layer", maker->layer ? maker->layer : "");
	json_out_text(&out, "erofs", maker->erofs ? maker->erofs : "");
	json_out_end(&out);
	for (int kind = 0; kind < LOCK_KINDS; kind++) {
		if (at == lock->count || (int)lock->entries[at].kind != kind)
			continue;
		json_out_map(&out, kind_members[kind]);
		for (; at < lock->count && (int)lock->entries[at].kind == kind; at++)
			put_entry(&out, &lock->entries[at]);
		json_out_end(&out);
	}
	return json_out_finish(&out);
}

static void copy_maker(struct lock_maker *to, const struct lock_maker *from)
{
	lock_maker_done(to);
	*to = (struct lock_maker){ from->init, xstrdup(from->plan), xstrdup(from->layer),
				   xstrdup(from->erofs) };
}

int lock_write(struct lock *lock, const struct lock_maker *maker, struct err *err)
{
	_cleanup_free_ char *text = NULL, *folder = NULL;
	const char *base = strrchr(lock->file, '/');
	_cleanup_close_ int dir = -1;

	/* one without entries is written only over one that had some */
	if (!lock->change || (lock->count == 0 && !lock->exists))
		return 0;
	copy_maker(&lock->maker, maker);
	text = lock_text(lock);
	folder = base ? xstrndup(lock->file, (size_t)(base - lock->file) + 1) : xstrdup(".");
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, errno, "open %s", folder);
	if (fs_replace_file(dir, base ? base + 1 : lock->file, text, strlen(text), 0644, err) < 0)
		return -1;
	lock->exists = true;
	free(TAKE_PTR(lock->change));
	return 0;
}
