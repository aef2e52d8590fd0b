/* The main of a unit test: its cases, in a table. */
#ifndef DUET_TESTS_UNIT_H
#define DUET_TESTS_UNIT_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

struct unit_case {
	const TTest *test;	/* what START_TEST names */
	int count;		/* how often, with _i from 0 on */
};

struct unit {
	const char *name;
	int timeout_s;		/* of each case; 0: Check's own */
	bool takes_root;	/* skipped without */
	void (*setup)(void), (*teardown)(void);	/* around each case; NULL: none */
};

/* What main returns: 0, 1 when a case failed, 77 when the test was skipped. */
static inline int unit_run(const struct unit *unit, const struct unit_case *cases, size_t count)
{
	Suite *suite = suite_create(unit->name);
	TCase *tcase = tcase_create(unit->name);
	SRunner *runner = srunner_create(suite);
	int failed;

	if (unit->takes_root && geteuid() != 0)
		return 77;
	if (unit->setup)
		tcase_add_checked_fixture(tcase, unit->setup, unit->teardown);
	if (unit->timeout_s > 0)
		tcase_set_timeout(tcase, unit->timeout_s);
	for (size_t i = 0; i < count; i++)
		tcase_add_loop_test(tcase, cases[i].test, 0, cases[i].count);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
