/* Debian's texts: control stanzas, package lists, InRelease, dates, apt's sources, versions, gpgv's words. */
#include <string.h>

#include "builders/debian/control.h"
#include "builders/debian/gpgv.h"
#include "builders/debian/mirror.h"
#include "builders/debian/release.h"
#include "builders/debian/version.h"
#include "builders/kernel/debian.h"
#include "builders/kernel/take.h"
#include "core/mem.h"
#include "core/path.h"
#include "core/str.h"
#include "tests/fuzz/fuzz.h"

#define NOW_S 1790000000

static void stanzas(struct fuzz_input *input)
{
	static const char *const fields[] = { "Package", "Depends", "SHA256", "A" };
	struct control control = { (const char *)input->at, input->left };
	const char *end = control.text + control.size, *last = control.text;
	struct stanza stanza;

	while (control_next(&control, &stanza)) {
		FUZZ_CHECK(stanza.text >= last && stanza.size <= (size_t)(end - stanza.text));
		FUZZ_CHECK(control.text + control.size == end);
		last = stanza.text;
		for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
			_cleanup_free_ char *value = stanza_get(&stanza, fields[i]);

			FUZZ_CHECK(!value || strlen(value) <= stanza.size);
			(void)(value && control_has_word(value, "main"));
		}
	}
}

static void packages(struct fuzz_input *input)
{
	struct debian_package package = { 0 };
	_cleanup_free_ char *depends = NULL, *version = fuzz_word(input);
	int found = debian_find_package((const char *)input->at, input->left,
					"linux-image-cloud-amd64", *version ? version : NULL,
					&package, &depends);

	FUZZ_CHECK(found == 0 || found == 1);
	if (found == 1) {
		FUZZ_CHECK(package.name && package.version && package.path);
		FUZZ_CHECK(!strcmp(package.name, "linux-image-cloud-amd64"));
		FUZZ_CHECK(!*version || version_compare(version, package.version) == 0);
		FUZZ_CHECK(version_is_valid(package.version));
		fuzz_check_shown(package.version);
		fuzz_check_shown(package.path);
	}
	debian_package_done(&package);
}

static void depends(struct fuzz_input *input)
{
	_cleanup_free_ char *text = fuzz_rest(input), *name = NULL, *version = NULL;

	if (!debian_parse_depends(text, &name, &version))
		return;
	FUZZ_CHECK(str_has_prefix(name, "linux-image-") && !strchr(name, '/'));
	fuzz_check_shown(name);
	fuzz_check_shown(version);
}

static void frame(struct fuzz_input *input)
{
	const char *why = NULL;

	if (!release_frame((const char *)input->at, input->left, &why)) {
		FUZZ_CHECK(why);
		return;
	}
	FUZZ_CHECK(!memchr(input->at, '\0', input->left));
}

static void release(struct fuzz_input *input)
{
	struct release_file file = { 0 };
	struct err err = { 0 };
	int result = release_parse((const char *)input->at, input->left, "bookworm",
				   "main/binary-amd64/Packages.xz", NOW_S, &file, &err);

	FUZZ_CHECK(result == 0 || err.code == ERR_SIGNATURE);
	fuzz_check_err(&err, result);
}

static void dates(struct fuzz_input *input)
{
	_cleanup_free_ char *text = fuzz_rest(input);
	int64_t s;

	(void)release_date(text, &s);
}

static void check_mirror(const char *url)
{
	FUZZ_CHECK(!url || (*url && url[strlen(url) - 1] != '/'));
}

static void sources(struct fuzz_input *input)
{
	_cleanup_free_ char *text = fuzz_rest(input);
	_cleanup_free_ char *list = mirror_in_list(text, "bookworm");
	_cleanup_free_ char *deb822 = mirror_in_deb822(text, "bookworm");

	check_mirror(list);
	check_mirror(deb822);
}

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

static void versions(struct fuzz_input *input)
{
	_cleanup_free_ char *a = fuzz_word(input), *b = fuzz_word(input), *c = fuzz_rest(input);
	int ab = sign(version_compare(a, b)), bc = sign(version_compare(b, c));
	int ac = sign(version_compare(a, c));

	FUZZ_CHECK(version_compare(a, a) == 0 && sign(version_compare(b, a)) == -ab);
	/* an order: a <= b <= c makes a <= c */
	FUZZ_CHECK(ab > 0 || bc > 0 || ac <= 0);
	FUZZ_CHECK(ab < 0 || bc < 0 || ac >= 0);
	if (version_is_valid(a))
		fuzz_check_shown(a);
}

static void verdicts(struct fuzz_input *input)
{
	int code = (int)fuzz_byte(input), result;
	_cleanup_free_ char *text = fuzz_rest(input);
	struct err err = { 0 };

	result = gpgv_judge(text, code, &err);
	/* no signature is good of which nobody says so */
	FUZZ_CHECK(result < 0 || (strstr(text, "GOODSIG") && strstr(text, "VALIDSIG")));
	FUZZ_CHECK(result < 0 || !strstr(text, "\n[GNUPG:] BADSIG "));
	fuzz_check_err(&err, result);
}

static void no_progress(void *data, uint64_t done, uint64_t total)
{
	(void)data;
	FUZZ_CHECK(done <= total);
}

static void indexes(struct fuzz_input *input)
{
	int list = fuzz_file(0, input->at, input->left), out = fuzz_file(1, NULL, 0);
	struct err err = { 0 };
	int result = kernel_index(list, input->left, "linux-image-", "-amd64", out, no_progress, NULL,
				  &err);

	fuzz_check_err(&err, result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct fuzz_input *) = {
		stanzas, packages, depends, frame, release, dates, sources, versions, verdicts, indexes,
	};
	struct fuzz_input input = { data, size };

	kinds[fuzz_byte(&input) % ARRAY_SIZE(kinds)](&input);
	return 0;
}
