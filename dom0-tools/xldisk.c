// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xldisk: parameters are cut off from the left, each matched as xl does: by name first, then as an old
 * prefix, then by place.  target= takes the rest, commas and all.
 *
 * Deliberately absent: whether the target exists.  A twin may be written where its guest will not run.
 */
#include "xldisk.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

/* Parameters with a value; where it goes.  Each may be said once. */
static const struct {
    const char *name;
    size_t at, room;
} xldisk_values[] = {
#define VALUE(name, field)                                                                         \
    {                                                                                              \
        name "=", offsetof(struct xldisk, field), sizeof(((struct xldisk *)0)->field)              \
    }
    VALUE("format", format),
    VALUE("vdev", vdev),
    VALUE("access", access),
    VALUE("backend", backend),
    VALUE("script", script),
    VALUE("backendtype", backendtype),
    VALUE("specification", specification),
#undef VALUE
};

/* Flags. */
static const struct {
    const char *name;
    size_t at;
} xldisk_flags[] = {
    {"cdrom", offsetof(struct xldisk, cdrom)},
    {"devtype=cdrom", offsetof(struct xldisk, cdrom)},
    {"devtype=disk", offsetof(struct xldisk, plain)},
    {"direct-io-safe", offsetof(struct xldisk, safe)},
    {"discard", offsetof(struct xldisk, discard)},
    {"no-discard", offsetof(struct xldisk, no_discard)},
    {"trusted", offsetof(struct xldisk, trusted)},
    {"untrusted", offsetof(struct xldisk, untrusted)},
};

/* Old prefixes: what they say of the format, or of the script. */
static const struct {
    const char *name, *format, *script;
} xldisk_prefixes[] = {
    {"phy:", NULL, NULL},        {"file:", NULL, NULL},         {"aio:", NULL, NULL},
    {"tap:", NULL, NULL},        {"tap2:", NULL, NULL},         {"tapdisk:", NULL, NULL},
    {"ioemu:", NULL, NULL},      {"raw:", "raw", NULL},         {"qcow:", "qcow", NULL},
    {"qcow2:", "qcow2", NULL},   {"vhd:", "vhd", NULL},         {"iscsi:", NULL, "block-iscsi"},
    {"nbd:", NULL, "block-nbd"}, {"enbd:", NULL, "block-enbd"}, {"drbd:", NULL, "block-drbd"},
};

static int xldisk_fail(char why[XLDISK_WHY], const char *what, const char *rest)
{
    snprintf(why, XLDISK_WHY, "%.60s: %s", what, rest);
    return -EINVAL;
}

static int xldisk_set(char *to, size_t room, const char *value, char why[XLDISK_WHY])
{
    if (to[0])
        return xldisk_fail(why, value, "is said twice: keep one");
    if (!value[0])
        return xldisk_fail(why, "a parameter", "nothing stands behind its =: take it away");
    if (copy_string(to, room, value))
        return xldisk_fail(why, value, "is too long");
    return 0;
}

/* The flag of that name, or NULL. */
static bool *xldisk_flag(struct xldisk *disk, const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(xldisk_flags); i++)
        if (!strcmp(word, xldisk_flags[i].name))
            return (bool *)((char *)disk + xldisk_flags[i].at);
    return NULL;
}

/* ---- the three kinds of parameter; 1: is another kind ---- */

static int xldisk_named(struct xldisk *disk, const char *word, char why[XLDISK_WHY])
{
    bool *flag = xldisk_flag(disk, word);

    if (flag) {
        *flag = true;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(xldisk_values); i++) {
        size_t length = strlen(xldisk_values[i].name);

        if (!strncmp(word, xldisk_values[i].name, length))
            return xldisk_set((char *)disk + xldisk_values[i].at, xldisk_values[i].room,
                              word + length, why);
    }
    size_t name = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (!strchr(word, '='))
        return 1;
    if (!name || word[name] != '=')
        return xldisk_fail(why, word,
                           "a = where xl takes none: write the path as target=PATH, last");
    if (!word[name + 1])
        return xldisk_fail(why, word, "nothing stands behind its =: take it away");
    snprintf(disk->odd, sizeof(disk->odd), "%.*s", (int)min_u64(name, 60), word);
    return 0;
}

/* The target, without its prefixes. */
static int xldisk_target(struct xldisk *disk, const char *word, char why[XLDISK_WHY])
{
    size_t i = 0;

    while (i < ARRAY_SIZE(xldisk_prefixes)) {
        size_t length = strlen(xldisk_prefixes[i].name);
        const char *format = xldisk_prefixes[i].format, *script = xldisk_prefixes[i].script;

        if (strncmp(word, xldisk_prefixes[i].name, length)) {
            i++;
            continue;
        }
        int err = format   ? xldisk_set(disk->format, sizeof(disk->format), format, why)
                  : script ? xldisk_set(disk->script, sizeof(disk->script), script, why)
                           : 0;
        if (err)
            return err;
        disk->old = true;
        word += length;
        i = 0;
    }
    /* Where xl would look for parameters once more. */
    if (disk->old && (xldisk_flag(disk, word) || *word == ' ' || *word == '\t'))
        return xldisk_fail(why, word, "no target: write the path behind the prefix");
    disk->has_target = true;
    return copy_string(disk->target, sizeof(disk->target), word)
               ? xldisk_fail(why, word, "is too long")
               : 0;
}

/* "hdc:cdrom"; only by place. */
static void xldisk_device(struct xldisk *disk, const char *word)
{
    const char *kind = strchr(word, ':');
    size_t length = kind ? (size_t)(kind - word) : strlen(word);

    if (kind && !strcmp(kind, ":cdrom"))
        disk->cdrom = true;
    else if (kind && !strcmp(kind, ":disk"))
        disk->plain = true;
    else
        length = strlen(word);
    snprintf(disk->vdev, sizeof(disk->vdev), "%.*s", (int)min_u64(length, 60), word);
}

static int xldisk_placed(struct xldisk *disk, const char *word, int *place, char why[XLDISK_WHY])
{
    if (!disk->has_target)
        return xldisk_target(disk, word, why);
    /* By place: 0 the format, 1 vdev, 2 access; what was named is not waited for. */
    if (*place == 0 && (disk->old || disk->format[0]))
        *place = 1;
    if (*place == 1 && disk->vdev[0])
        *place = 2;
    if (*place == 0)
        snprintf(disk->format, sizeof(disk->format), "%.60s", *word ? word : "raw");
    else if (*place == 1)
        xldisk_device(disk, word);
    else if (*place == 2 && !disk->access[0])
        snprintf(disk->access, sizeof(disk->access), "%.60s", word);
    else
        return xldisk_fail(why, word,
                           "one parameter too many: TARGET,FORMAT,VDEV,ACCESS and no more");
    ++*place;
    return strlen(word) > 60 ? xldisk_fail(why, word, "is too long") : 0;
}

/* ---- the whole ---- */

static bool xldisk_is_one(const char *word, const char *const *words)
{
    while (*words && strcmp(word, *words))
        words++;
    return *words;
}

static int xldisk_check(struct xldisk *disk, char why[XLDISK_WHY])
{
    static const char *const formats[] = {"", "raw", "qcow", "qcow2", "vhd", "qed", "empty", NULL};
    static const char *const accesses[] = {"", "r", "ro", "w", "rw", NULL};
    static const char *const backends[] = {"", "phy", "tap", "qdisk", "standalone", NULL};

    if (disk->cdrom && disk->plain)
        return xldisk_fail(why, disk->vdev, "both a CD drive and a disk: keep one");
    if (!xldisk_is_one(disk->format, formats))
        return xldisk_fail(why, disk->format, "no format: write TARGET,raw,VDEV,ACCESS");
    if (!xldisk_is_one(disk->access, accesses))
        return xldisk_fail(why, disk->access, "no access: write r or w");
    if (!xldisk_is_one(disk->backendtype, backends))
        return xldisk_fail(why, disk->backendtype, "no backendtype: write phy, tap or qdisk");
    if (!disk->vdev[0] ||
        strspn(disk->vdev, "abcdefghijklmnopqrstuvwxyz0123456789") != strlen(disk->vdev))
        return xldisk_fail(why, disk->vdev, "no device: write vdev=xvda or such");
    return 0;
}

int xldisk_parse(struct xldisk *disk, const char *text, size_t length, char why[XLDISK_WHY])
{
    char whole[XLDISK_TEXT], *word = whole;
    int err = 0, place = 0;

    memset(disk, 0, sizeof(*disk));
    if (length >= sizeof(whole))
        return xldisk_fail(why, "the disk", "longer than 4399 characters: shorten its path");
    memcpy(whole, text, length);
    whole[length] = '\0';
    if (strchr(whole, '\\'))
        return xldisk_fail(why, whole, "a backslash in a disk: write the path without");
    while (!err && word) {
        word += strspn(word, " \t");
        if (!strncmp(word, "target=", 7)) {
            size_t end = strlen(word);
            if (end > 7 && word[end - 1] == ',')
                word[end - 1] = '\0';
            err = disk->has_target ? xldisk_fail(why, word, "a second target: keep one") : 0;
            disk->has_target = true;
            snprintf(disk->target, sizeof(disk->target), "%s", word + 7);
            break;
        }
        char *comma = strchr(word, ',');
        if (comma)
            *comma = '\0';
        else if (!*word)
            break; /* behind the last comma */
        err = xldisk_named(disk, word, why);
        if (err > 0)
            err = xldisk_placed(disk, word, &place, why);
        word = comma ? comma + 1 : NULL;
    }
    return err ? err : xldisk_check(disk, why);
}

static bool xldisk_is_ours(const struct xldisk *disk)
{
    return !strcmp(disk->backendtype, "tap") &&
           (!strcmp(disk->script, "block-ephem") ||
            !strcmp(disk->script, "/etc/xen/scripts/block-ephem"));
}

int xldisk_judge(const struct xldisk *disk, enum xldisk_verdict *verdict, char why[XLDISK_WHY])
{
    bool readonly = disk->access[0] == 'r' && disk->access[1] != 'w';
    const char *vdev = disk->vdev;

    *verdict = disk->cdrom ? XLDISK_CDROM : readonly ? XLDISK_READONLY : XLDISK_TURN;
    if (xldisk_is_ours(disk))
        *verdict = XLDISK_OURS;
    if (*verdict != XLDISK_TURN && *verdict != XLDISK_OURS)
        return 0;
    if (disk->backend[0] && strcmp(disk->backend, "0") && strcmp(disk->backend, "Domain-0"))
        return xldisk_fail(why, vdev, "another domain serves it (backend=): serve it from dom0");
    if (disk->format[0] && strcmp(disk->format, "raw"))
        return xldisk_fail(why, vdev,
                           "its format is not raw: qemu-img convert -O raw, and name the result");
    if (disk->script[0] && *verdict != XLDISK_OURS)
        return xldisk_fail(
            why, vdev, "a script attaches it (remote, maybe): attach it to dom0, name the device");
    if (disk->odd[0] || (disk->specification[0] && strcmp(disk->specification, "xen"))) {
        snprintf(why, XLDISK_WHY, "%.20s: %.60s=: not known to ephemeral disks: take it away", vdev,
                 disk->odd[0] ? disk->odd : "specification");
        return -EINVAL;
    }
    if (*verdict == XLDISK_OURS)
        return 0;
    if (disk->target[0] != '/')
        return xldisk_fail(why, vdev, "its target is no absolute path: write it from / on");
    if (strstr(disk->target, ",size="))
        return xldisk_fail(why, vdev, "its path has ,size= in it: rename the file");
    return 0;
}

/* Flags that a twin has as its disk had them, each with a comma behind. */
static void xldisk_flags_of(const struct xldisk *disk, char out[XLDISK_WORD])
{
    snprintf(out, XLDISK_WORD, "%s%s%s%s%s", disk->safe ? "direct-io-safe," : "",
             disk->discard ? "discard," : "", disk->no_discard ? "no-discard," : "",
             disk->trusted ? "trusted," : "", disk->untrusted ? "untrusted," : "");
}

int xldisk_twin(const struct xldisk *disk, char out[XLDISK_TEXT])
{
    char flags[XLDISK_WORD];

    xldisk_flags_of(disk, flags);
    int length = snprintf(out, XLDISK_TEXT,
                          "backendtype=tap,format=raw,vdev=%s,access=rw,%sscript=block-ephem,"
                          "target=cow:%s",
                          disk->vdev, flags, disk->target);

    return length < XLDISK_TEXT ? 0 : -ENAMETOOLONG;
}

int xldisk_twin_in(const struct xldisk *disk, const char *domain, const char *base,
                   char out[XLDISK_TEXT])
{
    char flags[XLDISK_WORD];

    xldisk_flags_of(disk, flags);
    int length = snprintf(out, XLDISK_TEXT,
                          "backend=%s,format=raw,vdev=%s,access=rw,%starget=" XLDISK_BASES "%s",
                          domain, disk->vdev, flags, base);

    return length < XLDISK_TEXT ? 0 : -ENAMETOOLONG;
}
