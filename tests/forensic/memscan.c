// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memscan [-n HITS] FILE... - what of guests stands in dumps of memory and in disk images?
 *
 * On stdin, a line each: "marker NAME 64-HEX-DIGITS", "key NAME 192-HEX-DIGITS", the latter as the
 * forensic worker tells it (mask.h).  Says on stdout
 *     hit KIND NAME FILE OFFSET BYTES     the first HITS (100) of each kind and name
 *     sum KIND NAME COUNT                 for every marker and key, also with 0, and for what was found
 *     searched BYTES                      without holes
 * KIND is marker, marker-piece, key, key-piece (needles.h) or schedule (aes.h), whose name is that of the
 * key's guest, or unknown-AES256-HASH.  What lies inside a schedule is not told again.  A key-piece that
 * is in the registers of a saved FPU state is called register.  Status 0, also when something was found;
 * 1: it could not search.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "aes.h"
#include "mask.h"
#include "needles.h"

#define CHUNK ((size_t)1 << 20)
#define SUMS  512u

static const char *const kind_names[] = {
    [NEEDLE_MARKER] = "marker",
    [NEEDLE_MARKER_PIECE] = "marker-piece",
    [NEEDLE_KEY] = "key",
    [NEEDLE_KEY_PIECE] = "key-piece",
};

struct sum {
    const char *kind;
    char name[NEEDLE_NAME];
    unsigned long count;
};

struct search {
    struct needles *needles;
    struct sum sums[SUMS];
    size_t kinds;
    unsigned long shown;
    const char *file;
};

static struct sum *sum_of(struct search *search, const char *kind, const char *name)
{
    for (size_t i = 0; i < search->kinds; i++)
        if (!strcmp(search->sums[i].kind, kind) && !strcmp(search->sums[i].name, name))
            return &search->sums[i];
    if (search->kinds == SUMS)
        error(1, 0, "more than %u kinds and names", SUMS);
    struct sum *sum = &search->sums[search->kinds++];
    sum->kind = kind;
    snprintf(sum->name, sizeof(sum->name), "%s", name);
    return sum;
}

static void found(struct search *search, const char *kind, const char *name, size_t at,
                  size_t bytes)
{
    struct sum *sum = sum_of(search, kind, name);

    if (sum->count++ < search->shown)
        printf("hit %s %s %s %zu %zu\n", kind, name, search->file, at, bytes);
}

static void found_schedule(struct search *search, const struct aes_found *aes, size_t at)
{
    char name[NEEDLE_NAME];
    uint32_t hash = 2166136261u;
    const char *owner = NULL;

    for (unsigned int i = 0; i < aes->key_bytes; i++)
        hash = (hash ^ aes->key[i]) * 16777619u;
    if (aes->key_bytes == AES_KEY_MOST)
        owner = needles_key_owner(search->needles, aes->key);
    snprintf(name, sizeof(name), "unknown-AES%u-%08x", 8 * aes->key_bytes, hash);
    found(search, "schedule", owner ? owner : name, at, aes->bytes);
}

/*
 * Whether the bytes from at on are whole registers XMM0 to XMM15 in what FXSAVE and XSAVE write, which is
 * known by its control words: FCW as Linux sets it, MXCSR so but for its flags, and its mask.
 */
static bool is_registers(const uint8_t *memory, size_t at, size_t bytes)
{
    for (size_t n = 0; n < 16 && 160 + 16 * n <= at && 16 * n + bytes <= 256; n++) {
        const uint8_t *image = memory + at - 160 - 16 * n;
        uint32_t mxcsr, mask;
        memcpy(&mxcsr, image + 24, sizeof(mxcsr));
        memcpy(&mask, image + 28, sizeof(mask));
        if (at % 16 == 0 && image[0] == 0x7f && image[1] == 0x03 && (mxcsr & ~0x3fu) == 0x1f80 &&
            (mask & 0xffff) == 0xffff)
            return true;
    }
    return false;
}

static void found_needle(struct search *search, const uint8_t *memory, size_t at,
                         const struct needles_found *needle)
{
    const char *kind = kind_names[needle->kind];

    if (needle->kind == NEEDLE_KEY_PIECE && is_registers(memory, at, needle->bytes))
        kind = "register";
    found(search, kind, needle->name, at, needle->bytes);
}

/* From at to limit, where each of the two searches tells of what begins before; returns where to go on. */
static size_t search_chunk(struct search *search, const uint8_t *memory, size_t at, size_t limit,
                           size_t end)
{
    struct aes_found aes;
    struct needles_found needle;

    while (at < limit) {
        size_t schedule = aes_find(memory, (at + 3) / 4 * 4, limit, end, &aes);
        for (;;) {
            size_t n = needles_find(search->needles, memory, at, schedule, end, &needle);
            if (n >= schedule)
                break;
            found_needle(search, memory, n, &needle);
            at = n + needle.bytes;
        }
        if (schedule < limit) {
            found_schedule(search, &aes, schedule);
            schedule += aes.bytes;
        }
        if (at < schedule)
            at = schedule;
    }
    return at;
}

/* Returns how much was looked at. */
static size_t search_file(struct search *search, const char *file)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    size_t sum = 0;
    off_t hole = 0, data;

    if (fd < 0 || fstat(fd, &st))
        error(1, errno, "%s", file);
    if (!st.st_size)
        error(1, 0, "%s is empty", file);
    size_t size = (size_t)st.st_size;
    uint8_t *memory = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        error(1, errno, "%s", file);
    madvise(memory, size, MADV_SEQUENTIAL);
    search->file = file;
    while (hole < st.st_size && (data = lseek(fd, hole, SEEK_DATA)) >= 0) {
        hole = lseek(fd, data, SEEK_HOLE);
        if (hole < 0)
            error(1, errno, "%s", file);
        size_t to = (size_t)hole, at = (size_t)data;
        sum += to - at;
        while (at < to)
            at = search_chunk(search, memory, at, to - at < CHUNK ? to : at + CHUNK, size);
    }
    munmap(memory, size);
    close(fd);
    return sum;
}

static bool from_hex(uint8_t *bytes, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        char digits[3] = {text[2 * i], text[2 * i] ? text[2 * i + 1] : '\0', '\0'};
        if (strspn(digits, "0123456789abcdef") != 2)
            return false;
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return text[2 * count] == '\0';
}

static bool request(struct search *search, const char *verb, const char *name, const char *hex)
{
    uint8_t bytes[NEEDLE_KEY_BYTES];
    int err;

    if (!strcmp(verb, "marker") && from_hex(bytes, NEEDLE_MARK_BYTES, hex)) {
        err = needles_add_marker(search->needles, name, bytes);
        sum_of(search, kind_names[NEEDLE_MARKER], name);
        sum_of(search, kind_names[NEEDLE_MARKER_PIECE], name);
    } else if (!strcmp(verb, "key") && from_hex(bytes, NEEDLE_KEY_BYTES, hex)) {
        for (unsigned int i = 0; i < NEEDLE_KEY_BYTES; i++)
            bytes[i] ^= mask_byte(i);
        err = needles_add_key(search->needles, name, bytes);
        sum_of(search, kind_names[NEEDLE_KEY], name);
        sum_of(search, kind_names[NEEDLE_KEY_PIECE], name);
        sum_of(search, "schedule", name);
    } else {
        return false;
    }
    if (err)
        error(1, -err, "%s", name);
    return true;
}

int main(int argc, char **argv)
{
    static struct search search = {.shown = 100};
    char line[512], verb[16], name[NEEDLE_NAME], hex[2 * NEEDLE_KEY_BYTES + 1];
    size_t bytes = 0;
    int option;

    while ((option = getopt(argc, argv, "n:")) == 'n')
        search.shown = strtoul(optarg, NULL, 10);
    if (option != -1 || optind == argc)
        error(1, 0, "usage: memscan [-n HITS] FILE... <MARKERS-AND-KEYS");
    if (needles_open(&search.needles))
        error(1, ENOMEM, "memscan");
    while (fgets(line, sizeof(line), stdin))
        if (sscanf(line, "%15s %63s %192s", verb, name, hex) != 3 ||
            !request(&search, verb, name, hex))
            error(1, 0, "stdin: neither a marker nor a key: %.40s", line);
    for (int i = optind; i < argc; i++)
        bytes += search_file(&search, argv[i]);
    for (size_t i = 0; i < search.kinds; i++)
        printf("sum %s %s %lu\n", search.sums[i].kind, search.sums[i].name, search.sums[i].count);
    printf("searched %zu\n", bytes);
    needles_close(search.needles);
    return 0;
}
