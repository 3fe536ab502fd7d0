// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules_files: finds the operator's files and reads them whole.  They decide where a guest's data
 * goes, so whoever may write them, or the directories they lie in, must be root or ourselves; what
 * is opened is what is judged.
 *
 * A domain's name comes from xenstore, where only dom0 writes it; it becomes one component of a path
 * all the same only when it can be nothing else.
 */
#include "rules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MOST   65536 /* bytes; a few lines are expected */
#define FILES_NAME   250   /* with .conf the longest name a file can have */
#define FILES_SUFFIX ".conf"
#define FILES_PATH   (RULES_DIR + 300)

struct rules_file {
    char name[FILES_PATH]; /* for humans */
    char *content;
    size_t length;
};

bool rules_nameable(const char *domain)
{
    size_t length = strlen(domain);

    for (const char *c = domain; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '/')
            return false;
    return length && length <= FILES_NAME && domain[0] != '.';
}

static int files_failed(const char *name, int err, char text[STORE_TEXT])
{
    switch (err) {
    case -ELOOP:
        return store_fail(text, err, PATH_SHOWN ": a symbolic link: put the file itself there",
                          name);
    case -ENOTDIR:
        return store_fail(text, err, PATH_SHOWN ": not a directory: make it one", name);
    case -EPERM:
        return store_fail(text, err,
                          PATH_SHOWN ": others than root and we may write it: chown it to root and "
                                     "chmod go-w",
                          name);
    case -EFBIG:
        return store_fail(text, err, PATH_SHOWN ": larger than 64K: this is no rules file", name);
    case -EINVAL:
        return store_fail(text, err, PATH_SHOWN ": not a file: put one there, or nothing", name);
    default:
        return store_fail(text, err, PATH_SHOWN ": cannot be read: %s", name, strerror(-err));
    }
}

/* Whether only root and we may write what is open; -EPERM. */
static int files_safe(int fd, struct stat *st)
{
    if (fstat(fd, st))
        return -errno;
    return (st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & 022) ? 0 : -EPERM;
}

/* An fd, or negative errno. */
static int files_directory(int at, const char *path)
{
    struct stat st;
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    int err = files_safe(fd, &st);
    if (err)
        close(fd);
    return err ? err : fd;
}

static int files_load(int fd, struct rules_file *file)
{
    struct stat st;
    ssize_t got = 1;
    int err = files_safe(fd, &st);

    if (!S_ISREG(st.st_mode))
        err = -EINVAL;
    if (err)
        return err;
    file->content = malloc(FILES_MOST + 1);
    if (!file->content)
        return -ENOMEM;
    while (got > 0 && file->length <= FILES_MOST) {
        got = read(fd, file->content + file->length, FILES_MOST + 1 - file->length);
        file->length += got > 0 ? (size_t)got : 0;
    }
    if (got < 0)
        return -errno;
    return file->length > FILES_MOST ? -EFBIG : 0;
}

/* Missing, the file or the directory, is the same as empty. */
static int files_read(int dir, const char *name, struct rules_file *file, char text[STORE_TEXT])
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0 : files_failed(file->name, -errno, text);
    int err = files_load(fd, file);
    close(fd);
    return err ? files_failed(file->name, err, text) : 0;
}

static int files_add(struct rules *rules, const struct rules_file *file, bool own,
                     char text[STORE_TEXT])
{
    const struct rules_text in = {
        .file = file->name, .own = own, .at = file->content, .length = file->length};

    return rules_parse(rules, &in, text);
}

static int files_default(struct rules *rules, int dir, struct rules_file *file,
                         char text[STORE_TEXT])
{
    int err = files_read(dir, "blkback-ephem" FILES_SUFFIX, file, text);

    return err ? err : files_add(rules, file, false, text);
}

static int files_own(struct rules *rules, int dir, const char *domain, struct rules_file *file,
                     char text[STORE_TEXT])
{
    char name[FILES_NAME + sizeof(FILES_SUFFIX)];
    int below = files_directory(dir, "domains");

    if (below == -ENOENT)
        return 0;
    if (below < 0) {
        *strrchr(file->name, '/') = '\0';
        return files_failed(file->name, below, text);
    }
    snprintf(name, sizeof(name), "%.*s" FILES_SUFFIX, FILES_NAME, domain);
    int err = files_read(below, name, file, text);
    close(below);
    return err ? err : files_add(rules, file, true, text);
}

/* Both files; `file` and `own` get their names, and what they hold, which the caller frees. */
static int files_both(struct rules *rules, const char *dir, const char *domain,
                      struct rules_file *file, struct rules_file *own, char text[STORE_TEXT])
{
    bool named = domain && rules_nameable(domain);
    int err = 0;

    snprintf(file->name, sizeof(file->name), "%.*s/blkback-ephem" FILES_SUFFIX, RULES_DIR, dir);
    snprintf(own->name, sizeof(own->name), "%.*s/domains/%.*s" FILES_SUFFIX, RULES_DIR, dir,
             FILES_NAME, named ? domain : "");
    int at = files_directory(AT_FDCWD, dir);
    if (at == -ENOENT)
        return 0;
    if (at < 0)
        return files_failed(dir, at, text);
    err = files_default(rules, at, file, text);
    if (!err && named)
        err = files_own(rules, at, domain, own, text);
    close(at);
    return err;
}

int rules_read(struct rules *rules, const char *dir, const char *pool, const char *domain,
               char text[STORE_TEXT])
{
    struct rules_file file = {.length = 0}, own = {.length = 0};

    memset(rules, 0, sizeof(*rules));
    snprintf(rules->pool, sizeof(rules->pool), "%s", pool ? pool : "");
    int err = files_both(rules, dir, domain, &file, &own, text);
    if (!err)
        err = rules_finish(rules, file.name, own.name, text);
    free(file.content);
    free(own.content);
    return err;
}

int rules_look_up(struct rules *rules, const char *dir, const char *domain, char text[STORE_TEXT])
{
    struct rules_file file = {.length = 0}, own = {.length = 0};

    memset(rules, 0, sizeof(*rules));
    int err = files_both(rules, dir, domain, &file, &own, text);
    free(file.content);
    free(own.content);
    return err;
}
