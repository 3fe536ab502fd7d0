// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * control: clients, their questions and what those wait for.  A question about the workers' figures
 * waits for all asked workers or for CONTROL_STATS ms, whichever comes first; a client may hang up
 * meanwhile, so the waiting is an object of its own.
 */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "life.h"
#include "log.h"
#include "paths.h"
#include "scan.h"
#include "status.h"
#include "vbd.h"

#define CONTROL_CLIENTS 64
#define CONTROL_HOTPLUG 30000 /* ms */
#define CONTROL_STATS   2000

struct control {
    struct glue *glue;
    struct loop_source source;
    struct list clients;
    struct list waits;
    unsigned int count;
};

enum control_doing { CONTROL_IDLE, CONTROL_WAITS_VOLUME, CONTROL_WAITS_STATS };

struct control_client {
    struct list link;
    struct control *control;
    struct loop_source source;
    struct loop_timer timer;
    enum control_doing doing;
    struct path_vbd vbd; /* CONTROL_WAITS_VOLUME */
    uint64_t scan;       /* the scan it waits for at least */
    bool one;            /* CONTROL_WAITS_STATS: about `domid` only */
    uint32_t domid;
    struct control_wait *wait;
    char in[CONTROL_LINE];
    size_t filled;
    char *out;
    size_t len, sent;
};

/* Workers' answers under way; outlives its client. */
struct control_wait {
    struct list link;
    struct control_client *client;
    unsigned int left;
};

static void client_free(struct control_client *client)
{
    loop_remove(&client->source);
    loop_timer_stop(&client->timer);
    if (client->wait)
        client->wait->client = NULL;
    list_remove(&client->link);
    client->control->count--;
    close(client->source.fd);
    free(client->out);
    free(client);
}

/* False when the client is gone. */
static bool client_flush(struct control_client *client)
{
    while (client->sent < client->len) {
        ssize_t n = send(client->source.fd, client->out + client->sent, client->len - client->sent,
                         MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return !loop_change(&client->source, EPOLLOUT);
        if (n < 0) {
            client_free(client);
            return false;
        }
        client->sent += (size_t)n;
    }
    free(client->out);
    client->out = NULL;
    client->len = client->sent = 0;
    loop_change(&client->source, EPOLLIN);
    return true;
}

/* Takes `answer`.  The client may be gone afterwards. */
static bool client_answer(struct control_client *client, json_t *answer)
{
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

    json_decref(answer);
    loop_timer_stop(&client->timer);
    client->doing = CONTROL_IDLE;
    if (client->wait)
        client->wait->client = NULL;
    client->wait = NULL;
    if (!text) {
        client_free(client);
        return false;
    }
    client->len = strlen(text);
    text[client->len++] = '\n'; /* in place of the NUL */
    client->out = text;
    client->sent = 0;
    return client_flush(client);
}

static bool client_refuse(struct control_client *client, const char *error)
{
    json_t *answer = json_object();
    json_t *text = json_string(error);

    json_object_set_new(answer, "ok", json_false());
    json_object_set_new(answer, "error", text ? text : json_string("failed"));
    return client_answer(client, answer);
}

/* Answers a hotplug question once the vbd is decided.  False when the client is gone. */
static bool client_check_volume(struct control_client *client)
{
    struct glue *glue = client->control->glue;
    const struct vbd *vbd = vbd_find(glue, &client->vbd);
    char text[WIRE_TEXT + 64];

    if (vbd && vbd->failure[0])
        return client_refuse(client, vbd->failure);
    if (vbd && vbd->lost)
        return client_refuse(client, "the guest's worker died; start the guest again");
    if (vbd && vbd->volume == VBD_READY)
        return client_answer(client, json_pack("{s:b}", "ok", 1));
    if (!vbd && scan_count(glue->scan) > client->scan) {
        snprintf(text, sizeof(text),
                 PATH_BACKEND "/%u/%u: no such backend with a script named block-ephem",
                 client->vbd.domid, client->vbd.devid);
        return client_refuse(client, text);
    }
    return true;
}

static void client_run(struct control_client *client);

static void client_late(struct loop_timer *timer)
{
    struct control_client *client = container_of(timer, struct control_client, timer);
    struct glue *glue = client->control->glue;

    bool here;

    if (client->doing == CONTROL_WAITS_STATS)
        here = client_answer(client,
                             status_answer(glue, client->one ? &client->domid : NULL, true));
    else
        here = client_refuse(client,
                             "the volume is not ready after 30 s; see blkback-ephemd's log");
    if (here)
        client_run(client);
}

static bool client_hotplug(struct control_client *client, const json_t *question)
{
    const char *path = json_string_value(json_object_get(question, "path"));
    struct glue *glue = client->control->glue;

    if (!path || path_parse_backend(path, &client->vbd))
        return client_refuse(client, "hotplug: path is not " PATH_BACKEND "/<domid>/<devid>");
    client->doing = CONTROL_WAITS_VOLUME;
    client->scan = scan_count(glue->scan);
    client->timer.fire = client_late;
    loop_timer_set(glue->loop, &client->timer, CONTROL_HOTPLUG);
    glue_changed(glue);
    return client_check_volume(client);
}

static void control_stats_done(void *arg, int error, const char *text)
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
    client_answer(client,
                  status_answer(client->control->glue, client->one ? &client->domid : NULL, true));
}

static bool client_status(struct control_client *client, const json_t *question)
{
    struct glue *glue = client->control->glue;
    const char *domain = json_string_value(json_object_get(question, "domain"));
    struct control_wait *wait;

    client->one = domain != NULL;
    if (domain && !status_find(glue, domain, &client->domid))
        return client_refuse(client, "no such guest, or it has no ephemeral volume");
    wait = calloc(1, sizeof(*wait));
    if (!wait)
        return client_refuse(client, "out of memory");
    list_for_each(it, &glue->lives)
    {
        struct life *life = container_of(it, struct life, link);

        if (life->phase == LIFE_SERVING &&
            (!client->one || life->domid == life_guest_of(glue, client->domid)) &&
            !life_ask_stats(life, control_stats_done, wait))
            wait->left++;
    }
    if (!wait->left) {
        free(wait);
        return client_answer(client,
                             status_answer(glue, client->one ? &client->domid : NULL, true));
    }
    wait->client = client;
    client->wait = wait;
    list_append(&client->control->waits, &wait->link);
    client->doing = CONTROL_WAITS_STATS;
    client->timer.fire = client_late;
    loop_timer_set(glue->loop, &client->timer, CONTROL_STATS);
    return true;
}

static bool client_question(struct control_client *client, const char *line, size_t len)
{
    json_t *question = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    const char *cmd = json_string_value(json_object_get(question, "cmd"));
    bool here;

    if (!cmd)
        here = client_refuse(client, "not a JSON object with a cmd");
    else if (!strcmp(cmd, "hotplug"))
        here = client_hotplug(client, question);
    else if (!strcmp(cmd, "list"))
        here = client_answer(client, status_answer(client->control->glue, NULL, false));
    else if (!strcmp(cmd, "status"))
        here = client_status(client, question);
    else
        here = client_refuse(client, "unknown cmd");
    json_decref(question);
    return here;
}

/* Runs the lines that have arrived, one at a time. */
static void client_run(struct control_client *client)
{
    char *end;

    while (client->doing == CONTROL_IDLE && !client->out &&
           (end = memchr(client->in, '\n', client->filled))) {
        char line[CONTROL_LINE];
        size_t len = (size_t)(end - client->in);

        memcpy(line, client->in, len);
        client->filled -= len + 1;
        memmove(client->in, end + 1, client->filled);
        if (!client_question(client, line, len))
            return;
    }
    if (client->doing != CONTROL_IDLE)
        loop_change(&client->source, 0);
    else if (!client->out && client->filled == sizeof(client->in))
        client_free(client);
}

static void client_ready(struct loop_source *source, uint32_t events)
{
    struct control_client *client = container_of(source, struct control_client, source);

    if (client->out) {
        if (events & EPOLLOUT && client_flush(client) && !client->out)
            client_run(client);
        else if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLOUT))
            client_free(client);
        return;
    }
    if (client->doing != CONTROL_IDLE) {
        client_free(client); /* only a hang-up is reported now */
        return;
    }
    ssize_t got = recv(source->fd, client->in + client->filled, sizeof(client->in) - client->filled,
                       0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        client_free(client);
        return;
    }
    client->filled += (size_t)got;
    client_run(client);
}

static bool control_admits(const struct control *control, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return control->count < CONTROL_CLIENTS &&
           !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void control_ready(struct loop_source *source, uint32_t events)
{
    struct control *control = container_of(source, struct control, source);
    int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0)
        return;
    struct control_client *client = control_admits(control, fd) ? calloc(1, sizeof(*client)) : NULL;
    if (!client) {
        close(fd);
        return;
    }
    client->control = control;
    client->source = (struct loop_source){.fd = fd, .ready = client_ready};
    list_append(&control->clients, &client->link);
    control->count++;
    if (loop_add(control->glue->loop, &client->source, EPOLLIN))
        client_free(client);
}

void control_scanned(struct control *control)
{
    if (!control)
        return;
    list_for_each_safe(it, tmp, &control->clients)
    {
        struct control_client *client = container_of(it, struct control_client, link);

        if (client->doing == CONTROL_WAITS_VOLUME && client_check_volume(client) &&
            client->doing == CONTROL_IDLE)
            client_run(client);
    }
}

int control_open(struct glue *glue)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct control *control = calloc(1, sizeof(*control));

    if (!control)
        return -ENOMEM;
    control->glue = glue;
    list_init(&control->clients);
    list_init(&control->waits);
    snprintf(address.sun_path, sizeof(address.sun_path), "%.64s/control.sock",
             glue->policy->run_dir);
    unlink(address.sun_path);
    control->source.ready = control_ready;
    control->source.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int err = 0;
    if (control->source.fd < 0 ||
        bind(control->source.fd, (struct sockaddr *)&address, sizeof(address)) ||
        chmod(address.sun_path, 0600) || listen(control->source.fd, 64))
        err = -errno;
    else
        err = loop_add(glue->loop, &control->source, EPOLLIN);
    if (err) {
        control_close(control);
        return err;
    }
    glue->control = control;
    return 0;
}

void control_close(struct control *control)
{
    struct list *it;

    if (!control)
        return;
    loop_remove(&control->source);
    while (!list_empty(&control->clients))
        client_free(container_of(control->clients.next, struct control_client, link));
    while ((it = list_pop(&control->waits)))
        free(container_of(it, struct control_wait, link));
    if (control->source.fd >= 0)
        close(control->source.fd);
    control->glue->control = NULL;
    free(control);
}
