// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xlagree: what xl itself (libxlutil) makes of configurations and disks, beside what ephemctl does.
 *
 *   xlagree FILE    the disks xl would attach, a line each: vdev, rw or ro, cdrom or disk, backendtype,
 *                   script, target
 *   xlagree -n N    N random texts: whatever ours takes, xl takes, with the same disks; whatever ours would
 *                   turn is for xl a writable raw disk of dom0's without a script.  Ours may refuse more.
 */
#include <libxl.h>
#include <libxlutil.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xlcfg.h"
#include "xldisk.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static FILE *nothing;
static unsigned long wrong, taken, turned;

static size_t below(size_t bound)
{
    static unsigned long long state = 1;

    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (size_t)(state >> 33) % bound;
}

static void bad(const char *what, const char *text)
{
    wrong++;
    printf("%s: <<%s>>\n", what, text);
}

/* ---- whole files ---- */

static void one_file(const char *text)
{
    static struct xlcfg cfg;
    XLU_Config *xl = xlu_cfg_init(nothing, "random");
    XLU_ConfigList *list = NULL;
    int count = 0;

    int err = xlu_cfg_readdata(xl, text, (int)strlen(text));
    if (!err)
        (void)xlu_cfg_get_list(xl, "disk", &list, &count, 1);
    if (!xlcfg_parse(&cfg, text, strlen(text))) {
        taken++;
        if (err || (size_t)count != cfg.count)
            bad(err ? "xl cannot read it" : "other disks for xl", text);
        for (size_t i = 0; !err && (size_t)count == cfg.count && i < cfg.count; i++) {
            const char *item = xlu_cfg_get_listitem(list, (int)i);
            const char *ours = text + cfg.disks[i].at;

            /* An escape makes it another string; xldisk refuses those. */
            if (!memchr(ours, '\\', cfg.disks[i].length) &&
                (strlen(item) != cfg.disks[i].length || memcmp(item, ours, strlen(item))))
                bad("another string for xl", text);
        }
    }
    xlu_cfg_destroy(xl);
}

static void random_file(void)
{
    static const char *const words[] = {
        "'",    "'",   "\"",    "\"", "\\'", "a",    ",",        "\n",        " ",       "[",
        "]",    "=",   "disk=", "#",  ";",   "x",    "1",        "+=",        "disk=['", "']",
        "\\\\", "','", "']\n",  "-",  "\t",  "\\\"", "disk+=['", "name='b'\n"};
    char text[512] = "";
    bool whole = below(2);

    strcpy(text, whole ? "disk=['" : "");
    for (size_t i = below(12); i; i--)
        strcat(text, words[below(COUNT(words))]);
    strcat(text, whole ? "']\n" : "\n");
    one_file(text);
}

/* ---- one disk ---- */

static void one_disk(const char *text)
{
    XLU_Config *xl = xlu_cfg_init(nothing, "random");
    libxl_device_disk theirs;
    struct xldisk ours;
    enum xldisk_verdict verdict;
    char why[XLDISK_WHY];

    libxl_device_disk_init(&theirs);
    int err = xlu_disk_parse(xl, 1, &text, &theirs);
    if (!xldisk_parse(&ours, text, strlen(text), why)) {
        bool turn = !xldisk_judge(&ours, &verdict, why) && verdict == XLDISK_TURN;

        taken++;
        turned += turn;
        if (turn && err)
            bad("turned, and xl cannot read it", text);
        else if (turn && (theirs.format != LIBXL_DISK_FORMAT_RAW || theirs.script ||
                          !theirs.readwrite || theirs.is_cdrom || !theirs.pdev_path ||
                          strcmp(theirs.pdev_path, ours.target) || strcmp(theirs.vdev, ours.vdev)))
            bad("turned, and another disk for xl", text);
        else if (!turn && !err && theirs.readwrite && (ours.cdrom || ours.access[0] == 'r') &&
                 strcmp(ours.access, "rw"))
            bad("left as it is, and writable for xl", text);
    }
    libxl_device_disk_dispose(&theirs);
    xlu_cfg_destroy(xl);
}

static const char *const disk_words[] = {"/a",
                                         "/b",
                                         "phy:",
                                         "file:",
                                         "tap:",
                                         "aio:",
                                         "qcow2:",
                                         "raw:",
                                         "nbd:",
                                         "drbd:",
                                         "raw",
                                         "qcow2",
                                         "vhd",
                                         "empty",
                                         ",",
                                         ",",
                                         ",",
                                         ",",
                                         ",",
                                         "xvda",
                                         "xvdb",
                                         "vdev=",
                                         "access=",
                                         "target=",
                                         "format=",
                                         "r",
                                         "w",
                                         "ro",
                                         "rw",
                                         "cdrom",
                                         "devtype=cdrom",
                                         "devtype=disk",
                                         "hdc:cdrom",
                                         " ",
                                         "backend=",
                                         "dom",
                                         "0",
                                         "backendtype=",
                                         "tap",
                                         "qdisk",
                                         "script=",
                                         "x",
                                         "discard",
                                         "no-discard",
                                         "direct-io-safe",
                                         "=",
                                         "odd=1"};

static void random_disk(void)
{
    char text[512] = "";

    strcpy(text, below(2) ? "/a,raw,xvda,w," : "");
    for (size_t i = below(12); i; i--)
        strcat(text, disk_words[below(COUNT(disk_words))]);
    one_disk(text);
}

/* ---- main ---- */

static int show(const char *name)
{
    static char text[1 << 20];
    FILE *from = fopen(name, "r");
    size_t length = from ? fread(text, 1, sizeof(text) - 1, from) : 0;
    XLU_Config *xl = xlu_cfg_init(stderr, name);
    XLU_ConfigList *list;
    int count = 0, err = 0;

    if (!from || xlu_cfg_readdata(xl, text, (int)length) ||
        xlu_cfg_get_list(xl, "disk", &list, &count, 0))
        return 1;
    for (int i = 0; i < count && !err; i++) {
        const char *spec = xlu_cfg_get_listitem(list, i);
        libxl_device_disk disk;

        libxl_device_disk_init(&disk);
        err = xlu_disk_parse(xl, 1, &spec, &disk);
        if (!err)
            printf("%s %s %s %s %s %s\n", disk.vdev, disk.readwrite ? "rw" : "ro",
                   disk.is_cdrom ? "cdrom" : "disk", libxl_disk_backend_to_string(disk.backend),
                   disk.script ? disk.script : "-", disk.pdev_path);
        libxl_device_disk_dispose(&disk);
    }
    xlu_cfg_destroy(xl);
    fclose(from);
    return err ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return show(argv[1]);
    long rounds = argc == 3 ? atol(argv[2]) : 0;
    nothing = fopen("/dev/null", "w");
    if (rounds <= 0 || !nothing) {
        fputs("usage: xlagree FILE | xlagree -n N\n", stderr);
        return 2;
    }
    for (long i = 0; i < rounds; i++) {
        random_file();
        random_disk();
    }
    printf("%lu taken, %lu turned, %lu wrong\n", taken, turned, wrong);
    return wrong || taken < (unsigned long)rounds / 50 || !turned;
}
