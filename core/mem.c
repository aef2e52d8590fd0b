/* Memory and lists of strings: see mem.h. */
#include "core/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define EXIT_OUT_OF_MEMORY 125
#define STACK_BYTES ((size_t)2 * 1024 * 1024)	/* of a thread, with a guard: an estimate */

static int exit_code;	/* of mem_exit_with; 0: not called */

void mem_exit_with(int code)
{
	exit_code = code;
}

void mem_out(void)
{
	static const char text[] = "duet: error[host.system]: out of memory\n";

	if (exit_code)
		_exit(exit_code);
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(EXIT_OUT_OF_MEMORY);
}

void mem_blame(int errnum)
{
	void *stack = MAP_FAILED;

	if (errnum == EAGAIN)
		stack = mmap(NULL, STACK_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (errnum == ENOMEM || (errnum == EAGAIN && stack == MAP_FAILED))
		mem_out();
	if (stack != MAP_FAILED)
		munmap(stack, STACK_BYTES);
}

static void *checked(void *memory)
{
	if (!memory)
		mem_out();
	return memory;
}

void *xmalloc(size_t size)
{
	return checked(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return checked(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *old, size_t size)
{
	return checked(realloc(old, size ? size : 1));
}

void *xreallocarray(void *old, size_t count, size_t size)
{
	return checked(reallocarray(old, count ? count : 1, size ? size : 1));
}

char *xstrdup(const char *text)
{
	return checked(strdup(text));
}

char *xstrndup(const char *text, size_t max)
{
	return checked(strndup(text, max));
}

char *xasprintf(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	return text;
}

char *xvasprintf(const char *fmt, va_list args)
{
	char *text = NULL;
	int length = vasprintf(&text, fmt, args);

	return checked(length < 0 ? NULL : text);
}

char *xrealpath(const char *path)
{
	char *real = realpath(path, NULL);

	if (!real)
		mem_blame(errno);
	return real;
}

void *xmemdup(const void *data, size_t size)
{
	void *copy = xmalloc(size);

	if (size)
		memcpy(copy, data, size);
	return copy;
}

void strv_take(struct strv *list, char *text)
{
	list->items = xreallocarray(list->items, list->count + 2, sizeof(*list->items));
	list->items[list->count++] = text;
	list->items[list->count] = NULL;
}

void strv_add(struct strv *list, const char *text)
{
	strv_take(list, xstrdup(text));
}

void strv_addf(struct strv *list, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	strv_take(list, xvasprintf(fmt, args));
	va_end(args);
}

void strv_say_empty(struct strv *list)
{
	if (!list->items)
		list->items = xcalloc(1, sizeof(*list->items));
}

void strv_copy(struct strv *to, const struct strv *from)
{
	if (strv_is_said(from))
		strv_say_empty(to);
	for (size_t i = 0; i < from->count; i++)
		strv_add(to, from->items[i]);
}

static size_t env_index(const struct strv *env, const char *name, size_t length)
{
	for (size_t i = 0; i < env->count; i++)
		if (!strncmp(env->items[i], name, length) && env->items[i][length] == '=')
			return i;
	return SIZE_MAX;
}

void strv_setenv(struct strv *env, const char *name, const char *value)
{
	size_t at = env_index(env, name, strlen(name));
	char *text = xasprintf("%s=%s", name, value);

	if (at == SIZE_MAX) {
		strv_take(env, text);
		return;
	}
	free(env->items[at]);
	env->items[at] = text;
}

const char *strv_getenv(const struct strv *env, const char *name)
{
	size_t length = strlen(name);
	size_t at = env_index(env, name, length);

	return at == SIZE_MAX ? NULL : env->items[at] + length + 1;
}

void strv_done(struct strv *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct strv){ 0 };
}
