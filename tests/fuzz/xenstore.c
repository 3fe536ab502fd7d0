// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz/xenstore: everything that is read out of xenstore or written by an operator as text.  The first
 * byte says which parser; the rest is what it gets.
 *   k  a frontend's directory, one "NODE=VALUE" a line: keys_read, against a reading of our own
 *   p  a backend path, taken apart and put together again       i  a component of one
 *   u  parse_u64, against strtoull                              s  parse_size, the same
 *   d  a device number's name
 *   v  a volume as in params      l  a pool                      r  a rules file
 *   c  a storage domain's command line
 */
#include <ctype.h>
#include <errno.h>
#include "fuzz.h"
#include "keysview.h"
#include "paths.h"
#include "rules.h"
#include "stubdom/words.h"
#include "util.h"

#define TEXT_MAX 6000u

/* Every refusal is a line for a human. */
static void check_line(const char *text, size_t room)
{
    size_t length = strnlen(text, room);

    FUZZ_CHECK(length && length < room);
    for (size_t i = 0; i < length; i++)
        FUZZ_CHECK(text[i] >= ' ' && text[i] <= '~');
}

static void try_keys(const char *text)
{
    struct keysview view = {.text = text};
    struct wire_door door, wanted;
    char line[WIRE_TEXT] = "x";
    uint32_t queues = 1 + (uint32_t)strlen(text) % 17;

    memset(&door, 0, sizeof(door));
    memset(&wanted, 0, sizeof(wanted));
    int err = keys_read(keysview_reader, &view, queues, &door, line);
    bool good = keysview_read(&view, queues, &wanted);
    FUZZ_CHECK(good == !err);
    if (err) {
        FUZZ_CHECK(err == -EINVAL);
        check_line(line, sizeof(line));
        return;
    }
    FUZZ_CHECK(!line[0]);
    FUZZ_CHECK(door.queues >= 1 && door.queues <= WIRE_QUEUES && door.queues <= queues);
    FUZZ_CHECK(door.order <= KEYS_MAX_ORDER && door.protocol <= WIRE_X86_32);
    FUZZ_CHECK(!memcmp(&door, &wanted, sizeof(door)));
}

static void try_path(const char *text)
{
    static const char home[] = "/local/domain/";
    struct path_vbd id;
    char again[PATH_ROOM];
    const char *rest = text;

    if (path_parse_backend(text, &id))
        return;
    FUZZ_CHECK(id.domid < PATH_DOMIDS);
    if (!strncmp(text, home, sizeof(home) - 1)) {
        rest = strchr(text + sizeof(home) - 1, '/');
        FUZZ_CHECK(rest);
        rest++;
    }
    path_backend(again, &id, NULL);
    FUZZ_CHECK(!strcmp(again, rest));
}

static void try_id(const char *text)
{
    uint32_t id = 0, max = (uint32_t)strlen(text) % 2 ? PATH_DOMIDS - 1 : UINT32_MAX;
    char again[16];

    if (path_parse_id(text, max, &id)) {
        /* Nothing canonical in range is refused. */
        snprintf(again, sizeof(again), "%u", (unsigned int)strtoul(text, NULL, 10));
        FUZZ_CHECK(strcmp(again, text) || strtoul(text, NULL, 10) > max);
        return;
    }
    snprintf(again, sizeof(again), "%u", id);
    FUZZ_CHECK(!strcmp(again, text) && id <= max);
}

/* Digits only, and what they are; false when they are none or too many. */
static bool number_of(const char *text, size_t length, uint64_t *out)
{
    __uint128_t value = 0;

    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]) || i >= 20)
            return false;
        value = value * 10 + (unsigned int)(text[i] - '0');
    }
    *out = (uint64_t)value;
    return length && value <= UINT64_MAX;
}

static void try_u64(const char *text)
{
    uint64_t max = strlen(text) % 3 ? UINT64_MAX : 65535, got = 0, wanted = 0;
    bool good = number_of(text, strlen(text), &wanted) && wanted <= max;

    FUZZ_CHECK(good == !parse_u64(text, max, &got));
    FUZZ_CHECK(!good || got == wanted);
}

static void try_size(const char *text)
{
    static const char units[] = "KMGT";
    size_t length = strlen(text);
    uint64_t got = 0, wanted = 0;
    const char *unit = length ? strchr(units, text[length - 1]) : NULL;
    int shift = unit ? (int)(unit - units + 1) * 10 : 0;
    bool good = number_of(text, length - !!unit, &wanted) &&
                ((__uint128_t)wanted << shift) <= UINT64_MAX;

    FUZZ_CHECK(good == !parse_size(text, &got));
    FUZZ_CHECK(!good || got == wanted << shift);
}

static void try_name(const char *text)
{
    char name[32];
    uint32_t devid;

    memcpy(&devid, text, sizeof(devid));
    memset(name, 'x', sizeof(name));
    path_device_name(name, devid);
    check_line(name, sizeof(name));
}

static void try_volume(const char *text)
{
    static struct store_spec spec;
    char line[STORE_TEXT] = "";

    if (store_parse_volume(text, &spec, line)) {
        check_line(line, sizeof(line));
        return;
    }
    FUZZ_CHECK(spec.size <= STORE_MOST && spec.size % SECTOR_SIZE == 0);
    FUZZ_CHECK(spec.blank ? spec.size && !spec.path[0] : spec.path[0] == '/');
    FUZZ_CHECK(strlen(spec.path) < sizeof(spec.path));
}

static void try_pool(const char *text)
{
    static struct store_pool_spec spec;
    char line[STORE_TEXT] = "";

    if (store_parse_pool(text, &spec, line)) {
        check_line(line, sizeof(line));
        return;
    }
    FUZZ_CHECK(spec.kind <= WIRE_POOL_RAM);
    FUZZ_CHECK((spec.kind == WIRE_POOL_RAM) == (spec.bytes != 0));
    FUZZ_CHECK(spec.kind == WIRE_POOL_RAM ? !spec.path[0] : spec.path[0] == '/');
    FUZZ_CHECK(!spec.lz4 || spec.kind == WIRE_POOL_RAM);
    FUZZ_CHECK(!spec.force || spec.kind == WIRE_POOL_BLOCK || spec.kind == WIRE_POOL_SHARED);
}

/* Two files, as a domain's own over the defaults. */
static void try_rules(const char *text, size_t length)
{
    static struct rules rules;
    const char *second = memchr(text, '\f', length);
    size_t first = second ? (size_t)(second - text) : length;
    struct rules_text files[2] = {
        {.file = "/etc/rules", .at = text, .length = first},
        {.file = "/etc/own", .own = true, .at = text + first, .length = length - first}};
    char line[STORE_TEXT] = "";
    int err = 0;

    memset(&rules, 0, sizeof(rules));
    for (int i = 0; i < 2 && !err; i++)
        err = rules_parse(&rules, &files[i], line);
    if (!err)
        err = rules_finish(&rules, files[0].file, files[1].file, line);
    if (err) {
        FUZZ_CHECK(err == -EINVAL);
        check_line(line, sizeof(line));
        return;
    }
    FUZZ_CHECK(rules.pool[0] && strlen(rules.pool) < RULES_SPEC);
    FUZZ_CHECK(rules.limits.iops <= 1000000000u);
    FUZZ_CHECK(rules.limits.quota <= STORE_MOST && rules.limits.ram_budget <= STORE_MOST);
    FUZZ_CHECK(!rules.limits.quota || rules.limits.quota >= STORE_POOL_LEAST);
    FUZZ_CHECK(!rules.limits.ram_budget || rules.spec.kind != WIRE_POOL_RAM);
}

/* What was taken is in the text, is all different, and can be a path, a device or a line of a file. */
static void try_words(const char *text)
{
    static struct words words;
    char line[WORDS_TEXT] = "", said[64];
    bool seen[26] = {false};

    if (words_parse(text, &words, line)) {
        check_line(line, sizeof(line));
        return;
    }
    FUZZ_CHECK(words.base_count <= WORDS_BASES && words.option_count <= WORDS_OPTIONS);
    FUZZ_CHECK(strstr(text, words.shared ? "ephem.shape=shared" : "ephem.shape=per-guest"));
    for (size_t i = 0; i <= words.base_count; i++) {
        const char *device = i ? words.bases[i - 1].device : words.pool;
        const char *name = i ? words.bases[i - 1].name : "-";

        FUZZ_CHECK(strlen(device) == 4 && !strncmp(device, "xvd", 3) && islower(device[3]));
        FUZZ_CHECK(!seen[device[3] - 'a']);
        seen[device[3] - 'a'] = true;
        FUZZ_CHECK(name[0] && name[0] != '.' && !strchr(name, '/'));
        snprintf(said, sizeof(said), i ? "ephem.base.%s=%s" : "ephem.%s=%s", i ? name : "pool",
                 device);
        FUZZ_CHECK(strstr(text, said));
    }
    for (size_t i = 0; i < words.option_count; i++) {
        check_line(words.options[i], sizeof(words.options[i]));
        FUZZ_CHECK(strstr(text, words.options[i]) && strchr(words.options[i], '='));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT_MAX + 8];
    size_t length = size ? size - 1 : 0;

    length = length < TEXT_MAX ? length : TEXT_MAX;
    if (length)
        memcpy(text, data + 1, length);
    memset(text + length, 0, 8);
    switch (size ? data[0] : 0) {
    case 'k':
        try_keys(text);
        break;
    case 'p':
        try_path(text);
        break;
    case 'i':
        try_id(text);
        break;
    case 'u':
        try_u64(text);
        break;
    case 's':
        try_size(text);
        break;
    case 'd':
        try_name(text);
        break;
    case 'v':
        try_volume(text);
        break;
    case 'l':
        try_pool(text);
        break;
    case 'c':
        try_words(text);
        break;
    case 'r':
        try_rules(text, length);
        break;
    default:
        return -1; /* no such parser: not worth keeping */
    }
    return 0;
}
