/* Files with logins: see login_file.h. */
#include "builders/oci/login_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/base64.h"
#include "core/fs.h"
#include "core/json.h"
#include "core/str.h"

#define FILE_BYTES_MAX (1u << 20)
#define SHOWN 200	/* bytes of a key in a message */
#define HUB "docker.io"
#define RUN_FOLDER "/run/containers"

/* ---- where ----------------------------------------------------------------------------------- */

static const char *folder_of(const char *variable)
{
	const char *path = getenv(variable);

	return path && path[0] == '/' ? path : NULL;
}

static const char *named_file(void)
{
	const char *path = getenv("REGISTRY_AUTH_FILE");

	return path && *path ? path : NULL;
}

void login_file_paths(struct strv *ret)
{
	const char *home = folder_of("HOME"), *runtime = folder_of("XDG_RUNTIME_DIR");
	const char *config = folder_of("XDG_CONFIG_HOME"), *docker = folder_of("DOCKER_CONFIG");

	if (named_file()) {
		strv_add(ret, named_file());
		return;
	}
	if (runtime)
		strv_addf(ret, "%s/containers/auth.json", runtime);
	else if (access(RUN_FOLDER, X_OK) == 0 || errno != EACCES) /* root's podman makes it 0700 */
		strv_addf(ret, RUN_FOLDER "/%u/auth.json", (unsigned int)getuid());
	if (config)
		strv_addf(ret, "%s/containers/auth.json", config);
	else if (home)
		strv_addf(ret, "%s/.config/containers/auth.json", home);
	if (docker)
		strv_addf(ret, "%s/config.json", docker);
	else if (home)
		strv_addf(ret, "%s/.docker/config.json", home);
}

/* ---- one file -------------------------------------------------------------------------------- */

static int refuse(const char *path, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(path, SHOWN);

	err_wrap(err, "read the logins of %s", shown);
	return err_mend(err, "nothing was sent; correct the file, or take it away and log in again");
}

/* The maps that are looked into later are maps. */
static int check_shape(const struct login_file *file, struct err *err)
{
	static const char *const root[] = { NULL };
	static const char *const auths[] = { "auths", NULL };
	static const char *const helpers[] = { "credHelpers", NULL };
	static const char *const store[] = { "credsStore", NULL };
	enum json_found found = json_seek(file->text, file->size, root, NULL);

	if (found == JSON_FOUND_BROKEN)
		return err_set(err, ERR_AUTH, "it is not JSON, or cut off");
	if (found != JSON_FOUND_MAP)
		return err_set(err, ERR_AUTH, "it is not a JSON map");
	found = json_seek(file->text, file->size, auths, NULL);
	if (found != JSON_FOUND_MAP && found != JSON_FOUND_NOTHING)
		return err_set(err, ERR_AUTH, "`auths` is not a map");
	found = json_seek(file->text, file->size, helpers, NULL);
	if (found != JSON_FOUND_MAP && found != JSON_FOUND_NOTHING)
		return err_set(err, ERR_AUTH, "`credHelpers` is not a map");
	found = json_seek(file->text, file->size, store, NULL);
	if (found != JSON_FOUND_TEXT && found != JSON_FOUND_NOTHING)
		return err_set(err, ERR_AUTH, "`credsStore` is not a text");
	return 0;
}

int login_file_read(struct login_file *ret, const char *path, bool needed, struct err *err)
{
	struct login_file file = { .path = xstrdup(path) };
	bool missing;

	if (fs_read_file(AT_FDCWD, path, FILE_BYTES_MAX, &file.text, &file.size, err) < 0) {
		missing = (err->code == -ENOENT || err->code == -ENOTDIR) &&
			  !(needed && named_file());
		err->code = ERR_AUTH;
		if (!missing) {
			login_file_done(&file);
			return refuse(path, err);
		}
		err_done(err);
	} else if (check_shape(&file, err) < 0) {
		login_file_done(&file);
		return refuse(path, err);
	}
	*ret = file;
	return 0;
}

void login_file_done(struct login_file *file)
{
	if (file->text)
		explicit_bzero(file->text, file->size);
	free(file->text);
	free(file->path);
	*file = (struct login_file){ 0 };
}

/* ---- what it says ---------------------------------------------------------------------------- */

void login_keys(const char *host, const char *repository, struct strv *ret, size_t *ret_host)
{
	static const char *const hub[] = { HUB, "https://index.docker.io/v1/", "index.docker.io",
					   "registry-1.docker.io" };
	static const char *const forms[] = { "%s", "https://%s", "https://%s/", "https://%s/v1/",
					     "https://%s/v2/", "http://%s", "http://%s/",
					     "http://%s/v1/", "http://%s/v2/" };
	size_t length = repository ? strlen(repository) : 0;

	while (length > 0) {
		strv_addf(ret, "%s/%.*s", host, (int)length, repository);
		while (length > 0 && repository[--length] != '/')
			;
	}
	*ret_host = ret->count;
	for (size_t i = 0; !strcmp(host, HUB) && i < ARRAY_SIZE(hub); i++)
		strv_add(ret, hub[i]);
	for (size_t i = 0; strcmp(host, HUB) && i < ARRAY_SIZE(forms); i++) {
		struct str key = { 0 };
		const char *at = strstr(forms[i], "%s");

		str_addn(&key, forms[i], (size_t)(at - forms[i]));
		str_add(&key, host);
		str_add(&key, at + 2);
		strv_take(ret, key.text);
	}
}

char *login_file_helper(const struct login_file *file, const char *host, char **ret_server)
{
	static const char *const store[] = { "credsStore", NULL };
	_cleanup_(strv_done) struct strv keys = { 0 };
	_cleanup_free_ char *name = NULL;
	size_t first;

	if (!file->text)
		return NULL;
	login_keys(host, NULL, &keys, &first);
	for (size_t i = first; i < keys.count; i++) {
		const char *const path[] = { "credHelpers", keys.items[i], NULL };

		if (json_seek(file->text, file->size, path, &name) != JSON_FOUND_TEXT)
			continue;
		/* an empty name turns `credsStore` off for this host */
		if (!*name)
			return NULL;
		*ret_server = xstrdup(keys.items[i]);
		return TAKE_PTR(name);
	}
	if (json_seek(file->text, file->size, store, &name) != JSON_FOUND_TEXT || !*name)
		return NULL;
	*ret_server = xstrdup(strcmp(host, HUB) ? host : "https://index.docker.io/v1/");
	return TAKE_PTR(name);
}

/* "USER:SECRET" in base 64; NULs behind it are let pass, as docker does. */
static int take_auth(const char *text, struct registry_access *ret, struct err *err)
{
	_cleanup_free_ char *plain = NULL;
	size_t size, length;
	char *colon;

	plain = base64_decode(text, &size);
	length = plain ? strlen(plain) : 0;
	colon = plain ? strchr(plain, ':') : NULL;
	if (!colon || colon == plain ||
	    (length < size && memcmp(plain + length, plain + length + 1, size - length)))
		return err_set(err, ERR_AUTH, "`auth` is not USER:SECRET in base 64");
	ret->user = xstrndup(plain, (size_t)(colon - plain));
	ret->secret = xstrdup(colon + 1);
	explicit_bzero(plain, size);
	return 1;
}

/* A member of an entry: 1 with the text (owned), 0 when it is absent or empty, -1. */
static int member(const struct login_file *file, const char *key, const char *name, char **ret,
		  struct err *err)
{
	const char *const path[] = { "auths", key, name, NULL };
	enum json_found found = json_seek(file->text, file->size, path, ret);

	if (found == JSON_FOUND_TEXT && **ret)
		return 1;
	free(*ret);
	*ret = NULL;
	if (found == JSON_FOUND_TEXT || found == JSON_FOUND_NOTHING)
		return 0;
	return err_set(err, ERR_AUTH, "`%s` is not a text", name);
}

static int take_entry(const struct login_file *file, const char *key, struct registry_access *ret,
		      struct err *err)
{
	_cleanup_free_ char *auth = NULL, *token = NULL, *foreign = NULL;
	int has_token = member(file, key, "identitytoken", &token, err);
	int has_auth = has_token < 0 ? -1 : member(file, key, "auth", &auth, err);

	if (has_auth < 0)
		return -1;
	if (has_token) {
		ret->identity_token = TAKE_PTR(token);
		return 1;
	}
	if (has_auth)
		return take_auth(auth, ret, err);
	switch (member(file, key, "registrytoken", &foreign, err)) {
	case 1:
		return err_set(err, ERR_AUTH, "`registrytoken` is nothing that duet can use");
	case 0:
		return 0;
	}
	return -1;
}

int login_file_entry(const struct login_file *file, const char *key, struct registry_access *ret,
		     struct err *err)
{
	const char *const path[] = { "auths", key, NULL };
	_cleanup_free_ char *shown = NULL;
	enum json_found found;
	int result;

	if (!file->text)
		return 0;
	found = json_seek(file->text, file->size, path, NULL);
	if (found == JSON_FOUND_NOTHING)
		return 0;
	if (found == JSON_FOUND_MAP)
		result = take_entry(file, key, ret, err);
	else
		result = err_set(err, ERR_AUTH, "its entry is not a map");
	if (result >= 0)
		return result;
	shown = str_escape(key, SHOWN);
	err_wrap(err, "%s", shown);
	return refuse(file->path, err);
}
