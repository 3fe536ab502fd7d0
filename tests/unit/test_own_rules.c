// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules_edit, own_rules, textfile: a key is set and every other byte stays; a file that is wrong stays, too,
 * and is told by its line; what is written is whole.
 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "own_rules.h"
#include "rules_edit.h"
#include "textfile.h"
#include "util.h"

static const struct rules_edit_key mark = {"guard", "ephemeral", "on"};

static void edits(void)
{
    static const struct {
        const char *before, *after;
    } rows[] = {
        {"", "[guard]\nephemeral=on\n"},
        {"# mine", "# mine\n\n[guard]\nephemeral=on\n"},
        {"[pool]\npool=ram:1G\n", "[pool]\npool=ram:1G\n\n[guard]\nephemeral=on\n"},
        {"[guard]", "[guard]\nephemeral=on\n"},
        {"[guard]\n", "[guard]\nephemeral=on\n"},
        {"[guard]\nstrict=on\n\n# of pools\n[pool]\nquota=0\n",
         "[guard]\nstrict=on\nephemeral=on\n\n# of pools\n[pool]\nquota=0\n"},
        {"[guard] # why\n\n#ephemeral=off\n", "[guard] # why\nephemeral=on\n\n#ephemeral=off\n"},
        {"[guard]\nephemeral=off\n", "[guard]\nephemeral=on\n"},
        {"[guard]\n  ephemeral  :  no \t; since May\nstrict=on",
         "[guard]\n  ephemeral  :  on \t; since May\nstrict=on"},
        {"[guard]\r\nephemeral = off\r\n", "[guard]\r\nephemeral = on\r\n"},
        {"[guard]\nephemeral=\n", "[guard]\nephemeral=on\n"},
        {"[guard]\nephemeral=a;b", "[guard]\nephemeral=on"},
        {"[pool]\nephemeral=x\n[guard]\nephemeral=off",
         "[pool]\nephemeral=x\n[guard]\nephemeral=on"},
        {"[guard]\nstrict=on\n[pool]\n[guard]\nephemeral=no\n",
         "[guard]\nstrict=on\n[pool]\n[guard]\nephemeral=on\n"},
        {"\xef\xbb\xbf[guard]\nephemeral=no\n", "\xef\xbb\xbf[guard]\nephemeral=on\n"},
        {"[guardian]\nephemeral=no\n", "[guardian]\nephemeral=no\n\n[guard]\nephemeral=on\n"},
        {"[guard]\nephemeral2=no\n", "[guard]\nephemeral2=no\nephemeral=on\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t length = strlen(rows[i].before);
        char *exact = malloc(length + 1);

        CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
        memcpy(exact, rows[i].before, length + 1);
        char *after = rules_edit(exact, length, &mark, &length);
        CU_ASSERT_PTR_NOT_NULL_FATAL(after);
        CU_ASSERT_STRING_EQUAL(after, rows[i].after);
        CU_ASSERT_EQUAL(length, strlen(after));
        size_t again = length;
        char *twice = rules_edit(after, length, &mark, &again);
        CU_ASSERT(twice && again == length && !memcmp(twice, after, length));
        free(twice);
        free(after);
        free(exact);
    }
}

/* ---- files ---- */

static char dir[64];

static char *own_path(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const char *text)
{
    CU_ASSERT_EQUAL(textfile_write(own_path(name), text, strlen(text), 0644, false), 0);
}

static bool holds(const char *name, const char *text)
{
    struct textfile file;

    if (textfile_read(own_path(name), &file))
        return false;
    bool same = file.length == strlen(text) && !memcmp(file.text, text, file.length);
    free(file.text);
    return same;
}

static unsigned int files_in(const char *name)
{
    DIR *at = opendir(own_path(name));
    unsigned int count = 0;

    while (at && readdir(at))
        count++;
    if (at)
        closedir(at);
    return count - 2;
}

static void begin(void)
{
    strcpy(dir, "/tmp/ephem-own-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
}

static void end(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", dir);
    CU_ASSERT_EQUAL(system(command), 0);
}

static int change(struct own_rules *own, const char *name, const char *pool, char *text)
{
    struct rules_edit_key keys[] = {mark, {"pool", "pool", pool}};

    return own_rules_change(own, dir, name, keys, pool ? 2 : 1, text);
}

static void changes(void)
{
    static struct own_rules own;
    char text[STORE_TEXT] = "";

    begin();
    CU_ASSERT_EQUAL(change(&own, "bank", NULL, text), 0);
    CU_ASSERT(own.changed && own.after.ephemeral && !own.before.ephemeral);
    CU_ASSERT(holds("domains/bank.conf", "[guard]\nephemeral=on\n"));
    CU_ASSERT_EQUAL(change(&own, "bank", NULL, text), 0);
    CU_ASSERT(!own.changed && own.before.ephemeral);
    CU_ASSERT_EQUAL(change(&own, "bank", "ram:1G", text), 0);
    CU_ASSERT(own.changed);
    CU_ASSERT_STRING_EQUAL(own.after.pool, "ram:1G");
    CU_ASSERT(holds("domains/bank.conf", "[guard]\nephemeral=on\n\n[pool]\npool=ram:1G\n"));
    /* A name with a blank is one, and rights stay. */
    put("domains/a b.conf", "# x\n");
    CU_ASSERT_EQUAL(chmod(own_path("domains/a b.conf"), 0600), 0);
    CU_ASSERT_EQUAL(change(&own, "a b", NULL, text), 0);
    struct stat st;
    CU_ASSERT(!stat(own_path("domains/a b.conf"), &st) && (st.st_mode & 0777) == 0600);
    CU_ASSERT_EQUAL(files_in("domains"), 2);
    end();
}

/* Nothing of this changes a byte. */
static void refusals(void)
{
    static const struct {
        const char *own, *all, *pool, *why;
    } rows[] = {
        {"junk\n", "", NULL, "bank.conf:1: "},
        {"[guard]\n\nephemeral=maybe\n", "", NULL, "bank.conf:3: ephemeral"},
        {"[guard]\nephemeral=on\nephemeral=on\n", "", NULL,
         "bank.conf:3: ephemeral: written twice"},
        {"[pool]\nvolumes=x\n", "", NULL, "bank.conf:2: volumes"},
        {"", "[pool\n", NULL, "blkback-ephem.conf:1: "},
        {"", "[pool]\nquota=20G\n", "ram:1G", "would be wrong: "},
        {"# own\n", "", "ram:x", "would be wrong: "},
        {"# own\n", "", "nowhere", "would be wrong: "},
        {"# own\n", "", "dir:/x\n[limits]", "cannot stand in a file"},
        {"# own\n", "", "dir:/x ;y", "cannot stand in a file"},
        {"# own\n", "", "", "is empty"},
        {"# own\n", "", " dir:/x", "blank"},
        {"# Written by qubesd for one start of this qube\n", "", NULL, "qvm-ephemeral"},
    };
    static struct own_rules own;
    char text[STORE_TEXT];

    begin();
    CU_ASSERT_EQUAL(mkdir(own_path("domains"), 0755), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        strcpy(text, "");
        put("domains/bank.conf", rows[i].own);
        put("blkback-ephem.conf", rows[i].all);
        CU_ASSERT(change(&own, "bank", rows[i].pool, text) < 0);
        if (!strstr(text, rows[i].why))
            fprintf(stderr, "row %zu: %s\n", i, text);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, rows[i].why));
        CU_ASSERT(holds("domains/bank.conf", rows[i].own));
    }
    CU_ASSERT_EQUAL(files_in("domains"), 1);
    end();
}

static void names(void)
{
    static const char *const bad[] = {"", ".", "..", ".x", "../x", "a/b", "a\nb", "\x7f"};
    static struct own_rules own;
    char text[STORE_TEXT], name[300];

    begin();
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CU_ASSERT_EQUAL(change(&own, bad[i], NULL, text), -EINVAL);
    memset(name, 'n', 251);
    name[251] = '\0';
    CU_ASSERT_EQUAL(change(&own, name, NULL, text), -EINVAL);
    name[250] = '\0';
    CU_ASSERT_EQUAL(change(&own, name, NULL, text), 0);
    CU_ASSERT_EQUAL(own_rules_change(&own, "etc", "x", &mark, 1, text), -EINVAL);
    CU_ASSERT_EQUAL(own_rules_change(&own, "/nonexistent", "x", &mark, 1, text), -ENOENT);
    /* Somebody else may write there; a link leads elsewhere. */
    CU_ASSERT_EQUAL(chmod(own_path("domains"), 0777), 0);
    CU_ASSERT_EQUAL(change(&own, "x", NULL, text), -EPERM);
    CU_ASSERT_EQUAL(chmod(own_path("domains"), 0755), 0);
    CU_ASSERT_EQUAL(symlink("/etc/hostname", own_path("domains/x.conf")), 0);
    CU_ASSERT_EQUAL(change(&own, "x", NULL, text), -ELOOP);
    end();
}

static void files(void)
{
    struct textfile file;

    begin();
    put("a", "one");
    CU_ASSERT_EQUAL(textfile_write(own_path("a"), "two", 3, 0600, true), -EEXIST);
    CU_ASSERT(holds("a", "one"));
    CU_ASSERT_EQUAL(textfile_write(own_path("b"), "two", 3, 0600, true), 0);
    CU_ASSERT(holds("b", "two"));
    CU_ASSERT_EQUAL(textfile_write(own_path("none/b"), "two", 3, 0600, false), -ENOENT);
    CU_ASSERT_EQUAL(mkdir(own_path("d"), 0755), 0);
    CU_ASSERT_EQUAL(textfile_write(own_path("d"), "x", 1, 0600, false), -EISDIR);
    CU_ASSERT_EQUAL(textfile_read(own_path("d"), &file), -EISDIR);
    CU_ASSERT_EQUAL(mkfifo(own_path("f"), 0600), 0);
    CU_ASSERT_EQUAL(textfile_read(own_path("f"), &file), -EINVAL);
    CU_ASSERT_EQUAL(textfile_read(own_path("g"), &file), -ENOENT);
    CU_ASSERT_EQUAL(truncate(own_path("a"), (off_t)TEXTFILE_MOST), 0);
    CU_ASSERT_EQUAL(textfile_read(own_path("a"), &file), 0);
    CU_ASSERT(file.length == TEXTFILE_MOST && file.text[TEXTFILE_MOST] == '\0');
    free(file.text);
    CU_ASSERT_EQUAL(truncate(own_path("a"), (off_t)TEXTFILE_MOST + 1), 0);
    CU_ASSERT_EQUAL(textfile_read(own_path("a"), &file), -EFBIG);
    CU_ASSERT_EQUAL(files_in(""), 4);
    end();
}

int suite_own_rules(void)
{
    static const struct unit_case cases[] = {
        {"one key of a text", edits},
        {"a domain's file", changes},
        {"what is refused leaves all as it was", refusals},
        {"names and places", names},
        {"files, whole or not at all", files},
    };

    return UNIT_SUITE("own_rules", cases);
}
