/* core/plan: keys change with what they are of, and with nothing else. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/plan.h"
#include "core/str.h"
#include "tests/unit/unit.h"

#define STEPS 4		/* the source and three steps */
#define IMAGE STEPS	/* stands for the image's key */

#define SHA_A "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define SHA_B "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"

static const char *const base =
	"duet: 1\n"
	"name: web\n"
	"image:\n"
	"  from: {archive: ./root.tar}\n"
	"  steps:\n"
	"  - {archive: 'https://h/tool.tar', sha256: " SHA_A ", to: /opt, strip: 1}\n"
	"  - {copy: ./site, to: /srv/, owner: 33:33, mode: 0644}\n"
	"  - {copy: ./conf, to: /etc/conf}\n"
	"  config: {environment: {A: 1, B: 2}, user: www, workdir: /srv, entrypoint: [/e],\n"
	"    command: [c, d], labels: {l: m}}\n"
	"on: container\n"
	"target: {command: run}\n";

struct made {
	struct spec spec;
	struct plan plan;
};

static void made_done(struct made *made)
{
	plan_done(&made->plan);
	spec_done(&made->spec);
}

/* `changed`: the input whose digest is another one; -1: none. */
static void make(struct made *ret, const char *text, const char *file, const char *dir, int changed)
{
	struct digest digests[STEPS] = { 0 };
	struct plan_inputs inputs = { .digests = digests, .count = STEPS };
	_cleanup_(err_done) struct err err = { 0 };

	for (int i = 0; i < STEPS; i++) {
		char name[] = { 'i', (char)('0' + i), i == changed ? '!' : ' ' };

		digest_of(name, sizeof(name), &digests[i]);
	}
	digests[1] = (struct digest){ 0 };	/* the spec says it */
	ck_assert_msg(spec_parse(&ret->spec, file, dir, text, strlen(text), NULL, &err) == 0, "%s",
		      err.msg);
	ck_assert_msg(plan_make(&ret->plan, &ret->spec, &ret->spec.image, &inputs, NULL, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(ret->plan.step_count, STEPS);
}

/* `text` with the first `from` replaced. Owned. */
static char *replace(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	ck_assert_msg(at != NULL, "no \"%s\" in the spec", from);
	return xasprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

/* The keys of the steps below `first` are equal, from there on all differ, the image's too. */
static void check_changed_from(const struct plan *a, const struct plan *b, int first,
			       const char *what)
{
	for (int i = 0; i < STEPS; i++) {
		ck_assert_msg(digest_equal(&a->steps[i].key, &b->steps[i].key) == (i < first),
			      "%s: key of step %d", what, i);
		ck_assert_msg(digest_equal(&a->steps[i].own_key, &b->steps[i].own_key) ==
			      (i != first), "%s: own key of step %d", what, i);
	}
	ck_assert_msg(!digest_equal(&a->key, &b->key), "%s: key of the image", what);
}

static void check_same(const struct plan *a, const struct plan *b, const char *what)
{
	for (int i = 0; i < STEPS; i++) {
		ck_assert_msg(digest_equal(&a->steps[i].key, &b->steps[i].key), "%s", what);
		ck_assert_msg(digest_equal(&a->steps[i].own_key, &b->steps[i].own_key), "%s", what);
	}
	ck_assert_msg(digest_equal(&a->key, &b->key), "%s", what);
}

START_TEST(test_inputs)
{
	_cleanup_(made_done) struct made plain = { 0 };

	make(&plain, base, "duet.yaml", "/p", -1);
	for (int i = 0; i < STEPS; i++) {
		_cleanup_(made_done) struct made other = { 0 };

		if (i == 1)
			continue;
		make(&other, base, "duet.yaml", "/p", i);
		check_changed_from(&plain.plan, &other.plan, i, "input");
	}
}
END_TEST

START_TEST(test_fields)
{
	static const struct {
		int first;
		const char *from, *to;
	} cases[] = {
		{ 0, "{archive: ./root.tar}", "{directory: ./root}" },
		{ 1, SHA_A, SHA_B },
		{ 1, "to: /opt", "to: /usr" },
		{ 1, "strip: 1", "strip: 2" },
		{ 1, ", strip: 1", "" },
		{ 2, "to: /srv/", "to: /srv" },
		{ 2, "to: /srv/", "to: /data/" },
		{ 2, "./site", "./page" },	/* below a folder the name counts */
		{ 2, "33:33", "33:34" },
		{ 2, "33:33", "34:33" },
		{ 2, "mode: 0644", "mode: 0640" },
		{ 2, ", mode: 0644", "" },
		{ 3, "/etc/conf", "/etc/conf.d" },
		{ 3, "/etc/conf}", "/etc/conf, mode: 0}" },
		{ 3, "/etc/conf}", "/etc/conf, owner: 1}" },
		{ IMAGE, "A: 1, B: 2", "A: 1, B: 3" },
		{ IMAGE, "A: 1, B: 2", "A: 1" },
		{ IMAGE, "A: 1, B: 2", "A: '1B=2'" },
		{ IMAGE, "user: www", "user: web" },
		{ IMAGE, "workdir: /srv", "workdir: /" },
		{ IMAGE, "entrypoint: [/e],", "" },
		{ IMAGE, "[/e]", "[/e, c]" },
		{ IMAGE, "[c, d]", "[cd]" },
		{ IMAGE, "[c, d]", "[c, '', d]" },
		{ IMAGE, "[/e],\n    command: [c, d]", "[/e, c],\n    command: [d]" },
		{ IMAGE, "{l: m}", "{l: n}" },
	};
	_cleanup_(made_done) struct made plain = { 0 };

	make(&plain, base, "duet.yaml", "/p", -1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = replace(base, cases[i].from, cases[i].to);
		_cleanup_(made_done) struct made other = { 0 };

		make(&other, text, "duet.yaml", "/p", -1);
		check_changed_from(&plain.plan, &other.plan, cases[i].first, cases[i].to);
	}
}
END_TEST

START_TEST(test_not_in_keys)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{ "name: web", "name: other" },
		{ "./root.tar", "../elsewhere/r.tar" },
		{ "https://h/tool.tar", "https://mirror/x/tool-1.tar" },
		{ "./site", "../deep/site" },	/* another folder, the same name */
		{ "./conf", "./settings" },	/* not below a folder: the name is given by `to` */
		{ "to: /opt", "to: //opt/./" },
		{ "mode: 0644", "mode: 644" },
		{ "on: container", "on: vm" },
		{ "command: run", "command: other" },
		{ "/etc/conf}", "/etc/conf, owner: 0:0}" },
		{ "name: web\n", "# a comment\nname: web\n\n" },
	};
	_cleanup_(made_done) struct made plain = { 0 }, again = { 0 }, moved = { 0 };

	make(&plain, base, "duet.yaml", "/p", -1);
	make(&again, base, "duet.yaml", "/p", -1);
	check_same(&plain.plan, &again.plan, "nothing");
	make(&moved, base, "other.yaml", "/home/somebody/else", -1);
	check_same(&plain.plan, &moved.plan, "folder and file name");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = replace(base, cases[i].from, cases[i].to);
		_cleanup_(made_done) struct made other = { 0 };

		make(&other, text, "duet.yaml", "/p", -1);
		check_same(&plain.plan, &other.plan, cases[i].to);
	}
}
END_TEST

/* Steps in another order: each layer is the same by itself, the keys are not. */
START_TEST(test_order)
{
	static const char one[] = "duet: 1\nname: a\nimage: {from: scratch, steps: ["
				  "{copy: a, to: /a}, {copy: b, to: /b}]}\n";
	static const char two[] = "duet: 1\nname: a\nimage: {from: scratch, steps: ["
				  "{copy: b, to: /b}, {copy: a, to: /a}]}\n";
	struct digest digests[3] = { 0 }, swapped[3] = { 0 };
	_cleanup_(made_done) struct made a = { 0 }, b = { 0 };
	_cleanup_(err_done) struct err err = { 0 };

	digest_of("a", 1, &digests[1]);
	digest_of("b", 1, &digests[2]);
	swapped[1] = digests[2];
	swapped[2] = digests[1];
	ck_assert_int_eq(spec_parse(&a.spec, "f", "/p", one, strlen(one), NULL, &err), 0);
	ck_assert_int_eq(spec_parse(&b.spec, "f", "/p", two, strlen(two), NULL, &err), 0);
	ck_assert_int_eq(plan_make(&a.plan, &a.spec, &a.spec.image, &(struct plan_inputs){ .digests = digests, .count = 3 }, NULL, &err), 0);
	ck_assert_int_eq(plan_make(&b.plan, &b.spec, &b.spec.image, &(struct plan_inputs){ .digests = swapped, .count = 3 }, NULL, &err), 0);
	ck_assert_uint_eq(a.plan.step_count, 2);
	ck_assert(digest_equal(&a.plan.steps[0].own_key, &b.plan.steps[1].own_key));
	ck_assert(digest_equal(&a.plan.steps[1].own_key, &b.plan.steps[0].own_key));
	ck_assert(!digest_equal(&a.plan.steps[0].key, &b.plan.steps[1].key));
	ck_assert(!digest_equal(&a.plan.key, &b.plan.key));
}
END_TEST

START_TEST(test_refused)
{
	struct digest digests[STEPS] = { 0 };
	_cleanup_(spec_done) struct spec spec = { 0 };
	_cleanup_(plan_done) struct plan plan = { 0 };
	_cleanup_(err_done) struct err err = { 0 };

	ck_assert_int_eq(spec_parse(&spec, "f", "/p", base, strlen(base), NULL, &err), 0);
	/* too few; one that nobody looked up; one that is not what the spec says */
	ck_assert_int_eq(plan_make(&plan, &spec, &spec.image, &(struct plan_inputs){ .digests = digests, .count = 2 }, NULL, &err), -1);
	ck_assert_int_eq(plan_make(&plan, &spec, &spec.image, &(struct plan_inputs){ .digests = digests, .count = STEPS }, NULL, &err), -1);
	ck_assert_int_eq(err.code, ERR_SPEC_MISSING);
	ck_assert_str_eq(err.place, "f:4:9");
	for (int i = 0; i < STEPS; i++)
		digest_of("x", 1, &digests[i]);
	ck_assert_int_eq(plan_make(&plan, &spec, &spec.image, &(struct plan_inputs){ .digests = digests, .count = STEPS }, NULL, &err), -1);
	ck_assert_int_eq(err.code, ERR_FETCH_DIGEST);
	ck_assert_str_eq(err.place, "f:6:5");
	ck_assert_ptr_null(plan.steps);
}
END_TEST

START_TEST(test_text)
{
	static const char text[] =
		"duet: 1\nname: web\nimage: {from: {directory: 'a\x1b" "b'}}\non: [container, vm]\n";
	static const char good[] =
		"duet: 1\nname: web\nimage: {from: {directory: \"a\\eb\"}}\non: [container, vm]\n"
		"target: {mounts: ['./in:/in', '/etc:/etc2:ro']}\n";
	struct digest digest = { { 1 } };
	_cleanup_(made_done) struct made made = { 0 };
	_cleanup_(err_done) struct err err = { 0 };
	_cleanup_free_ char *shown = NULL;

	ck_assert_int_eq(spec_parse(&made.spec, "f", "/p", text, strlen(text), NULL, &err), -1);
	ck_assert_int_eq(spec_parse(&made.spec, "f", "/p", good, strlen(good), NULL, &err), 0);
	ck_assert_int_eq(plan_make(&made.plan, &made.spec, &made.spec.image, &(struct plan_inputs){ .digests = &digest, .count = 1 }, NULL, &err),
			 0);
	shown = plan_text(&(struct plans){ .image = made.plan }, &made.spec);
	ck_assert(str_has_prefix(shown, "plan of web\n    1  "));
	ck_assert_ptr_nonnull(strstr(shown, "  directory a\\x1bb\n"));
	ck_assert_ptr_nonnull(strstr(shown, "\non     container vm\n"));
	ck_assert_ptr_nonnull(strstr(shown, "  mount /etc at /etc2, read-only\n"));
	ck_assert_ptr_null(strstr(shown, "/p/in"));
	ck_assert_ptr_null(strchr(shown, '\x1b'));
}
END_TEST

/* What a run step's key is of: `from` in the spec replaced, other rules, another chain or time. */
static void run_key(const char *from, const char *to, const char *rules, const char *chain,
		    int64_t time_s, struct digest *ret)
{
	static const char text[] = "duet: 1\nname: web\nimage:\n  from: {directory: a}\n"
				   "  platform: linux/amd64\n"
				   "  steps: [{run: echo, network: none, secrets: [s], cache: [/c],\n"
				   "    environment: {E: 1}, user: u, workdir: /w}]\n"
				   "secrets: {s: {env: A}, t: {env: A}}\n";
	_cleanup_free_ char *changed = replace(text, from, to);
	struct digest digests[2] = { { { 1 } } }, below;
	_cleanup_(made_done) struct made made = { 0 };
	_cleanup_(err_done) struct err err = { 0 };

	ck_assert_msg(spec_parse(&made.spec, "f", "/p", changed, strlen(changed), NULL, &err) == 0,
		      "%s", err.msg);
	ck_assert_int_eq(plan_make(&made.plan, &made.spec, &made.spec.image,
				   &(struct plan_inputs){ .digests = digests, .count = 2, .rules = rules }, NULL, &err), 0);
	digest_of(chain, strlen(chain), &below);
	plan_layer_key(&(struct plan_made){ .step = &made.plan.steps[1], .rules = rules,
					    .chain = &below, .time_s = time_s }, ret);
}

START_TEST(test_run_key)
{
	static const struct {
		const char *from, *to, *rules, *chain;
		int64_t time_s;
	} rows[] = {
		{ "echo", "true", "r", "c", 1 },	{ "network: none", "network: nat", "r", "c", 1 },
		{ "amd64", "arm64", "r", "c", 1 },	{ "secrets: [s]", "secrets: [t]", "r", "c", 1 },
		{ "/c", "/d", "r", "c", 1 },		{ "web", "web", "R", "c", 1 },
		{ "E: 1", "E: 2", "r", "c", 1 },	{ "user: u", "user: v", "r", "c", 1 },
		{ "workdir: /w", "workdir: /x", "r", "c", 1 },
		{ "web", "web", "r", "C", 1 },		{ "web", "web", "r", "c", 2 },
	};
	struct digest plain, same, other;
	char hex[DIGEST_HEX_SIZE];

	run_key("web", "web", "r", "c", 1, &plain);
	run_key("web", "net", "r", "c", 1, &same);
	ck_assert(digest_equal(&plain, &same));
	/* whose a cache is, is not in it: what is built already stays */
	run_key("[/c]", "[{path: /c, share: x}]", "r", "c", 1, &same);
	ck_assert(digest_equal(&plain, &same));
	digest_hex(&plain, hex);
	ck_assert_str_eq(hex, "f970020c5d2c27d8038270c38a905019673a7db1012764661212ad0a797bdd4b");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		run_key(rows[i].from, rows[i].to, rows[i].rules, rows[i].chain, rows[i].time_s,
			&other);
		ck_assert_msg(!digest_equal(&plain, &other), "row %zu", i);
	}
}
END_TEST

/* The own key of the step of an image that copies or runs, where `first` is another image. */
static void step_key(const char *step, bool one_id, struct digest *ret)
{
	_cleanup_free_ char *text = xasprintf("duet: 1\nname: web\nimages: {first: {from: scratch}}\n"
					      "image: {from: scratch, steps: [%s]}\n", step);
	struct digest digests[2] = { { { 1 } }, { { 1 } } };
	_cleanup_(made_done) struct made made = { 0 };
	_cleanup_(err_done) struct err err = { 0 };
	struct plan_inputs inputs = { .digests = digests, .count = 1, .one_id = one_id };
	struct plan stage;

	ck_assert_msg(spec_parse(&made.spec, "f", "/p", text, strlen(text), NULL, &err) == 0, "%s",
		      err.msg);
	ck_assert_int_eq(plan_make(&stage, &made.spec, &made.spec.stages[0], &inputs, NULL, &err), 0);
	inputs.count = 2;
	ck_assert_int_eq(plan_make(&made.plan, &made.spec, &made.spec.image, &inputs, &stage, &err), 0);
	*ret = made.plan.steps[0].own_key;
	plan_done(&stage);
}

/* In single-uid mode owners of images are lost: what is taken out of one has others. */
START_TEST(test_one_id)
{
	static const struct {
		const char *step;
		bool differs;
	} rows[] = {
		{ "{copy: /d, from: first, to: /d}", true },
		{ "{copy: /d, from: first, to: /d, owner: 1:1}", false },
		{ "{copy: ./d, to: /d}", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct digest one, many;

		step_key(rows[i].step, true, &one);
		step_key(rows[i].step, false, &many);
		ck_assert_msg(digest_equal(&one, &many) != rows[i].differs, "row %zu", i);
	}
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_inputs, 1 }, { test_fields, 1 }, { test_not_in_keys, 1 },
		{ test_order, 1 }, { test_refused, 1 }, { test_text, 1 }, { test_run_key, 1 },
		{ test_one_id, 1 },
	};
	const struct unit unit = { "plan" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
