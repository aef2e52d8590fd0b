/*
 * The kernel of a VM: an input like any other. It is found, fetched where it must be, verified, taken
 * apart by a worker, and kept in the store as an item of two files; a pin remembers which item a
 * question gave, so that the next run asks nobody.
 *
 *	pin -> item				no network, nothing is taken apart
 *	source -> worker -> tmp -> item -> pin	the pin last: it is a reference
 *
 * Of Debian's the lock keeps which one it was; its word goes before a pin's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builders/builder.h"
#include "builders/kernel/debian.h"
#include "builders/kernel/input.h"
#include "builders/worker/client.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"

#define FORMAT "kernel 2"	/* of an item: another number, other items for the same input */

/* ---- items ----------------------------------------------------------------------------------- */

/* The record's text: "release RELEASE\nsource TEXT\n", and of Debian's "package HEX\n". */
static char *word_of(const char *text, const char *word)
{
	for (; text && *text; text += strcspn(text, "\n"), text += *text == '\n')
		if (str_has_prefix(text, word))
			return xstrndup(text + strlen(word), strcspn(text + strlen(word), "\n"));
	return NULL;
}

/*
 * 1, 0 when the store has no such kernel, -1. *ret_package: the digest of the package of Debian's that
 * it was in; zero: it is another kernel. May be NULL.
 */
static int open_item(struct store *store, const struct digest *id, struct rootfs_kernel *ret,
		     struct digest *ret_package, struct err *err)
{
	_cleanup_free_ char *package = NULL;
	char key[DIGEST_HEX_SIZE];
	struct store_item item;
	int found;
	char *release;

	digest_hex(id, key);
	found = store_item_open(store, STORE_KERNEL, key, &item, err);
	if (found != 1)
		return found;
	release = word_of(item.text, "release ");
	package = word_of(item.text, "package ");
	if (!release) {
		store_item_done(&item);
		return 0;
	}
	if (ret_package && (!package || !digest_parse_hex(package, ret_package)))
		*ret_package = (struct digest){ 0 };
	ret->release = release;
	ret->id = *id;
	ret->vmlinux = TAKE_FD(item.files[0]);
	ret->modules = TAKE_FD(item.files[1]);
	ret->use = TAKE_FD(item.use);
	store_item_done(&item);
	return 1;
}

static int open_pinned(struct store *store, const char *question, struct rootfs_kernel *ret,
		       struct digest *ret_package, struct err *err)
{
	struct digest id;
	int found = store_pin_get(store, question, &id, err);

	return found == 1 ? open_item(store, &id, ret, ret_package, err) : found;
}

static int make_file(const struct store_tmp *tmp, const char *name, struct err *err)
{
	int fd = openat(tmp->dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys_as(err, ERR_STORE, errno, "make %s", name) : fd;
}

static int take_apart(struct store_tmp *tmp, const struct kernel_input *input, const char *what,
		      struct worker_reply *ret, struct err *err)
{
	const char *const *names = store_item_files(STORE_KERNEL);
	_cleanup_close_ int vmlinux = make_file(tmp, names[0], err), modules = -1;
	int fds[2 + ROOTFS_DISKS_MAX] = { vmlinux };
	struct worker_request request = {
		.version = WORKER_VERSION,
		.op = WORKER_KERNEL,
		.flags = input->flags,
		.fd_count = (uint32_t)(2 + input->fd_count),
	};

	if (vmlinux < 0)
		return -1;
	modules = make_file(tmp, names[1], err);
	if (modules < 0)
		return -1;
	fds[1] = modules;
	memcpy(fds + 2, input->fds, input->fd_count * sizeof(int));
	if (input->release)
		snprintf(request.name, sizeof(request.name), "%s", input->release);
	return worker_run(NULL, &request, fds, request.fd_count, what, ret, err);
}

/* The same bytes, the same id. */
static void item_id(const struct worker_reply *reply, struct digest *ret)
{
	struct sha256 hash;

	sha256_init(&hash);
	sha256_add_text(&hash, FORMAT);
	sha256_add_field(&hash, reply->blob.bytes, DIGEST_SIZE);
	sha256_add_field(&hash, reply->diff_id.bytes, DIGEST_SIZE);
	sha256_end(&hash, ret);
}

static int make_item(struct store *store, struct store_tmp *tmp, const struct kernel_input *input,
		     struct digest *ret, struct err *err)
{
	_cleanup_free_ char *what = xasprintf("take apart %s", input->text), *text = NULL;
	bool is_debian = !digest_is_zero(&input->package);
	char key[DIGEST_HEX_SIZE], package[DIGEST_HEX_SIZE];
	struct worker_reply reply;

	if (take_apart(tmp, input, what, &reply, err) < 0)
		return -1;
	item_id(&reply, ret);
	digest_hex(ret, key);
	digest_hex(&input->package, package);
	text = xasprintf("release %s\nsource %s\n%s%s%s", reply.name, input->text,
			 is_debian ? "package " : "", is_debian ? package : "",
			 is_debian ? "\n" : "");
	if (strchr(reply.name, '\n') || !*reply.name)
		return err_set(err, ERR_WORKER, "duet-worker spoke nonsense");
	if (store_item_publish(store, tmp, STORE_KERNEL, key, text, err) < 0)
		return -1;
	log_progress_end(what);
	return 0;
}

/* Takes a kernel apart, publishes it, pins it for its question, and opens it. */
static int build_item(struct store *store, const struct kernel_input *input,
		      struct rootfs_kernel *ret, struct err *err)
{
	struct err ignored = { 0 };
	struct store_tmp tmp;
	struct digest id;
	int result;

	if (store_tmp_new(store, &tmp, err) < 0)
		return -1;
	result = make_item(store, &tmp, input, &id, err);
	/* a failed removal must not hide why it failed; the next store_open tries again */
	(void)store_tmp_drop(store, &tmp, &ignored);
	err_done(&ignored);
	if (result < 0 || store_pin_set(store, input->question, &id, err) < 0)
		return -1;
	result = open_item(store, &id, ret, NULL, err);
	return result == 0 ? err_set(err, ERR_STORE, "open a kernel just made") :
			     result < 0 ? -1 : 0;
}

/* ---- Debian's -------------------------------------------------------------------------------- */

/* What a pin of Debian's kernel was asked: other mirrors and keys are other questions. */
static char *debian_question(void)
{
	const char *mirror = getenv("DUET_DEBIAN_MIRROR"), *keys = getenv("DUET_DEBIAN_KEYRING");

	return xasprintf("debian " DEBIAN_SUITE " amd64 cloud%s%s%s%s", mirror && *mirror ? " from " : "",
			 mirror ? mirror : "", keys && *keys ? " signed for " : "",
			 keys ? keys : "");
}

static int fetch_debian(struct store *store, const struct digest *wanted,
			struct rootfs_kernel *ret, struct digest *ret_package, struct err *err)
{
	_cleanup_(kernel_input_done) struct kernel_input input = { 0 };
	struct debian_package package;

	if (debian_fetch_kernel(store, wanted, &package, &input.fds[0], err) < 0)
		return -1;
	input.question = debian_question();
	input.fd_count = 1;
	input.flags = WORKER_FROM_ARCHIVE;
	input.text = xasprintf("%s %s", package.name, package.version);
	input.package = *ret_package = package.sha256;
	debian_package_done(&package);
	return build_item(store, &input, ret, err);
}

/* The one that the lock names. */
static int locked_kernel(struct build *build, const struct lock_kernel *locked,
			 struct rootfs_kernel *ret, struct err *err)
{
	struct store *store = build->store;
	struct digest package;
	int found = open_item(store, &locked->id, ret, NULL, err);

	if (found != 0)
		return found < 0 ? -1 : 0;
	if (build->offline) {
		_cleanup_free_ char *what = xasprintf("kernel %s", locked->release);

		return lock_refuse_offline(what, &locked->package, "a mirror of Debian", err);
	}
	if (fetch_debian(store, &locked->package, ret, &package, err) < 0)
		return -1;
	if (digest_equal(&ret->id, &locked->id))
		return 0;
	rootfs_kernel_done(ret);
	err_set(err, ERR_LOCK, "the locked kernel's package gives another kernel with this duet");
	return err_mend(err, "duet lock --update kernel");
}

static int debian_kernel(struct build *build, struct rootfs_kernel *ret, struct err *err)
{
	_cleanup_free_ char *question = debian_question();
	struct lock_kernel entry;
	struct digest package = { 0 };
	int found = 0;

	if (lock_kernel_get(build->lock, LOCK_KERNEL_KEY, &entry))
		return locked_kernel(build, &entry, ret, err);
	if (build->locked)
		return lock_refuse_missing(build->lock, LOCK_KERNEL, LOCK_KERNEL_KEY, err);
	if (!build->refresh)
		found = open_pinned(build->store, question, ret, &package, err);
	/* one that was kept before there were locks does not say which package it was in */
	if (found == 1 && digest_is_zero(&package)) {
		rootfs_kernel_done(ret);
		found = 0;
	}
	if (found < 0 ||
	    (found == 0 && fetch_debian(build->store, NULL, ret, &package, err) < 0))
		return -1;
	entry = (struct lock_kernel){ ret->id, ret->release, package };
	lock_kernel_set(build->lock, LOCK_KERNEL_KEY, &entry);
	return 0;
}

int builder_kernel_lock(struct build *build, struct err *err)
{
	struct rootfs_kernel kernel = { .vmlinux = -1, .modules = -1, .use = -1 };

	if (debian_kernel(build, &kernel, err) < 0)
		return err_wrap(err, "find a kernel");
	rootfs_kernel_done(&kernel);
	return 0;
}

int builder_kernel_check(struct resolve *resolve, struct strv *ret_drifts, struct err *err)
{
	char was[DIGEST_TEXT_SIZE], is[DIGEST_TEXT_SIZE];
	struct debian_package package;
	struct lock_kernel entry;

	if (!lock_kernel_get(resolve->lock, LOCK_KERNEL_KEY, &entry)) {
		strv_add(ret_drifts, "kernel " LOCK_KERNEL_KEY ": not in duet.lock");
		return 0;
	}
	if (debian_look_kernel(resolve->store, NULL, &package, err) < 0) {
		strv_addf(ret_drifts, "kernel " LOCK_KERNEL_KEY ": %s", err->msg);
		err_done(err);
		return 0;
	}
	digest_text(&entry.package, was);
	digest_text(&package.sha256, is);
	if (!digest_equal(&entry.package, &package.sha256))
		strv_addf(ret_drifts, "kernel " LOCK_KERNEL_KEY ": %s %s, %s, locked is %s, %s",
			  package.name, package.version, is, entry.release, was);
	debian_package_done(&package);
	return 0;
}

/* ---- those that are here --------------------------------------------------------------------- */

/* Takes `input` over. */
static int given_kernel(struct store *store, struct kernel_input *input,
			struct rootfs_kernel *ret, struct err *err)
{
	int found = open_pinned(store, input->question, ret, NULL, err);

	if (found == 0)
		found = build_item(store, input, ret, err);
	kernel_input_done(input);
	return found < 0 ? -1 : 0;
}

static int host_kernel(struct store *store, struct rootfs_kernel *ret, struct err *err)
{
	struct kernel_input input;

	return kernel_input_host(&input, err) < 0 ? -1 : given_kernel(store, &input, ret, err);
}

static int path_kernel(struct build *build, const char *path, struct rootfs_kernel *ret,
		       struct err *err)
{
	struct kernel_input input;

	return kernel_input_path(build->spec->host, path, &input, err) < 0
		       ? -1
		       : given_kernel(build->store, &input, ret, err);
}

/* ---- the image's own, else Debian's ---------------------------------------------------------- */

/* The image by its layers; and what is asked when it has no kernel that will do. */
static char *image_question(const struct rootfs *rootfs)
{
	_cleanup_free_ char *otherwise = debian_question();
	char hex[DIGEST_HEX_SIZE] = "empty";
	struct digest chain;

	for (size_t i = 0; i < rootfs->layer_count; i++)
		digest_chain(i > 0 ? &chain : NULL, &rootfs->layers[i].diff_id, &chain);
	if (rootfs->layer_count > 0)
		digest_hex(&chain, hex);
	return xasprintf("image %s, or else %s", hex, otherwise);
}

/* 1, 0 when there is none or it will not do (which is told), -1. */
static int image_kernel(struct store *store, const struct rootfs *rootfs, const char *question,
			struct rootfs_kernel *ret, struct err *err)
{
	_cleanup_(kernel_input_done) struct kernel_input input = { 0 };
	int found = kernel_input_image(rootfs, &input, err);

	if (found <= 0)
		return found;
	input.question = xstrdup(question);
	if (build_item(store, &input, ret, err) == 0)
		return 1;
	if (err->code != ERR_KERNEL && err->code != ERR_KERNEL_UNFIT && err->code != ERR_KERNEL_NONE)
		return -1;
	if (err->code != ERR_KERNEL_NONE)
		log_note("the image's own kernel will not do (%s): taking Debian's", err->msg);
	err_done(err);
	return 0;
}

static int auto_kernel(struct build *build, const struct rootfs *rootfs,
		       struct rootfs_kernel *ret, struct err *err)
{
	_cleanup_free_ char *question = image_question(rootfs);
	struct store *store = build->store;
	struct digest package = { 0 };
	int found = open_pinned(store, question, ret, &package, err);

	if (found == 0)
		found = image_kernel(store, rootfs, question, ret, err);
	/* that there is none in the image was the answer; which one of Debian's, the lock says */
	if (found == 1 && !digest_is_zero(&package)) {
		rootfs_kernel_done(ret);
		return debian_kernel(build, ret, err);
	}
	if (found != 0)
		return found < 0 ? -1 : 0;
	log_debug("the image has no kernel for a VM: taking Debian's");
	if (debian_kernel(build, ret, err) < 0)
		return -1;
	/* the answer to this image, too: it is not looked into again */
	return store_pin_set(store, question, &ret->id, err);
}

/* ---- choice ---------------------------------------------------------------------------------- */

static int choose(struct build *build, struct rootfs *rootfs, struct err *err)
{
	const struct spec_vm *vm = &build->spec->target.vm;
	struct rootfs_kernel *kernel = &rootfs->kernel;

	switch (vm->kernel) {
	case KERNEL_AUTO:
		return auto_kernel(build, rootfs, kernel, err);
	case KERNEL_DEBIAN:
		return debian_kernel(build, kernel, err);
	case KERNEL_HOST:
		return host_kernel(build->store, kernel, err);
	case KERNEL_PATH:
		return path_kernel(build, vm->kernel_path, kernel, err);
	}
	return err_set(err, -EINVAL, "an unknown kind of kernel");
}

int builder_kernel(struct build *build, struct rootfs *rootfs, struct err *err)
{
	if (choose(build, rootfs, err) < 0)
		return err_wrap(err, "find a kernel");
	log_debug("kernel %s", rootfs->kernel.release);
	return 0;
}

bool builder_kernel_look(struct store *store, char **ret_text, const char **ret_mend)
{
	_cleanup_free_ char *question = debian_question(), *lacks = NULL;
	struct rootfs_kernel kernel = { .vmlinux = -1, .modules = -1, .use = -1 };
	struct err ignored = { 0 };
	int found = open_pinned(store, question, &kernel, NULL, &ignored);

	err_done(&ignored);
	*ret_mend = NULL;
	if (found == 1) {
		*ret_text = xasprintf("Debian's %s is in the store", kernel.release);
		rootfs_kernel_done(&kernel);
		return true;
	}
	lacks = debian_lacks(ret_mend);
	*ret_text = lacks ? xasprintf("Debian's cannot be fetched: %s", lacks)
			  : xstrdup("Debian's is fetched when a VM needs it");
	if (!lacks)
		*ret_mend = NULL;
	return !lacks;
}
