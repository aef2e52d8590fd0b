/* Users and groups of an image: see passwd.h. */
#include "core/passwd.h"

#include <stdbool.h>
#include <string.h>

#include "core/mem.h"
#include "core/parse.h"
#include "core/str.h"

#define PASSWD_FIELDS 7		/* name:password:uid:gid:gecos:home:shell */
#define GROUP_FIELDS 4		/* name:password:gid:members */
#define SHOWN_MAX 64		/* bytes of a name in a message */

/* A walk over the entries of one file; the fields point into `line`. */
struct reader {
	const char *file;	/* for messages */
	const char *at;
	size_t left;
	unsigned long number;	/* of the current line, from 1 */
	char line[PASSWD_LINE_MAX + 1];
	char *fields[PASSWD_FIELDS];
};

static int refuse_line(const struct reader *reader, struct err *err, const char *what)
{
	return err_set(err, ERR_JOB_USER, "read the image's %s: line %lu: %s",
		       reader->file, reader->number, what);
}

/* The next line as a C string. 1, 0 at the end, -1. */
static int next_line(struct reader *reader, struct err *err)
{
	const char *end;
	size_t length;

	if (reader->left == 0)
		return 0;
	reader->number++;
	end = memchr(reader->at, '\n', reader->left);
	length = end ? (size_t)(end - reader->at) : reader->left;
	if (length > PASSWD_LINE_MAX)
		return refuse_line(reader, err, "a line that is too long");
	if (memchr(reader->at, '\0', length))
		return refuse_line(reader, err, "a NUL in it");
	memcpy(reader->line, reader->at, length);
	reader->line[length] = '\0';
	reader->at += length + (end != NULL);
	reader->left -= length + (end != NULL);
	return 1;
}

/* The next entry, in exactly `count` fields. Blank lines, comments and NIS lines are none. */
static int next_entry(struct reader *reader, size_t count, struct err *err)
{
	char *rest;
	int got;

	do
		got = next_line(reader, err);
	while (got == 1 && (!reader->line[strspn(reader->line, " \t")] ||
			    strchr("#+-", reader->line[0])));
	if (got != 1)
		return got;
	rest = reader->line;
	for (size_t i = 0; i < count; i++) {
		reader->fields[i] = strsep(&rest, ":");
		if (!reader->fields[i])
			return refuse_line(reader, err, "too few fields");
	}
	if (rest)
		return refuse_line(reader, err, "too many fields");
	return 1;
}

static int id_field(const struct reader *reader, size_t field, uint32_t *ret,
		    struct err *err)
{
	if (!parse_id(reader->fields[field], ret))
		return refuse_line(reader, err, "a malformed number");
	return 0;
}

static bool all_digits(const char *text)
{
	return *text && !text[strspn(text, "0123456789")];
}

/* Whatever could be a number in another reader's eyes (-1, +0, 0x0, " 0") is no name here. */
static bool is_name(const char *text)
{
	static const char first[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
				   "0123456789.@-$";

	return *text && strchr(first, *text) && !text[strspn(text, rest)] &&
	       strlen(text) <= PASSWD_NAME_MAX;
}

static bool is_home(const char *text)
{
	if (text[0] != '/')
		return false;
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

/* What a passwd entry gives. */
struct user {
	uint32_t uid, gid;
	char *name;	/* owned; NULL: no entry, or a name not to be trusted */
	char *home;	/* owned; NULL: none */
};

static void user_done(struct user *user)
{
	free(user->name);
	free(user->home);
}

static int take_user(const struct reader *reader, struct user *ret, struct err *err)
{
	const char *name = reader->fields[0], *home = reader->fields[5];

	if (*home && !is_home(home))
		return refuse_line(reader, err,
				   "the home folder is not an absolute path");
	ret->name = is_name(name) ? xstrdup(name) : NULL;
	ret->home = *home ? xstrdup(home) : NULL;
	return 0;
}

/*
 * The first entry of `name`, or of ret->uid when name is NULL. Reads on to the end: a file
 * that is malformed anywhere is refused whoever is looked for. 1, 0, -1.
 */
static int find_user(const struct passwd_text *passwd, const char *name, struct user *ret,
		     struct err *err)
{
	struct reader reader = { .file = "/etc/passwd",
				 .at = passwd->text,
				 .left = passwd->size };
	bool found = false;
	int got;

	while ((got = next_entry(&reader, PASSWD_FIELDS, err)) == 1) {
		uint32_t uid, gid;

		if (id_field(&reader, 2, &uid, err) < 0 ||
		    id_field(&reader, 3, &gid, err) < 0)
			return -1;
		if (found ||
		    (name ? strcmp(reader.fields[0], name) != 0 : uid != ret->uid))
			continue;
		if (take_user(&reader, ret, err) < 0)
			return -1;
		ret->uid = uid;
		ret->gid = gid;
		found = true;
	}
	return got < 0 ? -1 : found;
}

static bool lists_member(char *members, const char *name)
{
	char *member;

	while ((member = strsep(&members, ",")))
		if (!strcmp(member, name))
			return true;
	return false;
}

/* The gid of the group `name`: 1, 0, -1. */
static int find_group(const struct passwd_text *group, const char *name, uint32_t *ret,
		      struct err *err)
{
	struct reader reader = { .file = "/etc/group",
				 .at = group->text,
				 .left = group->size };
	bool found = false;
	int got;

	while ((got = next_entry(&reader, GROUP_FIELDS, err)) == 1) {
		uint32_t gid;

		if (id_field(&reader, 2, &gid, err) < 0)
			return -1;
		if (found || strcmp(reader.fields[0], name) != 0)
			continue;
		*ret = gid;
		found = true;
	}
	return got < 0 ? -1 : found;
}

static bool has_group(const struct identity *identity, uint32_t gid)
{
	for (uint32_t i = 0; i < identity->group_count; i++)
		if (identity->groups[i] == gid)
			return true;
	return gid == identity->gid;
}

/* Adds the groups that list `name` as a member. */
static int add_groups(const struct passwd_text *group, const char *name,
		      struct identity *identity, struct err *err)
{
	struct reader reader = { .file = "/etc/group",
				 .at = group->text,
				 .left = group->size };
	int got;

	while ((got = next_entry(&reader, GROUP_FIELDS, err)) == 1) {
		uint32_t gid;

		if (id_field(&reader, 2, &gid, err) < 0)
			return -1;
		if (!lists_member(reader.fields[3], name) || has_group(identity, gid))
			continue;
		if (identity->group_count == JOB_GROUPS_MAX)
			return refuse_line(&reader, err,
					   "the user is in too many groups");
		identity->groups[identity->group_count++] = gid;
	}
	return got;
}

static int no_such(const char *kind, const char *name, const char *file, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(name, SHOWN_MAX);

	err_set(err, ERR_JOB_USER, "find %s \"%s\": not in the image's %s", kind, shown,
		file);
	return err_mend(err, "name one that the image has, or give its number");
}

static int bad_name(const char *kind, const char *name, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(name, SHOWN_MAX);

	err_set(err, ERR_JOB_USER,
		"find %s \"%s\": neither a name nor a number from 0 to 4294967293", kind,
		shown);
	return err_mend(
		err, "user: takes USER or USER:GROUP, each a name or a decimal number");
}

static int resolve_user(const char *name, const struct passwd_text *passwd,
			struct user *ret, struct err *err)
{
	bool number = all_digits(name);
	int found;

	if (number ? !parse_id(name, &ret->uid) : !is_name(name))
		return bad_name("user", name, err);
	if (!passwd->text && !strcmp(name, "root"))
		return 0;
	found = passwd->text ? find_user(passwd, number ? NULL : name, ret, err) : 0;
	if (found < 0)
		return -1;
	if (!found && !number)
		return no_such("user", name, "/etc/passwd", err);
	return 0;
}

static int resolve_group(const char *name, const struct passwd_text *group, uint32_t *ret,
			 struct err *err)
{
	int found;

	if (all_digits(name))
		return parse_id(name, ret) ? 0 : bad_name("group", name, err);
	if (!is_name(name))
		return bad_name("group", name, err);
	found = group->text ? find_group(group, name, ret, err) : 0;
	if (found == 0)
		return no_such("group", name, "/etc/group", err);
	return found < 0 ? -1 : 0;
}

int passwd_identity(const char *user, const struct passwd_text *passwd,
		    const struct passwd_text *group, struct identity *ret,
		    struct err *err)
{
	_cleanup_free_ char *copy = xstrdup(user && *user ? user : "0");
	_cleanup_(user_done) struct user entry = { 0 };
	struct identity identity = { 0 };
	char *group_name = copy;
	const char *user_name = strsep(&group_name, ":");

	if (resolve_user(user_name, passwd, &entry, err) < 0)
		return -1;
	identity.uid = entry.uid;
	identity.gid = entry.gid;
	if (group_name && resolve_group(group_name, group, &identity.gid, err) < 0)
		return -1;
	if (!group_name && entry.name && group->text &&
	    add_groups(group, entry.name, &identity, err) < 0)
		return -1;
	identity.home = entry.home ? TAKE_PTR(entry.home) : xstrdup("/");
	identity.name = TAKE_PTR(entry.name);
	*ret = identity;
	return 0;
}
