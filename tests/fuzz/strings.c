/* Small texts from everywhere: digests, numbers, names, paths, users, id maps, JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/digest.h"
#include "core/jail/idmap.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/parse.h"
#include "core/passwd.h"
#include "core/path.h"
#include "core/str.h"
#include "tests/fuzz/fuzz.h"

static void digests(struct fuzz_input *input)
{
	_cleanup_free_ char *text = fuzz_rest(input);
	char back[DIGEST_TEXT_SIZE];
	struct digest digest;

	if (digest_parse(text, &digest)) {
		digest_text(&digest, back);
		FUZZ_CHECK(!strcmp(text, back));
	}
	if (digest_parse_hex(text, &digest)) {
		digest_hex(&digest, back);
		FUZZ_CHECK(!strcmp(text, back));
	}
}

static void numbers(struct fuzz_input *input)
{
	_cleanup_free_ char *text = fuzz_rest(input);
	uint64_t value;
	uint32_t small;
	char back[32];

	if (parse_u64(text, &value)) {
		snprintf(back, sizeof(back), "%" PRIu64, value);
		FUZZ_CHECK(!strcmp(text, back));
	}
	if (parse_id(text, &small)) {
		FUZZ_CHECK(small <= UINT32_MAX - 2);
		snprintf(back, sizeof(back), "%" PRIu32, small);
		FUZZ_CHECK(!strcmp(text, back));
	}
	FUZZ_CHECK(!parse_u32_max(text, 100, &small) || small <= 100);
	FUZZ_CHECK(!parse_mode(text, &small) || small <= 07777);
	(void)parse_size(text, &value);
	FUZZ_CHECK(!parse_duration_ms(text, &value) ||
		   (value >= 1 && value <= 30ull * 24 * 3600 * 1000));
}

static void names(struct fuzz_input *input)
{
	static const char *const words[] = { "image", "target", "command", "environment", "", NULL };
	_cleanup_free_ char *text = fuzz_rest(input);

	if (parse_is_name(text) || parse_is_hostname(text)) {
		fuzz_check_shown(text);
		FUZZ_CHECK(strlen(text) <= 64 && !strchr(text, '/') && text[0] != '.');
	}
	FUZZ_CHECK(!parse_is_env_name(text) || !strchr(text, '='));
	(void)str_nearest(text, words);
}

static void escapes(struct fuzz_input *input)
{
	size_t max = fuzz_byte(input);
	_cleanup_free_ char *text = fuzz_rest(input), *shown = str_escape(text, max);

	fuzz_check_shown(shown);
	FUZZ_CHECK(strlen(shown) <= max + strlen("\\u{200b}") + strlen("..."));
}

static void users(struct fuzz_input *input)
{
	_cleanup_free_ char *user = fuzz_word(input);
	struct fuzz_input first = fuzz_part(input, fuzz_short(input));
	struct passwd_text passwd = { (const char *)first.at, first.left };
	struct passwd_text group = { (const char *)input->at, input->left };
	_cleanup_(identity_done) struct identity identity = { 0 };
	struct err err = { 0 };
	int result;

	if (passwd.size == 0)
		passwd.text = NULL;
	if (group.size == 0)
		group.text = NULL;
	result = passwd_identity(user, &passwd, &group, &identity, &err);
	fuzz_check_err(&err, result);
	if (result < 0)
		return;
	FUZZ_CHECK(identity.home && identity.home[0] == '/');
	FUZZ_CHECK(identity.uid <= UINT32_MAX - 2 && identity.gid <= UINT32_MAX - 2);
	FUZZ_CHECK(identity.group_count <= JOB_GROUPS_MAX);
}

static void paths(struct fuzz_input *input)
{
	_cleanup_free_ char *text = fuzz_word(input), *other = fuzz_rest(input);
	_cleanup_free_ char *joined = path_join(text, other);
	char clean[PATH_LENGTH_MAX + 1], again[PATH_LENGTH_MAX + 1];

	FUZZ_CHECK(joined);
	(void)path_is_below(text, other);
	FUZZ_CHECK(!strchr(path_base(text), '/'));
	if (!path_clean(text, clean))
		return;
	FUZZ_CHECK(clean[0] != '/' && !strstr(clean, "//") && !strstr(clean, "/../") &&
		   strcmp(clean, "..") && strncmp(clean, "../", 3) && !str_has_suffix(clean, "/.."));
	FUZZ_CHECK(path_clean(clean, again) && !strcmp(clean, again));
}

static void check_apart(const struct idmap_extent *list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		FUZZ_CHECK(list[i].count > 0 &&
			   (uint64_t)list[i].outside + list[i].count <= UINT64_C(1) << 32 &&
			   (uint64_t)list[i].inside + list[i].count <= UINT64_C(1) << 32);
		for (uint32_t j = 0; j < i; j++)
			FUZZ_CHECK((uint64_t)list[i].inside >=
					   (uint64_t)list[j].inside + list[j].count ||
				   (uint64_t)list[j].inside >=
					   (uint64_t)list[i].inside + list[i].count);
	}
}

static void id_maps(struct fuzz_input *input)
{
	struct idmap_extent list[IDMAP_EXTENTS_MAX];
	_cleanup_free_ char *name = fuzz_word(input), *text = fuzz_rest(input);
	uint32_t count = idmap_parse_subids(text, *name ? name : NULL, 1000, list, IDMAP_EXTENTS_MAX);

	FUZZ_CHECK(count <= IDMAP_EXTENTS_MAX);
	check_apart(list, count);
	for (uint32_t i = 0; i < count; i++)
		FUZZ_CHECK(list[i].outside > 0);
	count = idmap_parse_map(text, list, IDMAP_EXTENTS_MAX);
	FUZZ_CHECK(count <= IDMAP_EXTENTS_MAX);
	for (uint32_t i = 0; i < count; i++)
		FUZZ_CHECK(list[i].count > 0);
}

static void json(struct fuzz_input *input)
{
	_cleanup_free_ char *path = fuzz_word(input), *found = NULL, *text = NULL, *written = NULL;
	struct json_out out = { 0 };

	(void)json_look((const char *)input->at, input->left, path, &found);
	text = fuzz_rest(input);
	json_out_init(&out);
	json_out_text(&out, "key", text);
	written = json_out_finish(&out);
	free(found);
	found = NULL;
	FUZZ_CHECK(json_look(written, strlen(written), "key", &found) && found);
	FUZZ_CHECK(!str_is_utf8(text, strlen(text)) || !strcmp(found, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct fuzz_input *) = { digests, numbers, names, escapes,
							       users,	paths,	 id_maps, json };
	struct fuzz_input input = { data, size };

	kinds[fuzz_byte(&input) % ARRAY_SIZE(kinds)](&input);
	return 0;
}
