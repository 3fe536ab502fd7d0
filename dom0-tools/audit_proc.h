/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * audit_proc: texts of /proc, of the daemon's notes and of xenstore, taken apart.  Pure.
 * Those with a result return 0 or -ENOENT (the text has no such thing) or -EINVAL (it is not as the kernel writes it).
 */
#ifndef EPHEM_AUDIT_PROC_H
#define EPHEM_AUDIT_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROC_UNLIMITED UINT64_MAX

/* "Key:<blanks>VALUE" at the begin of a line; the value to the line's end.  -EINVAL: too long. */
int proc_field(const char *text, const char *key, char *out, size_t size);
/* The same for a decimal, a unit may stand behind it. */
int proc_number(const char *text, const char *key, uint64_t *out);
/* The same for hexadecimal digits without a prefix, and octal ones. */
int proc_hex(const char *text, const char *key, uint64_t *out);
int proc_octal(const char *text, const char *key, uint64_t *out);
/* The same for a line of `count` decimals. */
int proc_numbers(const char *text, const char *key, uint64_t *out, size_t count);

/* From /proc/PID/stat: the state's letter, the parent, and the start in clock ticks since boot. */
int proc_stat(const char *text, char *state, uint64_t *parent, uint64_t *started);

/* From /proc/PID/limits: soft and hard limit of "Max core file size" and its like. */
int proc_limit(const char *text, const char *name, uint64_t *soft, uint64_t *hard);

/* From /proc/PID/smaps; sizes in KiB. */
struct proc_memory {
    unsigned int secret_heaps,
        secret_keys; /* mappings of memfd_secret: writable; one page read-only */
    unsigned int locked_heaps, locked_keys; /* ordinary ones that stand in for them */
    unsigned int arenas, bare_arenas;       /* of which not locked, or in dumps */
    uint64_t swapped;                       /* of all mappings */
    uint64_t unlocked;                      /* resident in writable private mappings */
};
int proc_memory(const char *text, struct proc_memory *out);

/* From a kernel command line: the last KEY=VALUE (or KEY, with an empty value). */
int proc_word(const char *cmdline, const char *key, char *out, size_t size);
/* A line of /proc/PID/mountinfo.  *text, which is cut into words that `out` points to, goes to the next
 * line.  -ENOENT at the end and only there. */
struct proc_mount {
    unsigned int major, minor;
    bool writable;    /* here */
    bool fs_writable; /* the file system, here or elsewhere */
    const char *place, *type, *source;
};
int proc_mount(char **text, struct proc_mount *out);

/* A line of /proc/swaps: its path, and whether that is a block device.  *text as above; its first line, the
 * heading, is to be skipped with proc_swaps(), which returns -EINVAL where there is none. */
int proc_swaps(char **text);
int proc_swap(char **text, const char **path, bool *block);

/* The daemon's note of a worker: "PID STARTED UUID [DOMID UUID]", the latter the stub domain's. */
struct proc_note {
    uint64_t pid, started; /* in clock ticks since boot */
    char uuid[64];
    uint64_t stubdom; /* 0: none */
    char stubdom_uuid[64];
};
int proc_note(const char *text, struct proc_note *out);

/* A backend's params of ours, "[aio:][cow:]PATH[,size=S]" or "blank:S": the path, "" for blank. */
int proc_base(const char *params, char *out, size_t size);

#endif
