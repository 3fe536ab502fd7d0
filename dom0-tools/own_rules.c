// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * own_rules: reads, edits and reads again, under a lock on the directory.  Rights are looked at by rules,
 * before: who may write there is root or ourselves, so names below it are what they were.
 */
#include "own_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "textfile.h"

/* The first line of a file that belongs to the Qubes extension; it removes its files. */
#define OWN_RULES_QUBES "# Written by qubesd"

/* Both files, but for the limits of a pool that only the daemon's command line names. */
static int own_check(struct own_rules *own, const char *dir, const char *content, size_t length,
                     char text[STORE_TEXT])
{
    const struct rules_text in = {.file = own->file, .own = true, .at = content, .length = length};
    char defaults[RULES_DIR + 32];

    int err = rules_look_up(&own->after, dir, NULL, text);
    if (!err)
        err = rules_parse(&own->after, &in, text);
    snprintf(defaults, sizeof(defaults), "%.*s/blkback-ephem.conf", RULES_DIR, dir);
    if (!err && own->after.pool[0])
        err = rules_finish(&own->after, defaults, own->file, text);
    return err;
}

/* What the new text says is what was asked for: the keys once more on top of it change nothing. */
static int own_compare(const struct own_rules *own, const struct rules_edit_key *keys, size_t count,
                       char text[STORE_TEXT])
{
    char line[RULES_SPEC + 64];

    for (size_t i = 0; i < count; i++) {
        struct rules again = own->after;
        int length = snprintf(line, sizeof(line), "[%s]\n%s=%s\n", keys[i].section, keys[i].key,
                              keys[i].value);
        const struct rules_text in = {.file = own->file, .at = line, .length = (size_t)length};

        if ((size_t)length >= sizeof(line))
            return store_fail(text, -EINVAL, PATH_SHOWN ": %s: too long", own->file, keys[i].key);
        int err = rules_parse(&again, &in, text);
        if (err)
            return err;
        memcpy(again.place, own->after.place, sizeof(again.place));
        if (memcmp(&again, &own->after, sizeof(again)))
            return store_fail(text, -EINVAL,
                              PATH_SHOWN ": %s would not be as asked for: write it by hand",
                              own->file, keys[i].key);
    }
    return 0;
}

/* Whether a value is written as it can be read again. */
static int own_plain(const struct rules_edit_key *key, char text[STORE_TEXT])
{
    const char *value = key->value;

    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f || (*c == ';' && c > value && c[-1] == ' '))
            return store_fail(text, -EINVAL, "%s: '%.60s' cannot stand in a file: use another name",
                              key->key, value);
    if (!*value || *value == ' ' || *value == ';' || value[strlen(value) - 1] == ' ')
        return store_fail(text, -EINVAL, "%s: '%.60s' begins or ends with a blank, or is empty",
                          key->key, value);
    return 0;
}

static int rules_edit_all(struct own_rules *own, const char *dir, struct textfile *file,
                          const struct rules_edit_key *keys, size_t count, char text[STORE_TEXT])
{
    char *old = file->text, why[STORE_TEXT];
    size_t old_length = file->length;
    int err = 0;

    file->text = old ? strdup(old) : strdup("");
    for (size_t i = 0; i < count && file->text && !err; i++) {
        err = own_plain(&keys[i], text);
        char *next = err ? NULL : rules_edit(file->text, file->length, &keys[i], &file->length);
        if (!err) {
            free(file->text);
            file->text = next;
        }
    }
    if (!file->text)
        err = store_fail(text, -ENOMEM, PATH_SHOWN ": out of memory", own->file);
    if (!err &&
        (own_check(own, dir, file->text, file->length, why) || own_compare(own, keys, count, why)))
        err = store_fail(text, -EINVAL, "nothing is changed, since it would be wrong: %s", why);
    own->changed = !err && (old_length != file->length ||
                            (old_length && memcmp(old, file->text, old_length)));
    free(old);
    return err;
}

static int own_locked(struct own_rules *own, const char *dir, const struct rules_edit_key *keys,
                      size_t count, char text[STORE_TEXT])
{
    struct textfile file;
    int err = textfile_read(own->file, &file);

    if (err == -ENOENT)
        file.mode = 0644;
    else if (err)
        return store_fail(text, err, PATH_SHOWN ": cannot be read: %s", own->file, strerror(-err));
    if (file.text && !strncmp(file.text, OWN_RULES_QUBES, strlen(OWN_RULES_QUBES)))
        err = store_fail(text, -EBUSY,
                         PATH_SHOWN ": belongs to qubesd, which removes it: use qvm-ephemeral",
                         own->file);
    else
        err = rules_edit_all(own, dir, &file, keys, count, text);
    if (!err && own->changed) {
        err = textfile_write(own->file, file.text, file.length, file.mode & 0755, false);
        if (err)
            store_fail(text, err, PATH_SHOWN ": cannot be written: %s", own->file,
                       err == -EACCES ? "run ephemctl as root" : strerror(-err));
    }
    free(file.text);
    return err;
}

/* A descriptor of DIR/domains, locked. */
static int own_lock(const char *dir, char text[STORE_TEXT])
{
    char below[RULES_DIR + 32];
    int err = 0;

    snprintf(below, sizeof(below), "%.*s/domains", RULES_DIR, dir);
    if (mkdir(below, 0755) && errno != EEXIST)
        err = -errno;
    int fd = err ? -1 : open(below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!err && fd < 0)
        err = -errno;
    while (!err && flock(fd, LOCK_EX))
        err = errno == EINTR ? 0 : -errno;
    if (!err)
        return fd;
    if (fd >= 0)
        close(fd);
    return store_fail(text, err, PATH_SHOWN ": %s", below,
                      err == -EACCES   ? "may not be written by us: run ephemctl as root"
                      : err == -ENOENT ? "its parent is missing: install blkback-ephem, or make it"
                                       : strerror(-err));
}

int own_rules_change(struct own_rules *own, const char *dir, const char *domain,
                     const struct rules_edit_key *keys, size_t count, char text[STORE_TEXT])
{
    memset(own, 0, sizeof(*own));
    if (dir[0] != '/' || strlen(dir) > RULES_DIR)
        return store_fail(text, -EINVAL,
                          "--config-dir: write an absolute path of at most %d "
                          "characters",
                          RULES_DIR);
    if (!rules_nameable(domain))
        return store_fail(text, -EINVAL,
                          "'%.60s': a domain of that name can have no file: only the defaults hold",
                          domain);
    snprintf(own->file, sizeof(own->file), "%s/domains/%s.conf", dir, domain);
    int err = rules_look_up(&own->before, dir, domain, text);
    int lock = err ? err : own_lock(dir, text);
    if (lock < 0)
        return lock;
    /* Again: another one may have been at it meanwhile. */
    err = rules_look_up(&own->before, dir, domain, text);
    if (!err)
        err = own_locked(own, dir, keys, count, text);
    close(lock);
    return err;
}
