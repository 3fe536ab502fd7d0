// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stubdom_rules: asks the control plane's own reader (rules), which the daemon there asks, too.
 */
#include "stubdom_rules.h"

#include <stdio.h>
#include <string.h>

#include "rules.h"

int stub_rules_judge(const struct stub_wish *wish, char why[STUB_WHY])
{
    static const char place[] = "--option";
    static struct rules rules;
    char text[4096], said[STORE_TEXT];
    struct rules_text in = {.file = place, .at = text};

    int at = snprintf(text, sizeof(text), "[pool]\npool=block:/dev/xvda%s\n",
                      wish->per_guest ? "" : ",shared");
    for (size_t i = 0; i < wish->option_count; i++) {
        const char *option = wish->options[i];
        size_t section = strcspn(option, ".");

        at += snprintf(text + at, sizeof(text) - (size_t)at, "[%.*s]\n%s\n", (int)section, option,
                       option + section + 1);
    }
    in.length = (size_t)at;
    int err = rules_parse(&rules, &in, said);
    if (!err)
        err = rules_finish(&rules, place, "", said);
    if (!err)
        return 0;
    const char *what = said + strlen(place); /* ":LINE: ...": they have no lines */
    what = *what == ':' ? what + 1 + strspn(what + 1, "0123456789") : what;
    snprintf(why, STUB_WHY, "%s%s", place, what);
    return err;
}
