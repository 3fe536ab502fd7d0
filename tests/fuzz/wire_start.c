// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wire_start: the one function of wire.c that targets need who play the socket themselves.
 */
#include <string.h>
#include "wire.h"

void wire_start(struct wire_msg *msg, enum wire_type type, uint32_t cookie)
{
    memset(msg, 0, sizeof(*msg));
    msg->type = type;
    msg->cookie = cookie;
}
