/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * toolstack in two parts: domains and what both need (toolstack.c), disks (toolstack_disk.c).
 */
#ifndef SIM_TOOLSTACK_H
#define SIM_TOOLSTACK_H

#include <stdbool.h>

#include <xenstore.h>

extern struct xs_handle *xsh;

/* Ends the program with errno's words. */
_Noreturn void die(const char *what, const char *path);

__attribute__((format(printf, 3, 4))) void put(xs_transaction_t t, const char *path,
                                               const char *format, ...);

/* The node's value, to be freed; NULL if there is none. */
char *get(xs_transaction_t t, const char *dir, const char *key);

/* A fresh folder that `owner` owns and `reader` may read. */
void make_dir(xs_transaction_t t, const char *path, unsigned owner, unsigned reader);

/* True if the transaction is through, false if it must be repeated. */
bool commit(xs_transaction_t t);

/* Until the node has one of the values, "-" for none; 1 and a line if it has not in time. */
int wait_for(const char *path, char **values, int seconds);

/* How long after something happened wait_for() looks, in ms, as a toolstack with much to do. */
extern unsigned late_ms;

int cmd_attach(int argc, char **argv);
int cmd_detach(int argc, char **argv);
int cmd_force(int argc, char **argv);

/* All disks of a domain, as when it has been destroyed. */
int close_disks(const char *domid);

#endif
