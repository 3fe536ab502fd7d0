// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stubdom_show: what became of storage domains.  One whose configuration is there and whose domain is not has crashed
 * or was ended by somebody else: it is shown until it is destroyed here.  A console is the domain's own word: it is
 * bounded, and nothing in it may move the operator's cursor.
 */
#include "stubdom_show.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ephemctl.h"
#include "paths.h"
#include "storage.h"
#include "stubdom_find.h"
#include "util.h"

#define SHOW_MOST 65536 /* bytes of a console that are looked at */

static int show_say(const char *what, const char *name, const char *why)
{
    char clean[STUB_NAME];

    fprintf(stderr, "ephemctl stubdom %s: %s: %s\n", what, ctl_clean(name, clean, sizeof(clean)),
            why);
    return EXIT_FAILURE;
}

/* ---- list ---- */

static int show_row(json_t *rows, const char *name, const struct stub_domain *domain)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof(path), "%s", domain ? domain->serving ? "serving" : "starting" : "gone");
    return json_array_append_new(
        rows, json_pack("{s:o, s:I, s:o, s:s, s:I, s:I}", "name", ctl_text_json(name), "domid",
                        (json_int_t)(domain ? domain->domid : 0), "shape",
                        ctl_text_json(domain ? domain->shape : ""), "state", path, "guests",
                        (json_int_t)(domain ? domain->guests : 0), "disks",
                        (json_int_t)(domain ? domain->disks : 0)));
}

/* Those that run. */
static int show_running(struct xenstore *xs, json_t *rows)
{
    char **names, path[PATH_ROOM], value[STUB_NAME];
    struct stub_domain domain;
    unsigned int count;
    uint32_t domid;

    int err = xenstore_list(xs, "/local/domain", &names, &count);
    if (err)
        return err;
    for (unsigned int i = 0; i < count; i++) {
        if (path_parse_id(names[i], PATH_DOMIDS - 1, &domid) || stub_find(xs, domid, &domain))
            continue;
        path_domain(path, domid, "name");
        if (xenstore_read(xs, path, value, sizeof(value)))
            value[0] = '\0';
        show_row(rows, value, &domain);
    }
    free(names);
    return xenstore_lost(xs) ? -EPIPE : 0;
}

/* Those that should. */
static void show_gone(struct xenstore *xs, json_t *rows)
{
    char path[STUB_PATH], name[STUB_NAME];
    const struct dirent *entry;
    uint32_t domid;

    stub_path("x", path);
    *strrchr(path, '/') = '\0';
    DIR *dir = opendir(path);
    while (dir && (entry = readdir(dir)) != NULL) {
        size_t length = strlen(entry->d_name);

        if (length < 5 || length - 4 >= sizeof(name) || strcmp(entry->d_name + length - 4, ".cfg"))
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)(length - 4), entry->d_name);
        if (stub_is_name(name) && stub_domid(xs, name, &domid) == -ENOENT)
            show_row(rows, name, NULL);
    }
    if (dir)
        closedir(dir);
}

static void show_table(const json_t *rows)
{
    const json_t *row;
    char domid[16];
    size_t i;

    printf("%-20s %6s %-10s %-9s %6s %6s\n", "NAME", "DOMID", "SHAPE", "STATE", "GUESTS", "DISKS");
    json_array_foreach(rows, i, row)
    {
        snprintf(domid, sizeof(domid), "%lld", (long long)ctl_number(row, "domid"));
        printf("%-20s %6s %-10s %-9s %6lld %6lld\n", ctl_text(row, "name"),
               strcmp(domid, "0") ? domid : "-", ctl_text(row, "shape"), ctl_text(row, "state"),
               (long long)ctl_number(row, "guests"), (long long)ctl_number(row, "disks"));
    }
}

int stub_list(int argc, char **argv)
{
    bool json = argc == 2 && !strcmp(argv[1], "--json");
    json_t *rows = json_array();
    struct xenstore *xs = NULL;

    if (argc > 1 && !json) {
        fputs("ephemctl stubdom list: takes --json only; try --help\n", stderr);
        json_decref(rows);
        return 2;
    }
    int err = xenstore_open(&xs);
    if (!err)
        err = show_running(xs, rows);
    if (!err) {
        show_gone(xs, rows);
        json_t *answer = json_pack("{s:O}", "domains", rows);
        if (json)
            ctl_print_json(answer);
        else
            show_table(rows);
        json_decref(answer);
    }
    json_decref(rows);
    xenstore_close(xs);
    return err ? show_say("list", "xenstore", "cannot be read: run it as root, in dom0") : 0;
}

/* ---- destroy ---- */

/* Its domain, if there is one.  0, or the exit status. */
static int show_destroy(struct xenstore *xs, const char *name, bool force)
{
    char path[STUB_PATH], why[STUB_WHY], number[16];
    struct stub_domain domain;
    uint32_t domid;

    stub_path(name, path);
    int err = stub_domid(xs, name, &domid);
    if (err == -ENOENT)
        return unlink(path) ? show_say("destroy", name, "there is no such storage domain") : 0;
    if (!err)
        err = stub_find(xs, domid, &domain);
    if (err == -ENOENT)
        return show_say("destroy", name,
                        access(path, F_OK)
                            ? "that domain is no storage domain"
                            : "that domain is no storage domain of 'stubdom create', though it has "
                              "its name: 'xl destroy' it, if it is yours, and try again");
    if (err)
        return show_say("destroy", name, strerror(-err));
    if (domain.disks && !force) {
        snprintf(why, sizeof(why),
                 "%u guests have %u disks there, which would be dead: shut them down, or --force",
                 domain.guests, domain.disks);
        return show_say("destroy", name, why);
    }
    snprintf(number, sizeof(number), "%u", domid);
    if (stub_xl("destroy", NULL, number))
        return show_say("destroy", name, "xl could not destroy it");
    unlink(path);
    return 0;
}

int stub_destroy(int argc, char **argv)
{
    const char *name = NULL;
    struct xenstore *xs = NULL;
    bool force = false, wrong = false;

    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--force"))
            force = true;
        else if (name || !stub_is_name(argv[i]))
            wrong = true;
        else
            name = argv[i];
    if (wrong || !name) {
        fputs("ephemctl stubdom destroy: say one name, and --force or nothing\n", stderr);
        return 2;
    }
    if (xenstore_open(&xs))
        return show_say("destroy", "xenstore", "cannot be reached: run it as root, in dom0");
    int status = show_destroy(xs, name, force);
    xenstore_close(xs);
    return status;
}

/* ---- logs ---- */

/* In place: a console may have NULs, escapes, and bytes by which some terminals are commanded, too. */
static void show_plain(char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] != '\n' && text[i] != '\r' && (text[i] < ' ' || text[i] > '~'))
            text[i] = '?';
}

static FILE *show_open(const char *name)
{
    const char *dir = getenv("EPHEM_CONSOLES");
    char path[STUB_PATH];

    snprintf(path, sizeof(path), "%.256s/guest-%.64s.log", dir ? dir : STUB_CONSOLES, name);
    return fopen(path, "re");
}

long stub_log_size(const char *name)
{
    FILE *file = show_open(name);
    long size = 0;

    if (file && !fseek(file, 0, SEEK_END))
        size = ftell(file);
    if (file)
        fclose(file);
    return size > 0 ? size : 0;
}

int stub_show_log(const char *name, unsigned int lines, long from, FILE *to)
{
    static char text[SHOW_MOST + 1];
    FILE *file = show_open(name);

    if (!file)
        return -errno;
    if (fseek(file, 0, SEEK_END) || ftell(file) < from)
        from = 0; /* it was begun anew */
    if (ftell(file) - from > SHOW_MOST)
        from = ftell(file) - SHOW_MOST;
    size_t length = fseek(file, from, SEEK_SET) ? 0 : fread(text, 1, SHOW_MOST, file);
    fclose(file);
    if (!length && from)
        return -ENODATA;
    text[length] = '\0';
    show_plain(text, length);
    size_t at = length;
    for (unsigned int n = 0; at && n <= lines; at--)
        if (text[at - 1] == '\n' && at < length && ++n == lines)
            break;
    for (char *line = strtok(text + at, "\r\n"); line; line = strtok(NULL, "\r\n"))
        fprintf(to, "%s\n", line);
    return 0;
}

int stub_logs(int argc, char **argv)
{
    const char *name = NULL;
    uint64_t lines = 40;
    bool wrong = false;

    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--lines") && i + 1 < argc)
            wrong = wrong || parse_u64(argv[++i], 10000, &lines) || !lines;
        else if (name || !stub_is_name(argv[i]))
            wrong = true;
        else
            name = argv[i];
    if (wrong || !name) {
        fputs("ephemctl stubdom logs: say one name, and --lines N (1 to 10000) or nothing\n",
              stderr);
        return 2;
    }
    int err = stub_show_log(name, (unsigned int)lines, 0, stdout);
    return err ? show_say("logs", name,
                          "no log of its console: xenconsoled writes it when it is started with "
                          "--log=guest")
               : 0;
}
