// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * enable, disable: the mark of a domain in its own file, and where its writes go.  Whether the domain
 * exists is not asked: a mark is for its next start.
 */
#include "ephemctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "own_rules.h"

#define ENABLE_DIR                                                                                 \
    "  --config-dir DIR    where the configuration is, instead of " OWN_RULES_DIR "\n"             \
    "  --json              tell as JSON what was done\n"                                           \
    "  --help              this text\n"

static const char enable_help[] =
    "usage: ephemctl enable DOMAIN [--pool POOL] [--ram-budget SIZE] [--quota SIZE]\n"
    "                       [--config-dir DIR] [--json]\n"
    "Marks a domain as ephemeral, in " OWN_RULES_DIR
    "/domains/DOMAIN.conf: from its next start on\n"
    "ephem-guard pauses it when it has a writable disk that is not ephemeral.  Its disks are\n"
    "another matter: see 'ephemctl convert'.  Other keys of the file, and comments, stay.\n"
    "\n"
    "  --pool POOL         where it writes: dir:PATH, block:DEVICE[,shared][,force],\n"
    "                      ram:SIZE[,lz4]\n"
    "  --ram-budget SIZE   memory in front of that; 0: none\n"
    "  --quota SIZE        the most it takes from the pool; 0: no limit\n" ENABLE_DIR;

static const char disable_help[] =
    "usage: ephemctl disable DOMAIN [--config-dir DIR] [--json]\n"
    "Takes the mark away that 'ephemctl enable' gave, from the domain's next start on; the pool "
    "of\n"
    "its file stays.  Its disks stay what its own configuration says, ephemeral or not.\n"
    "\n" ENABLE_DIR;

static void enable_tell(const char *domain, const struct own_rules *own)
{
    const struct rules *rules = &own->after;

    printf("%s: %s%s\n", domain,
           rules->ephemeral ? "marked as ephemeral" : "not marked as ephemeral",
           own->changed ? ", from its next start on" : " already, nothing changed");
    printf("%s\n", own->file);
    if (rules->pool[0])
        printf("pool %s\n", rules->pool);
    if (rules->ephemeral && rules->lenient)
        puts("but enforce=off is set: ephem-guard leaves it alone until that line is gone");
    if (rules->ephemeral)
        puts("its disks are another matter: see 'ephemctl scan', 'ephemctl convert'");
}

static int enable_tell_json(const char *domain, const struct own_rules *own)
{
    const struct rules *rules = &own->after;
    json_t *answer = json_pack(
        "{s:o, s:o, s:b, s:b, s:b, s:o, s:I, s:I, s:s}", "domain", ctl_text_json(domain), "file",
        ctl_text_json(own->file), "changed", own->changed, "ephemeral", rules->ephemeral, "enforce",
        !rules->lenient, "pool", rules->pool[0] ? ctl_text_json(rules->pool) : json_null(),
        "ram_budget", (json_int_t)rules->limits.ram_budget, "quota",
        (json_int_t)rules->limits.quota, "holds", "from the next start");

    if (!answer) {
        fputs("ephemctl: written, but no memory to tell about it\n", stderr);
        return EXIT_FAILURE;
    }
    ctl_print_json(answer);
    json_decref(answer);
    return EXIT_SUCCESS;
}

static int enable_change(const char *verb, const char *dir, const char *domain,
                         const struct rules_edit_key *keys, size_t count, bool json)
{
    struct own_rules *own = calloc(1, sizeof(*own));
    char text[STORE_TEXT] = "no memory";
    int err = own ? own_rules_change(own, dir, domain, keys, count, text) : -1;
    int status = EXIT_FAILURE;

    if (err)
        fprintf(stderr, "ephemctl %s: %s\n", verb, text);
    else if (json)
        status = enable_tell_json(domain, own);
    else
        enable_tell(domain, own);
    free(own);
    return err ? EXIT_FAILURE : json ? status : EXIT_SUCCESS;
}

static int enable_unnamed(const char *verb)
{
    fprintf(stderr, "ephemctl %s: which domain?  Try 'ephemctl %s --help'.\n", verb, verb);
    return 2;
}

/* Rules go by name: a number's would hold for nobody, and dom0 has no disks of ours. */
static bool enable_is_nobody(const char *verb, const char *domain)
{
    bool dom0 = !strcmp(domain, "Domain-0");

    if (!dom0 && domain[strspn(domain, "0123456789")])
        return false;
    fprintf(stderr, "ephemctl %s: %s: %s\n", verb, domain,
            dom0 ? "dom0 cannot be ephemeral: name a guest"
                 : "a number means another domain after each start: give its name");
    return true;
}

int cmd_enable(int argc, char **argv)
{
    const char *domain, *dir = OWN_RULES_DIR;
    struct rules_edit_key keys[] = {{"guard", "ephemeral", "on"},
                                    {"pool", "pool", NULL},
                                    {"pool", "ram-budget", NULL},
                                    {"pool", "quota", NULL}};
    const struct ctl_value values[] = {{"pool", 0, &keys[1].value},
                                       {"ram-budget", 0, &keys[2].value},
                                       {"quota", 0, &keys[3].value},
                                       {"config-dir", 0, &dir},
                                       {NULL, 0, NULL}};
    size_t count = 1;
    bool json;
    int status = ctl_options_with(argc, argv, enable_help, 1, &domain, &json, values);

    if (status >= 0)
        return status;
    if (!domain)
        return enable_unnamed(argv[0]);
    if (enable_is_nobody(argv[0], domain))
        return EXIT_FAILURE;
    for (size_t i = 1; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (keys[i].value)
            keys[count++] = keys[i];
    return enable_change(argv[0], dir, domain, keys, count, json);
}

int cmd_disable(int argc, char **argv)
{
    static const struct rules_edit_key key = {"guard", "ephemeral", "off"};
    const char *domain, *dir = OWN_RULES_DIR;
    const struct ctl_value values[] = {{"config-dir", 0, &dir}, {NULL, 0, NULL}};
    bool json;
    int status = ctl_options_with(argc, argv, disable_help, 1, &domain, &json, values);

    if (status >= 0)
        return status;
    return domain ? enable_change(argv[0], dir, domain, &key, 1, json) : enable_unnamed(argv[0]);
}
