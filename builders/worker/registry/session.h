/*
 * One repository of a registry, as the threads of a conversation share it, and one request's share
 * in it.
 */
#ifndef DUET_BUILDERS_WORKER_REGISTRY_SESSION_H
#define DUET_BUILDERS_WORKER_REGISTRY_SESSION_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "builders/worker/fetch/try.h"
#include "builders/worker/message.h"
#include "builders/worker/registry/auth.h"
#include "core/err.h"

struct session {
	char *host;		/* owned; "HOST[:PORT]" */
	char *repository;	/* owned */
	char *base;		/* owned; "https://HOST[:PORT]/v2/REPOSITORY" */
	bool plain_http;	/* http:// it is, for this host alone */
	bool push;
	char *user_agent;	/* owned; NULL: the package's */
	const char *ca_file;	/* NULL: the system's */
	uint32_t stall_s;	/* for tests; 0: as long as it takes */
	struct auth auth;
	pthread_mutex_t lock;	/* of what follows */
	struct transport *idle[WORKER_OPEN_MAX];	/* owned; with their connections */
	size_t idle_count;
};

/* One request of the conversation. */
struct visit {
	struct session *session;		/* borrowed */
	const struct worker_request *request;	/* borrowed */
	struct worker_reply *reply;		/* borrowed; its results are filled in */
	int *fds;	/* as many as the request says; one that is taken over becomes -1 */
	struct transport *transport;		/* owned while it lasts */
	struct authority authority;
	char *scope;		/* owned; the rights that are asked for, parted by blanks */
	bool fresh;		/* its token was asked for by itself: there is no better one */
	unsigned int challenges;	/* so far */
	void (*progress)(void *data, uint64_t done, uint64_t total);
	void *data;
};

/* `text`: "HOST[:PORT]/REPOSITORY". */
int session_init(struct session *ret, const char *text, bool plain_http, bool push,
		 const struct worker_login *login, struct err *err);
int visit_begin(struct visit *visit, struct err *err);
void visit_end(struct visit *visit);
/* `refused` of its authority: what a registry's status means. */
int visit_refused(void *visit, bool own, unsigned int status, const char *page, struct err *err);

/* ERR_AUTH: "WHAT; the registry says: PAGE", with a mend. `page` is hostile; may be NULL. */
int session_refuses(const struct session *session, const char *page, const char *what, struct err *err);

/* The requests. Each fills in visit->reply. */
int pull_manifest(struct visit *visit, struct err *err);
int pull_blob(struct visit *visit, struct err *err);
int push_blob(struct visit *visit, struct err *err);
int push_manifest(struct visit *visit, struct err *err);
int try_login(struct visit *visit, struct err *err);

#endif
