/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * metrics: a status answer as Prometheus text (exposition format 0.0.4).  Pure.
 * Names and labels are an interface: none is ever renamed, and new ones may come.
 */
#ifndef EPHEM_METRICS_H
#define EPHEM_METRICS_H

#include <stdio.h>

#include <jansson.h>

/* Every family with HELP and TYPE, then its samples, all in one piece; families without samples are left
 * out.  Sizes are bytes, times seconds. */
void metrics_print(FILE *to, const json_t *status);

/* A label's value: backslash, double quote and newline escaped; other control characters become '?'. */
void metrics_escape(FILE *to, const char *text);

#endif
