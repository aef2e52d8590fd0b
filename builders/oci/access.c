/*
 * Who duet is to a registry: see registry.h. The files with logins are asked in the order that
 * podman and skopeo have; in each a credential helper comes before what stands in the file itself.
 * The first answer is taken. Whatever is broken on the way there ends the search: a login that could
 * not be read is not a reason to go on as somebody else.
 */
#include <string.h>

#include "builders/oci/helper.h"
#include "builders/oci/login_file.h"
#include "builders/oci/registry.h"
#include "core/config.h"
#include "core/str.h"

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void registry_access_done(struct registry_access *access)
{
	strv_done(&access->mirrors);
	free(access->user);
	wipe(access->secret);
	wipe(access->identity_token);
	free(access->found_in);
	*access = (struct registry_access){ 0 };
}

/* 1 found, 0 not, -1. */
static int ask_helper(const struct login_file *file, const char *host, struct registry_access *ret,
		      struct err *err)
{
	_cleanup_free_ char *server = NULL, *name = login_file_helper(file, host, &server);
	_cleanup_free_ char *shown = NULL;
	int result;

	if (!name)
		return 0;
	result = helper_get(name, server, ret, err);
	if (result > 0)
		ret->found_in = xasprintf("docker-credential-%s", name);
	if (result >= 0)
		return result;
	shown = str_escape(file->path, 200);
	return err_wrap(err, "ask for the login of %s, as %s says", host, shown);
}

static int ask_file(const struct login_file *file, const char *host, const char *repository,
		    struct registry_access *ret, struct err *err)
{
	_cleanup_(strv_done) struct strv keys = { 0 };
	int result = ask_helper(file, host, ret, err);
	size_t first;

	login_keys(host, repository, &keys, &first);
	for (size_t i = 0; result == 0 && i < keys.count; i++) {
		result = login_file_entry(file, keys.items[i], ret, err);
		if (result > 0)
			ret->found_in = xstrdup(file->path);
	}
	return result;
}

static int ask_all(const char *host, const char *repository, struct registry_access *ret,
		   struct err *err)
{
	_cleanup_(strv_done) struct strv paths = { 0 };
	int result = 0;

	login_file_paths(&paths);
	for (size_t i = 0; result == 0 && i < paths.count; i++) {
		_cleanup_(login_file_done) struct login_file file = { 0 };

		result = login_file_read(&file, paths.items[i], true, err);
		if (result == 0)
			result = ask_file(&file, host, repository, ret, err);
	}
	return result < 0 ? -1 : 0;
}

int registry_access_config(const char *host, struct registry_access *ret, struct err *err)
{
	_cleanup_(config_done) struct config config = { 0 };
	const struct config_registry *said;

	if (config_load(&config, err) < 0)
		return -1;
	*ret = (struct registry_access){ 0 };
	said = config_registry(&config, host);
	if (!said)
		return 0;
	ret->plain_http = said->plain_http;
	strv_copy(&ret->mirrors, &said->mirrors);
	return 0;
}

int registry_access_find(const char *host, const char *repository, struct registry_access *ret,
			 struct err *err)
{
	_cleanup_(registry_access_done) struct registry_access access = { 0 };

	if (registry_access_config(host, &access, err) < 0 ||
	    ask_all(host, repository, &access, err) < 0)
		return -1;
	*ret = access;
	access = (struct registry_access){ 0 };
	return 0;
}
