/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client: one question to blkback-ephemd over its control socket.
 */
#ifndef EPHEM_CLIENT_H
#define EPHEM_CLIENT_H

#include <jansson.h>

#define CLIENT_SOCKET  "/run/blkback-ephem/control.sock" /* EPHEM_CONTROL overrides */
#define CLIENT_TEXT    512
#define CLIENT_TIMEOUT 30 /* seconds of silence */

/*
 * Sends `question` (taken over) and waits for the answer.  0: an answer with "ok":true, the
 * caller's to json_decref().  Else negative errno with `text`: -ECONNREFUSED when no daemon
 * listens, -EREMOTEIO when it said no (its words), -ETIMEDOUT, ...
 */
int client_ask(json_t *question, json_t **answer, char text[CLIENT_TEXT]);

#endif
