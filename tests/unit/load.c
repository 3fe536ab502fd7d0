// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * load: a request takes its range, is sent, and is judged by its answer.  When a mutation was refused,
 * or not answered, what it has left is read through the same door, before anybody else may have the
 * range: a refused one has changed nothing; one that the door carries out in parts, only the first of
 * them.
 */
#include "load.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake_aio.h"
#include "truth.h"
#include "unit.h"
#include "util.h"

#define REACH       40u  /* sectors of most requests */
#define BUSY        600u /* sectors where everybody is most of the time */
#define CHECK_TRIES 200u

#ifdef __SANITIZE_THREAD__
#define PART 3u
#else
#define PART 1u
#endif

struct job {
    bool used, sent, checking;
    uint32_t tries;
    struct ask ask, check;
    uint8_t *seen;
};

struct driver {
    struct load *load;
    struct caller *caller;
    uint64_t seed;
    uint32_t busy;
    struct job jobs[CALLER_DEPTH];
};

bool load_is_long(void)
{
    const char *text = getenv("LONG");

    return text && *text == '1';
}

uint32_t load_size(uint32_t usual)
{
    return load_is_long() ? usual * 20 : usual / PART;
}

static bool job_moves(const struct job *job)
{
    return job->ask.op != ASK_READ && job->ask.op != ASK_FLUSH;
}

/* Some of it compresses, some does not. */
static void job_fill(uint8_t *to, size_t bytes, uint64_t seed)
{
    bool noise = seed & 1;

    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = noise || i % 512 == 0 ? unit_random(&seed) : seed;
        memcpy(to + i, &word, 8);
    }
}

/* A client that connects anew is told the size of now. */
static void job_send(struct driver *driver, struct job *job)
{
    struct caller *caller = driver->caller;
    struct ask *ask = job->checking ? &job->check : &job->ask;
    uint32_t meetings = caller->meetings;

    ask->known = truth_sectors();
    job->sent = caller->ops->send(caller, ask);
    if (caller->meetings != meetings)
        driver->load->wrong += caller->bytes < ask->known * 512ull ||
                               caller->bytes > truth_soon() * 512ull;
}

static bool ask_is_early(const struct ask *ask)
{
    return ask->first + ask->count > ask->known;
}

/* Its range is taken. */
static void job_begin(struct driver *driver, const struct step *step, uint64_t seed)
{
    struct job *job = driver->jobs;
    size_t bytes = step->count * 512u;

    while (job->used)
        job++;
    *job = (struct job){.used = true};
    job->ask = (struct ask){
        .op = step->op, .first = step->first, .count = step->count, .choice = step->choice};
    if (step->op == ASK_WRITE || step->op == ASK_READ)
        job->ask.data = malloc(bytes);
    if (step->op == ASK_WRITE)
        job_fill(job->ask.data, bytes, seed);
    driver->busy++;
    job_send(driver, job);
}

static void job_end(struct driver *driver, struct job *job)
{
    if (job->ask.count)
        truth_give(job->ask.first, job->ask.count);
    free(job->ask.data);
    free(job->seen);
    job->used = false;
    driver->busy--;
    driver->load->done++;
}

static void job_check(struct driver *driver, struct job *job)
{
    size_t bytes = job->ask.count * 512u;

    if (job->checking && ask_is_early(&job->check))
        unit_sleep(1);
    else
        job->tries++;
    job->checking = true;
    if (job->tries > CHECK_TRIES) {
        fprintf(stderr, "what was refused cannot be read: sectors %u+%u\n", job->ask.first,
                job->ask.count);
        abort();
    }
    if (!job->seen)
        job->seen = malloc(bytes);
    job->check = (struct ask){.op = ASK_READ,
                              .first = job->ask.first,
                              .count = job->ask.count,
                              .data = job->seen,
                              .choice = job->tries * 2654435761u};
    job_send(driver, job);
}

static void job_settle(struct driver *driver, struct job *job)
{
    struct load *load = driver->load;
    bool parts = job->ask.count > driver->caller->in_parts || job->ask.op == ASK_ZERO ||
                 (load->torn && job->ask.op == ASK_DISCARD);

    uint32_t may = TRUTH_NEW;
    if (job->ask.error)
        may = TRUTH_OLD | (parts ? TRUTH_PART : 0) | (job->ask.lost ? TRUTH_NEW : 0);
    load->wrong += !truth_settle(&job->ask, job->seen, may);
    job_end(driver, job);
}

static void job_answered(struct driver *driver, struct job *job)
{
    struct load *load = driver->load;
    struct ask *ask = &job->ask;

    if (job->checking) {
        load->wrong += job->check.error && !load->expected && !job->check.lost &&
                       !ask_is_early(&job->check);
        if (job->check.error)
            job_check(driver, job);
        else
            job_settle(driver, job);
        return;
    }
    if (ask->lost)
        load->lost++;
    else if (ask->error && ask_is_early(ask))
        load->early++;
    else if (ask->error)
        load->refused++;
    load->wrong += ask->error && !ask->lost && !load->expected && !ask_is_early(ask);
    if (job_moves(job) && (ask->error || !truth_sure(ask))) {
        job_check(driver, job);
        return;
    }
    if (!ask->error && ask->op == ASK_READ)
        load->wrong += !truth_is(ask->first, ask->count, ask->data);
    else if (!ask->error && job_moves(job))
        truth_apply(ask);
    job_end(driver, job);
}

/* Sends what there was no room for, and takes one answer. */
static void driver_turn(struct driver *driver)
{
    for (uint32_t i = 0; i < CALLER_DEPTH; i++)
        if (driver->jobs[i].used && !driver->jobs[i].sent)
            job_send(driver, &driver->jobs[i]);
    if (!driver->caller->flying)
        return;
    struct ask *ask = driver->caller->ops->reap(driver->caller);
    for (uint32_t i = 0; i < CALLER_DEPTH; i++) {
        struct job *job = &driver->jobs[i];
        if (job->used && (ask == &job->ask || ask == &job->check)) {
            job_answered(driver, job);
            return;
        }
    }
    abort();
}

static enum ask_op driver_op(struct driver *driver)
{
    uint64_t what = unit_below(&driver->seed, 20);

    if (what < 8)
        return ASK_READ;
    if (what < 17)
        return ASK_WRITE;
    if (what == 17)
        return ASK_FLUSH;
    return what == 18 && driver->caller->zeroes ? ASK_ZERO : ASK_DISCARD;
}

static void driver_begin(struct driver *driver, uint32_t round)
{
    uint32_t sectors = round % 5 ? truth_sectors() : truth_soon();
    uint32_t reach = round % 60 ? REACH : driver->caller->most;
    struct step step = {.op = driver_op(driver)};

    step.choice = (uint32_t)unit_random(&driver->seed);
    for (bool free = step.op == ASK_FLUSH; !free; reach /= 2) {
        if (!reach)
            return;
        step.first = (uint32_t)unit_below(&driver->seed, sectors);
        if (driver->load->grows && round % 4 == 1) /* where it ends */
            step.first = sectors - 1 - step.first % REACH;
        else if (round % 3)
            step.first %= BUSY;
        step.count = 1 + (uint32_t)unit_below(&driver->seed, reach);
        step.count = min_u32(step.count, sectors - step.first);
        free = truth_take(step.first, step.count);
    }
    job_begin(driver, &step, driver->seed);
}

static void driver_disturb(struct driver *driver)
{
    static const int errors[] = {-EIO, FAKE_SHORT, -EIO, -ENOSPC};
    struct caller *caller = driver->caller;
    uint64_t dice = unit_random(&driver->seed);
    int error = errors[dice >> 8 & 3];

    if (driver->load->faults && dice % 16 == 0)
        fake_aio_fail(1 + (dice >> 16) % 9, 1, error, error == -ENOSPC);
    if (driver->load->leaves && caller->ops->leave && dice % 64 == 1)
        caller->ops->leave(caller, (uint32_t)(dice >> 32));
}

static bool driver_may_begin(const struct driver *driver, uint32_t round)
{
    uint32_t open = driver->load->open;

    return round < driver->load->rounds && (!open || round < open);
}

static void *driver_run(void *arg)
{
    struct driver *driver = arg;
    uint32_t round = 0;

    while (round < driver->load->rounds || driver->busy) {
        for (; driver_may_begin(driver, round) && driver->busy < CALLER_DEPTH; round++) {
            driver_disturb(driver);
            driver_begin(driver, round);
        }
        if (driver->busy)
            driver_turn(driver);
        else
            unit_sleep(1);
    }
    driver->load->running--;
    free(driver);
    return NULL;
}

static struct driver *driver_open(struct load *load, uint32_t caller)
{
    struct driver *driver = calloc(1, sizeof(*driver));

    driver->load = load;
    driver->caller = load->doors->callers[caller];
    driver->caller->breakable = load->expected;
    driver->seed = load->seed * 1000 + caller;
    return driver;
}

void load_start(struct load *load)
{
    load->running = DOORS_CALLERS;
    for (uint32_t i = 0; i < DOORS_CALLERS; i++)
        pthread_create(&load->threads[i], NULL, driver_run, driver_open(load, i));
}

void load_join(struct load *load)
{
    for (uint32_t i = 0; i < DOORS_CALLERS; i++)
        pthread_join(load->threads[i], NULL);
}

void load_steps(struct load *load, const struct step *steps, uint32_t n)
{
    struct driver *drivers[DOORS_CALLERS] = {NULL};

    for (uint32_t i = 0; i < n; i++) {
        struct driver **driver = &drivers[steps[i].caller];
        if (!*driver)
            *driver = driver_open(load, steps[i].caller);
        if (steps[i].count && !truth_take(steps[i].first, steps[i].count))
            abort();
        job_begin(*driver, &steps[i], steps[i].choice);
    }
    for (uint32_t i = 0; i < DOORS_CALLERS; i++) {
        while (drivers[i] && drivers[i]->busy)
            driver_turn(drivers[i]);
        free(drivers[i]);
    }
}

void load_check(struct doors *doors, uint32_t caller)
{
    struct load load = {.doors = doors};
    uint32_t sectors = truth_sectors(), most = doors->callers[caller]->most;

    for (uint32_t at = 0; at < sectors; at += most) {
        struct step read = {.caller = caller, .first = at, .count = min_u32(most, sectors - at)};
        load_steps(&load, &read, 1);
    }
    CU_ASSERT_EQUAL(load.wrong, 0);
}

void load_check_all(struct doors *doors)
{
    for (uint32_t i = 0; i < DOORS_CALLERS; i++)
        load_check(doors, i);
}
