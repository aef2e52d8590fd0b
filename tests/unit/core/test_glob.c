/* Patterns and the rules of a .duetignore. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/glob.h"
#include "core/mem.h"
#include "core/str.h"
#include "tests/unit/unit.h"

static const struct {
	const char *pattern, *name;
	bool matches, hidden;
} names[] = {
	{ "a", "a", true, false },	{ "a", "b", false, false },
	{ "*", "a", true, false },	{ "*", ".a", false, false },
	{ "*", ".a", true, true },	{ ".*", ".a", true, false },
	{ "?a", ".a", false, false },	{ "[.]a", ".a", false, false },
	{ "\\.a", ".a", true, false },	{ "*.c", "x.c", true, false },
	{ "*.c", "x.cc", false, false }, { "a*b*c", "a1b2bc", true, false },
	{ "a*b*c", "a1b2b", false, false }, { "?", "\u00e4", true, false },
	{ "??", "\u00e4", false, false }, { "?", "\xe4", true, false },
	{ "[a-c]", "b", true, false },	{ "[a-c]", "d", false, false },
	{ "[!a-c]", "d", true, false },	{ "[^a-c]", "b", false, false },
	{ "[]]", "]", true, false },	{ "[!]]", "]", false, false },
	{ "[a-]", "-", true, false },	{ "[\\]]", "]", true, false },
	{ "[\u00e0-\u00f0]", "\u00e4", true, false },
	{ "[a", "[a", true, false },	{ "[a", "a", false, false },
	{ "\\*", "*", true, false },	{ "\\*", "a", false, false },
	{ "a\\", "a\\", true, false },	{ "**", "abc", true, false },
	{ "", "", true, false },	{ "", "a", false, false },
	{ "*", "", true, false },	{ "a*", "a", true, false },
	{ "*a", "aaab", false, false },
};

START_TEST(name)
{
	ck_assert_msg(glob_match_name(names[_i].pattern, strlen(names[_i].pattern), names[_i].name,
				      names[_i].hidden) == names[_i].matches,
		      "%s against %s", names[_i].pattern, names[_i].name);
}
END_TEST

static const struct {
	const char *pattern, *path;
	enum glob_match match;
} paths[] = {
	{ "a", "a", GLOB_ITSELF },	{ "a", "a/b", GLOB_BELOW },
	{ "a", "b/a", GLOB_NO },	{ "**/a", "a", GLOB_ITSELF },
	{ "**/a", "x/y/a", GLOB_ITSELF }, { "**/a", "x/a/y", GLOB_BELOW },
	{ "**/a", "x/ab", GLOB_NO },	{ "a/**", "a", GLOB_NO },
	{ "a/**", "a/b", GLOB_ITSELF },	{ "a/**", "a/b/c", GLOB_BELOW },
	{ "a/**/z", "a/z", GLOB_ITSELF }, { "a/**/z", "a/b/c/z", GLOB_ITSELF },
	{ "a/**/b/**/c", "a/b/b/x/c", GLOB_ITSELF }, { "a/**/b/**/c", "a/c/x/b", GLOB_NO },
	{ "*.c", "d/x.c", GLOB_NO },	{ "d/*.c", "d/x.c", GLOB_ITSELF },
	{ "a?b", "a/b", GLOB_NO },	{ "*", ".git", GLOB_ITSELF },
	{ "**", "x/.y", GLOB_BELOW },	{ "**/x/b", "x/x/b", GLOB_ITSELF },
	{ "a/b", "a", GLOB_NO },
};

START_TEST(path)
{
	ck_assert_msg(glob_match(paths[_i].pattern, paths[_i].path) == paths[_i].match,
		      "%s against %s", paths[_i].pattern, paths[_i].path);
}
END_TEST

/* Stars that would have to be tried in every way: a match takes pattern times text. */
START_TEST(time)
{
	_cleanup_(str_done) struct str pattern = { 0 }, text = { 0 }, deep = { 0 };

	for (int i = 0; i < 40; i++) {
		str_add(&pattern, "*a");
		str_add(&text, "aaaaaa");
		str_add(&deep, "a/");
	}
	str_add(&pattern, "b");
	ck_assert(!glob_match_name(pattern.text, pattern.length, text.text, true));
	str_add(&deep, "c");
	ck_assert_int_eq(glob_match("**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/b", deep.text), GLOB_NO);
}
END_TEST

static const struct {
	const char *rules, *path;
	bool folder, ignored;
} lines[] = {
	{ "a", "a", false, true },
	{ "a\n!a", "a", false, false },
	{ "!a\na", "a", false, true },
	{ "# a\n\n  \n", "a", false, false },
	{ "  a  \r\n", "a", false, true },
	{ "/a", "a", false, true },
	{ "./a//b", "a/b", false, true },
	{ "a/", "a", false, false },
	{ "a/", "a", true, true },
	{ "a/", "a/b", false, true },
	{ "*\n!keep", "keep/x", false, false },
	{ "*\n!keep/x", "keep/y", false, true },
	{ "**/*.o\n!lib/*.o", "lib/a.o", false, false },
	{ "**/*.o\n!lib/*.o", "lib/b/a.o", false, true },
	{ "\xef\xbb\xbf" "a", "a", false, true },
	{ "\\#a", "#a", false, true },
	{ ".\n/\n", "a", false, false },
};

START_TEST(rules)
{
	struct ignore ignore;
	struct err err = { 0 };
	bool ignored = false;

	ck_assert_int_eq(ignore_parse(&ignore, "f", lines[_i].rules, strlen(lines[_i].rules), &err), 0);
	ignore_apply(&ignore, lines[_i].path, lines[_i].folder, &ignored);
	ck_assert_msg(ignored == lines[_i].ignored, "%s: %s", lines[_i].rules, lines[_i].path);
	ignore_done(&ignore);
}
END_TEST

START_TEST(refused)
{
	_cleanup_(str_done) struct str many = { 0 };
	struct ignore ignore;
	struct err err = { 0 };

	ck_assert_int_eq(ignore_parse(&ignore, "f", "a\n!x/../b", 9, &err), -1);
	ck_assert_int_eq(err.code, ERR_SPEC_VALUE);
	ck_assert_str_eq(err.place, "f:2:1");
	err_done(&err);
	ck_assert_int_eq(ignore_parse(&ignore, "f", "a\0b", 3, &err), -1);
	err_done(&err);
	for (int i = 0; i <= IGNORE_RULES_MAX; i++)
		str_add(&many, "a\n");
	ck_assert_int_eq(ignore_parse(&ignore, "f", many.text, many.length, &err), -1);
	ck_assert_int_eq(err.code, ERR_SPEC_LIMIT);
	err_done(&err);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ name, ARRAY_SIZE(names) }, { path, ARRAY_SIZE(paths) }, { time, 1 },
		{ rules, ARRAY_SIZE(lines) }, { refused, 1 },
	};
	const struct unit unit = { "glob" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
