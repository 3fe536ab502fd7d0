// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * log: formats into one buffer on the stack and writes it with one system call, so lines of
 * several threads and processes never mix.  Deliberately no files, no rotation, no time stamps:
 * that is journald's or the supervisor's work.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char *log_program = "?";
static enum log_level log_most = LOG_LEVEL_INFO;
static bool log_journal;

void log_open(const char *program, enum log_level most)
{
    log_program = program;
    log_most = most;
    log_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    int at;

    if (level > log_most)
        return;
    if (log_journal)
        at = snprintf(line, sizeof(line), "<%d>%s: ", (int)level, log_program);
    else
        at = snprintf(line, sizeof(line), "%s: ", log_program);
    va_start(args, fmt);
    int more = vsnprintf(line + at, sizeof(line) - (size_t)at - 1, fmt, args);
    va_end(args);
    if (more > 0)
        at += more;
    if (at > (int)sizeof(line) - 2)
        at = (int)sizeof(line) - 2;
    line[at++] = '\n';
    if (write(STDERR_FILENO, line, (size_t)at) < 0)
        return;
}

bool log_allowed(struct log_limit *limit)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t passed = (uint64_t)now.tv_sec - limit->last;
    limit->last = (uint64_t)now.tv_sec;
    limit->used = passed >= limit->used ? 0 : limit->used - (uint32_t)passed;
    if (limit->used >= limit->burst)
        return false;
    limit->used++;
    return true;
}
