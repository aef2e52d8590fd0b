/* duet login, duet logout: what is kept for registries, where docker and podman keep it too. */
#include <string.h>

#include "builders/oci/login.h"
#include "builders/oci/registry.h"
#include "cmd/cmd.h"
#include "core/log.h"
#include "core/ref.h"
#include "core/str.h"

#define SECRET_BYTES_MAX 65536

/* The host as references have it; owned. */
static char *host_of(const struct cli *cli, const char *verb, struct err *err)
{
	_cleanup_free_ char *shown = NULL;
	char *host;

	if (cli->rest_count == 0) {
		err_set(err, ERR_USAGE, "`duet %s` lacks its host", verb);
		err_mend(err, "duet %s HOST[:PORT]; Docker Hub is docker.io", verb);
		return NULL;
	}
	host = ref_host(cli->rest[0]);
	if (host)
		return host;
	shown = str_escape(cli->rest[0], 100);
	err_set(err, ERR_USAGE, "`%s` is no host of a registry", shown);
	err_mend(err, "write HOST or HOST:PORT, without https:// and without a path; Docker Hub is "
		      "docker.io");
	return NULL;
}

static int ask_login(const struct cli *cli, const char *host, struct registry_access *login,
		     struct err *err)
{
	_cleanup_free_ char *prompt = xasprintf("User of %s: ", host);

	if (cli->password_stdin && !cli->username) {
		err_set(err, ERR_USAGE, "--password-stdin: there is no --username");
		return err_mend(err, "duet login --username USER --password-stdin %s <FILE", host);
	}
	if (cli->username)
		login->user = xstrdup(cli->username);
	else if (ask_line(prompt, false, &login->user, err) < 0)
		return err_mend(err, "duet login --username USER --password-stdin %s <FILE", host);
	if (!*login->user || strchr(login->user, ':'))
		return err_set(err, ERR_USAGE, "a user is not empty and has no \":\" in it");
	if (cli->password_stdin ? ask_stdin(SECRET_BYTES_MAX, &login->secret, err) < 0
				: ask_line("Password or token: ", true, &login->secret, err) < 0)
		return err->mend ? -1 : err_mend(err, "duet login --username USER --password-stdin %s "
						      "<FILE", host);
	return *login->secret ? 0 : err_set(err, ERR_USAGE, "the password is empty");
}

static int try_login(const char *host, const struct registry_access *login, struct err *err)
{
	const char *api = strcmp(host, "docker.io") ? host : "registry-1.docker.io";
	_cleanup_free_ char *user = str_escape(login->user, 100);
	bool asked;

	if (registry_try_login(api, login, &asked, err) < 0) {
		err_wrap(err, "log in to %s as %s", host, user);
		return err->code == ERR_AUTH ? err_mend(err, "nothing was kept; check user and password")
					     : -1;
	}
	if (!asked)
		log_warn("%s asks for no login: this one could not be tried", host);
	return 0;
}

int cmd_login(const struct cli *cli, int *ret_code, struct err *err)
{
	_cleanup_(registry_access_done) struct registry_access login = { 0 };
	_cleanup_free_ char *host = host_of(cli, "login", err), *where = NULL, *shown = NULL;

	(void)ret_code;
	if (!host || registry_access_config(host, &login, err) < 0 ||
	    ask_login(cli, host, &login, err) < 0)
		return -1;
	if (!cli->no_verify && try_login(host, &login, err) < 0)
		return -1;
	if (login_save(host, login.user, login.secret, &where, err) < 0)
		return -1;
	shown = str_escape(where, 300);
	log_note("the login for %s is kept in %s%s", host, shown,
		 cli->no_verify ? "; it was not tried" : "");
	return 0;
}

/* What another tool keeps is that tool's to forget. */
static int note_what_stays(const char *host, struct err *err)
{
	_cleanup_(registry_access_done) struct registry_access left = { 0 };
	_cleanup_free_ char *shown = NULL;

	if (registry_access_find(host, "", &left, err) < 0)
		return -1;
	if (!left.found_in)
		return 0;
	shown = str_escape(left.found_in, 300);
	log_warn("%s still has a login for %s, which duet goes on to use", shown, host);
	return 0;
}

int cmd_logout(const struct cli *cli, int *ret_code, struct err *err)
{
	_cleanup_free_ char *host = host_of(cli, "logout", err);
	_cleanup_(strv_done) struct strv from = { 0 };

	(void)ret_code;
	if (!host || login_forget(host, &from, err) < 0)
		return -1;
	for (size_t i = 0; i < from.count; i++) {
		_cleanup_free_ char *shown = str_escape(from.items[i], 300);

		log_note("the login for %s is gone from %s", host, shown);
	}
	if (note_what_stays(host, err) < 0)
		return -1;
	return from.count ? 0 : err_set(err, ERR_AUTH, "log out of %s: there is no login for it that "
							"duet could forget", host);
}
