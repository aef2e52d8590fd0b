/*
 * tests/golden/spec: NAME.yaml with NAME.expect must be refused with exactly that message, as
 * log_err prints it; NAME.yaml with NAME.json must give exactly that plan. With
 * DUET_GOLDEN_WRITE=1 what is found is written instead, to be read before it is committed.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/path.h"
#include "core/plan.h"
#include "core/spec.h"
#include "core/str.h"
#include "tests/unit/core/fake_plans.h"
#include "tests/unit/unit.h"

#define BAD_LEAST 60		/* refusals that must be there, lest the folder was not found */
#define GOOD_LEAST 5
#define FILE_MAX (1024 * 1024)

static char long_value[30 * 1024 + 1];

static const char *lookup(const char *name)
{
	static const struct {
		const char *name, *value;
	} variables[] = {
		{ "HOME", "/home/user" }, { "COLON", "/a:b" }, { "PROC", "/proc/sys" },
		{ "BINARY", "\xff" }, { "LONG", long_value },
	};

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		if (!strcmp(variables[i].name, name))
			return variables[i].value;
	return NULL;
}

static int open_folder(void)
{
	const char *srcdir = getenv("srcdir");
	_cleanup_free_ char *path = path_join(srcdir ? srcdir : ".", "tests/golden/spec");
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "open %s", path);
	return fd;
}

/* What log_err prints. Owned. */
static char *printed(const struct err *err)
{
	int memory = memfd_create("stderr", MFD_CLOEXEC), kept = dup(STDERR_FILENO);
	struct err ignored = { 0 };
	char *text = NULL;

	ck_assert_int_ge(dup2(memory, STDERR_FILENO), 0);
	log_err(err);
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	ck_assert_int_eq(fs_read_fd(memory, "stderr", FILE_MAX, &text, NULL, &ignored), 0);
	close(memory);
	close(kept);
	return text;
}

static char *plan_of(const struct spec *spec)
{
	_cleanup_(plans_done) struct plans plans = { 0 };
	struct err err = { 0 };

	ck_assert_msg(fake_plans(spec, &plans, &err) == 0, "%s", err.msg);
	return plan_json(&plans, spec);
}

/* NAME.yaml -> what it gives, and the file that holds what it should give. */
static char *result_of(int dir, const char *file, bool *ret_good)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_(spec_done) struct spec spec = { 0 };
	_cleanup_(err_done) struct err err = { 0 };
	const char *dir_name;
	size_t size;

	ck_assert_msg(fs_read_file(dir, file, FILE_MAX, &text, &size, &err) == 0, "%s", err.msg);
	/* the same text wherever the sources lie; env_file is the one key that is read with the spec */
	dir_name = strstr(text, "env_file") ? "/proc/self/cwd" : "/my project";
	*ret_good = spec_parse(&spec, file, dir_name, text, size, lookup, &err) == 0;
	if (*ret_good && spec.target.env_file_count > 0) {
		spec.host = host_paths_new(dir_name, &err);
		ck_assert_ptr_nonnull(spec.host);
		*ret_good = spec_read_env_files(&spec, &err) == 0;
		/* a plan by the text alone */
		host_paths_free(spec.host);
		spec.host = NULL;
	}
	return *ret_good ? plan_of(&spec) : printed(&err);
}

static void check_file(int dir, const char *file, size_t *bad, size_t *good)
{
	_cleanup_free_ char *stem = xstrndup(file, strlen(file) - strlen(".yaml"));
	_cleanup_free_ char *is = NULL, *should = NULL, *name = NULL;
	_cleanup_(err_done) struct err err = { 0 };
	bool is_good;

	is = result_of(dir, file, &is_good);
	name = xasprintf("%s.%s", stem, is_good ? "json" : "expect");
	if (getenv("DUET_GOLDEN_WRITE"))
		fs_replace_file(dir, name, is, strlen(is), 0644, &err);
	if (fs_read_file(dir, name, FILE_MAX, &should, NULL, &err) < 0)
		ck_abort_msg("%s was %s: %s", file, is_good ? "taken" : "refused", is);
	ck_assert_msg(!strcmp(is, should), "%s:\n%s\nshould be:\n%s", file, is, should);
	*(is_good ? good : bad) += 1;
}

START_TEST(test_golden)
{
	int dir = open_folder();
	DIR *list = fdopendir(dir);
	size_t bad = 0, good = 0;
	struct dirent *entry;

	memset(long_value, 'x', sizeof(long_value) - 1);
	ck_assert_int_eq(fchdir(dir), 0);
	while ((entry = readdir(list)))
		if (str_has_suffix(entry->d_name, ".yaml"))
			check_file(dir, entry->d_name, &bad, &good);
	closedir(list);
	ck_assert_uint_ge(bad, BAD_LEAST);
	ck_assert_uint_ge(good, GOOD_LEAST);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_golden, 1 },
	};
	const struct unit unit = { "spec golden", .timeout_s = 60 };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
