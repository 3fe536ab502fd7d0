/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stubdom_bases: which bases a storage domain has, by the configuration that `ephemctl stubdom create` gave xl.  Pure.
 */
#ifndef EPHEM_STUBDOM_BASES_H
#define EPHEM_STUBDOM_BASES_H

#include "stubdom_cfg.h"

#define STUB_BASE_PATH 1024

struct stub_bases {
    size_t count;
    struct {
        char name[32];
        char path[STUB_BASE_PATH]; /* of the device, */
        char file[STUB_BASE_PATH]; /* and what a loop device shows all of; "": none */
    } bases[STUB_BASES];
};

/* Takes a configuration of stub_write() apart.  0, or -EINVAL and `why`. */
int stub_bases_parse(struct stub_bases *out, const char *text, size_t length, char why[STUB_WHY]);

#endif
