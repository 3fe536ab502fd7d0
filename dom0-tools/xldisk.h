/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xldisk: one disk as xl writes it (xl-disk-configuration(5)), taken apart, and its ephemeral twin.  Pure.
 * TARGET,FORMAT,VDEV,ACCESS by place, KEY=VALUE, flags, and the old prefixes such as phy: and file:.
 */
#ifndef EPHEM_XLDISK_H
#define EPHEM_XLDISK_H

#include <stdbool.h>
#include <stddef.h>

#define XLDISK_TEXT 4400 /* room for a disk: a path and what belongs to it */
#define XLDISK_WORD 64
#define XLDISK_WHY  200

#define XLDISK_BASES "/bases/" /* where a storage domain has them */

enum xldisk_verdict {
    XLDISK_TURN,     /* writable, and has a twin */
    XLDISK_READONLY, /* stays as it is, as do the next two */
    XLDISK_CDROM,
    XLDISK_OURS, /* is ephemeral already */
};

struct xldisk {
    char target[XLDISK_TEXT];
    char format[XLDISK_WORD], vdev[XLDISK_WORD], access[XLDISK_WORD], backend[XLDISK_WORD];
    char backendtype[XLDISK_WORD], script[XLDISK_WORD * 4], specification[XLDISK_WORD];
    char odd[XLDISK_WORD]; /* a parameter we do not know */
    bool has_target, cdrom, plain,
        old; /* plain: is said to be no CD drive; old: has a prefix, and so no format by place */
    bool safe, discard, no_discard, trusted, untrusted;
};

/* 0, or -EINVAL with `why` when xl could not read it either. */
int xldisk_parse(struct xldisk *disk, const char *text, size_t length, char why[XLDISK_WHY]);

/* What is to become of it.  0, or -EINVAL with `why` when it is writable and cannot be turned. */
int xldisk_judge(const struct xldisk *disk, enum xldisk_verdict *verdict, char why[XLDISK_WHY]);

/* The twin of a disk to be turned, as text.  0, or -ENAMETOOLONG. */
int xldisk_twin(const struct xldisk *disk, char out[XLDISK_TEXT]);

/* The same, of a base by its name in a storage domain. */
int xldisk_twin_in(const struct xldisk *disk, const char *domain, const char *base,
                   char out[XLDISK_TEXT]);

#endif
