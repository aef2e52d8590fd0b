/* What a guest prints on its console, and what of it is shown. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "runners/vm/console.h"
#include "tests/fuzz/fuzz.h"

/* Lines, each as an escaped text. */
static size_t check_lines(char *text)
{
	size_t count = 0;

	for (char *line; (line = strsep(&text, "\n")) && text; count++)
		fuzz_check_shown(line);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct console console;
	struct fuzz_input input = { data, size };
	unsigned int count = fuzz_byte(&input) % 16;
	_cleanup_free_ char *cause = NULL, *tail = NULL;
	const char *mend;

	console_init(&console, fuzz_file(0, input.at, input.left));
	for (size_t left = input.left; console_read(&console); left -= CONSOLE_TURN_MAX)
		FUZZ_CHECK(left >= CONSOLE_TURN_MAX);
	FUZZ_CHECK(strlen(console.text) == console.used && console.used <= CONSOLE_KEPT);
	cause = console_cause(console.text, &mend);
	fuzz_check_shown(cause);
	fuzz_check_shown(mend);
	(void)console_out_of_memory(console.text);
	tail = console_tail(console.text, count);
	FUZZ_CHECK(check_lines(tail) <= (count ? count : CONSOLE_KEPT));
	return 0;
}
