/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * textfile: an operator's file, read whole and written whole or not at all.
 */
#ifndef EPHEM_TEXTFILE_H
#define EPHEM_TEXTFILE_H

#include <stddef.h>
#include <sys/types.h>

#define TEXTFILE_MOST ((size_t)1 << 20) /* bytes; nobody writes a longer one */

struct textfile {
    char *text; /* free(); with a NUL behind */
    size_t length;
    mode_t mode; /* permissions */
    dev_t dev;   /* which file it is */
    ino_t ino;
};

/* 0; -EISDIR, -EINVAL: not a file; -EFBIG; else negative errno.  A FIFO does not block. */
int textfile_read(const char *path, struct textfile *out);

/*
 * Puts `text` there: a new file beside it, on disk before it takes the name, so that whoever opens
 * `path` sees the old content or the new.  Replaces a symbolic link by a file.  With `fresh` nothing
 * is replaced: -EEXIST.  0 or negative errno, and then nothing is left behind.
 */
int textfile_write(const char *path, const char *text, size_t length, mode_t mode, int fresh);

#endif
