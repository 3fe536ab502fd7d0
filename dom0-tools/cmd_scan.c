// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scan: every domain, every volume, and what becomes of what is written there.  Judges nobody: that is
 * audit's business.  Looks at xenstore and at dom0's devices; the daemon is not asked, so it may be down.
 */
#include "ephemctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "audit.h"
#include "audit_proc.h"
#include "disk_find.h"
#include "paths.h"
#include "xs.h"

static const char scan_help[] =
    "usage: ephemctl scan [DOMAIN] [--json]\n"
    "Every volume of every domain but dom0, or of one given by name or domid and its stub domain:\n"
    "ephemeral, read-only, encrypted (kept, on dm-crypt), plain (kept as it is written), or "
    "unknown.\n"
    "Exit status: 0, 1 when something could not be looked at or there is no such domain.\n"
    "\n"
    "  --json  the same as JSON\n"
    "  --help  this text\n";

enum scan_kind { SCAN_EPHEMERAL, SCAN_READONLY, SCAN_ENCRYPTED, SCAN_PLAIN, SCAN_UNKNOWN };

static const char *const scan_words[] = {[SCAN_EPHEMERAL] = "ephemeral",
                                         [SCAN_READONLY] = "read-only",
                                         [SCAN_ENCRYPTED] = "encrypted",
                                         [SCAN_PLAIN] = "plain",
                                         [SCAN_UNKNOWN] = "unknown"};

static void scan_add(json_t *rows, const char *vdev, enum scan_kind kind, const char *detail)
{
    json_t *row = json_pack("{s:s, s:s, s:o}", "vdev", vdev, "kind", scan_words[kind], "detail",
                            audit_clean(detail));

    if (!row || json_array_append_new(rows, row)) {
        fputs("ephemctl scan: no memory for the report\n", stderr);
        exit(EXIT_FAILURE);
    }
}

/* The device that a backend of dom0's writes to, or where its file lies.  0 or negative errno. */
static int scan_device(const char *physical, const char *params, dev_t *id)
{
    unsigned int high, low;
    struct stat st;
    int end = 0;

    if (sscanf(physical, "%x:%x%n", &high, &low, &end) == 2 && !physical[end]) {
        *id = makedev(high, low);
        return 0;
    }
    const char *path = strchr(params, '/');
    /* "FORMAT:PATH"; what is relative, only the device model knows to what. */
    if (!path || (path > params && path[-1] != ':'))
        return -ENOENT;
    if (stat(path, &st))
        return -errno;
    if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
        return -EINVAL;
    *id = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
    return 0;
}

/* A writable disk that is not ours. */
static enum scan_kind scan_kept(struct disks *disks, const struct disk_path *at, const char *params,
                                const char **why)
{
    char physical[XENSTORE_VALUE];
    dev_t id = 0;

    if (at->backend != disks->self) {
        *why = "what is below it only that domain knows: ";
        return SCAN_UNKNOWN;
    }
    int err = scan_device(disk_read(disks, at, "physical-device", physical), params, &id);
    if (!err)
        err = audit_is_encrypted(id);
    *why = err > 0 ? "on dm-crypt: " : !err ? "" : "whether it is encrypted cannot be told: ";
    return err > 0 ? SCAN_ENCRYPTED : !err ? SCAN_PLAIN : SCAN_UNKNOWN;
}

static void scan_disk(struct disks *disks, const struct disk_path *at, json_t *rows)
{
    char vdev[32], base[AUDIT_PATH], detail[XENSTORE_VALUE + 200];
    char params[XENSTORE_VALUE];
    enum scan_kind kind = SCAN_UNKNOWN;
    const char *why = "";

    path_device_name(vdev, at->devid);
    disk_read(disks, at, "params", params);
    bool readonly = disk_is_readonly(disks, at);
    if (disk_kind_is_way(at->kind)) {
        strcpy(vdev, "-");
        why = "no disk, but data may leave through it: ";
    } else if (!disk_is_there(disks, at)) {
        why = "nobody serves it: ";
    } else if (!disk_is_referred(disks, at)) {
        why = "nothing refers to it: ";
    } else if (disk_is_stored(disks, at)) {
        snprintf(detail, sizeof(detail), "in storage domain %u, %s", at->backend, params);
        scan_add(rows, vdev, readonly ? SCAN_READONLY : SCAN_EPHEMERAL, detail);
        return;
    } else if (!disk_is_ours(disks, at)) {
        kind = readonly ? SCAN_READONLY : scan_kept(disks, at, params, &why);
    } else if (proc_base(params, base, sizeof(base))) {
        why = "ours, but names no base: ";
    } else {
        snprintf(detail, sizeof(detail), "%s%s", *base ? "over " : "blank", base);
        scan_add(rows, vdev, readonly ? SCAN_READONLY : SCAN_EPHEMERAL, detail);
        return;
    }
    snprintf(detail, sizeof(detail), "%s%s of domain %u, %s", why, at->kind, at->backend, params);
    scan_add(rows, vdev, kind, detail);
}

/* ---- domains ---- */

static int scan_node(struct xenstore *xs, uint32_t domid, const char *node, char out[AUDIT_NAME])
{
    char path[PATH_ROOM];

    out[0] = '\0';
    path_domain(path, domid, node);
    return xenstore_read(xs, path, out, AUDIT_NAME);
}

static json_t *scan_domain(struct xenstore *xs, uint32_t domid, const char *name)
{
    struct audit_domain *domain = calloc(1, sizeof(*domain));
    struct disks *disks = calloc(1, sizeof(*disks));
    json_t *rows = json_array(), *problems = json_array(), *result = NULL;

    if (domain && disks && rows && problems) {
        domain->domid = domid;
        domain->xs = xs;
        domain->checks = problems;
        disks_find(disks, domain);
        for (size_t i = 0; i < disks->count; i++)
            scan_disk(disks, &disks->paths[i], rows);
        result = json_pack("{s:I, s:o, s:O, s:O}", "domid", (json_int_t)domid, "name",
                           audit_clean(name), "volumes", rows, "problems", problems);
    }
    if (!result) {
        fputs("ephemctl scan: no memory for the report\n", stderr);
        exit(EXIT_FAILURE);
    }
    json_decref(rows);
    json_decref(problems);
    free(domain);
    free(disks);
    return result;
}

/* Whether the operator means this one: by name, by number, or as the stub domain of it. */
static bool scan_means(struct xenstore *xs, const char *wanted, uint32_t domid, bool stubdom)
{
    char value[AUDIT_NAME];
    uint32_t number;

    if (!path_parse_id(wanted, PATH_DOMIDS - 1, &number) && number == domid)
        return true;
    if (!scan_node(xs, domid, "name", value) && !strcmp(value, wanted))
        return true;
    return stubdom && !scan_node(xs, domid, "target", value) &&
           !path_parse_id(value, PATH_DOMIDS - 1, &number) && number &&
           scan_means(xs, wanted, number, false);
}

/* All, or one; NULL after a line of why. */
static json_t *scan_all(struct xenstore *xs, const char *wanted)
{
    json_t *domains = json_array();
    char **names = NULL, name[AUDIT_NAME];
    unsigned int count = 0;
    uint32_t domid;

    int err = xenstore_list(xs, "/local/domain", &names, &count);
    for (unsigned int i = 0; !err && i < count; i++) {
        if (path_parse_id(names[i], PATH_DOMIDS - 1, &domid) || !domid ||
            (wanted && !scan_means(xs, wanted, domid, true)))
            continue;
        scan_node(xs, domid, "name", name);
        json_array_append_new(domains, scan_domain(xs, domid, name));
    }
    free(names);
    if (!err && xenstore_lost(xs))
        err = -EPIPE;
    if (!err && (!wanted || json_array_size(domains)))
        return domains;
    json_decref(domains);
    if (err) {
        fprintf(stderr,
                "ephemctl scan: xenstore cannot be read: %s: run ephemctl as root, in dom0\n",
                strerror(-err));
    } else {
        json_t *shown = audit_clean(wanted);

        fprintf(stderr, "ephemctl scan: no domain '%s': see 'xl list'\n", json_string_value(shown));
        json_decref(shown);
    }
    return NULL;
}

/* ---- telling ---- */

static void scan_print(const json_t *domains)
{
    size_t i, k;
    json_t *domain, *row;

    if (!json_array_size(domains))
        puts("no domain but dom0");
    json_array_foreach(domains, i, domain)
    {
        json_t *volumes = json_object_get(domain, "volumes");

        printf("%lld %s%s\n", (long long)ctl_number(domain, "domid"), ctl_text(domain, "name"),
               json_array_size(volumes) ? "" : ": no volumes");
        json_array_foreach(volumes, k, row)
        {
            printf("  %-8s %-9s  %s\n", ctl_text(row, "vdev"), ctl_text(row, "kind"),
                   ctl_text(row, "detail"));
        }
        json_array_foreach(json_object_get(domain, "problems"), k, row)
        {
            printf("  %-8s %-9s  %s\n", "", ctl_text(row, "verdict"), ctl_text(row, "detail"));
        }
    }
}

/* Whether all could be looked at, and how many there are of each kind. */
static bool scan_count(const json_t *domains, json_t *counts)
{
    json_int_t sums[sizeof(scan_words) / sizeof(scan_words[0])] = {0};
    bool whole = true;
    size_t i, k;
    json_t *domain, *row;

    json_array_foreach(domains, i, domain)
    {
        json_array_foreach(json_object_get(domain, "volumes"), k, row)
        {
            for (size_t kind = 0; kind <= SCAN_UNKNOWN; kind++)
                sums[kind] += !strcmp(ctl_text(row, "kind"), scan_words[kind]);
        }
        json_array_foreach(json_object_get(domain, "problems"), k, row)
        {
            whole = whole && strcmp(ctl_text(row, "verdict"), "unknown") != 0;
        }
    }
    for (size_t kind = 0; kind <= SCAN_UNKNOWN; kind++)
        json_object_set_new(counts, scan_words[kind], json_integer(sums[kind]));
    return whole && !sums[SCAN_UNKNOWN];
}

int cmd_scan(int argc, char **argv)
{
    struct xenstore *xs = NULL;
    const char *wanted;
    bool json;
    int status = ctl_options(argc, argv, scan_help, 1, &wanted, &json);

    if (status >= 0)
        return status;
    int err = xenstore_open(&xs);
    if (err) {
        fprintf(stderr,
                "ephemctl scan: xenstore cannot be read: %s: run ephemctl as root, in dom0\n",
                strerror(-err));
        return EXIT_FAILURE;
    }
    json_t *domains = scan_all(xs, wanted), *counts = json_object();
    xenstore_close(xs);
    if (!domains) {
        json_decref(counts);
        return EXIT_FAILURE;
    }
    status = scan_count(domains, counts) ? EXIT_SUCCESS : EXIT_FAILURE;
    json_t *report = json_pack("{s:o, s:o}", "domains", domains, "counts", counts);
    if (!report) {
        fputs("ephemctl scan: no memory for the report\n", stderr);
        return EXIT_FAILURE;
    }
    if (json)
        ctl_print_json(report);
    else
        scan_print(domains);
    json_decref(report);
    return status;
}
