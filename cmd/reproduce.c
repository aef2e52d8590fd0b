/*
 * duet build --check-reproducible: the image is built twice by two calls of this program, each in a
 * store of its own below a temporary folder of the store, so that nothing that was made before is found
 * again. What was fetched is linked into both. The second call has another umask, time zone, locale and
 * home, other host ids stand for the image's (but in single-uid mode, where there is only one), and the
 * spec's folder is spelled in another way. Then layers and config are compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "builders/builder.h"
#include "cmd/cmd.h"
#include "core/log.h"
#include "core/path.h"
#include "core/proc.h"
#include "core/str.h"

#define VARIED "umask, time zone, locale, home, the folder's spelling"

struct twice {
	const struct cli *cli;
	struct session *session;
	struct store_tmp tmp;
	char *folder;			/* owned; of tmp */
	struct store stores[2];
	char *paths[2];			/* owned */
	bool is_open[2];
	bool other_ids;			/* the second build has them */
};

static int open_store(struct twice *twice, int which, struct err *err)
{
	const char *why;
	struct idmap map;

	if (idmap_find(&map, false, &why, err) < 0)
		return -1;
	twice->other_ids = which == 1 && idmap_vary(&map);
	if (store_open(&twice->stores[which], twice->paths[which], &map, err) < 0)
		return -1;
	twice->is_open[which] = true;
	return 0;
}

/* ---- one build ------------------------------------------------------------------------------- */

static void keep_variable(const char *name, const char *below_home)
{
	_cleanup_free_ char *path = NULL;
	const char *home = getenv("HOME");

	if (getenv(name) || !home)
		return;
	path = path_join(home, below_home);
	setenv(name, path, 1);
}

/* The other surroundings; what the user configured stays where it is. */
static void vary(const struct twice *twice)
{
	keep_variable("XDG_CONFIG_HOME", ".config");
	keep_variable("DOCKER_CONFIG", ".docker");
	setenv("HOME", twice->folder, 1);
	setenv("TZ", "Pacific/Kiritimati", 1);
	setenv("LC_ALL", "C", 1);
	unsetenv("PWD");
	if (twice->other_ids)
		setenv(SESSION_OTHER_IDS, "1", 1);
	umask(umask(0) == 077 ? 022 : 077);
}

static void exec_build(const struct twice *twice, int which, const char *file)
{
	const char *argv[16 + 2 * CLI_ALLOW_MAX] = { "duet", "build", "--store", twice->paths[which],
						     "-f", file, "--on", "container" };
	size_t count = 8;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (twice->cli->frozen)
		argv[count++] = "--frozen";
	else if (twice->cli->locked)
		argv[count++] = "--locked";
	for (size_t i = 0; i < twice->cli->allow_count; i++) {
		argv[count++] = "--allow";
		argv[count++] = twice->cli->allow[i];
	}
	if (which == 1)
		vary(twice);
	if (null >= 0 && dup2(null, STDOUT_FILENO) >= 0)
		execv("/proc/self/exe", (char *const *)argv);
	_exit(EXIT_FAILURE);
}

static int run_build(struct twice *twice, int which, const char *file, struct err *err)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "start a build");
	if (pid == 0)
		exec_build(twice, which, file);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "wait for a build");
	if (proc_exit_code(status) == 0)
		return 0;
	return err_set(err, ERR_REPRODUCIBLE, "the %s build of %s failed with exit code %d",
		       which ? "second" : "first", twice->session->spec.name,
		       proc_exit_code(status));
}

/* The spec's file through a link to its folder. Owned. */
static char *other_spelling(const struct twice *twice, struct err *err)
{
	_cleanup_free_ char *link = path_join(twice->folder, "elsewhere");

	if (symlink(twice->session->spec.dir, link) < 0) {
		err_sys(err, errno, "make %s", link);
		return NULL;
	}
	return path_join(link, path_base(twice->session->spec.file));
}

static int build_one(struct twice *twice, int which, struct err *err)
{
	struct store *from = which ? &twice->stores[0] : &twice->session->store;
	_cleanup_free_ char *other = NULL;
	const char *file = twice->session->spec.file;

	twice->paths[which] = path_join(twice->folder, which ? "second" : "first");
	if (open_store(twice, which, err) < 0 ||
	    store_share(from, &twice->stores[which], err) < 0)
		return -1;
	if (which) {
		other = other_spelling(twice, err);
		if (!other)
			return -1;
		file = other;
	}
	return run_build(twice, which, file, err);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static int differ(const struct twice *twice, const char *what, const char *how, struct err *err)
{
	return err_set(err, ERR_REPRODUCIBLE, "build %s twice: %s: %s", twice->session->spec.name,
		       what, how);
}

static int compare_layer(struct twice *twice, const struct store_image images[2], size_t number,
			 struct err *err)
{
	const struct digest *diff[2] = { &images[0].layers[number].diff_id,
					 &images[1].layers[number].diff_id };
	_cleanup_free_ char *what = xasprintf("layer %zu of %zu", number + 1, images[0].layer_count);
	_cleanup_free_ char *how = NULL, *shown = NULL;
	struct digest chains[2];

	if (digest_equal(diff[0], diff[1]))
		return 0;
	store_chain(images[0].layers, number + 1, &chains[0]);
	store_chain(images[1].layers, number + 1, &chains[1]);
	if (store_tree_difference(&twice->stores[0], diff[0], &chains[0], &twice->stores[1], diff[1],
				  &chains[1], &how, err) < 0)
		return -1;
	shown = how ? str_visible(how, 0) : NULL;
	return differ(twice, what, shown ? shown : "its tar differs, though not in what it unpacks to",
		      err);
}

/* The first line in which two configs differ. */
static int compare_configs(struct twice *twice, const char *a, const char *b, struct err *err)
{
	while (*a || *b) {
		size_t length_a = strcspn(a, "\n"), length_b = strcspn(b, "\n");
		_cleanup_free_ char *line_a = xstrndup(a, length_a), *line_b = xstrndup(b, length_b);
		_cleanup_free_ char *how = NULL;

		if (strcmp(line_a, line_b)) {
			_cleanup_free_ char *is = str_escape(line_a + strspn(line_a, " "), 200);
			_cleanup_free_ char *was = str_escape(line_b + strspn(line_b, " "), 200);

			how = xasprintf("is %s, then %s", is, was);
			return differ(twice, "config", how, err);
		}
		a += length_a + (a[length_a] == '\n');
		b += length_b + (b[length_b] == '\n');
	}
	return 0;
}

static int compare_images(struct twice *twice, const struct store_image images[2], struct err *err)
{
	if (images[0].layer_count != images[1].layer_count)
		return differ(twice, "image", "another number of layers", err);
	for (size_t i = 0; i < images[0].layer_count; i++)
		if (compare_layer(twice, images, i, err) < 0)
			return -1;
	return compare_configs(twice, images[0].config, images[1].config, err);
}

static int compare(struct twice *twice, struct err *err)
{
	struct store_image images[2] = { 0 };
	const char *name = twice->session->spec.name;
	char id[DIGEST_TEXT_SIZE];
	int result = 0;

	for (int i = 0; i < 2 && result == 0; i++) {
		int found = store_image_get(&twice->stores[i], name, &images[i], err);

		if (found != 1)
			result = found < 0 ? -1 : err_set(err, ERR_STORE, "open an image just built");
	}
	if (result == 0)
		result = compare_images(twice, images, err);
	if (result == 0) {
		digest_text(&images[0].id, id);
		log_note("twice the same; the second time with other: " VARIED "%s",
			 twice->other_ids ? ", the host's ids" : "");
		printf("%s\n", id);
	}
	store_image_done(&images[0]);
	store_image_done(&images[1]);
	return result;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void twice_done(struct twice *twice)
{
	struct err ignored = { 0 };

	for (int i = 0; i < 2; i++) {
		if (twice->is_open[i])
			store_done(&twice->stores[i]);
		free(twice->paths[i]);
	}
	free(twice->folder);
	(void)store_tmp_drop(&twice->session->store, &twice->tmp, &ignored);
	err_done(&ignored);
}

int reproduce(const struct cli *cli, int *ret_code, struct err *err)
{
	struct session session = { 0 };
	struct twice twice = { .cli = cli, .session = &session };
	int result = session_spec(&session, cli, err);

	if (result == 0)
		result = allow_check(&session, NULL, false, err);
	if (result == 0)
		result = session_store(&session, cli, err);
	if (result == 0)
		result = store_tmp_new(&session.store, &twice.tmp, err);
	if (result == 0) {
		twice.folder = xasprintf("%s/tmp/%s", session.store.path, twice.tmp.id);
		result = build_one(&twice, 0, err);
		if (result == 0)
			result = build_one(&twice, 1, err);
		if (result == 0)
			result = compare(&twice, err);
		twice_done(&twice);
	}
	session_done(&session);
	*ret_code = 0;
	return result;
}
