/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kernel: what the running kernel does by itself and tells nobody at a glance.
 */
#ifndef EPHEM_KERNEL_H
#define EPHEM_KERNEL_H

#define KERNEL_CMDLINE "/proc/cmdline"

/*
 * Whether it zeroes pages as it frees them (init_on_free): 1 or 0; -ENOENT: its command line does not
 * say, and how it was built is not known; other negative errno: the command line cannot be read.
 * `cmdline` is a file, KERNEL_CMDLINE but in tests; `config` too, or NULL: that in /boot of its release.
 */
int kernel_zeroes_freed(const char *cmdline, const char *config);

#endif
