/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log: one line per event on stderr, "<level>program: text" (the level only under systemd, which
 * strips it).  Guest-written text never goes in; guest-caused lines pass a limiter.
 * Any thread may log; a line is one write(2).
 */
#ifndef EPHEM_LOG_H
#define EPHEM_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Call once before threads start.  `program` must outlive the process' last line. */
void log_open(const char *program, enum log_level most);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* A bucket of `burst` lines refilled one a second; one owner, no locking. */
struct log_limit {
    uint32_t burst;
    uint32_t used;
    uint64_t last; /* seconds, CLOCK_MONOTONIC */
};

bool log_allowed(struct log_limit *limit);

#endif
