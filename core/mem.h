/*
 * Memory and release. xmalloc and kin die when memory is out (mem_out): the store is crash-safe,
 * so nothing is lost. _cleanup_ releases at the end of scope; TAKE_PTR and TAKE_FD hand over.
 */
#ifndef DUET_CORE_MEM_H
#define DUET_CORE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Ends the process, from any thread, because memory is out: with a message and exit code 125, unless
 * mem_exit_with said otherwise. For libraries that tell so, too.
 */
_Noreturn void mem_out(void);
/* From now on mem_out ends with this exit code and says nothing: who waits for the process does. */
void mem_exit_with(int code);
/*
 * A call of a library failed with `errnum`: mem_out when memory is why. EAGAIN is what starting a thread
 * gives both without room for its stack and for other reasons: room for one is tried then.
 */
void mem_blame(int errnum);

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
/* As realloc for arrays; dies on overflow of count * size. */
void *xreallocarray(void *old, size_t count, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t max);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));
/* As realpath(path, NULL): NULL with errno for whatever reason but that memory is out. */
char *xrealpath(const char *path);
void *xmemdup(const void *data, size_t size);

static inline void mem_freep(void *pointer)
{
	free(*(void **)pointer);
}

static inline void mem_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _cleanup_(done) __attribute__((cleanup(done)))
#define _cleanup_free_ _cleanup_(mem_freep)
#define _cleanup_close_ _cleanup_(mem_closep)

#define TAKE_PTR(p) ({ __typeof__(p) _taken = (p); (p) = NULL; _taken; })
#define TAKE_FD(fd) ({ int _taken = (fd); (fd) = -1; _taken; })
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* A growing list of owned strings, always ended by NULL, so that it can be an argv or an envp. */
struct strv {
	char **items;	/* owned, each item owned; NULL when count is 0 and nothing was added */
	size_t count;
};

/* Is it a list, though perhaps an empty one? */
static inline bool strv_is_said(const struct strv *list)
{
	return list->items != NULL;
}

void strv_add(struct strv *list, const char *text);
/* Takes `text` over. */
void strv_take(struct strv *list, char *text);
void strv_addf(struct strv *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds all of `from`; a list that says that it is empty makes one of `to`, too. */
void strv_copy(struct strv *to, const struct strv *from);
/* Says of a list that it is empty: `items` is not NULL from now on, which strv_is_said tells. */
void strv_say_empty(struct strv *list);
/* Sets NAME=VALUE in an environment, in place when NAME is there. */
void strv_setenv(struct strv *env, const char *name, const char *value);
/* The value of NAME, borrowed, or NULL. */
const char *strv_getenv(const struct strv *env, const char *name);
void strv_done(struct strv *list);

#endif
