// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The shared state: making it, attaching to it, its lock, its domains and the collector of what
 * dead processes left. Domains are rows of a table, nothing runs in them: a process says by
 * FAKEXEN_DOMID which one it belongs to.
 */
#define _GNU_SOURCE
#include "hv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xen/xen.h>

struct fx_hv *fx_hv;

static char fx_dir[80];

const char *fx_path(char *buf, size_t size, const char *name)
{
    snprintf(buf, size, "%s/%s", fx_dir, name);
    return buf;
}

static int open_sized(const char *name, off_t size)
{
    char path[160];
    int fd = open(fx_path(path, sizeof(path), name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return -1;
    if (fchmod(fd, 0666) || ftruncate(fd, size)) {
        close(fd);
        return -1;
    }
    return fd;
}

static struct fx_hv *map_hv(int fd)
{
    void *map = mmap(NULL, sizeof(struct fx_hv), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return map == MAP_FAILED ? NULL : map;
}

static int init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    int err = pthread_mutexattr_init(&attr);

    if (err)
        return err;
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    err = pthread_mutex_init(lock, &attr);
    pthread_mutexattr_destroy(&attr);
    return err;
}

/* A port of dom0 that its kernel offers to xenstored, and the page of its xenstore ring. */
static int offer_store_port(void)
{
    char path[160];
    uint32_t port = fx_port_alloc(fx_dom(0), 0);
    struct fx_port *p = fx_port_get(fx_dom(0), port);
    FILE *file = fopen(fx_path(path, sizeof(path), "xsd_port"), "wxe");
    int kva = open_sized("xsd_kva", FX_PAGE);

    if (!p || !file || kva < 0)
        return -1;
    p->state = FX_PORT_UNBOUND;
    p->store = 1;
    fprintf(file, "%u\n", port);
    fchmod(fileno(file), 0666);
    close(kva);
    return fclose(file);
}

int fx_create(const char *dir)
{
    int fd, ram;

    if (strlen(dir) >= sizeof(fx_dir)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(fx_dir, dir);
    if (mkdir(dir, 0777) && errno != EEXIST)
        return -1;
    if (chmod(dir, 0777))
        return -1;
    fd = open_sized("hv", (off_t)sizeof(struct fx_hv));
    ram = open_sized("ram", FX_RAM_BYTES);
    if (fd < 0 || ram < 0)
        return -1;
    close(ram);
    fx_hv = map_hv(fd);
    close(fd);
    if (!fx_hv || init_lock(&fx_hv->lock))
        return -1;
    if (fx_dom_create(0) || offer_store_port())
        return -1;
    fx_hv->magic = FX_MAGIC;
    return 0;
}

int fx_attach(void)
{
    const char *dir = getenv("FAKEXEN_DIR");
    char path[160];
    struct stat st;
    int fd;

    if (fx_hv)
        return 0;
    if (!dir || !*dir || strlen(dir) >= sizeof(fx_dir)) {
        errno = ENOENT;
        return -1;
    }
    strcpy(fx_dir, dir);
    fd = open(fx_path(path, sizeof(path), "hv"), O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) || st.st_size != (off_t)sizeof(struct fx_hv)) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    fx_hv = map_hv(fd);
    close(fd);
    return fx_hv && fx_hv->magic == FX_MAGIC ? 0 : -1;
}

/* Before main(), hence before any sandbox: a later xenevtchn_fdopen() needs no path. */
__attribute__((constructor)) static void attach_early(void)
{
    fx_bell_open();
    (void)fx_attach();
}

void fx_lock(void)
{
    int err = pthread_mutex_lock(&fx_hv->lock);

    if (err == EOWNERDEAD) {
        pthread_mutex_consistent(&fx_hv->lock);
        fx_ring_all();
    } else if (err) {
        fprintf(stderr, "fakexen: lock: %s\n", strerror(err));
        abort();
    }
}

void fx_unlock(void)
{
    int saved = errno;

    pthread_mutex_unlock(&fx_hv->lock);
    errno = saved;
}

uint16_t fx_self(void)
{
    const char *text = getenv("FAKEXEN_DOMID");

    return text ? (uint16_t)strtoul(text, NULL, 10) : 0;
}

struct fx_domain *fx_dom(uint16_t domid)
{
    for (unsigned i = 0; i < FX_DOMS; i++)
        if (fx_hv->dom[i].state != FX_DOM_FREE && fx_hv->dom[i].domid == domid)
            return &fx_hv->dom[i];
    errno = ESRCH;
    return NULL;
}

struct fx_domain *fx_dom_of(const struct fx_handle *handle)
{
    struct fx_domain *dom = fx_dom(handle->domid);

    return dom && dom->life == handle->life ? dom : NULL;
}

unsigned fx_slot(const struct fx_domain *dom)
{
    return (unsigned)(dom - fx_hv->dom);
}

int fx_dom_create(uint16_t domid)
{
    if (fx_dom(domid)) {
        errno = EEXIST;
        return -1;
    }
    for (unsigned i = 0; i < FX_DOMS; i++) {
        struct fx_domain *dom = &fx_hv->dom[i];

        if (dom->state != FX_DOM_FREE)
            continue;
        dom->state = FX_DOM_RUNNING;
        dom->domid = domid;
        dom->life = ++fx_hv->serial;
        dom->ran = 1;
        dom->pauses = 0;
        dom->next_ref = FX_RESERVED_REFS;
        return 0;
    }
    errno = ENOSPC;
    return -1;
}

/*
 * A dying domain goes for good once nobody maps its pages; until then it is a zombie. Only fxctl
 * looks for that: the unmapping process may sit in a sandbox that lets it open nothing.
 */
void fx_reap(void)
{
    for (unsigned i = 0; i < FX_DOMS; i++) {
        struct fx_domain *dom = &fx_hv->dom[i];

        if (dom->state != FX_DOM_DYING || dom->mapped)
            continue;
        fx_ram_discard(dom);
        memset(dom, 0, sizeof(*dom));
        fx_virq_raise(VIRQ_DOM_EXC);
    }
}

void fx_dom_destroy(struct fx_domain *dom)
{
    for (uint32_t port = 1; port < FX_PORTS; port++)
        if (dom->port[port].state != FX_PORT_FREE)
            fx_port_close(dom, port);
    for (unsigned i = 0; i < fx_hv->map_top; i++)
        if (fx_hv->map[i].handle && fx_dom_of(&fx_hv->gnt[fx_hv->map[i].handle - 1]) == dom)
            fx_map_drop(&fx_hv->map[i], NULL);
    for (uint32_t ref = 0; ref < FX_GRANTS; ref++)
        if (dom->grant[ref].state == FX_GRANT_LIVE)
            fx_grant_free(dom, ref);
    dom->state = FX_DOM_DYING;
    fx_virq_raise(VIRQ_DOM_EXC);
    fx_reap();
}

/* Does what the kernel does when a process ends. Returns how many handles were dropped. */
int fx_gc(void)
{
    int dropped = 0;
    int ram = fx_ram_open(false);

    if (ram < 0)
        return -1;
    fx_lock();
    for (unsigned i = 0; i < FX_HANDLES; i++) {
        if (fx_hv->ev[i].serial && fx_handle_dead(-1, &fx_hv->ev[i])) {
            fx_handle_remove(&fx_hv->ev[i]);
            dropped++;
        }
        if (fx_hv->gnt[i].serial && fx_gnt_dead(ram, fx_hv->gnt[i].serial)) {
            fx_gnt_release(&fx_hv->gnt[i]);
            dropped++;
        }
    }
    fx_reap();
    fx_unlock();
    close(ram);
    return dropped;
}
