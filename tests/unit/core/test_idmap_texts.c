/* Id maps as texts: /etc/subuid, /proc/PID/uid_map, and the numbers of the host that ids inside stand for. */
#include <check.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "core/jail/idmap.h"
#include "core/mem.h"
#include "tests/unit/unit.h"

START_TEST(test_subids)
{
	static const char text[] = "# comment\n"
				   "ann:100000:65536\n"
				   "bob:165536:65536\n"
				   "ann:300000:1000\n"
				   "1000:400000:10";	/* no end of line */
	struct idmap_extent got[4] = { 0 };

	ck_assert_uint_eq(idmap_parse_subids(text, "ann", 1000, got, 4), 3);
	ck_assert_uint_eq(got[0].inside, 1);
	ck_assert_uint_eq(got[0].outside, 100000);
	ck_assert_uint_eq(got[0].count, 65536);
	ck_assert_uint_eq(got[1].inside, 65537);
	ck_assert_uint_eq(got[1].outside, 300000);
	ck_assert_uint_eq(got[2].inside, 66537);
	ck_assert_uint_eq(got[2].outside, 400000);
	ck_assert_uint_eq(idmap_parse_subids(text, "ann", 1000, got, 2), 2);
	ck_assert_uint_eq(idmap_parse_subids(text, NULL, 1000, got, 4), 1);
	ck_assert_uint_eq(idmap_parse_subids(text, "an", 1001, got, 4), 0);
	ck_assert_uint_eq(idmap_parse_subids("", "ann", 1000, got, 4), 0);
	/* digits are an id, never a name */
	ck_assert_uint_eq(idmap_parse_subids(text, "1000", 1001, got, 4), 0);
}
END_TEST

START_TEST(test_subids_malformed)
{
	static const char *const lines[] = {
		"ann",
		"ann:",
		"ann:1",
		"ann:100000:",
		"ann::65536",
		"ann:100000:0",
		"ann:0:65536",			/* the host's root */
		"ann:-1:65536",
		"ann:+100000:65536",
		"ann: 100000:65536",
		"ann:100000:65536 ",
		"ann:100000:65536:",
		"ann:0x186a0:65536",
		"ann:100000:4294967296",
		"ann:4294967296:1",
		"ann:4294967295:1",		/* the id that means none */
		"ann:4294967000:1000",
		"ann:1:4294967295",
		"ann:99999999999999999999:1",
		"01000:100000:65536",
		"1000 :100000:65536",
	};
	struct idmap_extent got[2];

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		_cleanup_free_ char *text = xasprintf("%s\nann:200000:5\n", lines[i]);

		ck_assert_msg(idmap_parse_subids(text, "ann", 1000, got, 2) == 1, "%s",
			      lines[i]);
		ck_assert_uint_eq(got[0].outside, 200000);
	}
	/* the highest range there can be */
	ck_assert_uint_eq(idmap_parse_subids("ann:4294967293:1", "ann", 1000, got, 2), 1);
	/* overlaps: the kernel would refuse the whole map */
	ck_assert_uint_eq(
	    idmap_parse_subids("ann:1000:10\nann:1009:1\nann:999:2\nann:1010:1\n", "ann",
			       5, got, 2),
	    2);
	ck_assert_uint_eq(got[1].outside, 1010);
	ck_assert_uint_eq(got[1].inside, 11);
}
END_TEST

START_TEST(test_own_map)
{
	struct idmap_extent got[4];

	ck_assert_uint_eq(idmap_parse_map("         0          0 4294967295\n", got, 4),
			  1);
	ck_assert_uint_eq(got[0].count, 4294967295u);
	ck_assert_uint_eq(idmap_parse_map("0 1000 1\n1 100000 65536\n", got, 4), 2);
	ck_assert_uint_eq(got[1].inside, 1);
	ck_assert_uint_eq(got[1].outside, 100000);
	ck_assert_uint_eq(idmap_parse_map("", got, 4), 0);
	ck_assert_uint_eq(idmap_parse_map("0 0\n", got, 4), 0);
	ck_assert_uint_eq(idmap_parse_map("0 0 1 x\n", got, 4), 0);
	ck_assert_uint_eq(idmap_parse_map("0 0 5000000000\n", got, 4), 0);
	ck_assert_uint_eq(idmap_parse_map("4294967295 0 2\n", got, 4), 0);
}
END_TEST

START_TEST(test_outside)
{
	const struct idmap map = {
		.uids = { { 0, 1000, 1 }, { 1, 100000, 65536 } }, .uid_extents = 2,
		.gids = { { 0, 100, 1 } }, .gid_extents = 1,
	};
	char *text = idmap_text(map.uids, map.uid_extents);
	uint32_t id = 42;

	ck_assert_str_eq(text, "0 1000 1\n1 100000 65536\n");
	free(text);
	ck_assert(idmap_uid_outside(&map, 0, &id) && id == 1000);
	ck_assert(idmap_uid_outside(&map, 1, &id) && id == 100000);
	ck_assert(idmap_uid_outside(&map, 65536, &id) && id == 165535);
	ck_assert(!idmap_uid_outside(&map, 65537, &id) && id == 165535);
	ck_assert(idmap_gid_outside(&map, 0, &id) && id == 100);
	ck_assert(!idmap_gid_outside(&map, 1, &id));
	ck_assert(!idmap_uid_outside(&map, UINT32_MAX, &id));
}
END_TEST

/* The id inside that an id of the disk stands for: by the extents, and by the rule. */
static void check_bind(uint32_t owner, uint32_t job, bool with_root)
{
	static const uint32_t some[] = { 0, 1, 2, 33, 999, 1000, 1001, 65534, 65535, 65536, 100000 };
	struct idmap map = { .kind = IDMAP_RANGE };

	map.uid_extents = idmap_bind(owner, job, with_root, map.uids);
	ck_assert_uint_le(map.uid_extents, IDMAP_EXTENTS_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		uint32_t disk = some[i], is, wanted = disk, back;
		bool there = disk < IDMAP_COUNT && (disk != 0 || with_root);

		if (disk == owner) {
			wanted = job;
			there = true;
		} else if (disk == job) {
			wanted = owner;
			there = there && owner < IDMAP_COUNT;
		}
		ck_assert_msg(idmap_uid_outside(&map, disk, &is) == there, "%u of %u, %u", disk, owner,
			      job);
		if (!there)
			continue;
		ck_assert_uint_eq(is, IDMAP_ROOT_BASE + wanted);
		/* nobody else has it: the kernel would refuse such a map */
		ck_assert(idmap_uid_inside(&map, is, &back) && back == disk);
	}
}

START_TEST(test_bind)
{
	static const uint32_t owners[] = { 0, 1, 33, 1000, 65534, 65535, 65536, 100000, 4294967294u };
	static const uint32_t jobs[] = { 0, 1, 2, 33, 1000, 1001, 65535 };
	struct idmap_extent got[IDMAP_EXTENTS_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(owners); i++)
		for (size_t j = 0; j < ARRAY_SIZE(jobs); j++) {
			check_bind(owners[i], jobs[j], true);
			check_bind(owners[i], jobs[j], false);
		}
	/* one extent where nothing changes places would be enough; the kernel takes these too */
	ck_assert_uint_eq(idmap_bind(0, 0, true, got), 2);
	ck_assert_uint_eq(idmap_bind(1000, 33, false, got), 5);
}
END_TEST

START_TEST(test_leave_out)
{
	struct idmap_extent two[] = { { 0, 1000, 1 }, { 1, 100000, 65536 } };
	struct idmap_extent front[] = { { 0, 5000, 10 }, { 10, 9000, 5 } };
	struct idmap_extent only[] = { { 0, 1000, 1 } };
	uint32_t count = 2;

	/* the caller as root, ahead of its subuids: these move up */
	idmap_leave_out(two, &count, 1000);
	ck_assert_uint_eq(count, 1);
	ck_assert(two[0].inside == 0 && two[0].outside == 100000 && two[0].count == 65536);
	/* one of several of its extent */
	count = 2;
	idmap_leave_out(front, &count, 5000);
	ck_assert_uint_eq(count, 2);
	ck_assert(front[0].inside == 0 && front[0].outside == 5001 && front[0].count == 9);
	ck_assert(front[1].inside == 9 && front[1].outside == 9000 && front[1].count == 5);
	/* who is not in it */
	idmap_leave_out(front, &count, 1);
	ck_assert(count == 2 && front[0].count == 9 && front[1].inside == 9);
	/* the last id of all stays */
	count = 1;
	idmap_leave_out(only, &count, 1000);
	ck_assert(count == 1 && only[0].outside == 1000 && only[0].count == 1);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_subids, 1 }, { test_subids_malformed, 1 }, { test_own_map, 1 }, { test_outside, 1 },
		{ test_bind, 1 }, { test_leave_out, 1 },
	};
	const struct unit unit = { "idmap texts" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
