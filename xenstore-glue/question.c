// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * question: hotplug waits for its vbd; status and refresh for all asked workers, or until
 * QUESTION_STATS or QUESTION_REFRESH ms are over.  A client may hang up meanwhile, so that waiting is an object of its own.
 */
#include "question.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "emulated.h"
#include "life.h"
#include "mark.h"
#include "refresh.h"
#include "scan.h"
#include "status.h"
#include "suspend.h"
#include "vbd.h"

#define QUESTION_HOTPLUG 30000 /* ms */
#define QUESTION_STATS   2000
#define QUESTION_REFRESH 20000

/* Answers a status or refresh question from what the workers have said so far. */
static bool question_tell(struct control_client *client)
{
    struct glue *glue = client->control->glue;
    const uint32_t *domid = client->one ? &client->domid : NULL;

    if (client->doing == CONTROL_WAITS_REFRESH)
        return control_answer(client, refresh_answer(glue, domid, client->since));
    return control_answer(client, status_answer(glue, domid, true));
}

/*
 * False: no answer yet, or the vbd has failed.  libxl has qemu open the target of a raw disk that names
 * no script itself, whatever its backend: past us, and for writing (libxl_disk.c,
 * libxl__device_disk_find_local_path).  So where one disk of an HVM guest lacks our script, the others are
 * refused: now and not before, since libxl has written all of them when it runs the first script.
 */
static bool question_check_others(struct vbd *vbd)
{
    char name[32], text[WIRE_TEXT];
    uint32_t devid;

    int hvm = vbd->glue->xs ? emulated_is_hvm(vbd->glue, vbd->id.domid) : -EAGAIN;
    bool found = hvm > 0 && mark_find_stranger(vbd->glue, vbd->id.domid, &devid);
    if (!vbd->glue->xs || xenstore_lost(vbd->glue->xs))
        return false; /* asked again when it is back */
    if (hvm >= 0 && !found)
        return true;
    if (found) {
        path_device_name(name, devid);
        snprintf(text, sizeof(text),
                 "disk %s of this HVM guest has backendtype=tap without script=block-ephem: qemu "
                 "would open its target itself; add the script",
                 name);
    } else {
        snprintf(text, sizeof(text), "xenstore does not say of which type the guest is: %s",
                 strerror(-hvm));
    }
    attach_fail(vbd, text);
    return false;
}

/* Answers a hotplug question once the vbd is decided.  False when the client is gone. */
bool question_check_volume(struct control_client *client)
{
    struct glue *glue = client->control->glue;
    struct vbd *vbd = vbd_find(glue, &client->vbd);
    bool ready = vbd && !vbd->failure[0] && !vbd->lost && vbd->volume == VBD_READY && !vbd->fresh &&
                 !vbd->foreign;
    char text[WIRE_TEXT + 64];

    if (ready)
        ready = question_check_others(vbd);
    if (vbd && vbd->failure[0])
        return control_refuse(client, vbd->failure);
    if (vbd && vbd->lost)
        return control_refuse(client, "the guest's worker died; start the guest again");
    if (ready)
        return control_answer(client, json_pack("{s:b, s:s*}", "ok", 1, "nbd", emulated_path(vbd)));
    if (!vbd && scan_count(glue->scan) > client->scan &&
        !scan_passes_over(glue->scan, client->vbd.domid)) {
        snprintf(text, sizeof(text),
                 PATH_BACKEND "/%u/%u: no such backend with a script named block-ephem",
                 client->vbd.domid, client->vbd.devid);
        return control_refuse(client, text);
    }
    return true;
}

static void question_late(struct loop_timer *timer)
{
    struct control_client *client = container_of(timer, struct control_client, timer);
    bool here;

    if (client->doing == CONTROL_WAITS_STATS)
        here = question_tell(client);
    else if (client->doing == CONTROL_WAITS_REFRESH)
        here = control_refuse(client,
                              "not every worker has answered within 20 s; what has grown is "
                              "published all the same, see ephemctl list");
    else
        here = control_refuse(client,
                              "the volume is not ready after 30 s; see blkback-ephemd's log");
    if (here)
        control_run(client);
}

static bool question_hotplug(struct control_client *client, const json_t *question)
{
    const char *path = json_string_value(json_object_get(question, "path"));
    struct glue *glue = client->control->glue;

    if (!path || path_parse_backend(path, &client->vbd))
        return control_refuse(client, "hotplug: path is not " PATH_BACKEND "/<domid>/<devid>");
    client->doing = CONTROL_WAITS_VOLUME;
    client->scan = scan_count(glue->scan);
    client->timer.fire = question_late;
    loop_timer_set(glue->loop, &client->timer, QUESTION_HOTPLUG);
    glue_changed(glue);
    return question_check_volume(client);
}

static void question_worker_done(void *arg, int error, const char *text)
{
    struct control_wait *wait = arg;
    struct control_client *client = wait->client;

    (void)error;
    (void)text;
    if (--wait->left)
        return;
    list_remove(&wait->link);
    free(wait);
    if (!client)
        return;
    client->wait = NULL;
    if (question_tell(client))
        control_run(client);
}

/* A question that all workers, or one guest's, are asked for: status or refresh. */
static bool question_workers(struct control_client *client, const json_t *question,
                             enum control_doing doing)
{
    bool refresh = doing == CONTROL_WAITS_REFRESH;
    int (*ask)(struct life *, worker_done *, void *) = refresh ? refresh_ask : life_ask_stats;
    struct glue *glue = client->control->glue;
    const char *domain = json_string_value(json_object_get(question, "domain"));
    struct control_wait *wait;

    client->one = domain != NULL;
    if (domain && !status_find(glue, domain, &client->domid))
        return control_refuse(client, "no such guest, or it has no ephemeral volume");
    client->doing = doing;
    client->since = glue->grown;
    wait = calloc(1, sizeof(*wait));
    if (!wait)
        return control_refuse(client, "out of memory");
    list_for_each(it, &glue->lives)
    {
        struct life *life = container_of(it, struct life, link);

        if (life->phase == LIFE_SERVING &&
            (!client->one || life->domid == life_guest_of(glue, client->domid)) &&
            !ask(life, question_worker_done, wait))
            wait->left++;
    }
    if (!wait->left) {
        free(wait);
        return question_tell(client);
    }
    wait->client = client;
    client->wait = wait;
    list_append(&client->control->waits, &wait->link);
    client->timer.fire = question_late;
    loop_timer_set(glue->loop, &client->timer, refresh ? QUESTION_REFRESH : QUESTION_STATS);
    return true;
}

static bool question_forget(struct control_client *client, const json_t *question)
{
    const char *guest = json_string_value(json_object_get(question, "domain"));
    char uuid[SUSPEND_UUID], text[WIRE_TEXT];

    if (!guest)
        return control_refuse(client, "forget: domain is missing");
    if (suspend_forget(client->control->glue, guest, uuid, text))
        return control_refuse(client, text);
    return control_answer(client, json_pack("{s:b, s:s}", "ok", 1, "forgot", uuid));
}

bool question_ask(struct control_client *client, const char *line, size_t len)
{
    json_t *question = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    const char *cmd = json_string_value(json_object_get(question, "cmd"));
    bool here;

    if (!cmd)
        here = control_refuse(client, "not a JSON object with a cmd");
    else if (!strcmp(cmd, "hotplug"))
        here = question_hotplug(client, question);
    else if (!strcmp(cmd, "list"))
        here = control_answer(client, status_answer(client->control->glue, NULL, false));
    else if (!strcmp(cmd, "status"))
        here = question_workers(client, question, CONTROL_WAITS_STATS);
    else if (!strcmp(cmd, "refresh"))
        here = question_workers(client, question, CONTROL_WAITS_REFRESH);
    else if (!strcmp(cmd, "forget"))
        here = question_forget(client, question);
    else
        here = control_refuse(client, "unknown cmd");
    json_decref(question);
    return here;
}
