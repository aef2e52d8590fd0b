/* What the tests of layers share: see layer_fixture.h. */
#include "tests/unit/builders/layer_fixture.h"

#include <check.h>

#include "core/mem.h"
#include "tests/unit/builders/forms.h"

struct work work;
struct str tar;
struct layer_result result;
struct err err;

void setup(void)
{
	work_init(&work);
	tar = (struct str){ 0 };
	err = (struct err){ 0 };
}

void teardown(void)
{
	work_intact(&work);
	work_done(&work);
	str_done(&tar);
	err_done(&err);
}

void put(char type, const char *name, const char *text)
{
	tarmake_put(&tar, type, name, text);
}

char *pattern(size_t size)
{
	char *bytes = xmalloc(size + 1);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 7 + i / 256 + size);
	return bytes;
}

void put_sized(const char *name, size_t size)
{
	_cleanup_free_ char *bytes = pattern(size);

	tarmake_add(&tar, &(struct tarmake_entry){ .name = name, .data = bytes, .size = size });
}

void unpacked(bool above)
{
	tarmake_end(&tar);
	ck_assert_msg(work_unpack(&work, &tar, above, &result, &err) == 0, "%s", err.msg);
}

int image_of(const struct str *blob)
{
	int fd = forms_erofs(blob, NULL, 0, &result, &err);

	ck_assert_msg(fd >= 0, "%s", err.msg);
	return fd;
}

int image(void)
{
	tarmake_end(&tar);
	return image_of(&tar);
}
