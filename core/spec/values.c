/* Values of a spec: see spec_values.h. */
#include "core/spec/values.h"

#include <string.h>

#include "core/path.h"
#include "core/str.h"

#define MESSAGE_TEXT_MAX 60	/* bytes of the user's text in a message */
#define VARIABLE_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

static int no_variable(struct spec_reader *r, const struct yaml_node *node)
{
	place_fail(r->err, r->file, node->place, ERR_SPEC_VALUE,
		   "a $ that begins neither ${NAME} nor ${NAME:-default}");
	return err_mend(r->err, "write $$ for the sign itself");
}

static int no_value(struct spec_reader *r, const struct yaml_node *node, const char *name)
{
	place_fail(r->err, r->file, node->place, ERR_SPEC_MISSING, "the variable %.*s is not set",
		   MESSAGE_TEXT_MAX, name);
	return err_mend(r->err, "set it, or write ${%.*s:-default}", MESSAGE_TEXT_MAX, name);
}

/* Reads NAME or NAME:-default, `length` bytes between the braces, and adds its value. */
static int add_variable(struct spec_reader *r, const struct yaml_node *node, const char *inner,
			size_t length, struct str *out)
{
	size_t name_length = strspn(inner, VARIABLE_LETTERS "0123456789");
	_cleanup_free_ char *name = NULL, *fallback = NULL;
	const char *value;

	if (name_length == 0 || name_length > length || (*inner >= '0' && *inner <= '9'))
		return no_variable(r, node);
	name = xstrndup(inner, name_length);
	if (name_length < length) {
		if (length - name_length < 2 || strncmp(inner + name_length, ":-", 2))
			return no_variable(r, node);
		fallback = xstrndup(inner + name_length + 2, length - name_length - 2);
		if (strchr(fallback, '$'))
			return no_variable(r, node);
	}
	value = r->lookup ? r->lookup(name) : NULL;
	if (fallback && (!value || !*value))
		value = fallback;
	if (!value)
		return no_value(r, node, name);
	if (!str_is_utf8(value, strlen(value)))
		return place_fail(r->err, r->file, node->place, ERR_SPEC_VALUE,
				  "the value of the variable %.*s is not UTF-8", MESSAGE_TEXT_MAX,
				  name);
	r->expanded += strlen(value);
	if (r->expanded > SPEC_EXPANDED_MAX)
		return place_fail(r->err, r->file, node->place, ERR_SPEC_LIMIT,
				  "variables make more than %d bytes", SPEC_EXPANDED_MAX);
	str_add(out, value);
	return 0;
}

static int put_variables_in(struct spec_reader *r, const struct yaml_node *node,
			    const char *text, struct str *out)
{
	str_add(out, "");
	while (*text) {
		size_t plain = strcspn(text, "$");
		const char *close;

		str_addn(out, text, plain);
		text += plain;
		if (!*text)
			break;
		if (text[1] == '$') {
			str_add(out, "$");
			text += 2;
			continue;
		}
		close = text[1] == '{' ? strchr(text, '}') : NULL;
		if (!close)
			return no_variable(r, node);
		if (add_variable(r, node, text + 2, (size_t)(close - text) - 2, out) < 0)
			return -1;
		text = close + 1;
	}
	return 0;
}

int spec_expand(struct spec_reader *r, const struct schema_key *key, const struct yaml_node *node,
		const char *text, char **ret)
{
	_cleanup_(str_done) struct str out = { 0 };

	if (!key->expands) {
		*ret = xstrdup(text);
		return 0;
	}
	if (put_variables_in(r, node, text, &out) < 0 ||
	    schema_check_text(key, node, out.text, r->file, r->err) < 0)
		return -1;
	*ret = TAKE_PTR(out.text);
	return 0;
}

int spec_text(struct spec_reader *r, const struct yaml_node *map, const char *object,
	      const char *name, char **ret)
{
	const struct yaml_node *node = yaml_get(map, name);

	if (!node) {
		*ret = NULL;
		return 0;
	}
	return spec_expand(r, schema_find(object, name), node, node->text, ret);
}

/* Without "." and doubled slashes. Owned. */
static char *clean_host_path(const char *path)
{
	struct str out = { 0 };

	str_add(&out, "");
	while (*path) {
		size_t length = strcspn(path, "/");

		if (length > 0 && !(length == 1 && path[0] == '.')) {
			str_add(&out, "/");
			str_addn(&out, path, length);
		}
		path += length;
		path += strspn(path, "/");
	}
	if (out.length == 0)
		str_add(&out, "/");
	return out.text;
}

static void add_use(struct spec_reader *r, const struct schema_key *key,
		    const struct yaml_node *node, const char *text, const char *path)
{
	struct spec *spec = r->spec;

	spec->host_uses = xreallocarray(spec->host_uses, spec->host_use_count + 1,
					sizeof(*spec->host_uses));
	spec->host_uses[spec->host_use_count++] = (struct host_use){
		.object = key->object, .key = key->name, .named = xstrdup(text),
		.path = xstrdup(path), .place = node->place,
	};
}

int spec_host_path(struct spec_reader *r, const struct schema_key *key,
		   const struct yaml_node *node, const char *text, char **ret)
{
	_cleanup_free_ char *joined = NULL;

	if (text[0] == '~') {
		place_fail(r->err, r->file, node->place, ERR_SPEC_VALUE,
			   "%s: ~ has no meaning in a path", key->name);
		if (text[1] == '/' || text[1] == '\0')
			return err_mend(r->err, "write ${HOME}; ./~ for a file of that name");
		return err_mend(r->err, "write the whole path; ./~ for a file of that name");
	}
	/* the tests of the gate are made from this mark: a type without it would have none */
	if (!schema_value(key->type)->is_host_path)
		return place_fail(r->err, r->file, node->place, ERR_SPEC_TYPE,
				  "%s: a key of this type takes no path of the host", key->name);
	joined = path_join(r->dir, text);
	if (strlen(joined) > PATH_LENGTH_MAX)
		return place_fail(r->err, r->file, node->place, ERR_SPEC_LIMIT,
				  "%s: a path of more than %d bytes", key->name, PATH_LENGTH_MAX);
	*ret = clean_host_path(joined);
	add_use(r, key, node, text, *ret);
	return 0;
}

/* The length of "SCHEME://" at the start of `text`, or 0. */
static size_t scheme_length(const char *text)
{
	size_t length = strspn(text, VARIABLE_LETTERS "0123456789+.-");

	return length > 0 && str_has_prefix(text + length, "://") ? length + 3 : 0;
}

/* Printable ASCII only, a host, and no user name or password before it. */
static const char *bad_url(const char *url)
{
	const char *host = url + strlen("https://");
	size_t length = strcspn(host, "/?#");

	if (strlen(url) > SPEC_URL_MAX)
		return "the URL is too long";
	if (length == 0 || *host == ':')
		return "the URL names no host";
	if (memchr(host, '@', length))
		return "a user name in the URL";
	for (; *url; url++)
		if (*url <= ' ' || *url == 0x7f)
			return "blanks, control characters or letters beyond ASCII in the URL";
	return NULL;
}

int spec_reference(struct spec_reader *r, const struct yaml_node *map, const char *object,
		   char **ret_url, char **ret_path)
{
	const struct schema_key *key = schema_find(object, "archive");
	const struct yaml_node *node = yaml_get(map, key->name);
	_cleanup_free_ char *text = NULL, *shown = NULL;
	const char *bad;

	if (spec_expand(r, key, node, node->text, &text) < 0)
		return -1;
	if (scheme_length(text) == 0)
		return spec_host_path(r, key, node, text, ret_path);
	if (str_has_prefix(text, "file:///") && !strchr(text, '%'))
		return spec_host_path(r, key, node, text + strlen("file://"), ret_path);
	if (!str_has_prefix(text, "https://")) {
		shown = str_escape(text, MESSAGE_TEXT_MAX);
		place_fail(r->err, r->file, node->place, ERR_SPEC_VALUE,
			   "%s: expected https://..., file:///... or a path, found %s", key->name,
			   shown);
		return err_mend(r->err, "%s",
				str_has_prefix(text, "file:") ?
				"write the path itself" : "only https:// is fetched");
	}
	bad = bad_url(text);
	if (bad)
		return place_fail(r->err, r->file, node->place, ERR_SPEC_VALUE, "%s: %s", key->name,
				  bad);
	if (!yaml_get(map, "sha256")) {
		place_fail(r->err, r->file, node->place, ERR_SPEC_MISSING,
			   "a URL without the key \"sha256\"");
		return err_mend(r->err, "add sha256: HEX; sha256sum FILE prints it");
	}
	*ret_url = TAKE_PTR(text);
	return 0;
}

char *spec_inside(const char *text)
{
	char clean[PATH_LENGTH_MAX + 1];

	if (!path_clean(text, clean))
		clean[0] = '\0';
	return xasprintf("/%s", clean);
}

void spec_argv(const struct yaml_node *node, struct strv *ret)
{
	if (!node)
		return;
	if (node->kind == YAML_TEXT) {
		strv_add(ret, "/bin/sh");
		strv_add(ret, "-c");
		strv_add(ret, node->text);
		return;
	}
	strv_say_empty(ret);
	for (size_t i = 0; i < node->count; i++)
		strv_add(ret, node->items[i].text);
}

bool spec_is_true(const struct yaml_node *node)
{
	return node && !strcmp(node->text, "true");
}
