/* Entries of a lock: see lock.h. */
#include "core/lock.h"

#include <inttypes.h>
#include <string.h>

#include "core/ref.h"
#include "core/str.h"

#define SHOWN_MAX 200	/* bytes of a key in a message */

static const char *const kind_names[LOCK_KINDS] = { "image", "archive", "debian", "kernel" };

const char *lock_kind_name(enum lock_kind kind)
{
	return kind_names[kind];
}

/* ---- values ---------------------------------------------------------------------------------- */

static void entry_done(struct lock_entry *entry)
{
	switch (entry->kind) {
	case LOCK_IMAGE:
		free(entry->image.layers);
		break;
	case LOCK_DEBIAN:
		strv_done(&entry->debian.packages);
		break;
	case LOCK_KERNEL:
		free(entry->kernel.release);
		break;
	case LOCK_ARCHIVE:
	case LOCK_KINDS:
		break;
	}
	free(entry->key);
	*entry = (struct lock_entry){ 0 };
}

/* The value of `from` into `to`, which has none yet. */
static void copy_value(struct lock_entry *to, const struct lock_entry *from)
{
	char *key = to->key;
	bool used = to->used;

	*to = *from;
	to->key = key;
	to->used = used;
	if (from->kind == LOCK_IMAGE) {
		to->image.layers = xcalloc(from->image.layer_count + 1, sizeof(struct digest));
		for (size_t i = 0; i < from->image.layer_count; i++)
			to->image.layers[i] = from->image.layers[i];
	}
	if (from->kind == LOCK_DEBIAN) {
		to->debian.packages = (struct strv){ 0 };
		strv_copy(&to->debian.packages, &from->debian.packages);
	}
	if (from->kind == LOCK_KERNEL)
		to->kernel.release = xstrdup(from->kernel.release);
}

static bool equal_images(const struct lock_image *a, const struct lock_image *b)
{
	if (a->has_index != b->has_index || (a->has_index && !digest_equal(&a->index, &b->index)) ||
	    !digest_equal(&a->manifest, &b->manifest) || !digest_equal(&a->config, &b->config) ||
	    a->layer_count != b->layer_count)
		return false;
	for (size_t i = 0; i < a->layer_count; i++)
		if (!digest_equal(&a->layers[i], &b->layers[i]))
			return false;
	return true;
}

static bool equal_values(const struct lock_entry *a, const struct lock_entry *b)
{
	switch (a->kind) {
	case LOCK_IMAGE:
		return equal_images(&a->image, &b->image);
	case LOCK_ARCHIVE:
		return digest_equal(&a->archive.sha256, &b->archive.sha256) &&
		       a->archive.bytes == b->archive.bytes;
	case LOCK_DEBIAN:
		/* the list's digest stands for the packages */
		return digest_equal(&a->debian.in_release, &b->debian.in_release) &&
		       a->debian.date_s == b->debian.date_s &&
		       digest_equal(&a->debian.list, &b->debian.list);
	case LOCK_KERNEL:
		return digest_equal(&a->kernel.id, &b->kernel.id) &&
		       digest_equal(&a->kernel.package, &b->kernel.package) &&
		       !strcmp(a->kernel.release, b->kernel.release);
	case LOCK_KINDS:
		break;
	}
	return false;
}

/* ---- look-ups -------------------------------------------------------------------------------- */

/* Where it is, or where it would stand. */
static size_t place_of(const struct lock *lock, enum lock_kind kind, const char *key, bool *ret_found)
{
	size_t low = 0, high = lock->count;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct lock_entry *entry = &lock->entries[middle];
		int order = kind != entry->kind ? (int)kind - (int)entry->kind
						: strcmp(key, entry->key);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static const struct lock_entry *get(const struct lock *lock, enum lock_kind kind, const char *key)
{
	bool found = false;
	size_t at = lock ? place_of(lock, kind, key, &found) : 0;

	if (!found)
		return NULL;
	lock->entries[at].used = true;
	return &lock->entries[at];
}

int lock_image_get(const struct lock *lock, const char *question, struct lock_image *ret)
{
	const struct lock_entry *entry = get(lock, LOCK_IMAGE, question);

	if (entry)
		*ret = entry->image;
	return entry != NULL;
}

int lock_archive_get(const struct lock *lock, const char *url, struct lock_archive *ret)
{
	const struct lock_entry *entry = get(lock, LOCK_ARCHIVE, url);

	if (entry)
		*ret = entry->archive;
	return entry != NULL;
}

int lock_debian_get(const struct lock *lock, const char *question, struct lock_debian *ret)
{
	const struct lock_entry *entry = get(lock, LOCK_DEBIAN, question);

	if (entry)
		*ret = entry->debian;
	return entry != NULL;
}

int lock_kernel_get(const struct lock *lock, const char *question, struct lock_kernel *ret)
{
	const struct lock_entry *entry = get(lock, LOCK_KERNEL, question);

	if (entry)
		*ret = entry->kernel;
	return entry != NULL;
}

/* ---- changes --------------------------------------------------------------------------------- */

static void note_change(struct lock *lock, const char *verb, enum lock_kind kind, const char *key)
{
	_cleanup_free_ char *shown = str_escape(key, SHOWN_MAX);

	if (!lock->change)
		lock->change = xasprintf("%s %s %s", verb, kind_names[kind], shown);
}

/* `value` is borrowed. */
static void set(struct lock *lock, const char *key, const struct lock_entry *value)
{
	struct lock_entry *entry;
	bool found;
	size_t at;

	if (!lock)
		return;
	at = place_of(lock, value->kind, key, &found);
	if (found && equal_values(&lock->entries[at], value)) {
		lock->entries[at].used = true;
		return;
	}
	note_change(lock, found ? "change" : "add", value->kind, key);
	if (found) {
		struct lock_entry fresh = { .key = xstrdup(key), .used = true };

		/* `value` may be borrowed from the old one */
		copy_value(&fresh, value);
		entry_done(&lock->entries[at]);
		lock->entries[at] = fresh;
		return;
	}
	lock->entries = xreallocarray(lock->entries, lock->count + 1, sizeof(*lock->entries));
	entry = &lock->entries[at];
	memmove(entry + 1, entry, (lock->count++ - at) * sizeof(*entry));
	*entry = (struct lock_entry){ .key = xstrdup(key), .used = true };
	copy_value(entry, value);
}

void lock_image_set(struct lock *lock, const char *question, const struct lock_image *image)
{
	set(lock, question, &(struct lock_entry){ .kind = LOCK_IMAGE, .image = *image });
}

void lock_archive_set(struct lock *lock, const char *url, const struct lock_archive *archive)
{
	set(lock, url, &(struct lock_entry){ .kind = LOCK_ARCHIVE, .archive = *archive });
}

void lock_debian_set(struct lock *lock, const char *question, const struct lock_debian *debian)
{
	set(lock, question, &(struct lock_entry){ .kind = LOCK_DEBIAN, .debian = *debian });
}

void lock_kernel_set(struct lock *lock, const char *question, const struct lock_kernel *kernel)
{
	set(lock, question, &(struct lock_entry){ .kind = LOCK_KERNEL, .kernel = *kernel });
}

void lock_list_digest(const struct strv *packages, struct digest *ret)
{
	struct sha256 hash;

	sha256_init(&hash);
	for (size_t i = 0; i < packages->count; i++) {
		sha256_add(&hash, packages->items[i], strlen(packages->items[i]));
		sha256_add(&hash, "\n", 1);
	}
	sha256_end(&hash, ret);
}

int lock_refuse_missing(const struct lock *lock, enum lock_kind kind, const char *key,
			struct err *err)
{
	_cleanup_free_ char *shown = str_escape(key, SHOWN_MAX);

	err_set(err, ERR_LOCK, "%s has no entry for %s %s", lock ? lock->file : "duet.lock",
		kind_names[kind], shown);
	return err_mend(err, "run `duet build` or `duet lock`, and commit duet.lock");
}

static void remove_entry(struct lock *lock, size_t at)
{
	note_change(lock, "drop", lock->entries[at].kind, lock->entries[at].key);
	entry_done(&lock->entries[at]);
	lock->count--;
	memmove(&lock->entries[at], &lock->entries[at + 1],
		(lock->count - at) * sizeof(*lock->entries));
}

void lock_drop_unused(struct lock *lock, unsigned int kinds)
{
	for (size_t i = lock ? lock->count : 0; i-- > 0;)
		if (!lock->entries[i].used && kinds & 1u << lock->entries[i].kind)
			remove_entry(lock, i);
}

/* "docker.io/library/alpine:3.20" and "alpine" both name "docker.io/library/alpine:3.20 linux/amd64". */
static bool names_image(const char *name, const char *key)
{
	_cleanup_free_ char *text = xstrndup(key, strcspn(key, " ")), *named = NULL;
	_cleanup_(err_done) struct err ignored = { 0 };
	_cleanup_(ref_done) struct ref ref = { 0 }, other = { 0 };
	const char *base;

	if (ref_refusal(name) || ref_refusal(text) || ref_parse(&ref, name, &ignored) < 0 ||
	    ref_parse(&other, text, &ignored) < 0)
		return false;
	named = ref_text(&ref);
	if (!strcmp(named, text))
		return true;
	base = strrchr(name, '/');
	return !strchr(base ? base : name, ':') && !strchr(name, '@') &&
	       !strcmp(ref.host, other.host) && !strcmp(ref.repository, other.repository);
}

static bool names_entry(const char *name, const struct lock_entry *entry)
{
	return !name || !strcmp(name, entry->key) || !strcmp(name, kind_names[entry->kind]) ||
	       (entry->kind == LOCK_IMAGE && names_image(name, entry->key));
}

int lock_drop(struct lock *lock, const char *name, struct err *err)
{
	_cleanup_free_ char *shown = NULL;
	struct str keys = { 0 };
	bool found = !name;

	for (size_t i = lock->count; i-- > 0;) {
		if (!names_entry(name, &lock->entries[i]))
			continue;
		remove_entry(lock, i);
		found = true;
	}
	if (found)
		return 0;
	shown = str_escape(name, SHOWN_MAX);
	err_set(err, ERR_LOCK, "%s has no entry `%s`", lock->file, shown);
	for (size_t i = 0; i < lock->count; i++) {
		_cleanup_free_ char *key = str_escape(lock->entries[i].key, SHOWN_MAX);

		str_addf(&keys, "%s`%s`", i ? ", " : "", key);
	}
	err_mend(err, "it has %s", keys.length ? keys.text : "none at all");
	str_done(&keys);
	return -1;
}

/* ---- differences ----------------------------------------------------------------------------- */

static void add_digests(struct strv *ret, const char *what, const struct digest *then,
			const struct digest *now)
{
	char from[DIGEST_TEXT_SIZE], to[DIGEST_TEXT_SIZE];

	if (digest_equal(then, now))
		return;
	digest_text(then, from);
	digest_text(now, to);
	strv_addf(ret, "%s: %s, locked is %s", what, to, from);
}

static void compare_images(const char *shown, const struct lock_image *then,
			   const struct lock_image *now, struct strv *ret)
{
	_cleanup_free_ char *index = xasprintf("image %s: index", shown);
	_cleanup_free_ char *manifest = xasprintf("image %s: manifest", shown);
	size_t before = ret->count;

	if (then->has_index && now->has_index)
		add_digests(ret, index, &then->index, &now->index);
	add_digests(ret, manifest, &then->manifest, &now->manifest);
	if (ret->count == before && !equal_images(then, now))
		strv_addf(ret, "image %s: leads elsewhere", shown);
}

void lock_compare(const struct lock *then, const struct lock *now, enum lock_kind kind,
		  const char *key, struct strv *ret)
{
	const struct lock_entry *a = get(then, kind, key), *b = get(now, kind, key);
	_cleanup_free_ char *shown = str_escape(key, SHOWN_MAX);

	if (!a && b)
		strv_addf(ret, "%s %s: not in duet.lock", kind_names[kind], shown);
	if (!a || !b || equal_values(a, b))
		return;
	if (kind == LOCK_IMAGE)
		compare_images(shown, &a->image, &b->image, ret);
	else
		strv_addf(ret, "%s %s: differs", kind_names[kind], shown);
}

/* ---- life ------------------------------------------------------------------------------------ */

char *lock_path(const char *spec_file)
{
	const char *base = strrchr(spec_file, '/'), *dot;
	size_t length = strlen(spec_file);

	base = base ? base + 1 : spec_file;
	/* ".duet.yaml" has a stem, ".yaml" has none */
	dot = strrchr(base, '.');
	if (dot && dot > base)
		length = (size_t)(dot - spec_file);
	return xasprintf("%.*s.lock", (int)length, spec_file);
}

void lock_maker_done(struct lock_maker *maker)
{
	free(maker->plan);
	free(maker->layer);
	free(maker->erofs);
	*maker = (struct lock_maker){ 0 };
}

void lock_done(struct lock *lock)
{
	for (size_t i = 0; i < lock->count; i++)
		entry_done(&lock->entries[i]);
	free(lock->entries);
	free(lock->file);
	free(lock->change);
	lock_maker_done(&lock->maker);
	*lock = (struct lock){ 0 };
}
