/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * question: what a control client asks, and how it is answered, at once or later.  control.c has
 * the sockets and the lines; the two files share the client, nobody else sees it.
 */
#ifndef EPHEM_QUESTION_H
#define EPHEM_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "control.h"
#include "glue.h"
#include "paths.h"

struct control {
    struct glue *glue;
    struct loop_source source;
    struct list clients;
    struct list waits;
    unsigned int count;
};

enum control_doing {
    CONTROL_IDLE,
    CONTROL_WAITS_VOLUME,
    CONTROL_WAITS_STATS,
    CONTROL_WAITS_REFRESH,
};

struct control_client {
    struct list link;
    struct control *control;
    struct loop_source source;
    struct loop_timer timer;
    enum control_doing doing;
    struct path_vbd vbd; /* CONTROL_WAITS_VOLUME */
    uint64_t scan;       /* the scan it waits for at least */
    bool one;            /* CONTROL_WAITS_STATS, _REFRESH: about `domid` only */
    uint32_t domid;
    uint64_t since; /* CONTROL_WAITS_REFRESH: glue->grown then */
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

/* A line, without its end.  Answers, or sets `doing` to answer later.  False: the client is gone. */
bool question_ask(struct control_client *client, const char *line, size_t len);

/* CONTROL_WAITS_VOLUME: answers if the vbd is decided.  False: the client is gone. */
bool question_check_volume(struct control_client *client);

/* control.c: takes `answer`; the client is idle again, or gone: false. */
bool control_answer(struct control_client *client, json_t *answer);
bool control_refuse(struct control_client *client, const char *error);

/* control.c: runs the lines that have arrived; the client may be gone afterwards. */
void control_run(struct control_client *client);

#endif
