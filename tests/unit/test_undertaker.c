// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * undertaker: workers that end in every way, as children of the test, which shares their arena and so
 * sees what is left in it, and a file that it has not mapped.
 */
#include "unit.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "arena.h"
#include "syscalls.h"
#include "undertaker.h"

#define PAGES   64u
#define WRITTEN 40u
#define MARK    0xa7

/* What a worker does once its buffers are full; then it waits to be killed. */
typedef void (*worker_act)(struct undertaker *undertaker);

static struct arena *arenas[2];
static uint8_t *bufs[2];
static int file;    /* marked at both ends */
static int told[2]; /* a pipe: what the worker has to say */
static pid_t worker, buries;

static void act_nothing(struct undertaker *undertaker)
{
    (void)undertaker;
}

static void act_close(struct undertaker *undertaker)
{
    undertaker_close(undertaker);
}

/* As a worker might that a guest has taken over. */
static void act_drop_descriptors(struct undertaker *undertaker)
{
    (void)undertaker;
    for (int fd = 3; fd < 256; fd++)
        if (fd != told[1])
            close(fd);
}

/* Says '0', and 'L' once when it notices the loss. */
static void act_watch(struct undertaker *undertaker)
{
    char said = '0';

    for (int i = 0; i < 10000; i++) {
        bool is = undertaker_lost(undertaker);
        if ((i == 0 || is) && write(told[1], is ? "L" : &said, 1) != 1)
            _exit(9);
        unit_sleep(1);
    }
}

static _Noreturn void worker_run(worker_act act)
{
    struct undertaker *undertaker;

    /* What it does after privileges are gone it has to be able to do then. */
    if (undertaker_open(&undertaker) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        syscalls_allow(SYSCALLS_WORKER_SETUP))
        _exit(1);
    for (int i = 0; i < 2; i++)
        undertaker_add(undertaker, arena_fd(arenas[i]));
    undertaker_add(undertaker, file);
    if (undertaker_start(undertaker))
        _exit(2);
    for (int i = 0; i < 2; i++)
        memset(bufs[i], MARK, WRITTEN * ARENA_PAGE);
    if (write(told[1], "R", 1) != 1)
        _exit(3);
    act(undertaker);
    for (;;)
        unit_sleep(1000);
}

/* What the worker says next, or 0 when it says nothing for long. */
static char hear(void)
{
    char byte = 0;

    return read(told[0], &byte, 1) == 1 ? byte : '\0';
}

static pid_t only_child(pid_t of)
{
    char path[64];
    int pid = 0;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)of, (int)of);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%d", &pid) != 1)
        pid = 0;
    if (f)
        fclose(f);
    return pid;
}

/* Its state by proc(5): Z for one that has ended. */
static char state_of(pid_t pid)
{
    char path[64], state = '?';

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
        state = '?';
    if (f)
        fclose(f);
    return state;
}

#define FILE_MARKS 5000u
#define FILE_BYTES (64 * ARENA_PAGE + 123)

static void file_open(void)
{
    uint8_t mark[FILE_MARKS];

    memset(mark, MARK, sizeof(mark));
    file = memfd_create("marked", MFD_CLOEXEC);
    CU_ASSERT_FATAL(file >= 0);
    CU_ASSERT_EQUAL(pwrite(file, mark, FILE_MARKS, 0), FILE_MARKS);
    CU_ASSERT_EQUAL(pwrite(file, mark, FILE_MARKS, FILE_BYTES - FILE_MARKS), FILE_MARKS);
}

static uint32_t file_marks(void)
{
    static uint8_t all[FILE_BYTES + 1];
    uint32_t n = 0;

    CU_ASSERT_EQUAL(pread(file, all, sizeof(all), 0), FILE_BYTES); /* and as long as it was */
    for (uint32_t at = 0; at < FILE_BYTES; at++)
        n += all[at] == MARK;
    return n;
}

static void begin(worker_act act)
{
    file_open();
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* so that we learn how the undertaker ends */
    CU_ASSERT_EQUAL_FATAL(pipe(told), 0);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL_FATAL(arena_open(&arenas[i], PAGES * ARENA_PAGE), 0);
        bufs[i] = arena_get(arenas[i], WRITTEN);
    }
    worker = fork();
    if (!worker)
        worker_run(act);
    close(told[1]);
    CU_ASSERT_EQUAL_FATAL(hear(), 'R');
    buries = only_child(worker);
    CU_ASSERT_FATAL(buries > 0);
}

static uint32_t marks(void)
{
    uint32_t n = 0;

    for (int i = 0; i < 2; i++)
        for (uint32_t at = 0; at < WRITTEN * ARENA_PAGE; at++)
            n += bufs[i][at] == MARK;
    return n;
}

static void worker_kill(void)
{
    int status = 0;

    CU_ASSERT_EQUAL(marks(), 2 * WRITTEN * ARENA_PAGE);
    kill(worker, SIGKILL);
    CU_ASSERT_EQUAL(waitpid(worker, &status, 0), worker);
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* It has ended well, and there is as much left as there should be. */
static void end(uint32_t left)
{
    int status = -1;

    CU_ASSERT_EQUAL(waitpid(buries, &status, 0), buries);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(marks(), left);
    CU_ASSERT_EQUAL(file_marks(), left ? 2 * FILE_MARKS : 0);
    close(file);
    for (int i = 0; i < 2; i++)
        arena_close(arenas[i]);
    close(told[0]);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void killed(void)
{
    begin(act_nothing);
    worker_kill();
    end(0);
}

static void in_good_order(void)
{
    begin(act_close);
    for (int i = 0; i < 5000 && state_of(buries) != 'Z'; i++)
        unit_sleep(1);
    CU_ASSERT_EQUAL(state_of(buries), 'Z');
    worker_kill();
    end(2 * WRITTEN * ARENA_PAGE); /* who ends in good order has wiped them before */
}

static void descriptors_dropped(void)
{
    begin(act_drop_descriptors);
    unit_sleep(50);
    CU_ASSERT_EQUAL(state_of(buries), 'S');
    worker_kill();
    end(0);
}

/* Only SIGKILL ends it, and that is noticed, once. */
static void undertaker_killed(void)
{
    int status = 0;

    begin(act_watch);
    CU_ASSERT_EQUAL(hear(), '0');
    for (int sig = 1; sig < 32; sig++)
        if (sig != SIGKILL && sig != SIGSTOP)
            kill(buries, sig);
    unit_sleep(20);
    CU_ASSERT_EQUAL(state_of(buries), 'S');
    kill(buries, SIGKILL);
    CU_ASSERT_EQUAL(hear(), 'L');
    worker_kill();
    CU_ASSERT_EQUAL(hear(), '\0');
    CU_ASSERT_EQUAL(waitpid(buries, &status, 0), buries);
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (int i = 0; i < 2; i++)
        arena_close(arenas[i]);
    close(file);
    close(told[0]);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

/* Two arenas, the file, whose end it waits for, and the socket. */
static void descriptors(void)
{
    char path[64];
    int n = 0;

    begin(act_nothing);
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)buries);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    CU_ASSERT_EQUAL(n, 5);
    worker_kill();
    end(0);
}

int suite_undertaker(void)
{
    static const struct unit_case cases[] = {
        {"worker killed", killed},
        {"worker ends in good order", in_good_order},
        {"worker drops its descriptors", descriptors_dropped},
        {"undertaker killed", undertaker_killed},
        {"what it holds open", descriptors},
    };

    return UNIT_SUITE("undertaker", cases);
}
