/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * syscalls: which system calls this process may still make; every other one ends it, and its key.
 */
#ifndef EPHEM_SYSCALLS_H
#define EPHEM_SYSCALLS_H

/* Sanitizers need more, to read the files a report is worded from: never in a program that guests are
 * given to.  Sockets, programs and processes are denied with them too. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SYSCALLS_REPORTS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SYSCALLS_REPORTS 1
#endif
#ifndef SYSCALLS_REPORTS
#define SYSCALLS_REPORTS 0
#endif

/* A bit each: where a call is allowed. */
enum syscalls_phase {
    SYSCALLS_WORKER_SETUP = 1, /* from the drop until all threads run */
    SYSCALLS_WORKER = 2,       /* from then on: all that a guest can ever see */
    SYSCALLS_SERVE_SETUP = 4,  /* the same of `serve` */
    SYSCALLS_SERVE = 8,
    SYSCALLS_UNDERTAKER = 16, /* of the child that wipes: undertaker.h */
};

/*
 * From now on only the calls of `phase`, in all threads there are and will be.  A later phase adds to an
 * earlier one, it never gives anything back.  Needs no_new_privs.  0 or negative errno: then nothing
 * may be served.
 */
int syscalls_allow(enum syscalls_phase phase);

#endif
