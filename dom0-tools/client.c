// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * client: connect, one line out, one line in.
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENT_ANSWER (16u << 20) /* bytes; far beyond any real answer */

static int client_connect(char text[CLIENT_TEXT])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = CLIENT_TIMEOUT + 2};
    const char *path = getenv("EPHEM_CONTROL");
    int fd = -1, err;

    if (!path || !*path)
        path = CLIENT_SOCKET;
    if (strlen(path) >= sizeof(address.sun_path)) {
        snprintf(text, CLIENT_TEXT, "EPHEM_CONTROL: path is too long");
        return -ENAMETOOLONG;
    }
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        return fd;
    }
    err = errno == ENOENT ? -ECONNREFUSED : -errno;
    if (err == -ECONNREFUSED)
        snprintf(text, CLIENT_TEXT,
                 "blkback-ephemd is not running: start it (systemctl start blkback-ephemd)");
    else
        snprintf(text, CLIENT_TEXT, "%.200s: %s", path, strerror(-err));
    if (fd >= 0)
        close(fd);
    return err;
}

static int client_send(int fd, json_t *question)
{
    char *line = json_dumps(question, JSON_COMPACT);
    int err = 0;

    if (!line)
        return -ENOMEM;
    size_t len = strlen(line);
    line[len++] = '\n';
    for (size_t sent = 0; sent < len && !err;) {
        ssize_t n = send(fd, line + sent, len - sent, MSG_NOSIGNAL);

        if (n >= 0)
            sent += (size_t)n;
        else if (errno != EINTR)
            err = -errno;
    }
    free(line);
    return err;
}

/* One line, without its end, in memory that is the caller's. */
static int client_receive(int fd, char **line)
{
    size_t room = 4096, len = 0;
    char *buffer = malloc(room);

    *line = NULL;
    while (buffer) {
        ssize_t n = recv(fd, buffer + len, room - len - 1, 0);
        int err = n ? -errno : -EPIPE;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            free(buffer);
            return err == -EAGAIN ? -ETIMEDOUT : err;
        }
        len += (size_t)n;
        if (buffer[len - 1] == '\n') {
            buffer[len - 1] = '\0';
            *line = buffer;
            return 0;
        }
        if (room - len > 1)
            continue;
        char *more = room < CLIENT_ANSWER ? realloc(buffer, room * 2) : NULL;
        if (!more)
            free(buffer);
        buffer = more;
        room *= 2;
    }
    return -ENOMEM;
}

static int client_judge(json_t *answer, char text[CLIENT_TEXT])
{
    const char *error = json_string_value(json_object_get(answer, "error"));

    if (json_is_true(json_object_get(answer, "ok")))
        return 0;
    snprintf(text, CLIENT_TEXT, "%s", error ? error : "blkback-ephemd sent no proper answer");
    return -EREMOTEIO;
}

int client_ask(json_t *question, json_t **answer, char text[CLIENT_TEXT])
{
    char *line = NULL;
    int fd = client_connect(text);
    int err = fd < 0 ? fd : client_send(fd, question);

    json_decref(question);
    if (fd < 0)
        return err;
    if (!err)
        err = client_receive(fd, &line);
    close(fd);
    if (err) {
        snprintf(text, CLIENT_TEXT, "blkback-ephemd does not answer: %s", strerror(-err));
        return err;
    }
    *answer = json_loads(line, 0, NULL);
    free(line);
    err = client_judge(*answer, text);
    if (err) {
        json_decref(*answer);
        *answer = NULL;
    }
    return err;
}
