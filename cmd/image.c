/* Images of the store that a command names, and specs that say no more than an image. */
#include <string.h>
#include <sys/stat.h>

#include "builders/stored.h"
#include "cmd/cmd.h"
#include "core/path.h"
#include "core/ref.h"
#include "core/str.h"

#define RUN_IMAGE "duet run"	/* in the place of a spec's file */

int image_find(struct store *store, const char *name, struct store_image *ret, struct err *err)
{
	struct err ignored = { 0 };
	struct ref ref = { 0 };
	int found = store_image_get(store, name, ret, err);

	if (found == 0 && ref_parse(&ref, name, &ignored) == 0) {
		_cleanup_free_ char *whole = ref_text(&ref);

		found = store_image_get(store, whole, ret, err);
	}
	ref_done(&ref);
	err_done(&ignored);
	return found;
}

int image_get(struct store *store, const char *command, const char *name,
	      struct store_image *ret, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(name, 128);
	int found = image_find(store, name, ret, err);

	if (found != 0)
		return found < 0 ? -1 : 0;
	err_set(err, ERR_USAGE, "%s: there is no image `%s` in the store", command, shown);
	return err_mend(err, "`duet build` and `duet pull` make one, `duet images` lists them");
}

/* By what name or link it was reached does not matter. */
static bool is_same_file(const char *a, const char *b)
{
	struct stat of_a, of_b;

	return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
	       of_a.st_ino == of_b.st_ino;
}

int image_get_given(struct store *store, const char *command, const char *named,
		    const struct spec *spec, struct store_image *ret, struct err *err)
{
	_cleanup_free_ char *file = NULL, *shown = NULL;

	if (image_get(store, command, named ? named : spec->name, ret, err) < 0)
		return -1;
	if (named)
		return 0;
	file = spec_path(spec);
	if (is_same_file(ret->spec_file, file))
		return 0;
	shown = str_escape(*ret->spec_file ? ret->spec_file : "no spec", 256);
	err_set(err, ERR_USAGE, "%s: the image `%s` of the store was built from %s", command, spec->name,
		shown);
	store_image_done(ret);
	return err_mend(err, "`duet build` makes this spec's; what is there is taken by its name: "
			     "duet %s %s ...", command, spec->name);
}

int image_spec(const char *what, const char *from, const char *platform, struct spec *ret,
	       struct err *err)
{
	_cleanup_(str_done) struct str text = { 0 };

	str_addf(&text, "duet: 1\nname: image\nimage:\n  from: %s\n", from);
	if (platform)
		str_addf(&text, "  platform: %s\n", platform);
	return spec_parse(ret, what, "/", text.text, text.length, NULL, err);
}

void image_forget_place(const char *what, struct err *err)
{
	size_t length = strlen(what);

	if (!err->place || strncmp(err->place, what, length) || err->place[length] != ':')
		return;
	free(err->place);
	err->place = NULL;
}

/* As it is in the store: nobody is asked. */
static int open_stored(struct session *session, const struct cli *cli, unsigned int forms,
		       const struct store_image *image, struct rootfs *ret, struct err *err)
{
	struct build build = session_build(session, cli, forms);

	build.lock = NULL;
	if (stored_open(&session->store, image, forms, ret, err) < 0)
		return -1;
	if (!(forms & ROOTFS_DISKS) || builder_kernel(&build, ret, err) == 0)
		return 0;
	rootfs_done(ret);
	return -1;
}

static int pull(struct session *session, const struct cli *cli, unsigned int forms,
		struct rootfs *ret, struct err *err)
{
	struct resolve resolve = { .store = &session->store, .spec = &session->spec };
	_cleanup_free_ char *name = ref_text(&session->spec.image.from.ref);
	struct build build;

	if (builders_plan(&resolve, &session->plans, err) < 0)
		return -1;
	session->has_plan = true;
	build = session_build(session, cli, forms);
	build.lock = NULL;
	build.name = name;
	return builders_build(&build, ret, err);
}

int image_open(struct session *session, const struct cli *cli, unsigned int forms,
	       struct rootfs *ret, struct err *err)
{
	_cleanup_(store_image_done) struct store_image image = { 0 };
	_cleanup_(ref_done) struct ref ref = { 0 };
	_cleanup_free_ char *shown = str_escape(cli->image, 128), *whole = NULL;
	int found = image_find(&session->store, cli->image, &image, err);

	if (found != 0)
		return found < 0 || open_stored(session, cli, forms, &image, ret, err) < 0 ? -1 : 0;
	if (ref_parse(&ref, cli->image, err) < 0)
		return err_wrap(err, "there is no image `%s` in the store", shown);
	whole = ref_text(&ref);
	spec_done(&session->spec);
	session->has_spec = false;
	if (image_spec(RUN_IMAGE, whole, NULL, &session->spec, err) < 0)
		return -1;
	session->has_spec = true;
	if (pull(session, cli, forms, ret, err) == 0)
		return 0;
	image_forget_place(RUN_IMAGE, err);
	return -1;
}
