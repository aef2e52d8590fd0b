/* The names by which a layer says what it removes: OCI image-spec, layer.md, "Whiteouts". Pure. */
#ifndef DUET_BUILDERS_LAYER_WHITEOUT_H
#define DUET_BUILDERS_LAYER_WHITEOUT_H

enum whiteout {
	WHITEOUT_NONE,		/* an ordinary entry */
	WHITEOUT_NAME,		/* DIR/.wh.NAME: NAME of the layers below goes */
	WHITEOUT_OPAQUE,	/* DIR/.wh..wh..opq: all of DIR below goes */
	WHITEOUT_IGNORED,	/* what AUFS left behind */
	WHITEOUT_MALFORMED
};

/* What the clean relative `path` is; for WHITEOUT_NAME, *ret_name is NAME (borrowed from path). */
enum whiteout whiteout_of(const char *path, const char **ret_name);

#endif
