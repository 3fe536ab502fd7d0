// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit: is what the product promises so on this host, now?  Looked up in xenstore and /proc; the daemon
 * is asked, but where the kernel can be asked instead its word is not enough.  What a domain writes into
 * xenstore can make its own audit worse, never better.
 *
 * Deliberately absent: libxenctrl (a domain is what xenstore says is one), and any change: an audit
 * mends nothing, opens no base, and stops nobody.
 */
#include "ephemctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "client.h"
#include "paths.h"
#include "xs.h"

#define AUDIT_DOMAINS 4096

static const char audit_help[] =
    "usage: ephemctl audit [DOMAIN] [--json]\n"
    "Looks whether guests are ephemeral indeed: every writable disk ours, bases read-only, the\n"
    "pool without a name; the worker's memory locked, its process confined, nothing swapped; and\n"
    "what dom0 itself may keep.  DOMAIN is a name or a domid; its stub domain is looked at, too.\n"
    "Without it, all domains with disks of ours.\n"
    "Exit status: 0 all ok, 3 warnings only, 1 something fails or cannot be looked at.\n"
    "\n"
    "  --json  the same as JSON\n"
    "  --help  this text\n";

struct audit {
    struct xenstore *xs; /* NULL: does not answer */
    json_t *daemon;      /* its answer to `status`, or NULL */
    char run_dir[256];
    bool swaps, init_on_free;
    struct audit_givens givens;
    uint32_t domids[AUDIT_DOMAINS];
    size_t count;
    bool too_many;
    int err; /* not all that xenstore has could be read */
};

/* ---- which domains ---- */

static void audit_want(struct audit *audit, uint32_t domid)
{
    size_t at = 0;

    while (at < audit->count && audit->domids[at] < domid)
        at++;
    if (at < audit->count && audit->domids[at] == domid)
        return;
    if (audit->count == AUDIT_DOMAINS) {
        audit->too_many = true;
        return;
    }
    memmove(audit->domids + at + 1, audit->domids + at,
            (audit->count - at) * sizeof(*audit->domids));
    audit->domids[at] = domid;
    audit->count++;
}

/* Names below `path`; none when it is missing. */
static unsigned int audit_list(struct audit *audit, const char *path, char ***names)
{
    unsigned int count = 0;
    int err = audit->xs ? xenstore_list(audit->xs, path, names, &count) : -ENOENT;

    if (!err)
        return count;
    *names = NULL;
    if (err != -ENOENT)
        audit->err = err;
    return 0;
}

/* Whom a backend of ours, a noted worker or the daemon speaks of. */
static void audit_want_all(struct audit *audit, json_t *checks)
{
    static uint32_t noted[AUDIT_DOMAINS];
    size_t i, count = audit_noted(audit->run_dir, checks, noted, AUDIT_DOMAINS);
    json_t *guest;
    uint32_t domid;
    char **name;

    for (i = 0; i < count; i++)
        audit_want(audit, noted[i]);
    unsigned int names = audit_list(audit, PATH_BACKEND, &name);
    for (unsigned int n = 0; n < names; n++) {
        struct path_vbd id;
        char path[PATH_ROOM], script[XENSTORE_VALUE], **disk;

        if (path_parse_id(name[n], PATH_DOMIDS - 1, &id.domid))
            continue;
        snprintf(path, sizeof(path), PATH_BACKEND "/%u", id.domid);
        unsigned int disks = audit_list(audit, path, &disk);
        for (unsigned int d = 0; d < disks; d++) {
            if (path_parse_id(disk[d], UINT32_MAX, &id.devid))
                continue;
            path_backend(path, &id, "script");
            int err = xenstore_read(audit->xs, path, script, sizeof(script));
            if (!err && strstr(script, "/block-ephem"))
                audit_want(audit, id.domid);
            if (err && err != -ENOENT)
                audit->err = err;
        }
        free(disk);
    }
    free(name);
    json_array_foreach(json_object_get(audit->daemon, "guests"), i, guest)
    {
        domid = (uint32_t)ctl_number(guest, "domid");
        audit_want(audit, domid);
    }
}

static int audit_node(const struct audit *audit, uint32_t domid, const char *node, char *out,
                      size_t size)
{
    char path[PATH_ROOM];

    out[0] = '\0';
    path_domain(path, domid, node);
    return audit->xs ? xenstore_read(audit->xs, path, out, size) : -ENOTCONN;
}

/* The domain of that number, else of that name; 0: there is none. */
static uint32_t audit_find(const struct audit *audit, const char *wanted, char **names,
                           unsigned int count)
{
    uint32_t domid, number, found = 0;
    char name[AUDIT_NAME];
    bool is_number = !path_parse_id(wanted, PATH_DOMIDS - 1, &number);

    for (unsigned int i = 0; i < count; i++) {
        if (path_parse_id(names[i], PATH_DOMIDS - 1, &domid) || !domid)
            continue;
        if (is_number && domid == number)
            return domid;
        if (!audit_node(audit, domid, "name", name, sizeof(name)) && !strcmp(name, wanted))
            found = domid;
    }
    return found;
}

/* That domain, and stub domains of its.  False: there is none. */
static bool audit_want_one(struct audit *audit, const char *wanted)
{
    char **names, target[16];
    unsigned int count = audit_list(audit, "/local/domain", &names);
    uint32_t domid, of, found = audit_find(audit, wanted, names, count);

    for (unsigned int i = 0; i < count && found; i++)
        if (!path_parse_id(names[i], PATH_DOMIDS - 1, &domid) &&
            !audit_node(audit, domid, "target", target, sizeof(target)) &&
            !path_parse_id(target, PATH_DOMIDS - 1, &of) && of == found)
            audit_want(audit, domid);
    free(names);
    if (found)
        audit_want(audit, found);
    return found;
}

/* ---- one domain ---- */

static const json_t *audit_status_of(const struct audit *audit, json_int_t domid)
{
    return ctl_find(json_object_get(audit->daemon, "guests"), "domid", domid);
}

/* Only the daemon can tell: it is the worker's setting. */
static void audit_integrity(const struct audit_domain *domain)
{
    const json_t *on = json_object_get(domain->owner, "integrity");
    const char *off = "integrity=on in blkback-ephem.conf, then start the guest again";

    if (json_is_true(on))
        audit_add(domain->checks, AUDIT_OK, "integrity", NULL,
                  "on: a block that was changed in the pool is noticed");
    else if (json_is_false(on))
        audit_add(domain->checks, AUDIT_WARN, "integrity", off,
                  "off: who writes to the pool can change what the guest reads");
    else
        audit_add(domain->checks, AUDIT_UNKNOWN, "integrity", "see blkback-ephemd's log",
                  "only the daemon knows, and does not say");
}

/* Without one the daemon notes "none". */
static void audit_uuid(const struct audit *audit, struct audit_domain *domain)
{
    char vm[64];

    int err = audit_node(audit, domain->domid, "vm", vm, sizeof(vm));
    if (err == -ENOENT || (!err && strncmp(vm, "/vm/", 4)))
        strcpy(domain->uuid, "none");
    else if (!err)
        snprintf(domain->uuid, sizeof(domain->uuid), "%.39s", vm + 4);
}

static json_t *audit_guest(const struct audit *audit, uint32_t domid)
{
    struct audit_domain *domain = calloc(1, sizeof(*domain));
    json_t *guest;

    if (!domain) {
        fputs("ephemctl audit: no memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    *domain = (struct audit_domain){.domid = domid,
                                    .xs = audit->xs,
                                    .daemon = audit->daemon,
                                    .status = audit_status_of(audit, domid),
                                    .givens = &audit->givens,
                                    .checks = json_array(),
                                    .dir = -1,
                                    .undertaker_dir = -1,
                                    .init_on_free = audit->init_on_free,
                                    .swaps = audit->swaps};
    audit_node(audit, domid, "name", domain->name, sizeof(domain->name));
    audit_uuid(audit, domain);
    const json_t *of = json_object_get(domain->status, "stubdom_of");
    domain->owner = of ? audit_status_of(audit, json_integer_value(of)) : domain->status;
    audit_disks(domain);
    bool elsewhere = domain->stored && !domain->count;
    if (elsewhere)
        audit_add(domain->checks, AUDIT_OK, "worker", NULL, "its key is in a storage domain");
    else
        audit_worker(domain, audit->run_dir);
    if (domain->dir >= 0) {
        audit_memory(domain);
        audit_sandbox(domain);
        audit_files(domain);
        close(domain->dir);
    }
    if (domain->undertaker_dir >= 0)
        close(domain->undertaker_dir);
    if (!elsewhere)
        audit_integrity(domain);
    guest = json_pack("{s:i, s:o, s:o}", "domid", (int)domid, "name", audit_clean(domain->name),
                      "checks", domain->checks);
    if (guest && domain->pid)
        json_object_set_new(guest, "worker_pid", json_integer(domain->pid));
    if (guest && domain->aged)
        json_object_set_new(guest, "key_age", json_integer((json_int_t)domain->key_age));
    free(domain);
    return guest;
}

/* ---- all ---- */

static void audit_ask_daemon(struct audit *audit, json_t *checks)
{
    char text[CLIENT_TEXT];
    const char *path = getenv("EPHEM_CONTROL");

    path = path && *path ? path : CLIENT_SOCKET;
    const char *slash = strrchr(path, '/');
    snprintf(audit->run_dir, sizeof(audit->run_dir), "%.*s", slash ? (int)(slash - path) : 1,
             slash ? path : ".");
    if (client_ask(json_pack("{s:s}", "cmd", "status"), &audit->daemon, text))
        audit_add(checks, AUDIT_FAIL, "daemon", "systemctl start blkback-ephemd", "%s", text);
    else if (!json_is_true(json_object_get(json_object_get(audit->daemon, "daemon"), "xenstore")))
        audit_add(checks, AUDIT_FAIL, "daemon", "see whether xenstored runs",
                  "blkback-ephemd has no xenstore: it cannot attach or detach");
    else
        audit_add(checks, AUDIT_OK, "daemon", NULL, "answers: process %lld",
                  (long long)ctl_number(json_object_get(audit->daemon, "daemon"), "pid"));
}

/* The report; NULL after a line of why there is none. */
static json_t *audit_look(struct audit *audit, const char *wanted)
{
    json_t *host = json_array(), *guests = json_array();

    int err = xenstore_open(&audit->xs);
    if (err) {
        audit->xs = NULL;
        audit_add(host, AUDIT_FAIL, "xenstore", "see whether xenstored runs", "%s", strerror(-err));
    }
    audit_ask_daemon(audit, host);
    audit_host(host, &audit->swaps, &audit->init_on_free);
    audit_givens_read(audit->xs, &audit->givens);
    if (!wanted) {
        audit_want_all(audit, host);
    } else if (!audit_want_one(audit, wanted)) {
        json_decref(host);
        json_decref(guests);
        json_t *shown = audit_clean(wanted);
        if (err || audit->err)
            fprintf(stderr, "ephemctl audit: xenstore cannot be read: %s\n",
                    strerror(-(err ? err : audit->err)));
        else
            fprintf(stderr, "ephemctl audit: no domain '%s': see 'xl list'\n",
                    json_string_value(shown));
        json_decref(shown);
        return NULL;
    }
    if (audit->too_many)
        audit_add(host, AUDIT_UNKNOWN, "domains", "name them one by one",
                  "more than %d: the rest was not looked at", AUDIT_DOMAINS);
    for (size_t i = 0; i < audit->count; i++)
        json_array_append_new(guests, audit_guest(audit, audit->domids[i]));
    if (audit->xs && xenstore_lost(audit->xs))
        audit->err = -ENOTCONN;
    if (audit->err)
        audit_add(host, AUDIT_UNKNOWN, "xenstore", "see whether xenstored runs",
                  "not all of it could be read, there may be more guests: %s",
                  strerror(-audit->err));
    return json_pack("{s:o, s:{s:o}}", "guests", guests, "host", "checks", host);
}

int cmd_audit(int argc, char **argv)
{
    const char *domain;
    bool json;
    int status = ctl_options(argc, argv, audit_help, 1, &domain, &json);

    if (status >= 0)
        return status;
    struct audit *audit = calloc(1, sizeof(*audit));
    json_t *report = audit ? audit_look(audit, domain) : NULL;
    status = report ? audit_conclude(report) : EXIT_FAILURE;
    if (report) {
        if (json)
            ctl_print_json(report);
        else
            audit_print(report);
    }
    if (audit) {
        xenstore_close(audit->xs);
        json_decref(audit->daemon);
        free(audit->givens.list);
    }
    json_decref(report);
    free(audit);
    return status;
}
