// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * suspend_watch: a command and its answer are two writes, so two events.  An event that finds the node
 * empty is an answer when a command was read before it; else that command has been missed.  Events
 * may be merged: then there is one, that finds the node empty, and the command is missed as well.
 */
#include "suspend_watch.h"

#include <string.h>

bool suspend_note(struct suspend_watch *watch, const char *value)
{
    bool answer = watch->asked || watch->fresh;

    watch->fresh = false;
    watch->asked = value[0] != '\0';
    if (!watch->asked && !answer)
        watch->missed = true;
    return !strcmp(value, "suspend");
}

bool suspend_is_incoming(const char *name)
{
    static const char ending[] = "--incoming";
    size_t len = strlen(name);

    return len >= sizeof(ending) - 1 && !strcmp(name + len - (sizeof(ending) - 1), ending);
}
