/*
 * tests/golden/filter/ARCH.txt: what each filter answers to each system call, by number.
 * Columns: number, name (for the reader), job for the native ABI, i386 and x32,
 * job-single, unpack, fetch, qemu, no-setid. A cell is allow, kill or the errno; "A|B" where A is for
 * arguments of all ones and B for zeroes.
 */
#ifndef DUET_TESTS_FILTER_GOLDEN_H
#define DUET_TESTS_FILTER_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>

#define GOLDEN_CALLS 512
enum golden_column {
	GOLDEN_JOB, GOLDEN_I386, GOLDEN_X32, GOLDEN_SINGLE, GOLDEN_UNPACK, GOLDEN_FETCH,
	GOLDEN_QEMU, GOLDEN_NO_SETID, GOLDEN_COLUMNS
};

struct golden_row {
	char name[40];
	char cells[GOLDEN_COLUMNS][40];
};

/* Reads rows 0..511; returns how many there are. */
static inline int golden_read(struct golden_row rows[GOLDEN_CALLS])
{
	const char *source = getenv("srcdir");
	char path[4096], line[256];
	int count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/tests/golden/filter/x86_64.txt",
		 source ? source : ".");
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (count < GOLDEN_CALLS && fgets(line, sizeof(line), file)) {
		struct golden_row *row = &rows[count];
		int number;

		if (line[0] == '#')
			continue;
		if (sscanf(line, "%d %39s %39s %39s %39s %39s %39s %39s %39s %39s", &number,
			   row->name, row->cells[0], row->cells[1], row->cells[2],
			   row->cells[3], row->cells[4], row->cells[5],
			   row->cells[6], row->cells[7]) < 2 ||
		    number != count)
			break;
		count++;
	}
	fclose(file);
	return count;
}

#endif
