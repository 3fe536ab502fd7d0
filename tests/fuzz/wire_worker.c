// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz/wire_worker: a worker whose daemon was taken over: any messages in any order against the
 * production guest*.c, door, engine, pool and volumes.  Frames and strings are wire.c's to check, which
 * is fuzzed by wire; here messages come as it lets them through.
 *
 * A second book is kept of what the worker has agreed to: every message gets exactly one reply, RESUME
 * tells exactly what is in force, no descriptor is lost, and what was agreed to can be taken back.
 */
#include "../../blkback-ephem/guest.c"

#include <fcntl.h>
#include <sys/mman.h>
#include "fake_aio.h"
#include "fake_hv.h"
#include "fuzz.h"
#include "kernel.h"
#include "pool_extents.h"
#include "pump.h"
#include "turn.h"
#include "wire_client.h"
#include "wire_make.h"

#define STEPS  60
#define ASKED  256u
#define SETTLE 400

static struct guest guest;

struct asked {
    uint32_t cookie; /* 0: none */
    uint32_t type, id;
    int daemon; /* who has asked: his descriptor */
};

static struct {
    struct asked asked[ASKED];
    uint32_t cookie;
    uint64_t volumes; /* agreed to */
    uint64_t doors;
    uint64_t told_volumes; /* in this replay */
    uint64_t told_doors;
    bool resuming;
    int last_error;
} book;

/* Stand in for sandbox.c, which would end the fuzzer. */
int sandbox_drop(enum sandbox_kind kind, char text[SANDBOX_TEXT])
{
    (void)kind, (void)text;
    return 0;
}

int sandbox_close(enum sandbox_kind kind, char text[SANDBOX_TEXT])
{
    (void)kind, (void)text;
    return 0;
}

static void book_reply(const struct wire_msg *msg)
{
    struct asked *asked = book.asked;
    int error = msg->u.reply.error;

    while (asked < book.asked + ASKED && asked->cookie != msg->cookie)
        asked++;
    FUZZ_CHECK(msg->cookie && asked < book.asked + ASKED); /* asked, and not answered before */
    FUZZ_CHECK(asked->daemon == guest.daemon.fd);          /* nobody else is told */
    FUZZ_CHECK(error <= 0 && error > -4096);
    FUZZ_CHECK(!error == !msg->u.reply.text[0]);
    asked->cookie = 0;
    book.last_error = error;
    if (asked->type == WIRE_RESUME && !error) {
        FUZZ_CHECK(book.told_volumes == book.volumes);
        FUZZ_CHECK((book.told_doors & book.doors) == book.doors);
        book.resuming = false;
    }
    if (error)
        return;
    if (asked->type == WIRE_VOLUME_ADD)
        book.volumes |= 1ull << asked->id;
    else if (asked->type == WIRE_VOLUME_DEL)
        book.volumes &= ~(1ull << asked->id);
    else if (asked->type == WIRE_CONNECT)
        book.doors |= 1ull << asked->id;
    else if (asked->type == WIRE_DISCONNECT)
        book.doors &= ~(1ull << asked->id);
}

/* Instead of wire.c's: what the worker says. */
int wire_send(int sock, const struct wire_msg *msg, const int *fds, unsigned int nfds)
{
    FUZZ_CHECK(sock == guest.daemon.fd && !fds && !nfds);
    switch (msg->type) {
    case WIRE_REPLY:
        book_reply(msg);
        break;
    case WIRE_HELLO:
        FUZZ_CHECK(book.resuming);
        break;
    case WIRE_VOLUME_ADD:
        FUZZ_CHECK(book.resuming && msg->u.volume.id < WIRE_VOLUMES);
        book.told_volumes |= 1ull << msg->u.volume.id;
        break;
    case WIRE_CONNECT:
        FUZZ_CHECK(book.resuming && msg->u.door.id < WIRE_DOORS);
        book.told_doors |= 1ull << msg->u.door.id;
        break;
    case WIRE_EVTCHN_ADD:
        FUZZ_CHECK(book.resuming);
        break;
    case WIRE_DEAD:
        FUZZ_CHECK(msg->u.dead.id < WIRE_DOORS && msg->u.dead.text[0]);
        break;
    case WIRE_EXTENTS_GIVE:
    case WIRE_EXTENTS_WANT:
    case WIRE_EXTENTS_BACK:
        FUZZ_CHECK(msg->u.extents.count && msg->u.extents.count <= WIRE_EXTENTS);
        break;
    default:
        FUZZ_CHECK(msg->type > WIRE_REPLY && msg->type < WIRE_EXTENTS_WANT);
    }
    return 0;
}

int wire_receive(int sock, struct wire_msg *msg, int fds[WIRE_FDS])
{
    (void)sock, (void)msg, (void)fds;
    return -EAGAIN; /* the target hands messages over itself */
}

static uint32_t ask_id(const struct wire_msg *msg)
{
    if (msg->type == WIRE_DISCONNECT)
        return msg->u.disconnect.id;
    return msg->type == WIRE_CONNECT ? msg->u.door.id : msg->u.volume.id;
}

static int worker_ask(struct wire_msg *msg, int fds[WIRE_FDS])
{
    struct asked *asked = book.asked;

    while (asked < book.asked + ASKED && asked->cookie)
        asked++;
    FUZZ_CHECK(asked < book.asked + ASKED);
    msg->cookie = ++book.cookie;
    *asked = (struct asked){
        .cookie = msg->cookie, .type = msg->type, .id = ask_id(msg), .daemon = guest.daemon.fd};
    if (msg->type == WIRE_RESUME) {
        book.resuming = true;
        book.told_volumes = 0;
        book.told_doors = 0;
    }
    book.last_error = 1; /* not answered yet */
    guest_handle(&guest, msg, fds);
    for (int i = 0; i < WIRE_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return book.last_error;
}

static void step_message(uint8_t type)
{
    struct wire_msg msg;
    int fds[WIRE_FDS] = {-1, -1};

    make_message(&msg, type, fds);
    worker_ask(&msg, fds);
}

/* The usual beginning: a volume, a handle for each thread, a ring. */
static void worker_setup(void)
{
    struct wire_msg msg;
    int fds[WIRE_FDS] = {kernel_listener(), dup(make_pool_fd)}, none[WIRE_FDS] = {-1, -1};

    wire_start(&msg, WIRE_HELLO, 0);
    msg.u.hello.version = WIRE_VERSION;
    msg.u.hello.threads = 2;
    msg.u.hello.pool.kind = WIRE_POOL_SHARED;
    FUZZ_CHECK(!worker_ask(&msg, fds));
    wire_start(&msg, WIRE_VOLUME_ADD, 0);
    msg.u.volume.bytes = 1 << 20;
    FUZZ_CHECK(!worker_ask(&msg, none));
    for (uint32_t i = 0; i < 2; i++) {
        int handle[WIRE_FDS] = {fake_hv_handle(), -1};
        wire_start(&msg, WIRE_EVTCHN_ADD, 0);
        msg.u.evtchn.thread = i;
        FUZZ_CHECK(!worker_ask(&msg, handle));
    }
    wire_start(&msg, WIRE_CONNECT, 0);
    msg.u.door.queues = 2;
    for (uint32_t i = 0; i < 2; i++)
        msg.u.door.queue[i] = (struct wire_queue){.port = i, .refs = {1 + i * 4}};
    FUZZ_CHECK(!worker_ask(&msg, none));
}

static void worker_turn(uint32_t us)
{
    kernel_pass(us);
    FUZZ_CHECK(!loop_turn(guest.loop, 0));
    if (!guest.engine)
        return;
    for (uint32_t i = 0; i < engine_threads(guest.engine); i++)
        turn_thread(engine_thread(guest.engine, i));
    turn_keeper(engine_pool(guest.engine));
    FUZZ_CHECK(!loop_turn(guest.loop, 0));
}

/* The daemon goes; the next one may come at once. */
static void step_orphan(uint8_t how)
{
    struct wire_msg msg;
    int none[WIRE_FDS] = {-1, -1};

    if (!guest.engine || guest.listener.fd < 0)
        return;
    if (!(how & 1)) {
        guest_orphaned(&guest);
        for (int i = 0; i < (how & 6); i++)
            worker_turn(2100000);
    }
    kernel_arrives(guest.listener.fd, kernel_socket());
    worker_turn(0);
    FUZZ_CHECK(guest.daemon.fd >= 0);
    memset(book.asked, 0, sizeof(book.asked));
    /* Doors and volumes whose end nobody was told of may be gone. */
    book.volumes = 0;
    book.doors = 0;
    for (uint32_t i = 0; i < WIRE_VOLUMES; i++)
        book.volumes |= (guest.volumes[i].volume ? 1ull : 0) << i;
    for (uint32_t i = 0; i < WIRE_DOORS; i++)
        book.doors |= (guest.doors[i].door ? 1ull : 0) << i;
    wire_start(&msg, WIRE_RESUME, 0);
    FUZZ_CHECK(worker_ask(&msg, none) == 0);
}

/* A frontend lies about its ring. */
static void step_ring(uint8_t which)
{
    uint32_t page = 1 + which % 128 * 4;

    memset(fake_hv_page(page), which & 1 ? 0xff : 0, 4);
    for (uint32_t port = 0; port < FAKE_PORTS; port++)
        fake_hv_kick(port);
}

static void worker_step(void)
{
    uint8_t what = fuzz_u8(&make_in);

    if (guest.ended)
        return;
    if (what < 0xc0) {
        static const uint8_t types[] = {WIRE_VOLUME_ADD, WIRE_CONNECT,    WIRE_EVTCHN_ADD,
                                        WIRE_DISCONNECT, WIRE_VOLUME_DEL, WIRE_EVTCHN_DEL,
                                        WIRE_STATS,      WIRE_RESUME,     WIRE_EXTENTS_GIVE,
                                        WIRE_REFRESH,    WIRE_HELLO,      0};
        uint8_t which = types[what % sizeof(types)];
        step_message(which ? which : fuzz_u8(&make_in) == WIRE_QUIT ? WIRE_QUIT : 13 + what);
    } else if (what < 0xd0) {
        worker_turn(what & 1 ? 1000 : 2100000);
    } else if (what < 0xd6) {
        step_message(WIRE_NBD_ADD);
    } else if (what < 0xe0) {
        wire_client_step();
    } else if (what < 0xf0) {
        step_ring(fuzz_u8(&make_in));
    } else {
        step_orphan(what);
    }
}

/* For the last connection's end. */
static void worker_waits(void)
{
    worker_turn(10000);
}

static void worker_open(void)
{
    memset(&guest, 0, sizeof(guest));
    guest.statm = -1;
    memset(&book, 0, sizeof(book));
    kernel_reset();
    kernel_waits = worker_waits;
    wire_clients_reset();
    fake_aio_reset(1);
    fake_hv_reset();
    FUZZ_CHECK(!loop_open(&guest.loop) && !mailbox_open(&guest.mailbox, guest.loop));
    list_init(&guest.refreshes);
    guest.daemon = (struct loop_source){.fd = kernel_socket(), .ready = guest_readable};
    guest.listener = (struct loop_source){.fd = -1, .ready = guest_accept};
    guest.tick.fire = guest_tick;
    FUZZ_CHECK(!loop_add(guest.loop, &guest.daemon, EPOLLIN));
    loop_timer_set(guest.loop, &guest.tick, TICK_MS);
}

static bool worker_answered(void)
{
    for (uint32_t i = 0; i < ASKED; i++)
        if (book.asked[i].cookie)
            return false;
    return true;
}

static void worker_settle(void)
{
    for (int turns = 0; !guest.ended && !worker_answered(); turns++) {
        FUZZ_CHECK(turns < SETTLE); /* a message is never answered */
        worker_turn(10000);
    }
}

/* Everything in force is taken back, and that works; `hard`: connections first, as when a life ends. */
static void worker_undo(bool hard)
{
    struct wire_msg msg;
    int none[WIRE_FDS] = {-1, -1};

    guest.ended = false; /* a QUIT; the process is not to end with the input */
    if (hard)
        guest_nbd_close_all(&guest);
    worker_settle();
    for (uint32_t i = 0; i < WIRE_DOORS && guest.engine; i++) {
        if (!guest.doors[i].door)
            continue;
        wire_start(&msg, WIRE_DISCONNECT, 0);
        msg.u.disconnect.id = i;
        msg.u.disconnect.force = 1;
        worker_ask(&msg, none);
        worker_settle();
        FUZZ_CHECK(!book.last_error);
    }
    for (const bool *at; (at = memchr(guest.domains, true, sizeof(guest.domains)));) {
        wire_start(&msg, WIRE_EVTCHN_DEL, 0);
        msg.u.evtchn.domid = (uint32_t)(at - guest.domains);
        FUZZ_CHECK(!worker_ask(&msg, none));
    }
    for (uint32_t i = 0; i < WIRE_VOLUMES && guest.engine; i++) {
        if (!guest.volumes[i].volume)
            continue;
        wire_start(&msg, WIRE_VOLUME_DEL, 0);
        msg.u.volume.id = i;
        worker_ask(&msg, none);
        worker_settle();
        FUZZ_CHECK(!book.last_error);
    }
    FUZZ_CHECK(!book.doors && !book.volumes);
}

static void worker_close(void)
{
    for (uint32_t i = 0; i < WIRE_VOLUMES; i++)
        FUZZ_CHECK(!guest.volumes[i].volume);
    if (guest.daemon.fd >= 0)
        close(guest.daemon.fd);
    if (guest.listener.fd >= 0)
        close(guest.listener.fd);
    if (guest.statm >= 0)
        close(guest.statm);
    guest_nbd_close_all(&guest);
    guest_forget_refreshes(&guest);
    engine_close(guest.engine);
    guest_extents_close(&guest);
    mailbox_close(guest.mailbox);
    loop_close(guest.loop);
    FUZZ_CHECK(!kernel_open());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    make_in = (struct fuzz_input){data, size};
    if (make_base_fd < 0) {
        make_base_fd = memfd_create("base", MFD_CLOEXEC);
        make_pool_fd = memfd_create("pool", MFD_CLOEXEC);
        FUZZ_CHECK(!ftruncate(make_base_fd, 1 << 20));
    }
    int lowest_fd = dup(make_base_fd);
    close(lowest_fd);
    worker_open();
    uint8_t how = fuzz_u8(&make_in);
    if (how & 2)
        worker_setup();
    else if (how & 1)
        step_message(WIRE_HELLO);
    for (int i = 0; i < STEPS && make_in.left; i++)
        worker_step();
    worker_undo(how & 4);
    worker_close();
    FUZZ_CHECK(dup(make_base_fd) == lowest_fd); /* else a descriptor is lost */
    close(lowest_fd);
    return 0;
}
