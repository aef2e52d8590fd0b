/* Prints the login that duet has for the repository a/b of a host: "USER SECRET", "token T", "none". */
#include <stdio.h>

#include "builders/oci/registry.h"
#include "core/log.h"

int main(int argc, char **argv)
{
	_cleanup_(registry_access_done) struct registry_access access = { 0 };
	_cleanup_(err_done) struct err err = { 0 };

	if (argc != 2)
		return 2;
	if (registry_access_find(argv[1], "a/b", &access, &err) < 0) {
		log_err(&err);
		return 1;
	}
	if (access.identity_token)
		printf("token %s\n", access.identity_token);
	else if (access.user)
		printf("%s %s\n", access.user, access.secret);
	else
		puts("none");
	return 0;
}
