/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frontend: the guest's folder of a disk: whose it is, and removed, for the daemon and for `ephemctl detach`.
 * Keeps nothing.
 */
#ifndef EPHEM_FRONTEND_H
#define EPHEM_FRONTEND_H

#include <stdbool.h>

#include "paths.h"
#include "xs.h"

#define FRONTEND_BACKEND (PATH_ROOM + 32)

/* The path of our backend folder, as a frontend has to name it. */
void frontend_backend(const struct xenstore *xs, const struct path_vbd *id,
                      char out[FRONTEND_BACKEND]);

/* 0: the folder names our backend; -ENOENT: it is not there, or names none; -EEXIST: it names another, or
 * nonsense; else errno. */
int frontend_look(struct xenstore *xs, const struct path_vbd *id);

/* libxl has a record of the device, which only dom0 can write. */
bool frontend_is_libxls(struct xenstore *xs, const struct path_vbd *id);

/* Removes the folder of a disk that `ephemctl attach` gave: the guest's driver lets go of the device by that.
 * One that names another backend, or of whose device libxl has a record by now, is left alone: a guest that lies in
 * it keeps a dead folder.  Inside of the caller's transaction.  0, also when nothing is removed; else errno. */
int frontend_erase(struct xenstore *xs, const struct path_vbd *id);

#endif
