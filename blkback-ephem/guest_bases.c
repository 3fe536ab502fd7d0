// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest_bases: looks at the bases of a guest's volumes, every tick and on REFRESH, and tells the daemon
 * which have grown.  Growing takes I/O, so a REFRESH is answered when the last growth it found is over,
 * and a VOLUME_DEL waits for its volume's.  A volume with several names is looked at once and told of
 * under each.
 * Without a daemon nobody is told; the next one learns the size from VOLUME_ADD at RESUME.
 */
#include "guest_life.h"

#include <errno.h>
#include <stdlib.h>
#include "engine.h"
#include "volume.h"

struct guest_refresh {
    struct list link;
    uint32_t cookie;
};

static bool guest_grows(const struct guest *guest)
{
    for (uint32_t i = 0; i < WIRE_VOLUMES; i++)
        if (guest->volumes[i].growing)
            return true;
    return false;
}

static void guest_refreshed(struct guest *guest)
{
    while (!guest_grows(guest) && !list_empty(&guest->refreshes)) {
        struct list *it = list_pop(&guest->refreshes);
        struct guest_refresh *refresh = container_of(it, struct guest_refresh, link);
        uint32_t cookie = refresh->cookie;

        free(refresh);
        guest_reply_errno(guest, cookie, 0);
    }
}

static void guest_grown(void *arg, int error)
{
    struct guest_volume *first = arg;
    struct guest *guest = first->guest;
    const struct volume *volume = first->volume;

    for (uint32_t i = 0; i < WIRE_VOLUMES; i++) {
        struct guest_volume *place = &guest->volumes[i];

        if (place->volume != volume)
            continue;
        place->growing = false;
        if (!error) {
            place->asked.bytes = volume_bytes(volume);
            place->asked.base_bytes = volume_base_bytes(volume);
            guest_tell_grew(guest, i, place->asked.bytes);
        }
    }
    for (uint32_t i = 0; i < WIRE_VOLUMES; i++)
        if (guest->volumes[i].volume == volume)
            guest_volume_settle(guest, i);
    guest_refreshed(guest);
}

void guest_look_at_bases(struct guest *guest)
{
    for (uint32_t i = 0; i < WIRE_VOLUMES; i++) {
        struct guest_volume *place = &guest->volumes[i];
        struct volume_growth how = {.mailbox = guest->mailbox, .done = guest_grown, .arg = place};

        if (place->growing || !guest_volume_is_first(guest, i))
            continue;
        how.lane = engine_lanes(guest->engine)[i % engine_threads(guest->engine)];
        bool growing = volume_check_base(place->volume, &how);
        for (uint32_t j = i; j < WIRE_VOLUMES; j++)
            if (guest->volumes[j].volume == place->volume)
                guest->volumes[j].growing = growing;
    }
}

void guest_refresh(struct guest *guest, uint32_t cookie)
{
    struct guest_refresh *refresh = calloc(1, sizeof(*refresh));

    if (!refresh) {
        guest_reply_errno(guest, cookie, -ENOMEM);
        return;
    }
    refresh->cookie = cookie;
    list_append(&guest->refreshes, &refresh->link);
    guest_look_at_bases(guest);
    guest_refreshed(guest);
}

void guest_forget_refreshes(struct guest *guest)
{
    for (struct list *it; (it = list_pop(&guest->refreshes));)
        free(container_of(it, struct guest_refresh, link));
}
