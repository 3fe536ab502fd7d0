/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control: the operator's door: a 0600 unix stream socket, one JSON object a line both ways.
 *   {"cmd":"hotplug","path":"backend/vbd3/1/51712"}   answered when the volume is ready or failed
 *   {"cmd":"list"}                                    guests and their volumes
 *   {"cmd":"status"} {"cmd":"status","domain":"NAME or DOMID"}   the same with numbers
 *   {"cmd":"refresh"} {"cmd":"refresh","domain":...}   looks at bases; answered with what has grown
 *   {"cmd":"forget","domain":"UUID, NAME or DOMID"}   a suspended guest may start anew
 * Answers: {"ok":true,...} or {"ok":false,"error":"one line"}.  Peers: root or our own uid.
 * A client has one question under way; what it does not read stops only itself, and a minute
 * without a question ends it.
 */
#ifndef EPHEM_CONTROL_H
#define EPHEM_CONTROL_H

#include "glue.h"

#define CONTROL_LINE 4096 /* a question is at most so long */

/* Listens on <run-dir>/control.sock.  0 or negative errno. */
int control_open(struct glue *glue);

void control_close(struct control *control);

/* A scan is complete: answers what waited for it. */
void control_scanned(struct control *control);

#endif
