/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard_judge: whether a disk is ours, and what becomes of a domain.  Pure: facts in, verdict out.
 *
 * A fact is what one place of xenstore tells of one disk; a disk may be told of in three, and is no
 * better than the worst says.  Values may be anybody's: what does not have exactly the form that a
 * toolstack writes is a disk of somebody else's.
 */
#ifndef EPHEM_GUARD_JUDGE_H
#define EPHEM_GUARD_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#define GUARD_PATH 256 /* room for a path or a script; what is longer is nobody's that we know */

enum guard_source {
    GUARD_LIBXL,   /* /libxl/DOMID/device: libxl's own copy, which dom0 alone may write */
    GUARD_BACKEND, /* a backend directory of dom0 */
    GUARD_FRONTEND /* the domain's directory, which is dom0's word until the domain has run */
};

struct guard_fact {
    enum guard_source source;
    uint32_t domid;           /* whose disk it is, */
    char device[16];          /* and the directory's last component, as it is */
    char backend[GUARD_PATH]; /* path of the backend, as written; of a BACKEND, its own */
    char frontend[GUARD_PATH];
    char script[GUARD_PATH];
    char mode[8];   /* these four are empty where there is no such node, or an odd one */
    bool from_dom0; /* BACKEND: nobody else may write it */
    bool storage;   /* LIBXL: who serves it is a storage domain of ours */
    bool in_libxl;  /* FRONTEND: libxl tells of the same backend */
};

enum guard_verdict { GUARD_OURS, GUARD_READ_ONLY, GUARD_FOREIGN };

struct guard_backend {
    uint32_t host, domid, devid; /* who serves it, to whom, as what */
    char kind[16];
};

/* "/local/domain/HOST/backend/KIND/DOMID/DEVID", exactly.  0 or -EINVAL. */
int guard_parse_backend(const char *path, struct guard_backend *out);

/* Kinds of backends that are disks; NULL beyond the last. */
const char *guard_kind(unsigned int n);

enum guard_verdict guard_judge(const struct guard_fact *fact);

enum guard_phase {
    GUARD_LOOSE,  /* we hold no pause of it */
    GUARD_HELD,   /* ours is one of its pauses, until it has been created */
    GUARD_REFUSED /* the same, for good */
};

enum guard_act {
    GUARD_LEAVE, /* as it is */
    GUARD_HOLD,  /* pause it, then look again */
    GUARD_TRY,   /* give the pause up if that lets it run, else keep it */
    GUARD_FREE,  /* give the pause up */
    GUARD_REFUSE,
    GUARD_WARN
};

struct guard_case {
    enum guard_phase phase;
    bool guarded; /* marked, and not excepted */
    bool strict;
    bool ran;     /* it has executed an instruction, or we have let it */
    bool foreign; /* it has a writable disk that is not ours */
    bool empty;   /* it has no disk at all */
};

enum guard_act guard_decide(const struct guard_case *c);

#endif
