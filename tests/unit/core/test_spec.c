/* core/spec: what a good spec becomes; loading from files. Refusals are in tests/golden/spec. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/spec.h"
#include "core/str.h"

#define TOP "duet: 1\nname: web\nimage: {from: scratch}\n"

static const char *lookup(const char *name)
{
	if (!strcmp(name, "HOME"))
		return "/home/user";
	if (!strcmp(name, "NONE"))
		return "";
	if (!strcmp(name, "COLON"))
		return "/a:b";
	return strcmp(name, "SELF") ? NULL : "${HOME}$$";
}

static void load(struct spec *ret, const char *text)
{
	_cleanup_(err_done) struct err err = { 0 };

	ck_assert_msg(spec_parse(ret, "duet.yaml", "/p/dir", text, strlen(text), lookup, &err) == 0,
		      "%s: %s", err.place, err.msg);
}

static void check_list(const struct strv *list, const char *joined)
{
	_cleanup_(str_done) struct str text = { 0 };

	str_add(&text, "");
	for (size_t i = 0; i < list->count; i++)
		str_addf(&text, "%s|", list->items[i]);
	ck_assert_str_eq(text.text, joined);
}

START_TEST(test_defaults)
{
	_cleanup_(spec_done) struct spec spec = { 0 };

	load(&spec, "duet: 1\nimage: {from: scratch}\n");
	ck_assert_str_eq(spec.name, "dir");
	ck_assert_int_eq(spec.image.from.kind, SOURCE_SCRATCH);
	ck_assert_uint_eq(spec.image.step_count, 0);
	ck_assert_uint_eq(spec.on_count, 1);
	ck_assert_int_eq(spec.on[0], SPEC_RUNNER_CONTAINER);
	ck_assert_int_eq(spec.target.network, NETWORK_NONE);
	ck_assert_int_eq(spec.target.seccomp, SECCOMP_DEFAULT);
	ck_assert_ptr_null(spec.target.hostname);
	ck_assert(!spec.target.has_command && !spec.target.read_only);
	ck_assert_uint_eq(spec.target.timeout_ms, 0);
}
END_TEST

START_TEST(test_text_stays)
{
	_cleanup_(spec_done) struct spec spec = { 0 };

	load(&spec, TOP "target:\n  environment: {VERSION: 1.20, A: no, B: 0o7, C: 8080:80, D: 1_000, "
		    "E: '', F: 1e309, G: 2001-01-01, H: True}\n");
	check_list(&spec.target.process.environment,
		   "VERSION=1.20|A=no|B=0o7|C=8080:80|D=1_000|E=|F=1e309|G=2001-01-01|H=True|");
}
END_TEST

START_TEST(test_variables)
{
	_cleanup_(spec_done) struct spec spec = { 0 };

	load(&spec, TOP "target:\n  command: echo ${HOME} $$ $x\n"
		    "  environment: ['A=${HOME}/x${HOME}', 'B=${UNSET:-d e}', 'C=${NONE:-f}',"
		    " 'D=${NONE}', 'E=$$$${HOME}', 'F=${SELF}', 'G=${UNSET:-}']\n");
	check_list(&spec.target.process.environment,
		   "A=/home/user/x/home/user|B=d e|C=f|D=|E=$${HOME}|F=${HOME}$$|G=|");
	/* a command is the shell's */
	check_list(&spec.target.process.command, "/bin/sh|-c|echo ${HOME} $$ $x|");
}
END_TEST

START_TEST(test_sources)
{
	static const struct {
		const char *from, *url, *path;
	} cases[] = {
		{ "{archive: ./a//b/../c.tar}", NULL, "/p/dir/a/b/../c.tar" },
		{ "{archive: a.tar}", NULL, "/p/dir/a.tar" },
		{ "{archive: /x/./a.tar}", NULL, "/x/a.tar" },
		{ "{archive: 'file:///x/a.tar'}", NULL, "/x/a.tar" },
		{ "{archive: '${HOME}/a.tar'}", NULL, "/home/user/a.tar" },
		{ "{directory: .}", NULL, "/p/dir" },
		{ "{archive: 'https://h:1/a?b=@', sha256: "
		  "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}",
		  "https://h:1/a?b=@", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = xasprintf("duet: 1\nimage: {from: %s}\n", cases[i].from);
		_cleanup_(spec_done) struct spec spec = { 0 };

		load(&spec, text);
		ck_assert_pstr_eq(spec.image.from.url, cases[i].url);
		ck_assert_pstr_eq(spec.image.from.path, cases[i].path);
		ck_assert_int_eq(spec.image.from.has_sha256, cases[i].url != NULL);
		ck_assert_uint_eq(spec.image.from.place.line, 2);
	}
}
END_TEST

START_TEST(test_steps)
{
	_cleanup_(spec_done) struct spec spec = { 0 };

	load(&spec, "duet: 1\nimage:\n  from: scratch\n  steps:\n"
		    "  - {archive: a.tar, to: /opt//x/, strip: 64}\n"
		    "  - {archive: b.tar}\n"
		    "  - {copy: ./site, to: /srv/./www/, owner: 33:34, mode: 0640}\n"
		    "  - {copy: f, to: /, owner: 7}\n");
	ck_assert_uint_eq(spec.image.step_count, 4);
	ck_assert_int_eq(spec.image.steps[0].kind, STEP_ARCHIVE);
	ck_assert_str_eq(spec.image.steps[0].to, "/opt/x");
	ck_assert_uint_eq(spec.image.steps[0].strip, 64);
	ck_assert_str_eq(spec.image.steps[1].to, "/");
	ck_assert_int_eq(spec.image.steps[2].kind, STEP_COPY);
	ck_assert_str_eq(spec.image.steps[2].patterns.items[0], "/p/dir/site");
	ck_assert_str_eq(spec.image.steps[2].to, "/srv/www/");
	ck_assert_uint_eq(spec.image.steps[2].owner_uid, 33);
	ck_assert_uint_eq(spec.image.steps[2].owner_gid, 34);
	ck_assert(spec.image.steps[2].has_mode);
	ck_assert_uint_eq(spec.image.steps[2].mode, 0640);
	ck_assert_str_eq(spec.image.steps[3].to, "/");
	ck_assert_uint_eq(spec.image.steps[3].owner_uid, 7);
	ck_assert_uint_eq(spec.image.steps[3].owner_gid, 7);
	ck_assert(!spec.image.steps[3].has_mode);
	ck_assert_uint_eq(spec.image.steps[3].place.line, 8);
}
END_TEST

START_TEST(test_mounts)
{
	_cleanup_(spec_done) struct spec spec = { 0 };
	const struct mount *mounts;

	load(&spec, TOP "target:\n  mounts:\n"
		    "  - .:/src\n"
		    "  - ../x:/x/:ro\n"
		    "  - /etc/hosts:/h:rw\n"
		    "  - ${COLON}:/colon\n"
		    "  - ${UNSET:-./d}:/d\n"
		    "  - {bind: plain, to: /plain, read_only: true}\n"
		    "  - {tmpfs: /tmp, size: 64M, mode: 0755}\n"
		    "  - {tmpfs: /run}\n");
	mounts = spec.target.mounts;
	ck_assert_uint_eq(spec.target.mount_count, 8);
	ck_assert_str_eq(mounts[0].source, "/p/dir");
	ck_assert_str_eq(mounts[0].target, "/src");
	ck_assert(!mounts[0].read_only && mounts[0].kind == MOUNT_BIND);
	ck_assert_str_eq(mounts[1].source, "/p/dir/../x");
	ck_assert_str_eq(mounts[1].target, "/x");
	ck_assert(mounts[1].read_only);
	ck_assert(!mounts[2].read_only);
	/* the ':' of a variable's value divides nothing */
	ck_assert_str_eq(mounts[3].source, "/a:b");
	ck_assert_str_eq(mounts[4].source, "/p/dir/d");
	ck_assert_str_eq(mounts[5].source, "/p/dir/plain");
	ck_assert(mounts[5].read_only);
	ck_assert_int_eq(mounts[6].kind, MOUNT_TMPFS);
	ck_assert_uint_eq(mounts[6].size_bytes, 64 << 20);
	ck_assert_uint_eq(mounts[6].mode, 0755);
	ck_assert_ptr_null(mounts[7].source);
	ck_assert_uint_eq(mounts[7].mode, 01777);
	ck_assert_uint_eq(mounts[7].size_bytes, 0);
}
END_TEST

START_TEST(test_target)
{
	_cleanup_(spec_done) struct spec spec = { 0 };

	load(&spec, TOP "on: [vm, container]\ntarget:\n  command: []\n  user: 1:2\n  workdir: /a//b\n"
		    "  hostname: h\n  read_only: true\n  timeout: 1h30m\n  network: none\n"
		    "  container: {capabilities: {add: [chown, CAP_KILL], drop: [ALL]},"
		    " seccomp: unconfined}\n");
	ck_assert_int_eq(spec.on[0], SPEC_RUNNER_VM);
	ck_assert_int_eq(spec.on[1], SPEC_RUNNER_CONTAINER);
	ck_assert(spec.target.has_command && spec.target.read_only);
	ck_assert_uint_eq(spec.target.process.command.count, 0);
	ck_assert_str_eq(spec.target.process.user, "1:2");
	ck_assert_str_eq(spec.target.process.workdir, "/a/b");
	ck_assert_str_eq(spec.target.hostname, "h");
	ck_assert_uint_eq(spec.target.timeout_ms, 5400 * 1000);
	ck_assert_uint_eq(spec.target.capabilities_add, 1u << 0 | 1u << 5);
	ck_assert_uint_eq(spec.target.capabilities_drop & 0xffffffff, 0xffffffff);
	ck_assert_int_eq(spec.target.seccomp, SECCOMP_UNCONFINED);
}
END_TEST

static char folder[] = "/tmp/duet-test-spec-XXXXXX";

static void enter_folder(void)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void leave_folder(void)
{
	struct err err = { 0 };

	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, folder, &err), 0);
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(name, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(test_load)
{
	_cleanup_(spec_done) struct spec spec = { 0 }, other = { 0 };
	_cleanup_(err_done) struct err err = { 0 };

	ck_assert_int_eq(spec_load(&spec, NULL, lookup, &err), -1);
	ck_assert_int_eq(err.code, ERR_SPEC_MISSING);
	put(".duet.yaml", "duet: 1\nname: hidden\nimage: {from: scratch}\n");
	put("duet.yml", "duet: 1\nname: yml\nimage: {from: scratch}\n");
	ck_assert_int_eq(spec_load(&spec, NULL, lookup, &err), 0);
	ck_assert_str_eq(spec.name, "yml");
	ck_assert_str_eq(spec.file, "duet.yml");
	ck_assert_str_eq(spec.dir, folder);
	ck_assert_int_eq(mkdir("sub", 0755), 0);
	put("sub/x.yaml", "duet: 1\nimage: {from: {directory: r}}\n");
	ck_assert_int_eq(spec_load(&other, "./sub/x.yaml", lookup, &err), 0);
	ck_assert_str_eq(other.name, "sub");
	ck_assert(str_has_suffix(other.image.from.path, "/sub/r"));
	ck_assert(other.image.from.path[0] == '/' && !strstr(other.image.from.path, "./"));
}
END_TEST

START_TEST(test_load_refused)
{
	_cleanup_(spec_done) struct spec spec = { 0 };
	_cleanup_(err_done) struct err err = { 0 };
	int fd;

	/* a fifo must neither be read nor waited for */
	ck_assert_int_eq(mkfifo("duet.yaml", 0644), 0);
	alarm(5);
	ck_assert_int_eq(spec_load(&spec, NULL, lookup, &err), -1);
	alarm(0);
	ck_assert_int_eq(err.code, ERR_SPEC_MISSING);
	ck_assert_int_eq(spec_load(&spec, ".", lookup, &err), -1);
	ck_assert_int_eq(spec_load(&spec, "absent.yaml", lookup, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "absent.yaml"));
	fd = open("large.yaml", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_eq(ftruncate(fd, SPEC_FILE_MAX + 1), 0);
	close(fd);
	ck_assert_int_eq(spec_load(&spec, "large.yaml", lookup, &err), -1);
	ck_assert_int_eq(err.code, ERR_SPEC_LIMIT);
}
END_TEST

START_TEST(test_env_file)
{
	_cleanup_(spec_done) struct spec spec = { 0 };
	_cleanup_(err_done) struct err err = { 0 };

	put("a.env", "# c\n\nA=1\r\nB=two words\nC=a=b # not a comment\n  \n");
	put("b.env", "B=3\nD=${HOME}");
	put("duet.yaml", TOP "target: {env_file: [a.env, './b.env'], environment: {A: 9, Z: z}}\n");
	ck_assert_msg(spec_load(&spec, NULL, lookup, &err) == 0, "%s", err.msg);
	check_list(&spec.target.process.environment, "A=9|Z=z|");
	ck_assert_msg(spec_read_env_files(&spec, &err) == 0, "%s", err.msg);
	ck_assert(spec.target.env_files[0].is_read && spec.target.env_files[1].is_read);
	check_list(&spec.target.process.environment,
		   "A=9|B=3|C=a=b # not a comment|D=${HOME}|Z=z|");
}
END_TEST

/* core/job: what lies over the image's defaults */
START_TEST(test_overlay)
{
	_cleanup_(process_done) struct process base = { 0 }, over = { 0 }, copy = { 0 };

	strv_add(&base.entrypoint, "/entry");
	strv_add(&base.command, "old");
	strv_add(&base.environment, "A=1");
	strv_add(&base.environment, "B=2");
	base.user = xstrdup("root");
	strv_add(&over.environment, "A=x=y");
	strv_add(&over.environment, "C=3");
	over.workdir = xstrdup("/w");
	process_copy(&copy, &base);
	process_overlay(&copy, &over);
	check_list(&copy.entrypoint, "/entry|");
	check_list(&copy.command, "old|");
	check_list(&copy.environment, "A=x=y|B=2|C=3|");
	ck_assert_str_eq(copy.user, "root");
	ck_assert_str_eq(copy.workdir, "/w");
	strv_add(&over.entrypoint, "/new");
	process_overlay(&copy, &over);
	check_list(&copy.entrypoint, "/new|");
	ck_assert_uint_eq(copy.command.count, 0);
	/* an empty list is said, a missing one is not */
	strv_done(&over.entrypoint);
	strv_add(&copy.command, "below");
	process_overlay(&copy, &over);
	check_list(&copy.entrypoint, "/new|");
	check_list(&copy.command, "below|");
	strv_say_empty(&over.command);
	process_overlay(&copy, &over);
	check_list(&copy.entrypoint, "/new|");
	ck_assert_uint_eq(copy.command.count, 0);
	strv_say_empty(&over.entrypoint);
	strv_add(&over.command, "own");
	process_overlay(&copy, &over);
	ck_assert_uint_eq(copy.entrypoint.count, 0);
	check_list(&copy.command, "own|");
	/* the copy was one */
	check_list(&base.environment, "A=1|B=2|");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spec");
	TCase *values = tcase_create("values"), *files = tcase_create("files");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(values, test_defaults);
	tcase_add_test(values, test_text_stays);
	tcase_add_test(values, test_variables);
	tcase_add_test(values, test_sources);
	tcase_add_test(values, test_steps);
	tcase_add_test(values, test_mounts);
	tcase_add_test(values, test_target);
	tcase_add_test(values, test_overlay);
	tcase_add_checked_fixture(files, enter_folder, leave_folder);
	tcase_add_test(files, test_load);
	tcase_add_test(files, test_load_refused);
	tcase_add_test(files, test_env_file);
	suite_add_tcase(suite, values);
	suite_add_tcase(suite, files);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
