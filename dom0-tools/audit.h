/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * audit: what the parts of `ephemctl audit` share: the rows they add, and the domain they look at.
 * Parts: audit_disks (xenstore, by disk_find), audit_worker (which process, how old), audit_sandbox,
 * audit_memory, audit_files (of that process, from /proc; with audit_writers and audit_given), audit_host,
 * audit_report (rows, table, exit status); audit_proc takes the kernel's texts apart.
 *
 * What cannot be looked at is AUDIT_UNKNOWN, never AUDIT_OK.  One thread; cmd_audit owns all.
 */
#ifndef EPHEM_AUDIT_H
#define EPHEM_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#define AUDIT_DISKS 256 /* of one domain; more are not looked at, and that is said */
#define AUDIT_PATH  1024
#define AUDIT_NAME  256

/* From harmless to bad. */
enum audit_verdict { AUDIT_OK, AUDIT_WARN, AUDIT_UNKNOWN, AUDIT_FAIL };

struct xenstore;

struct audit_disk {
    char name[32]; /* "xvda" */
    uint32_t devid;
    bool closed;           /* nothing is served (any more) */
    char base[AUDIT_PATH]; /* of ours; "": blank */
};

/* A block device of dom0 that a guest has as a disk. */
struct audit_given {
    dev_t device;
    uint32_t domid;
    char name[32], kind[64];
    bool writable;
};

struct audit_givens {
    struct audit_given *list; /* free() */
    size_t count;
    int err; /* not all of them could be read */
};

struct audit_domain {
    uint32_t domid;
    char name[AUDIT_NAME];
    char uuid[64];        /* the vm's by xenstore; "": not known */
    struct xenstore *xs;  /* NULL: does not answer */
    const json_t *daemon; /* its answer to `status`, or NULL */
    const json_t *status; /* of that, this guest; or NULL */
    const struct audit_givens *givens;
    const json_t *owner; /* the guest whose worker it has: itself, or a stub domain's */
    json_t *checks;      /* the rows go there */
    struct audit_disk disks[AUDIT_DISKS]; /* ours */
    size_t count;
    size_t stored;      /* disks in storage domains */
    pid_t pid;          /* of the worker; 0: none */
    int dir;            /* /proc/PID of that very process; -1: none */
    pid_t undertaker;   /* 0: none */
    int undertaker_dir; /* -1: none */
    bool aged;          /* key_age is known: */
    uint64_t key_age;   /* seconds */
    bool init_on_free;  /* freed pages are zeroed */
    bool swaps;         /* dom0 has swap */
};

/* ---- audit_report ---- */

/*
 * Adds a row.  `remedy` is what to do about it, NULL for AUDIT_OK.  The detail may hold whatever
 * others wrote: it is cut to 240 characters, and what is no printable ASCII becomes '?'.
 * Ends the program when there is no memory: a row that is missing would look like none needed.
 */
__attribute__((format(printf, 5, 6))) void audit_add(json_t *checks, enum audit_verdict verdict,
                                                     const char *check, const char *remedy,
                                                     const char *fmt, ...);

/* As audit_add() does with a detail. */
json_t *audit_clean(const char *text);

/* Counts and verdict into the report; the exit status. */
int audit_conclude(json_t *report);

/* The report as a table. */
void audit_print(const json_t *report);

/* ---- reading ---- */

/*
 * The whole file, at most 32 MiB, with a NUL behind; free().  NULL with errno.
 * `dir` is a directory's descriptor or AT_FDCWD.
 */
char *audit_read(int dir, const char *name);

/*
 * Whether a process, by its directory of /proc, is in the namespace `space` of dom0's first process: 1 or 0;
 * -ENOENT: the kernel has no such namespaces; other negative errno.
 */
int audit_in_dom0(int process, const char *space);

/* For rows that say why something is unknown. */
#define AUDIT_AS_ROOT "run ephemctl as root, in dom0"

/* All that dom0 gives; `xs` may be NULL. */
void audit_givens_read(struct xenstore *xs, struct audit_givens *givens);

/* ---- the parts: each adds its rows to domain->checks ---- */

/* All disks the domain has with anybody; fills disks[] with ours. */
void audit_disks(struct audit_domain *domain);

/* Finds the worker by the daemon's notes in `run_dir`: pid, dir, undertaker, key_age. */
void audit_worker(struct audit_domain *domain, const char *run_dir);

/* Of the worker that was found. */
void audit_sandbox(struct audit_domain *domain);
void audit_memory(struct audit_domain *domain);
void audit_files(struct audit_domain *domain);

/* Dom0 itself; *swaps, *init_on_free: for audit_memory(). */
void audit_host(json_t *checks, bool *swaps, bool *init_on_free);

/* Whether all that a block device lies on is encrypted by dm-crypt: 1, 0, or negative errno: unknown. */
int audit_is_encrypted(dev_t id);

/* Domids that run_dir has notes of workers for, stub domains among them; at most `room`.  A row in
 * `checks` when they cannot be read. */
size_t audit_noted(const char *run_dir, json_t *checks, uint32_t *domids, size_t room);

/* "PID (name)" of a process, for a row. */
const char *audit_process_name(pid_t pid, char out[48]);

#endif
