// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fxctl: what a toolstack and an administrator ask of the pretended hypervisor. Works on the
 * instance in $FAKEXEN_DIR. `leaks N` exits 1 when another domain still maps a page of N or holds a
 * port towards N (xenstored's own connection to a living domain does not count).
 */
#define _GNU_SOURCE
#include "hv.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <xen/xen.h>

static int cmd_init(int argc, char **argv)
{
    const char *dir = getenv("FAKEXEN_DIR");

    (void)argc, (void)argv;
    if (!dir || !*dir) {
        fprintf(stderr, "fxctl: FAKEXEN_DIR is not set\n");
        return 1;
    }
    return fx_create(dir);
}

static int cmd_create(int argc, char **argv)
{
    int err;

    (void)argc;
    fx_lock();
    fx_reap();
    err = fx_dom_create((uint16_t)strtoul(argv[0], NULL, 10));
    fx_unlock();
    return err;
}

/* A domain as a toolstack makes it: paused once, and it has never run. */
static int cmd_build(int argc, char **argv)
{
    struct fx_domain *dom;
    int err = cmd_create(argc, argv);

    fx_lock();
    dom = err ? NULL : fx_dom((uint16_t)strtoul(argv[0], NULL, 10));
    if (dom) {
        dom->pauses = 1;
        dom->ran = 0;
    }
    fx_unlock();
    return err;
}

static int count_pauses(const char *domid, bool pause)
{
    struct fx_domain *dom;
    int err = -1;

    fx_lock();
    dom = fx_dom((uint16_t)strtoul(domid, NULL, 10));
    if (dom && (pause || dom->pauses)) {
        dom->pauses += pause ? 1u : -1u;
        dom->ran |= !dom->pauses;
        err = 0;
    }
    fx_unlock();
    return err;
}

static int cmd_pause(int argc, char **argv)
{
    (void)argc;
    return count_pauses(argv[0], true);
}

static int cmd_unpause(int argc, char **argv)
{
    (void)argc;
    return count_pauses(argv[0], false);
}

static int cmd_pauses(int argc, char **argv)
{
    struct fx_domain *dom;

    (void)argc;
    fx_lock();
    dom = fx_dom((uint16_t)strtoul(argv[0], NULL, 10));
    if (dom)
        printf("%u %s\n", dom->pauses, dom->ran ? "ran" : "never");
    fx_unlock();
    return dom ? 0 : -1;
}

static int cmd_shutdown(int argc, char **argv)
{
    struct fx_domain *dom;

    fx_lock();
    dom = fx_dom((uint16_t)strtoul(argv[0], NULL, 10));
    if (dom) {
        dom->state = FX_DOM_SHUTDOWN;
        dom->reason = argc > 1 ? (uint8_t)strtoul(argv[1], NULL, 10) : 0;
        fx_virq_raise(VIRQ_DOM_EXC);
    }
    fx_unlock();
    return dom ? 0 : -1;
}

static int cmd_destroy(int argc, char **argv)
{
    struct fx_domain *dom;

    (void)argc;
    fx_lock();
    dom = fx_dom((uint16_t)strtoul(argv[0], NULL, 10));
    if (dom)
        fx_dom_destroy(dom);
    fx_unlock();
    return dom ? 0 : -1;
}

static bool all_stopped(const char *pid)
{
    char path[320], line[512];
    struct dirent *entry;
    bool stopped = true;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%s/task", pid);
    dir = opendir(path);
    while (dir && stopped && (entry = readdir(dir)) != NULL) {
        const char *state;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%s/task/%.20s/stat", pid, entry->d_name);
        if (entry->d_name[0] == '.' || !(file = fopen(path, "r")))
            continue;
        state = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
        stopped = !state || !strchr("RSD", state[2]);
        fclose(file);
    }
    if (dir)
        closedir(dir);
    return stopped;
}

/*
 * With the mutex held: a process stopped inside it would stop the whole instance. If it waited for
 * the mutex, our unlocking may have woken it in vain, so all others are woken too.
 */
static int cmd_stop(int argc, char **argv)
{
    int err;

    (void)argc;
    fx_lock();
    err = kill((pid_t)strtol(argv[0], NULL, 10), SIGSTOP);
    for (int i = 0; !err && i < 1000 && !all_stopped(argv[0]); i++)
        usleep(1000);
    fx_unlock();
    syscall(SYS_futex, &fx_hv->lock, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    if (err)
        perror("fxctl: stop");
    return err;
}

static int cmd_gc(int argc, char **argv)
{
    int dropped = fx_gc();

    (void)argc, (void)argv;
    if (dropped >= 0)
        printf("%d handles of dead processes dropped\n", dropped);
    return dropped < 0;
}

static int mapper_pid(const struct fx_map *map)
{
    return fx_hv->gnt[map->handle - 1].pid;
}

/* The ports that `dom` holds towards `domid`, or all of them. Returns how many. */
static int show_ports(const struct fx_domain *dom, uint16_t domid, bool with_store)
{
    static const char *const names[] = {"free", "unbound", "interdomain", "virq"};
    int shown = 0;

    for (uint32_t port = 1; port < FX_PORTS; port++) {
        const struct fx_port *p = &dom->port[port];

        if (p->state == FX_PORT_FREE || (p->store && !with_store) ||
            (domid != FX_NOBODY && (p->remote != domid || p->state == FX_PORT_VIRQ)))
            continue;
        printf("  port %u of domain %u: %s, remote %u:%u, pid %d%s%s%s\n", port, dom->domid,
               names[p->state], p->remote, p->remote_port,
               p->handle ? fx_hv->ev[p->handle - 1].pid : 0, p->queued ? ", queued" : "",
               p->masked ? ", masked" : "", p->pending ? ", pending" : "");
        shown++;
    }
    return shown;
}

/* The maps of pages of `slot`. Returns how many. */
static int show_maps(unsigned slot, bool with_store)
{
    int shown = 0;

    for (unsigned i = 0; i < fx_hv->map_top; i++) {
        const struct fx_map *map = &fx_hv->map[i];

        if (!map->handle || map->slot != slot || (map->ref < FX_RESERVED_REFS && !with_store))
            continue;
        printf("  grant %u of domain %u mapped by pid %d (%s)\n", map->ref, fx_hv->dom[slot].domid,
               mapper_pid(map), map->writable ? "rw" : "ro");
        shown++;
    }
    return shown;
}

static void show_restricted(void)
{
    for (unsigned i = 0; i < FX_HANDLES; i++)
        if (fx_hv->ev[i].serial && fx_hv->ev[i].restricted != FX_NOBODY)
            printf("handle for domain %u alone\n", fx_hv->ev[i].restricted);
}

static int cmd_dump(int argc, char **argv)
{
    static const char *const names[] = {"free", "running", "shut down", "dying"};

    (void)argc, (void)argv;
    fx_lock();
    fx_reap();
    for (unsigned i = 0; i < FX_DOMS; i++) {
        const struct fx_domain *dom = &fx_hv->dom[i];
        unsigned grants = 0;

        if (dom->state == FX_DOM_FREE)
            continue;
        for (uint32_t ref = 0; ref < FX_GRANTS; ref++)
            grants += dom->grant[ref].state != FX_GRANT_FREE;
        printf("domain %u: %s, %u grants, %u pages mapped by others\n", dom->domid,
               dom->state == FX_DOM_DYING ? "zombie" : names[dom->state], grants, dom->mapped);
        show_ports(dom, FX_NOBODY, true);
        show_maps(i, true);
    }
    show_restricted();
    fx_unlock();
    return 0;
}

static int cmd_leaks(int argc, char **argv)
{
    uint16_t domid = (uint16_t)strtoul(argv[0], NULL, 10);
    struct fx_domain *dom;
    bool gone;
    int leaks = 0;

    (void)argc;
    fx_lock();
    fx_reap();
    dom = fx_dom(domid);
    gone = !dom || dom->state == FX_DOM_DYING;
    if (dom && dom->state == FX_DOM_DYING)
        printf("  domain %u is a zombie\n", domid);
    if (dom)
        leaks += show_maps(fx_slot(dom), gone);
    for (unsigned i = 0; i < FX_DOMS; i++)
        if (fx_hv->dom[i].state != FX_DOM_FREE && fx_hv->dom[i].domid != domid)
            leaks += show_ports(&fx_hv->dom[i], domid, gone);
    fx_unlock();
    return leaks != 0;
}

static const struct {
    const char *name;
    int args;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"init", 0, cmd_init, "make a new instance in $FAKEXEN_DIR"},
    {"create", 1, cmd_create, "N: a new running domain"},
    {"build", 1, cmd_build, "N: a new domain, paused once, that has never run"},
    {"pause", 1, cmd_pause, "N: one pause more"},
    {"unpause", 1, cmd_unpause, "N: one pause less; it runs when there is none"},
    {"pauses", 1, cmd_pauses, "N: how many there are, and whether it ever ran"},
    {"shutdown", 1, cmd_shutdown, "N [REASON]: 0 poweroff, 1 reboot, 2 suspend, 3 crash"},
    {"destroy", 1, cmd_destroy, "N: end a domain; a zombie while its pages are mapped"},
    {"stop", 1, cmd_stop, "PID: SIGSTOP, at a moment when it holds no lock of ours"},
    {"gc", 0, cmd_gc, "drop the handles of processes that have died"},
    {"dump", 0, cmd_dump, "show domains, ports and mapped grants"},
    {"leaks", 1, cmd_leaks, "N: exit 1 if others still hold pages or ports of N"},
};

static int usage(void)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(stderr, "fxctl %-9s %s\n", commands[i].name, commands[i].help);
    return 2;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        int err;

        if (strcmp(argv[1], commands[i].name) || argc - 2 < commands[i].args)
            continue;
        if (commands[i].run != cmd_init && fx_attach()) {
            fprintf(stderr, "fxctl: FAKEXEN_DIR: %s\n", strerror(errno));
            return 1;
        }
        err = commands[i].run(argc - 2, argv + 2);
        if (err < 0)
            fprintf(stderr, "fxctl %s: %s\n", argv[1], strerror(errno));
        return err != 0;
    }
    return usage();
}
