/*
 * Keeping logins: see login.h. A file is read, changed and replaced under a lock on its folder, so
 * that of two logins at the same time neither is lost. (docker and podman take no such lock.)
 */
#include "builders/oci/login.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "builders/oci/helper.h"
#include "builders/oci/login_file.h"
#include "core/base64.h"
#include "core/flock.h"
#include "core/fs.h"
#include "core/json.h"
#include "core/str.h"

/* ---- the file -------------------------------------------------------------------------------- */

/* The folder of `path`, made and locked; *ret_name is the rest, borrowed from path. */
static int lock_folder(const char *path, const char **ret_name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder = NULL, *shown = NULL, *what = NULL;
	_cleanup_close_ int fd = -1;

	*ret_name = slash ? slash + 1 : path;
	folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	if (*folder && fs_make_dirs(folder, 0700, err) < 0)
		return -1;
	fd = open(*folder ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open folder %s", folder);
	shown = str_escape(folder, 200);
	what = xasprintf("the logins in %s", shown);
	if (flock_wait(fd, LOCK_EX, FLOCK_FOREVER, what) < 0)
		return err_sys(err, errno, "lock folder %s", folder);
	return TAKE_FD(fd);
}

/* The text without the entries of the host alone, in all of its spellings. */
static char *without_host(const char *text, const char *host, bool *ret_changed)
{
	_cleanup_(strv_done) struct strv keys = { 0 };
	char *now = xstrdup(text);
	size_t first;

	*ret_changed = false;
	login_keys(host, NULL, &keys, &first);
	for (size_t i = first; i < keys.count; i++) {
		const char *const path[] = { "auths", keys.items[i], NULL };
		char *next;

		if (json_seek(now, strlen(now), path, NULL) == JSON_FOUND_NOTHING)
			continue;
		next = json_with(now, strlen(now), path, NULL);
		if (!next)
			continue;
		explicit_bzero(now, strlen(now));
		free(now);
		now = next;
		*ret_changed = true;
	}
	return now;
}

/*
 * Changes one file: the host's entries go, and `auth` comes unless it is NULL. *ret_changed tells
 * whether there was anything to do.
 */
static int change_file(const char *path, const char *host, const char *auth, bool *ret_changed,
		       struct err *err)
{
	/* the file itself where a link leads to it */
	_cleanup_free_ char *real = xrealpath(path), *text = NULL;
	const char *const keys[] = { "auths", host, "auth", NULL }, *name;
	_cleanup_(login_file_done) struct login_file file = { 0 };
	_cleanup_close_ int folder = -1;
	int result = 0;

	if (!real && !auth) {
		*ret_changed = false;
		return 0;
	}
	folder = lock_folder(real ? real : path, &name, err);
	if (folder < 0 || login_file_read(&file, real ? real : path, false, err) < 0)
		return -1;
	text = without_host(file.text ? file.text : "{}", host, ret_changed);
	if (auth) {
		char *with = json_with(text, strlen(text), keys, auth);

		/* its shape was looked at */
		if (!with)
			return err_set(err, ERR_AUTH, "change %s: not what it should be", path);
		explicit_bzero(text, strlen(text));
		free(text);
		text = with;
		*ret_changed = true;
	}
	if (*ret_changed)
		result = fs_replace_file(folder, name, text, strlen(text), 0600, err);
	explicit_bzero(text, strlen(text));
	return result;
}

/* ---- the two verbs --------------------------------------------------------------------------- */

/* The helper of the first file that names one; *ret_name is NULL when none does. Both owned. */
static int find_helper(const struct strv *paths, const char *host, char **ret_name,
		       char **ret_server, struct err *err)
{
	*ret_name = *ret_server = NULL;
	for (size_t i = 0; i < paths->count; i++) {
		_cleanup_(login_file_done) struct login_file file = { 0 };

		/* all are read: one that is broken would be in the way of the login later */
		if (login_file_read(&file, paths->items[i], false, err) < 0)
			return -1;
		if (!*ret_name)
			*ret_name = login_file_helper(&file, host, ret_server);
	}
	return 0;
}

static char *auth_of(const char *user, const char *secret)
{
	char *plain = xasprintf("%s:%s", user, secret);
	char *auth = base64_encode(plain, strlen(plain));

	explicit_bzero(plain, strlen(plain));
	free(plain);
	return auth;
}

int login_save(const char *host, const char *user, const char *secret, char **ret_where,
	       struct err *err)
{
	_cleanup_free_ char *name = NULL, *server = NULL, *auth = NULL;
	_cleanup_(strv_done) struct strv paths = { 0 };
	bool changed;
	int result;

	login_file_paths(&paths);
	if (find_helper(&paths, host, &name, &server, err) < 0)
		return -1;
	if (name) {
		/* what the file has for the host would hide what the helper knows */
		if (helper_store(name, server, user, secret, err) < 0 ||
		    change_file(paths.items[0], host, NULL, &changed, err) < 0)
			return -1;
		*ret_where = xasprintf("docker-credential-%s", name);
		return 0;
	}
	auth = auth_of(user, secret);
	result = change_file(paths.items[0], host, auth, &changed, err);
	explicit_bzero(auth, strlen(auth));
	if (result == 0)
		*ret_where = xstrdup(paths.items[0]);
	return result;
}

int login_forget(const char *host, struct strv *ret_from, struct err *err)
{
	_cleanup_(registry_access_done) struct registry_access known = { 0 };
	_cleanup_free_ char *name = NULL, *server = NULL;
	_cleanup_(strv_done) struct strv paths = { 0 };
	bool changed;
	int found = 0;

	login_file_paths(&paths);
	if (find_helper(&paths, host, &name, &server, err) < 0)
		return -1;
	if (name)
		found = helper_get(name, server, &known, err);
	if (found < 0 || (found > 0 && helper_erase(name, server, err) < 0))
		return -1;
	if (found > 0)
		strv_addf(ret_from, "docker-credential-%s", name);
	if (change_file(paths.items[0], host, NULL, &changed, err) < 0)
		return -1;
	if (changed)
		strv_add(ret_from, paths.items[0]);
	return 0;
}
