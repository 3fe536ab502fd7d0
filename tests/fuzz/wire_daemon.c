// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz/wire_daemon: a daemon whose worker was taken over by its guest: any messages, whenever it likes,
 * while it is being taken back and afterwards; it hangs up, dies, answers twice or never.  Production
 * worker.c, life.c, takeover.c, refresh.c, extents*.c and status.c.
 *
 * What must hold: questions end once at most; what the daemon believes of volumes and doors agrees with
 * itself and is within what a volume can be; nothing unprintable reaches a text.
 */
#include "../../xenstore-glue/takeover.c"

#include "../../xenstore-glue/worker.c"

#include "fuzz.h"
#include "glue_fakes.h"
#include "kernel.h"
#include "refresh.h"
#include "status.h"

#define STEPS     80
#define QUESTIONS 32u

static struct glue glue;
static struct fuzz_input in;
static struct wire_msg next;
static int next_result; /* of wire_receive */
static uint32_t answered[QUESTIONS], asked;

int wire_send(int sock, const struct wire_msg *msg, const int *fds, unsigned int nfds)
{
    (void)sock, (void)fds, (void)nfds;
    FUZZ_CHECK(msg->cookie && msg->type < WIRE_REPLY);
    return next_result == -EPIPE ? -EPIPE : 0;
}

int wire_receive(int sock, struct wire_msg *msg, int fds[WIRE_FDS])
{
    int result = next_result;

    (void)sock;
    for (int i = 0; i < WIRE_FDS; i++)
        fds[i] = -1;
    if (result == 1) {
        *msg = next;
        next_result = -EAGAIN;
    }
    return result;
}

static void question_done(void *arg, int error, const char *text)
{
    uint32_t *count = arg;

    FUZZ_CHECK(error <= 0);
    FUZZ_CHECK(
        !text[strspn(text, " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_"
                           "`abcdefghijklmnopqrstuvwxyz{|}~")]);
    FUZZ_CHECK(!(*count)++);
}

static struct life *the_life(void)
{
    return life_find(&glue, FAKE_DOMID);
}

static uint64_t size_any(void)
{
    static const uint64_t sizes[] = {0, 512, 513, 1 << 20, 1ull << 44, (1ull << 44) + 512};
    uint8_t which = fuzz_u8(&in) % 8;

    return which < 6 ? sizes[which] : fuzz_u64(&in);
}

static uint32_t id_any(uint32_t most)
{
    uint8_t value = fuzz_u8(&in);

    return value < 0xf0 ? value % most : fuzz_u32(&in);
}

/* A note as the daemon writes them, or anything. */
static void make_note(char note[WIRE_NOTE])
{
    uint8_t how = fuzz_u8(&in);

    if (how & 0x80)
        fuzz_take(&in, note, 40);
    else
        snprintf(note, WIRE_NOTE, "domid=%u devid=%u mode=%c params=/base%c", FAKE_DOMID,
                 51712 + how % 4, how & 0x20 ? 'r' : 'w', how & 0x10 ? fuzz_u8(&in) : 'x');
}

static void make_hello(void)
{
    struct wire_hello *hello = &next.u.hello;
    uint8_t how = fuzz_u8(&in);

    hello->version = how & 0x80 ? fuzz_u32(&in) : WIRE_VERSION;
    hello->threads = id_any(20);
    hello->pool.kind = id_any(5);
    hello->pool.bytes = size_any();
    if (how & 1)
        fuzz_take(&in, hello->note, 60);
    else
        snprintf(hello->note, WIRE_NOTE, "uuid=0000-0001 pool=%s", how & 2 ? "dir:/x" : "ram:64M");
}

static void make_message(void)
{
    uint8_t type = fuzz_u8(&in);

    wire_start(&next, type & 0x80 ? WIRE_REPLY + type % 8 : 1 + type % 14,
               fuzz_u8(&in) % 8 ? 0 : fuzz_u32(&in));
    if (next.type == WIRE_HELLO) {
        make_hello();
    } else if (next.type == WIRE_VOLUME_ADD) {
        next.u.volume.id = id_any(WIRE_VOLUMES + 1);
        next.u.volume.flags = fuzz_u8(&in);
        next.u.volume.bytes = size_any();
        make_note(next.u.volume.note);
    } else if (next.type == WIRE_CONNECT) {
        next.u.door.id = id_any(WIRE_DOORS + 1);
        next.u.door.volume = id_any(4);
        next.u.door.domid = fuzz_u8(&in) & 7 ? FAKE_DOMID : fuzz_u32(&in);
        next.u.door.devid = 51712 + fuzz_u8(&in) % 4;
        next.u.door.queues = fuzz_u8(&in);
        next.u.door.order = fuzz_u8(&in);
    } else if (next.type == WIRE_GREW) {
        next.u.grew.id = id_any(WIRE_VOLUMES + 1);
        next.u.grew.bytes = size_any();
    } else if (next.type == WIRE_REPLY) {
        next.cookie = 1 + fuzz_u8(&in) % 40;
        next.u.reply.error = (int8_t)fuzz_u8(&in);
        fuzz_take(&in, next.u.reply.text, 8);
    } else if (next.type == WIRE_DEAD) {
        next.u.dead.id = id_any(WIRE_DOORS + 1);
        fuzz_take(&in, next.u.dead.text, 8);
    } else {
        fuzz_take(&in, &next.u, 48);
    }
    next.u.hello.note[WIRE_NOTE - 1] = '\0';
    if (next.type == WIRE_VOLUME_ADD)
        next.u.volume.note[WIRE_NOTE - 1] = '\0';
}

static void deliver(struct worker *w, int result)
{
    next_result = result;
    if (w->sock.loop)
        worker_sock_ready(&w->sock, EPOLLIN);
    next_result = -EAGAIN;
}

static void step_ask(struct life *life, uint8_t how)
{
    struct wire_msg msg;

    if (asked == QUESTIONS)
        return;
    if (how & 1) {
        life_ask_stats(life, question_done, &answered[asked]);
    } else {
        wire_start(&msg, WIRE_STATS, 0);
        life_call(life, &msg, NULL, 0, how & 2 ? 1000 : 0, question_done, &answered[asked]);
    }
    asked++;
}

static void step_connect(struct life *life)
{
    struct wire_msg msg;

    if (worker_is_connected(life->worker) || life->phase != LIFE_RESUMING || life->stranger)
        return;
    FUZZ_CHECK(!worker_connect(life->worker, kernel_socket()));
    wire_start(&msg, WIRE_RESUME, 0);
    FUZZ_CHECK(!worker_call(life->worker, &msg, NULL, 0, 0, takeover_resumed, life));
}

static void daemon_step(void)
{
    uint8_t what = fuzz_u8(&in);
    struct life *life = the_life();

    if (!life || !life->worker)
        return;
    if (what < 0xc0) {
        make_message();
        deliver(life->worker, 1);
    } else if (what < 0xd0) {
        step_ask(life, what);
    } else if (what < 0xd8) {
        deliver(life->worker, what & 1 ? -EPROTO : what & 2 ? 0 : -ECONNRESET);
    } else if (what < 0xe8) {
        step_connect(life);
    } else if (what < 0xf8) {
        kernel_pass(what & 1 ? 1500000 : 100000);
        FUZZ_CHECK(!loop_turn(glue.loop, 0));
    } else {
        next_result = -EPIPE;
        worker_process_ready(&life->worker->process, EPOLLIN);
        next_result = -EAGAIN;
    }
}

/* The daemon's books agree with each other. */
static void daemon_check(void)
{
    const struct life *life = the_life();
    unsigned int users = 0, volumes = 0, doors = 0;

    list_for_each(it, &glue.vbds)
    {
        const struct vbd *vbd = container_of(it, struct vbd, link);
        FUZZ_CHECK(memchr(vbd->params, 0, sizeof(vbd->params)));
        for (const char *c = vbd->params; *c; c++)
            FUZZ_CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
        if (!vbd->life)
            continue;
        FUZZ_CHECK(vbd->life == life && vbd->id.domid == FAKE_DOMID);
        FUZZ_CHECK(vbd->bytes && vbd->bytes % 512 == 0 && vbd->bytes <= STORE_MOST);
        users++;
        volumes += vbd->volume == VBD_READY;
        doors += vbd->door == VBD_SERVED;
    }
    if (!life)
        return;
    FUZZ_CHECK(memchr(life->uuid, 0, sizeof(life->uuid)) && life->threads <= WIRE_THREADS);
    if (life->phase == LIFE_RESUMING || life->phase == LIFE_SERVING)
        FUZZ_CHECK(life->users == users);
    if (life->worker && life->phase <= LIFE_SERVING) {
        FUZZ_CHECK((unsigned int)__builtin_popcountll(life->volumes) == volumes);
        FUZZ_CHECK((unsigned int)__builtin_popcountll(life->doors) >= doors);
    }
}

static void daemon_status(void)
{
    json_t *answer = status_answer(&glue, NULL, true);
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

    FUZZ_CHECK(text);
    free(text);
    json_decref(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct life *life;

    in = (struct fuzz_input){data, size};
    glue_fake_open(&glue);
    memset(answered, 0, sizeof(answered));
    asked = 0;
    next_result = -EAGAIN;
    takeover_limit = (struct log_limit){.burst = 20};
    life = life_new(&glue, FAKE_DOMID, 77);
    life->phase = LIFE_RESUMING;
    life->since = loop_now();
    life->timer.fire = takeover_look;
    loop_timer_set(glue.loop, &life->timer, TAKEOVER_LOOK);
    FUZZ_CHECK(!worker_adopt(glue.loop, 4242, 1, &life_ops, life, &life->worker));
    step_connect(life);
    for (int i = 0; i < STEPS && in.left; i++) {
        daemon_step();
        daemon_check();
    }
    daemon_status();
    glue_fake_close(&glue);
    return 0;
}
