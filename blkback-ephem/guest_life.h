/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_life: the state of a worker under the daemon, private to guest*.c.  Owned by the main thread.
 */
#ifndef EPHEM_GUEST_LIFE_H
#define EPHEM_GUEST_LIFE_H

#include <stdbool.h>
#include "loop.h"
#include "mailbox.h"
#include "util.h"
#include "wire.h"

struct door;
struct engine;
struct guest;
struct guest_extents;
struct nbd;
struct pool_extents;
struct volume;

struct guest_volume {
    struct volume *volume;    /* several ids may name one */
    struct wire_volume asked; /* with the sizes of now */
    struct guest *guest;
    bool growing;    /* guest_bases.c */
    struct nbd *nbd; /* guest_nbd.c; NULL: no connection yet */
    bool shutting;   /* its last connections are on their way out; `shut` follows */
    struct work shut;
    uint32_t del_cookie; /* of a VOLUME_DEL that waits for those two; 0: none */
};

struct guest_door {
    struct door *door;
    struct guest *guest;
    uint32_t connect_cookie;    /* of a CONNECT that failed and is being undone */
    uint32_t disconnect_cookie; /* 0: nobody waits for the end */
    int error;
    const char *dead; /* why it is not served any more */
};

struct guest {
    struct loop *loop;
    struct mailbox *mailbox;
    struct engine *engine;
    struct guest_extents *extents; /* what is said of a shared device's places, or NULL */
    struct loop_source daemon, listener;
    struct loop_timer tick;
    int statm; /* our own memory; opened before the drop */
    bool ended;
    int status;
    struct wire_hello hello;
    struct guest_volume volumes[WIRE_VOLUMES];
    struct guest_door doors[WIRE_DOORS];
    bool domains[1u << 16];
    struct list refreshes; /* REFRESHes to be answered */
};

/* guest_link.c: to the daemon; dropped while there is none. */
void guest_send(struct guest *guest, const struct wire_msg *msg);
void guest_reply(struct guest *guest, uint32_t cookie, int error, const char *text);
void guest_reply_errno(struct guest *guest, uint32_t cookie, int error);
void guest_tell_dead(struct guest *guest, uint32_t id, const char *why);
void guest_tell_grew(struct guest *guest, uint32_t id, uint64_t bytes);

/* The daemon hung up, or a newer one has come. */
void guest_orphaned(struct guest *guest);

/* guest_volumes.c */
void guest_volume_add(struct guest *guest, const struct wire_msg *msg, int fds[WIRE_FDS]);
void guest_volume_del(struct guest *guest, const struct wire_msg *msg);
/* Something is over that a VOLUME_DEL of this id may have waited for. */
void guest_volume_settle(struct guest *guest, uint32_t id);
/* The first id of a volume stands for it where it must be looked at once. */
bool guest_volume_is_first(const struct guest *guest, uint32_t id);
uint32_t guest_volume_doors(const struct guest *guest, uint32_t id);
void guest_stats(struct guest *guest, uint32_t cookie);
void guest_resume(struct guest *guest, uint32_t cookie);

/* guest_nbd.c.  shut: hangs up; guest_volume_settle() follows when the last connection is gone. */
void guest_nbd_add(struct guest *guest, const struct wire_msg *msg, int fds[WIRE_FDS]);
void guest_nbd_shut(struct guest *guest, uint32_t id);
void guest_nbd_close_all(struct guest *guest);

/* guest_bases.c */
void guest_look_at_bases(struct guest *guest);
void guest_refresh(struct guest *guest, uint32_t cookie);
void guest_forget_refreshes(struct guest *guest);
/* guest_extents.c: a life with a shared device; harmless to one without: `places`, only lent, is NULL
 * then. */
int guest_extents_open(struct guest *guest, struct pool_extents *places); /* 0 or -ENOMEM */
void guest_extents_close(struct guest *guest); /* nobody calls its events any more */
void guest_extents_give(struct guest *guest, const struct wire_msg *msg);
void guest_extents_orphaned(struct guest *guest);
void guest_extents_tell(struct guest *guest);    /* RESUME: all that is held */
void guest_extents_resumed(struct guest *guest); /* and after its reply */

/* guest_doors.c */
void guest_evtchn_add(struct guest *guest, const struct wire_msg *msg, int fds[WIRE_FDS]);
void guest_evtchn_del(struct guest *guest, const struct wire_msg *msg);
void guest_connect(struct guest *guest, const struct wire_msg *msg);
void guest_disconnect(struct guest *guest, const struct wire_msg *msg);

#endif
