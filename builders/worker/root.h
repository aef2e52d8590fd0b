/*
 * The roots that duet-worker works in. Nothing of the host has a path in them, and no mount of the
 * host's is left in the worker's namespace: an administrator can unmount what he likes.
 */
#ifndef DUET_BUILDERS_WORKER_ROOT_H
#define DUET_BUILDERS_WORKER_ROOT_H

#include "builders/worker/message.h"
#include "core/err.h"

#define ROOT_FILES 5
#define ROOT_FD (WORKER_FD + 1)	/* the first of ROOT_FILES descriptors of a worker with a network */

/*
 * duet's side, before the worker is started: opens the host's files that go into the root of one with
 * a network, as the caller can read them; /dev/null stands for one that is not there. Owned.
 */
int root_open_files(int ret[ROOT_FILES], struct err *err);
void root_close_files(int files[ROOT_FILES]);

/*
 * The worker's side, with all capabilities of its user namespace and still in the host's mount namespace. The
 * caller's standard streams, a terminal perhaps, become /dev/null. ERR_HOST.
 */
int root_enter_empty(struct err *err);
/*
 * The same with copies of those files, taken from ROOT_FD and up (closed). Names are looked up in
 * /etc/hosts and by DNS. $SSL_CERT_FILE then names the copy of the certificates; where they could not be
 * read it names what was looked for, which is not there, and whoever needs it fails with that name.
 */
int root_enter_network(struct err *err);

#endif
