// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz/control: the operator's socket: any bytes in any pieces from up to three clients, who may not
 * read, or go; the production control.c, question.c and status.c, with a guest or without.
 * Each whole line gets one answer, in order, which is one JSON object with "ok", and no line gets two.
 */
#include "../../xenstore-glue/control.c"

#include "../../xenstore-glue/worker.c"

#include "fuzz.h"
#include "glue_fakes.h"
#include "kernel.h"
#include "life.h"
#include "vbd.h"

#define CLIENTS 3u
#define STEPS   40
#define SETTLE  5000 /* turns of 15 s */
#define ROOM    (1u << 16)

static struct glue glue;
static struct fuzz_input in;

static struct peer {
    int fd; /* -1: none */
    uint32_t asked, answered;
    uint32_t line; /* bytes since the last line */
    bool shut;
    bool excused; /* it shut, did not read, or wrote a line beyond CONTROL_LINE */
    uint32_t filled;
    char answers[ROOM];
} peers[CLIENTS];

static struct wire_msg reply;
static int replied; /* of wire_receive */

int wire_send(int sock, const struct wire_msg *msg, const int *fds, unsigned int nfds)
{
    (void)sock, (void)msg, (void)fds, (void)nfds;
    return 0;
}

int wire_receive(int sock, struct wire_msg *msg, int fds[WIRE_FDS])
{
    int result = replied;

    (void)sock;
    for (int i = 0; i < WIRE_FDS; i++)
        fds[i] = -1;
    if (result == 1)
        *msg = reply;
    replied = -EAGAIN;
    return result;
}

/* The worker answers its oldest question, or dies. */
static void step_worker(uint8_t how)
{
    struct life *life = life_find(&glue, FAKE_DOMID);
    struct worker *w = life ? life->worker : NULL;

    if (!w)
        return;
    if (how < 8) {
        worker_process_ready(&w->process, EPOLLIN);
        return;
    }
    if (list_empty(&w->questions[WORKER_SENT]))
        return;
    const struct list *oldest = w->questions[WORKER_SENT].next;
    wire_start(&reply, WIRE_REPLY, container_of(oldest, struct worker_question, link)->msg.cookie);
    reply.u.reply.error = how & 1 ? -EIO : 0;
    replied = 1;
    worker_sock_ready(&w->sock, EPOLLIN);
    replied = -EAGAIN;
}

static void peer_judge(struct peer *peer, size_t length)
{
    json_t *answer = json_loadb(peer->answers, length, 0, NULL);
    const json_t *ok = json_object_get(answer, "ok");
    const char *error = json_string_value(json_object_get(answer, "error"));

    FUZZ_CHECK(json_is_boolean(ok));
    FUZZ_CHECK(json_is_true(ok) || (error && error[0] && !strchr(error, '\n')));
    FUZZ_CHECK(peer->answered++ < peer->asked);
    json_decref(answer);
}

static void peer_take(struct peer *peer, size_t n)
{
    char *end;

    if (peer->fd < 0)
        return;
    n = n < ROOM - peer->filled ? n : ROOM - peer->filled;
    peer->filled += (uint32_t)kernel_receive(peer->fd, (uint8_t *)peer->answers + peer->filled, n);
    kernel_room(peer->fd, n);
    peer->excused |= n < ROOM / 2;
    while ((end = memchr(peer->answers, '\n', peer->filled))) {
        size_t length = (size_t)(end - peer->answers);
        peer_judge(peer, length);
        peer->filled -= (uint32_t)length + 1;
        memmove(peer->answers, end + 1, peer->filled);
    }
}

static void control_turn(uint32_t us)
{
    kernel_pass(us);
    FUZZ_CHECK(!loop_turn(glue.loop, 0));
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (peers[i].fd >= 0 && kernel_gone(peers[i].fd)) {
            peer_take(&peers[i], ROOM);
            FUZZ_CHECK(peers[i].excused || peers[i].answered == peers[i].asked);
            peers[i].fd = -1;
        }
}

static void peer_come(struct peer *peer)
{
    /* Not as a whole: its room for answers is large. */
    peer->asked = peer->answered = peer->line = peer->filled = 0;
    peer->shut = peer->excused = false;
    peer->fd = kernel_socket();
    kernel_arrives(glue.control->source.fd, peer->fd);
}

static void peer_send(struct peer *peer, const char *bytes, size_t n)
{
    if (peer->shut || kernel_waiting(peer->fd) + n > 20000)
        return;
    kernel_send(peer->fd, bytes, n);
    for (size_t i = 0; i < n; i++) {
        peer->line = bytes[i] == '\n' ? 0 : peer->line + 1;
        peer->asked += bytes[i] == '\n';
        peer->excused |= peer->line >= CONTROL_LINE;
    }
}

/* A question that is one, with or without its end. */
static void peer_ask(struct peer *peer, uint8_t which)
{
    static const char *const questions[] = {
        "{\"cmd\":\"list\"}\n",
        "{\"cmd\":\"status\"}\n",
        "{\"cmd\":\"refresh\"}\n",
        "{\"cmd\":\"hotplug\",\"path\":\"backend/vbd3/5/51712\"}\n",
        "{\"cmd\":\"hotplug\",\"path\":\"/local/domain/0/backend/vbd3/5/51728\"}\n",
        "{\"cmd\":\"status\",\"domain\":\"5\"}\n",
        "{\"cmd\":\"refresh\",\"domain\":\"5\"}\n",
        "{\"cmd\":\"status\",\"domain\":\"none\"}\n"};
    const char *text = questions[which % 8];

    peer_send(peer, text, which & 0x40 ? strlen(text) / 2 : strlen(text));
}

static void peer_raw(struct peer *peer)
{
    char bytes[512];
    uint8_t n = fuzz_u8(&in);

    fuzz_take(&in, bytes, n);
    peer_send(peer, bytes, n);
}

/* The disk that hotplug waits for comes, fails, is lost. */
static void step_vbd(uint8_t how)
{
    struct path_vbd id = {.domid = FAKE_DOMID, .devid = how & 1 ? 51728 : 51712};
    struct vbd *vbd = vbd_find(&glue, &id);

    if (!vbd)
        vbd = vbd_new(&glue, &id);
    FUZZ_CHECK(vbd);
    if (how & 2)
        vbd->volume = VBD_READY;
    if (how & 4)
        snprintf(vbd->failure, sizeof(vbd->failure), "it failed");
    vbd->lost = how & 8;
    if (how & 16) {
        vbd_free(vbd);
        fake_scans++;
    }
    control_scanned(glue.control);
}

static void peer_shut(struct peer *peer)
{
    peer->shut = peer->excused = true;
    kernel_shut(peer->fd);
}

static void control_step(void)
{
    uint8_t what = fuzz_u8(&in);
    struct peer *peer = &peers[(what >> 6) % CLIENTS];

    if (peer->fd < 0)
        peer_come(peer);
    else if ((what & 15) < 5)
        peer_ask(peer, fuzz_u8(&in));
    else if ((what & 15) < 9)
        peer_raw(peer);
    else if ((what & 15) == 9)
        peer_take(peer, fuzz_u8(&in));
    else if ((what & 15) == 10)
        step_vbd(fuzz_u8(&in));
    else if ((what & 15) == 11)
        peer_shut(peer);
    else if ((what & 15) == 12)
        step_worker(fuzz_u8(&in));
    else
        control_turn((what & 0x20) ? 21000000 : 1000);
}

static void control_begin(void)
{
    glue_fake_open(&glue);
    fake_scans = 1;
    for (uint32_t i = 0; i < CLIENTS; i++)
        peers[i].fd = -1;
    struct control *control = calloc(1, sizeof(*control));
    control->glue = &glue;
    list_init(&control->clients);
    list_init(&control->waits);
    control->source = (struct loop_source){.fd = kernel_listener(), .ready = control_ready};
    FUZZ_CHECK(!loop_add(glue.loop, &control->source, EPOLLIN));
    glue.control = control;
    if (fuzz_u8(&in) & 1) {
        struct life *life = life_new(&glue, FAKE_DOMID, 7);
        life->phase = LIFE_SERVING;
        life->users = 1;
        replied = -EAGAIN;
        FUZZ_CHECK(!worker_adopt(glue.loop, 4242, 1, &life_ops, life, &life->worker));
        FUZZ_CHECK(!worker_connect(life->worker, kernel_socket()));
    }
}

static bool control_rests(void)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (peers[i].fd >= 0)
            return false;
    return true;
}

/* Every question ends in time, and then every client by its idleness. */
static void control_settle(void)
{
    for (int turns = 0; !control_rests(); turns++) {
        FUZZ_CHECK(turns < SETTLE);
        control_turn(15000000);
        for (uint32_t i = 0; i < CLIENTS; i++)
            peer_take(&peers[i], ROOM);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    in = (struct fuzz_input){data, size};
    control_begin();
    for (int i = 0; i < STEPS && in.left; i++)
        control_step();
    control_settle();
    control_close(glue.control);
    glue_fake_close(&glue);
    return 0;
}
