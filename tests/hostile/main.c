// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostile --table FILE --where fakexen|xen --disk DEVID [OPTION]... [ID]...
 *
 * Plays the rows of the table that can be played there, or those named, and prints for each "pass ID"
 * or "fail ID why"; at the end "N passed, N failed".  Exit 0, 1 when a row failed, 2 for usage or
 * a table and plays that do not fit each other (--lint looks for that only).
 *
 *   --disk DEVID       its disk; of several a row that closes one takes the next
 *   --readonly DEVID   a disk without write access     --short DEVID  one whose base can end too early
 *   --protocol ABI     x86_64-abi (default) or x86_32-abi
 *   --scale N          floods are divided by N
 *   --foreign-ref N, --foreign-port N  numbers that mean something in another guest
 *
 * What a row expects is in the table only.  After every outcome but a closed device the same ring must
 * serve good requests (a new one, when the play took its own ring away), and what stood in the area
 * before must stand there still; after a closed device a new connection must be served.
 */
#include "hostile.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROWS       256
#define DISKS      8
#define CLOSE_GAP  1100 /* ms between two closings of a disk: the daemon's log is limited */
#define ROW_GAP    100  /* ms between two rows: more states a second are a storm of their own */
#define NO_OUTCOME 99

struct row {
    char line[512];
    char *id, *source, *outcome, *where, *log, *note, *args[8];
    const struct play *play;
};

static const struct play *const all_plays[] = {request_plays, grant_plays, ring_plays, flood_plays,
                                               hammer_plays,  race_plays,  key_plays};
static struct row rows[ROWS];
static unsigned row_count, disks[DISKS], disk_count, closings;
static int64_t closed_at[DISKS];

static int outcome_of(const char *text)
{
    static const struct {
        const char *text;
        int saw;
    } outcomes[] = {{"reply 0", SAW_OKAY},         {"reply -1", SAW_ERROR},
                    {"reply -2", SAW_UNSUPPORTED}, {"reply any", SAW_ANY},
                    {"device closed", SAW_CLOSED}, {"ignored", SAW_IGNORED}};

    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
        if (!strcmp(outcomes[i].text, text))
            return outcomes[i].saw;
    return NO_OUTCOME;
}

static const struct play *play_find(const char *name)
{
    for (size_t i = 0; i < sizeof(all_plays) / sizeof(all_plays[0]); i++)
        for (const struct play *play = all_plays[i]; play->name; play++)
            if (!strcmp(play->name, name))
                return play;
    return NULL;
}

static char *field(char **rest)
{
    char *text = strsep(rest, "|");

    while (text && *text == ' ')
        text++;
    for (size_t n = text ? strlen(text) : 0; n && (text[n - 1] == ' ' || text[n - 1] == '\n'); n--)
        text[n - 1] = 0;
    return text;
}

/* False: not a row that means something. */
static bool row_parse(struct row *row)
{
    char *rest = row->line, *play;
    size_t n = 0;

    row->id = field(&rest);
    row->source = field(&rest);
    play = field(&rest);
    row->outcome = field(&rest);
    row->where = field(&rest);
    row->log = field(&rest);
    row->note = field(&rest);
    if (!row->note || rest)
        return false;
    if (!strcmp(row->outcome, "n/a"))
        return !strcmp(play, "-") && !strcmp(row->where, "-") && *row->note;
    for (char *word = strtok(play, " "); word && n < 7; word = strtok(NULL, " "))
        row->args[n++] = word;
    row->play = n ? play_find(row->args[0]) : NULL;
    /* Where it cannot be played on Xen, the note says why. */
    return row->play && outcome_of(row->outcome) != NO_OUTCOME &&
           (!strcmp(row->where, "both") || (!strcmp(row->where, "fakexen") && *row->note));
}

static int table_read(const char *name)
{
    FILE *file = fopen(name, "r");
    int bad = 0;

    if (!file) {
        perror(name);
        return 2;
    }
    while (row_count < ROWS && fgets(rows[row_count].line, sizeof(rows[0].line), file)) {
        char copy[512];

        strcpy(copy, rows[row_count].line);
        if (copy[0] == '#' || copy[0] == '\n')
            continue;
        if (!row_parse(&rows[row_count++])) {
            printf("fail table no such play, outcome or place: %s", copy);
            bad = 2;
        }
        for (unsigned i = 0; i + 1 < row_count; i++)
            if (!strcmp(rows[i].id, rows[row_count - 1].id)) {
                printf("fail table %s stands there twice\n", rows[i].id);
                bad = 2;
            }
    }
    fclose(file);
    return row_count && row_count < ROWS ? bad : 2;
}

static int plays_have_rows(void)
{
    int bad = 0;

    for (size_t i = 0; i < sizeof(all_plays) / sizeof(all_plays[0]); i++)
        for (const struct play *play = all_plays[i]; play->name; play++) {
            bool found = false;

            for (unsigned r = 0; r < row_count; r++)
                found = found || rows[r].play == play;
            if (!found) {
                printf("fail table the play %s has no row\n", play->name);
                bad = 2;
            }
        }
    return bad;
}

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The disk for a row; one that is closed too often is not closed again at once. */
static unsigned disk_for(const struct lab *lab, const struct row *row)
{
    unsigned at;

    if (row->play->kind == PLAY_READONLY)
        return lab->readonly_disk;
    if (row->play->kind == PLAY_SHORT)
        return lab->short_disk;
    if (outcome_of(row->outcome) != SAW_CLOSED)
        return disks[0];
    at = closings++ % disk_count;
    while (closed_at[at] && now_ms() < closed_at[at] + CLOSE_GAP)
        usleep(20000);
    closed_at[at] = now_ms();
    return disks[at];
}

static bool row_begin(struct lab *lab, const struct row *row)
{
    lab->why[0] = 0;
    if (lab_find(lab, disk_for(lab, row)))
        return false;
    if (row->play->kind == PLAY_CONNECTS)
        return true;
    if (lab_connect(lab))
        return false;
    return row->play->kind == PLAY_READONLY || !lab_write(lab, 0, AREA_SEED);
}

/* After the play: is the device as the row says? */
static bool row_judge(struct lab *lab, const struct row *row, enum saw saw)
{
    int expected = outcome_of(row->outcome);

    if (saw == SAW_WRONG)
        return false;
    /* "any" allows that by chance all were answered alike. */
    if ((int)saw != expected && !(expected == SAW_ANY && saw <= SAW_ANY)) {
        wrong(lab, "seen %d, expected %s", (int)saw, row->outcome);
        return false;
    }
    if ((saw == SAW_CLOSED || lab->no_ring || !lab->open) && lab_reconnect(lab))
        return false;
    if (!lab->wild && row->play->kind == PLAY_OPEN && lab_check(lab, 0, AREA_SEED))
        return false;
    return !lab_alive(lab);
}

static bool row_run(struct lab *lab, const struct row *row)
{
    bool good = row_begin(lab, row) &&
                row_judge(lab, row, row->play->run(lab, (char **)row->args + 1));
    char why[sizeof(lab->why)];

    strcpy(why, lab->why);
    if (lab->front.backend[0] && lab_close(lab))
        good = false;
    if (good)
        printf("pass %s\n", row->id);
    else
        printf("fail %s %s\n", row->id, why[0] ? why : lab->why);
    return good;
}

static bool row_wanted(const struct row *row, const char *where, char **ids)
{
    /* One that does not end is for a script that kills it. */
    bool named = !*ids && row->play && row->play->kind != PLAY_ENDLESS;

    for (; *ids; ids++)
        named = named || (row->play && !strcmp(*ids, row->id));
    if (!named)
        return false;
    return !strcmp(row->where, "both") || !strcmp(row->where, where);
}

static const char usage[] = "usage: hostile --table FILE --where fakexen|xen --disk DEVID...\n"
                            "    [--readonly DEVID] [--short DEVID] [--protocol ABI] [--scale N]\n"
                            "    [--foreign-ref N] [--foreign-port N] [--lint] [ID]...\n";

static bool option_take(struct lab *lab, int option, const char **table, const char **where)
{
    switch (option) {
    case 't':
        *table = optarg;
        return true;
    case 'w':
        *where = optarg;
        return true;
    case 'd':
        disks[disk_count] = (unsigned)number_of(optarg);
        return ++disk_count < DISKS;
    case 'r':
        lab->readonly_disk = (unsigned)number_of(optarg);
        return true;
    case 's':
        lab->short_disk = (unsigned)number_of(optarg);
        return true;
    case 'p':
        lab->protocol = optarg;
        return abi_find(optarg);
    case 'n':
        lab->scale = (unsigned)number_of(optarg);
        return lab->scale > 0;
    case 'R':
        lab->foreign_ref = optarg;
        return true;
    case 'P':
        lab->foreign_port = optarg;
        return true;
    default:
        return false;
    }
}

static int run_all(struct lab *lab, const char *where, char **ids)
{
    unsigned passed = 0, failed = 0;

    lab->front.xsh = xs_open(0);
    if (!lab->front.xsh) {
        perror("hostile: xenstore");
        return 2;
    }
    for (unsigned i = 0; i < row_count; i++) {
        if (!row_wanted(&rows[i], where, ids))
            continue;
        if (passed + failed)
            usleep(ROW_GAP * 1000);
        if (row_run(lab, &rows[i]))
            passed++;
        else
            failed++;
    }
    xs_close(lab->front.xsh);
    printf("%u passed, %u failed\n", passed, failed);
    return failed || !passed;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"table", 1, NULL, 't'}, {"where", 1, NULL, 'w'},
                                            {"disk", 1, NULL, 'd'},  {"readonly", 1, NULL, 'r'},
                                            {"short", 1, NULL, 's'}, {"protocol", 1, NULL, 'p'},
                                            {"scale", 1, NULL, 'n'}, {"foreign-ref", 1, NULL, 'R'},
                                            {"lint", 0, NULL, 'L'},  {"foreign-port", 1, NULL, 'P'},
                                            {NULL, 0, NULL, 0}};
    static struct lab lab = {.scale = 1,
                             .protocol = "x86_64-abi",
                             .foreign_ref = "15999",
                             .foreign_port = "900",
                             .seed = 1000};
    const char *table = NULL, *where = NULL;
    bool lint = false;
    int option, bad;

    setvbuf(stdout, NULL, _IOLBF, 0);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        lint = lint || option == 'L';
        if (option != 'L' && !option_take(&lab, option, &table, &where)) {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (!table || (!lint && (!where || !disk_count))) {
        fputs(usage, stderr);
        return 2;
    }
    bad = table_read(table);
    if (!bad)
        bad = plays_have_rows();
    return bad || lint ? bad : run_all(&lab, where, argv + optind);
}
