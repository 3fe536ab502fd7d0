// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * control: clients and their lines.  What a line asks is question.c's.
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

#include "question.h"

#define CONTROL_CLIENTS 1024
#define CONTROL_IDLE_MS 60000 /* without a question, or without reading its answer */

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

static void client_idles(struct loop_timer *timer)
{
    client_free(container_of(timer, struct control_client, timer));
}

static void client_set_idle(struct control_client *client)
{
    client->timer.fire = client_idles;
    loop_timer_set(client->control->glue->loop, &client->timer, CONTROL_IDLE_MS);
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
bool control_answer(struct control_client *client, json_t *answer)
{
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

    json_decref(answer);
    client_set_idle(client);
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

bool control_refuse(struct control_client *client, const char *error)
{
    json_t *answer = json_object();
    json_t *text = json_string(error);

    json_object_set_new(answer, "ok", json_false());
    json_object_set_new(answer, "error", text ? text : json_string("failed"));
    return control_answer(client, answer);
}

/* Runs the lines that have arrived, one at a time. */
void control_run(struct control_client *client)
{
    char *end;

    while (client->doing == CONTROL_IDLE && !client->out &&
           (end = memchr(client->in, '\n', client->filled))) {
        char line[CONTROL_LINE];
        size_t len = (size_t)(end - client->in);

        memcpy(line, client->in, len);
        client->filled -= len + 1;
        memmove(client->in, end + 1, client->filled);
        if (!question_ask(client, line, len))
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
            control_run(client);
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
    control_run(client);
}

static const char control_full[] = "{\"ok\":false,\"error\":\"too many clients\"}\n";

static bool control_admits(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void control_ready(struct loop_source *source, uint32_t events)
{
    struct control *control = container_of(source, struct control, source);
    int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0)
        return;
    bool admitted = control_admits(fd), full = control->count >= CONTROL_CLIENTS;
    struct control_client *client = admitted && !full ? calloc(1, sizeof(*client)) : NULL;
    if (!client) {
        if (admitted)
            send(fd, control_full, sizeof(control_full) - 1, MSG_NOSIGNAL);
        close(fd);
        return;
    }
    client->control = control;
    client->source = (struct loop_source){.fd = fd, .ready = client_ready};
    list_append(&control->clients, &client->link);
    control->count++;
    client_set_idle(client);
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

        if (client->doing == CONTROL_WAITS_VOLUME && question_check_volume(client) &&
            client->doing == CONTROL_IDLE)
            control_run(client);
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
        chmod(address.sun_path, 0600) || listen(control->source.fd, 1024))
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
