/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pretended hypervisor: state shared by every process of one instance.
 *
 * $FAKEXEN_DIR holds
 *   hv        this structure: one robust mutex, then domains, ports, grants and their users
 *   ram       one sparse file; page `ref` of domain slot `s` lies at (s * FX_GRANTS + ref) pages
 *   ev.<n>    the datagram socket of event-channel handle number n
 *   xsd_port, xsd_kva   what a real kernel shows below /proc/xen (see xsdopen.c)
 *
 * `hv` is mapped when libfakexen.so is loaded and `ram` is opened by xengnttab_open(); neither is
 * looked up again, so a process may drop privileges or install a system-call filter afterwards.
 * What it needs from then on: sendmsg and recvmsg (doorbells; by socket path, so $FAKEXEN_DIR must
 * stay visible: in an empty root too, see root.c), fstat (fdopen), mmap, munmap, close and futex.
 *
 * Event delivery. A port that fires is put on a list in its handle; the datagram is only a
 * doorbell, rung when that list becomes non-empty and drained when it becomes empty again, both
 * under the mutex. Thus the fd is readable exactly while a port is queued, and a full socket never
 * loses one.
 *
 * Liveness. An event-channel handle lives as long as its socket, a grant handle as long as its open
 * file description (it holds an OFD lock on a byte of `ram`). The kernel ends both with the last
 * descriptor, also across fork, SCM_RIGHTS and kill -9, just as the real devices' release does.
 *
 * A difference to know: the real evtchn driver wakes a sleeper only when its ring goes from empty
 * to non-empty. EPOLLET on this fd would work differently there: never use it.
 *
 * Deliberately absent: memory of domains beyond their granted pages, transitive and sub-page
 * grants, vcpu binding, FIFO priorities, limits and costs of the real hypercalls.
 */
#ifndef FAKEXEN_HV_H
#define FAKEXEN_HV_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FX_MAGIC         0x66784856u
#define FX_DOMS          64u
#define FX_PORTS         1024u
#define FX_GRANTS        16384u
#define FX_HANDLES       2048u
#define FX_MAPS          65536u
#define FX_PAGE          4096u
#define FX_RAM_BYTES     ((off_t)FX_DOMS * FX_GRANTS * FX_PAGE)
#define FX_NOBODY        0xffffu
#define FX_RESERVED_REFS 8u
#define FX_XENSTORE_REF  1u

enum fx_port_state { FX_PORT_FREE, FX_PORT_UNBOUND, FX_PORT_INTERDOMAIN, FX_PORT_VIRQ };
enum fx_dom_state { FX_DOM_FREE, FX_DOM_RUNNING, FX_DOM_SHUTDOWN, FX_DOM_DYING };
enum fx_grant_state { FX_GRANT_FREE, FX_GRANT_LIVE, FX_GRANT_DEFERRED };

struct fx_port {
    uint8_t state;
    uint8_t pending; /* fired while masked */
    uint8_t masked;
    uint8_t queued;
    uint8_t store; /* xenstored's own connection, not counted as a leak */
    uint8_t virq;
    uint16_t remote; /* domid */
    uint32_t remote_port;
    uint32_t next;   /* in the handle's queue, 0 ends */
    uint32_t handle; /* index + 1, 0: the domain's kernel */
};

struct fx_grant {
    uint8_t state;
    uint8_t writable;
    uint16_t to;
    uint16_t mapped;
    uint16_t owner; /* grant handle index + 1 */
};

struct fx_domain {
    uint8_t state;
    uint8_t reason;
    uint8_t ran; /* there was a moment when nobody had it paused */
    uint16_t domid;
    uint32_t pauses; /* taken less given up, by whomever */
    uint32_t mapped; /* pages of this domain that somebody maps */
    uint32_t next_ref;
    uint64_t life;
    struct fx_port port[FX_PORTS];
    struct fx_grant grant[FX_GRANTS];
};

/* An event-channel or a grant handle; `serial` 0 marks a free one. */
struct fx_handle {
    uint64_t serial;
    uint64_t inode; /* of an event channel's socket */
    uint64_t life;  /* of its domain */
    int32_t pid;    /* who opened it; for `fxctl dump` */
    int32_t refs;   /* event channel: xenevtchn_open + fdopen - close */
    uint16_t domid;
    uint16_t restricted;
    uint32_t head, tail;
};

struct fx_map {
    uint32_t handle; /* grant handle index + 1, 0: free */
    uint32_t ref;
    uint64_t base; /* address and size of the whole mapping */
    uint32_t count;
    uint32_t notify_port;
    uint16_t slot;
    uint8_t notify;
    uint8_t writable;
    uint32_t notify_offset;
};

struct fx_hv {
    uint32_t magic;
    uint32_t map_top;
    uint64_t serial;
    pthread_mutex_t lock;
    struct fx_handle ev[FX_HANDLES];
    struct fx_handle gnt[FX_HANDLES];
    struct fx_map map[FX_MAPS];
    struct fx_domain dom[FX_DOMS];
};

extern struct fx_hv *fx_hv;

/* hv.c: attaching, locking, domains, the garbage collector */
int fx_create(const char *dir);
int fx_attach(void);
const char *fx_path(char *buf, size_t size, const char *name);
void fx_lock(void);
void fx_unlock(void);
uint16_t fx_self(void);
struct fx_domain *fx_dom(uint16_t domid);
struct fx_domain *fx_dom_of(const struct fx_handle *handle);
unsigned fx_slot(const struct fx_domain *dom);
int fx_dom_create(uint16_t domid);
void fx_dom_destroy(struct fx_domain *dom);
void fx_reap(void);
int fx_gc(void);

/* ports.c; `fd` is a socket to ring with, -1: one that was made at the start */
void fx_bell_open(void);
uint32_t fx_port_alloc(struct fx_domain *dom, uint32_t handle);
struct fx_port *fx_port_get(struct fx_domain *dom, uint32_t port);
void fx_port_raise(int fd, struct fx_domain *dom, uint32_t port);
void fx_port_send(int fd, struct fx_domain *dom, uint32_t port);
void fx_port_close(struct fx_domain *dom, uint32_t port);
uint32_t fx_port_pop(struct fx_handle *handle);
void fx_virq_raise(uint8_t virq);
void fx_ring_all(void);
bool fx_handle_dead(int fd, const struct fx_handle *handle);
void fx_handle_close_ports(struct fx_handle *handle);
void fx_handle_release(struct fx_handle *handle);
void fx_handle_remove(struct fx_handle *handle);
void fx_drop_dead_peer(int fd, const struct fx_port *port);
const char *fx_handle_path(char *buf, size_t size, uint64_t serial);

/* grants.c */
int fx_grant_alloc(struct fx_domain *dom, uint16_t to, bool writable, uint32_t owner,
                   uint32_t *ref);
void fx_grant_free(struct fx_domain *dom, uint32_t ref);
off_t fx_page_offset(const struct fx_domain *dom, uint32_t ref);
int fx_map_add(const struct fx_map *map);
void fx_map_drop(struct fx_map *map, void *page);
int fx_ram_open(bool keep_on_exec);
int fx_gnt_lock(int ram, uint64_t serial);
bool fx_gnt_dead(int ram, uint64_t serial);
void fx_gnt_release(struct fx_handle *handle);
void fx_ram_discard(const struct fx_domain *dom);

#endif
