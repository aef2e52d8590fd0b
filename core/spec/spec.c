/* Specs: see spec.h. The text becomes a tree, the table checks it, the rest here takes it over. */
#include "core/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/parse.h"
#include "core/path.h"
#include "core/spec/schema.h"
#include "core/spec/values.h"
#include "core/str.h"
#include "core/yaml.h"

#define MESSAGE_TEXT_MAX 60	/* bytes of the user's text in a message */

static const struct yaml_limits limits = { SPEC_FILE_MAX, SPEC_DEPTH_MAX, SPEC_NODES_MAX };

static void target_done(struct target *target)
{
	process_done(&target->process);
	free(target->hostname);
	free(target->vm.kernel_path);
	for (size_t i = 0; i < target->mount_count; i++) {
		mem_closep(&target->mounts[i].fd);
		mount_done(&target->mounts[i]);
	}
	free(target->mounts);
	for (size_t i = 0; i < target->env_file_count; i++)
		free(target->env_files[i].path);
	free(target->env_files);
	*target = (struct target){ 0 };
}

char *spec_path(const struct spec *spec)
{
	return path_join(spec->dir, path_base(spec->file));
}

void spec_done(struct spec *spec)
{
	free(spec->file);
	free(spec->dir);
	free(spec->name);
	image_spec_done(&spec->image);
	for (size_t i = 0; i < spec->stage_count; i++)
		image_spec_done(&spec->stages[i]);
	free(spec->stages);
	for (size_t i = 0; i < spec->secret_count; i++) {
		free(spec->secrets[i].name);
		free(spec->secrets[i].env);
		free(spec->secrets[i].path);
	}
	free(spec->secrets);
	target_done(&spec->target);
	for (size_t i = 0; i < spec->host_use_count; i++) {
		free(spec->host_uses[i].named);
		free(spec->host_uses[i].path);
	}
	free(spec->host_uses);
	host_paths_free(spec->host);
	*spec = (struct spec){ 0 };
}

static int add_runner(struct spec_reader *r, const struct yaml_node *word, struct spec *ret)
{
	enum spec_runner runner = strcmp(word->text, "vm") ? SPEC_RUNNER_CONTAINER : SPEC_RUNNER_VM;

	for (size_t i = 0; i < ret->on_count; i++)
		if (ret->on[i] == runner)
			return place_fail(r->err, r->file, word->place, ERR_SPEC_VALUE,
					  "on: %s stands twice", word->text);
	ret->on[ret->on_count++] = runner;
	return 0;
}

static int read_on(struct spec_reader *r, const struct yaml_node *node, struct spec *ret)
{
	if (!node) {
		ret->on[ret->on_count++] = SPEC_RUNNER_CONTAINER;
		return 0;
	}
	ret->on_is_given = true;
	if (node->kind == YAML_TEXT)
		return add_runner(r, node, ret);
	for (size_t i = 0; i < node->count; i++)
		if (add_runner(r, &node->items[i], ret) < 0)
			return -1;
	if (ret->on_count > 0)
		return 0;
	place_fail(r->err, r->file, node->place, ERR_SPEC_VALUE, "on: the list is empty");
	return err_mend(r->err, "write container, vm or both, or leave the key out");
}

static int read_name(struct spec_reader *r, const struct yaml_node *root, struct spec *ret)
{
	const struct yaml_node *name = yaml_get(root, "name");
	_cleanup_free_ char *shown = NULL;

	ret->name = xstrdup(name ? name->text : path_base(ret->dir));
	if (parse_is_name(ret->name))
		return 0;
	shown = str_escape(ret->name, MESSAGE_TEXT_MAX);
	place_fail(r->err, r->file, root->place, ERR_SPEC_MISSING,
		   "the folder's name \"%s\" cannot be the spec's name", shown);
	return err_mend(r->err, "add the key \"name\"");
}

int spec_parse(struct spec *ret, const char *file, const char *dir, const char *text, size_t size,
	       const char *(*lookup)(const char *name), struct err *err)
{
	_cleanup_(yaml_done) struct yaml_node root = { 0 };
	_cleanup_(spec_done) struct spec spec = { .file = xstrdup(file), .dir = xstrdup(dir) };
	struct spec_reader r = { .file = file, .dir = dir, .lookup = lookup, .spec = &spec,
				 .err = err };
	const struct yaml_node *target;

	spec.target.vm.machine = spec_machine_default;
	if (yaml_parse(&root, file, text, size, &limits, err) < 0) {
		if (err->code == ERR_SPEC_MISSING)
			err_mend(err, "a spec begins with the line: duet: 1");
		return -1;
	}
	if (schema_check(&root, file, err) < 0)
		return -1;
	target = yaml_get(&root, "target");
	if (read_name(&r, &root, &spec) < 0 ||
	    spec_read_images(&r, &root, &spec) < 0 ||
	    spec_read_secrets(&r, yaml_get(&root, "secrets"), &spec) < 0 ||
	    read_on(&r, yaml_get(&root, "on"), &spec) < 0)
		return -1;
	if (target && spec_read_target(&r, target, &spec.target) < 0)
		return -1;
	*ret = spec;
	spec = (struct spec){ 0 };
	return 0;
}

/* The folder that `file` lies in, open (O_PATH); what `file` is called there is *ret_name, borrowed. */
static int open_folder(const char *file, const char **ret_name)
{
	const char *slash = strrchr(file, '/');
	_cleanup_free_ char *named = NULL;

	*ret_name = slash ? slash + 1 : file;
	named = slash ? xstrndup(file, slash == file ? 1 : (size_t)(slash - file)) : xstrdup(".");
	return open(named, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* A link out of the folder is the word of whoever made the folder, not of who started duet in it. */
static int refuse_link(const char *name, struct err *err)
{
	err_set(err, ERR_ALLOW, "open %s: it is a symbolic link that leads out of this folder", name);
	return err_mend(err, "name it, if that is meant: -f %s", name);
}

/*
 * The text of `file`, and the absolute path of the folder that it was read from: both by one descriptor.
 * Were the folder found a second time by its name, another could be there by then, and a text would
 * speak for a project that is not its own.
 */
static int read_in_folder(const char *file, bool is_named, char **ret_dir, char **ret_text,
			  size_t *ret_size, struct err *err)
{
	const char *name;
	_cleanup_close_ int folder = open_folder(file, &name);
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	size_t size;

	/* O_NONBLOCK: a fifo must not hold us up before it is seen to be one */
	if (folder >= 0 && is_named)
		fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	else if (folder >= 0)
		fd = fs_open_beneath(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == EXDEV)
		return refuse_link(file, err);
	if (fd < 0)
		return err_sys(err, errno, "open %s", file);
	if (fs_read_fd(fd, file, SPEC_FILE_MAX, &text, &size, err) < 0)
		return -1;
	*ret_dir = fs_path_of(folder);
	if (!*ret_dir) {
		err_set(err, -ESTALE, "find the folder of %s: it was removed, or /proc is not mounted",
			file);
		return -1;
	}
	*ret_text = TAKE_PTR(text);
	*ret_size = size;
	return 0;
}

/* `file`, or the first of the usual names that exists; *ret_file is borrowed. */
static int read_file(const char *file, const char **ret_file, char **ret_dir, char **ret_text,
		     size_t *ret_size, struct err *err)
{
	static const char *const names[] = { "duet.yaml", "duet.yml", ".duet.yaml" };
	size_t count = file ? 1 : ARRAY_SIZE(names);

	for (size_t i = 0; i < count; i++) {
		*ret_file = file ? file : names[i];
		if (read_in_folder(*ret_file, file != NULL, ret_dir, ret_text, ret_size, err) == 0)
			return 0;
		if (err->code != -ENOENT)
			break;
	}
	if (!file && err->code == -ENOENT) {
		err_set(err, ERR_SPEC_MISSING, "no duet.yaml in this folder");
		return err_mend(err, "name a spec with -f FILE");
	}
	switch (err->code) {
	case ERR_ALLOW:
	case -EMFILE:
	case -ENFILE:
	case -ENOSYS:
	case -ESTALE:
		break; /* what the host lacks is not the spec's fault */
	case -EFBIG:
		err->code = ERR_SPEC_LIMIT;
		break;
	default:
		err->code = ERR_SPEC_MISSING;
	}
	return -1;
}

int spec_load(struct spec *ret, const char *file, const char *(*lookup)(const char *name),
	      struct err *err)
{
	_cleanup_free_ char *text = NULL, *dir = NULL;
	size_t size = 0;

	if (read_file(file, &file, &dir, &text, &size, err) < 0)
		return -1;
	if (spec_parse(ret, file, dir, text, size, lookup, err) < 0)
		return -1;
	ret->host = host_paths_new(dir, err);
	if (ret->host)
		return 0;
	spec_done(ret);
	return -1;
}
