// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kernel: whether freed pages are zeroed, from command lines and configurations of all kinds.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kernel.h"
#include "util.h"

#define ON  "CONFIG_INIT_ON_ALLOC_DEFAULT_ON=y\nCONFIG_INIT_ON_FREE_DEFAULT_ON=y\nCONFIG_X=y\n"
#define OFF "CONFIG_A=y\n# CONFIG_INIT_ON_FREE_DEFAULT_ON is not set\nCONFIG_X=y\n"
#define OLD "CONFIG_A=y\nCONFIG_X=y\n# CONFIG_INIT_ON_FREE_DEFAULT_ON_TOO is not set\n"

static const struct {
    const char *cmdline, *config; /* NULL: no such file */
    int is;
} rows[] = {
    {"quiet init_on_free=1\n", OFF, 1},
    {"init_on_free=1", NULL, 1},
    {"init_on_free=on init_on_alloc=0\n", NULL, 1},
    {"init_on_free=y\n", NULL, 1},
    {"init_on_free=0\n", ON, 0},
    {"init_on_free=off\n", ON, 0},
    {"init_on_free=N\n", ON, 0},
    {"init_on_free=1 init_on_free=0\n", ON, 0},
    {"init_on_free=0 init_on_free=1\n", OFF, 1},
    /* What the kernel does not understand changes nothing. */
    {"init_on_free=1 init_on_free=\n", OFF, 1},
    {"init_on_free=maybe\n", ON, 1},
    {"init_on_free=o\n", OFF, 0},
    {"init_on_free\n", OFF, 0},
    /* Not the kernel's word. */
    {"xinit_on_free=1\n", OFF, 0},
    {"init_on_free=0 -- init_on_free=1\n", ON, 0},
    {"dyndbg=\"file a init_on_free=1 +p\" quiet\n", OFF, 0},
    {"\"init_on_free=1\"\n", OFF, 1},
    /* As it was built. */
    {"quiet\n", ON, 1},
    {"quiet\n", OFF, 0},
    {"", ON, 1},
    {"quiet\n", OLD, -ENOENT},
    {"quiet\n", NULL, -ENOENT},
    {"quiet\n", "", -ENOENT},
    {NULL, ON, -EACCES},
};

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
}

static void freed(void)
{
    char dir[] = "/tmp/kernel.XXXXXX", cmdline[64], config[64];

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(cmdline, sizeof(cmdline), "%s/cmdline", dir);
    snprintf(config, sizeof(config), "%s/config", dir);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].cmdline)
            put(cmdline, rows[i].cmdline);
        if (rows[i].config)
            put(config, rows[i].config);
        int is = kernel_zeroes_freed(cmdline, config);
        if (is != rows[i].is)
            fprintf(stderr, "row %zu: %d\n", i, is);
        CU_ASSERT_EQUAL(is, rows[i].is);
        unlink(cmdline);
        unlink(config);
    }
    rmdir(dir);
}

static const struct unit_case cases[] = {
    {"freed pages", freed},
};

int suite_kernel(void)
{
    return UNIT_SUITE("kernel", cases);
}
