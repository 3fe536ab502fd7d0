// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules: what files say, and everything they may not say, with the line it is told for; then real
 * files in directories that are safe and that are not.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "rules.h"
#include "util.h"

static int parse(struct rules *rules, bool own, const char *content, char text[STORE_TEXT])
{
    const struct rules_text in = {.file = own ? "/e/own.conf" : "/e/all.conf",
                                  .own = own,
                                  .at = content,
                                  .length = strlen(content)};

    return rules_parse(rules, &in, text);
}

static int finish(struct rules *rules, char text[STORE_TEXT])
{
    return rules_finish(rules, "/e/all.conf", "/e/own.conf", text);
}

static void all_keys(void)
{
    struct rules rules = {.pool = ""};
    char text[STORE_TEXT] = "";

    CU_ASSERT_EQUAL(parse(&rules, false,
                          "# comment\n; another\n\n[pool]\r\n  pool = dir:/a b \n"
                          "ram-budget=64M ; why\nquota=10G\nlow-water=1G\nintegrity=off\n"
                          "[limits] # here\niops=500\nbandwidth=20M",
                          text),
                    0);
    CU_ASSERT_EQUAL(finish(&rules, text), 0);
    CU_ASSERT_STRING_EQUAL(rules.pool, "dir:/a b");
    CU_ASSERT_STRING_EQUAL(rules.spec.path, "/a b");
    CU_ASSERT_EQUAL(rules.limits.ram_budget, 64u << 20);
    CU_ASSERT_EQUAL(rules.limits.quota, 10ull << 30);
    CU_ASSERT_EQUAL(rules.limits.low_water, 1u << 30);
    CU_ASSERT_EQUAL(rules.limits.iops, 500);
    CU_ASSERT_EQUAL(rules.limits.bandwidth, 20u << 20);
    CU_ASSERT_EQUAL(rules.place[RULES_POOL].line, 5);
    CU_ASSERT(rules.limits.no_integrity);
    CU_ASSERT_EQUAL(rules.place[RULES_INTEGRITY].line, 9);
    CU_ASSERT_EQUAL(rules.place[RULES_BANDWIDTH].line, 12);
}

static void key_by_key(void)
{
    struct rules rules = {.pool = "dir:/command"};
    char text[STORE_TEXT] = "";

    CU_ASSERT_EQUAL(
        parse(&rules, false, "[pool]\nquota=1G\nlow-water=8M\n[limits]\niops=9\n", text), 0);
    CU_ASSERT_STRING_EQUAL(rules.pool, "dir:/command");
    CU_ASSERT(!rules.limits.no_integrity);
    CU_ASSERT_EQUAL(parse(&rules, false, "[pool]\nintegrity=off", text), 0);
    CU_ASSERT(rules.limits.no_integrity);
    CU_ASSERT_EQUAL(parse(&rules, true, "[limits]\niops=0\n[pool]\nquota=2G\nintegrity=on", text),
                    0);
    CU_ASSERT(!rules.limits.no_integrity);
    CU_ASSERT_EQUAL(finish(&rules, text), 0);
    CU_ASSERT_EQUAL(rules.limits.quota, 2ull << 30);
    CU_ASSERT_EQUAL(rules.limits.low_water, 8u << 20);
    CU_ASSERT_EQUAL(rules.limits.iops, 0);
    CU_ASSERT(rules.place[RULES_QUOTA].own && !rules.place[RULES_LOW_WATER].own);
    CU_ASSERT_EQUAL(parse(&rules, true, "[pool]\npool=block:/dev/x\nquota=0\n", text), 0);
    CU_ASSERT_EQUAL(finish(&rules, text), 0);
    CU_ASSERT_EQUAL(rules.spec.kind, WIRE_POOL_BLOCK);
}

/* Each key has a word for each of two states, the domain's file the last one. */
static void switches(void)
{
    struct rules rules = {.pool = ""};
    char text[STORE_TEXT] = "";

    CU_ASSERT_EQUAL(parse(&rules, false, "[guard]\nephemeral=on\nstrict=1\n", text), 0);
    CU_ASSERT(rules.ephemeral && rules.strict && !rules.lenient);
    CU_ASSERT_EQUAL(parse(&rules, true, "[guard]\nstrict=no\nenforce=off", text), 0);
    CU_ASSERT(rules.ephemeral && !rules.strict && rules.lenient);
    CU_ASSERT(rules.place[RULES_STRICT].own && !rules.place[RULES_EPHEMERAL].own);
    CU_ASSERT_EQUAL(parse(&rules, true, "[guard]\nephemeral=0\nstrict=yes\nenforce=yes", text), 0);
    CU_ASSERT(!rules.ephemeral && rules.strict && !rules.lenient);
}

#define TENS   "0123456789"
#define LENGTH TENS TENS TENS TENS TENS TENS TENS TENS TENS TENS

static const struct {
    const char *content, *words;
    unsigned int line;
} bad[] = {
    {"pool=dir:/a", "before any section", 1},
    {"\n[Pool]\npool=dir:/a", "Pool: no such section", 2},
    {"[pools]\npool=dir:/a", "pools: no such section", 1},
    {"[pool]\n[limit]\n#iops=1\n", "limit: no such section", 2},
    {"[pool ; ]\n", "pool ; : no such section", 1},
    {"\xef\xbb\xbf[pool] quota=9M\n", "behind the section", 1},
    {"[pool]\niops=1", "no such key in [pool]", 2},
    {"[limits]\nquota=1G", "no such key in [limits]", 2},
    {"[pool]\nPool=dir:/a", "no such key", 2},
    {"[pool]\npool=dir:/a\n\npool=dir:/a", "pool: written twice", 4},
    {"[pool]\nquota=1G\n[limits]\n[pool]\nquota=1G", "quota: written twice", 5},
    {"[pool]\npool", "neither", 2},
    {"[pool\npool=dir:/a", "neither", 1},
    {"[pool] pool=dir:/a", "behind the section", 1},
    {"[pool]\npool=", "pool : write", 2},
    {"[pool]\npool=dir:a", "write dir:/PATH", 2},
    {"[pool]\npool=dir:/a\n  quota=5", "quota: '5': write", 3},
    {"[pool]\npool=dir:/a\n more\n", "neither", 3},
    {"[pool]\npool=ram:4M", "from 8M", 2},
    {"[pool]\npool=dir:/a,lz4\nlz4=yes", "lz4: no such key", 3},
    {"[pool]\npool=block:/a,lz4", "'lz4': write", 2},
    {"[pool]\nram-budget=4M", "ram-budget: '4M': write a size from 8M", 2},
    {"[pool]\nintegrity=yes", "integrity: 'yes': write on or off", 2},
    {"[pool]\n\nintegrity=", "integrity: '': write on or off", 3},
    {"[limits]\nintegrity=on", "no such key in [limits]", 2},
    {"[guard]\nephemeral=true", "ephemeral: 'true': write on or off", 2},
    {"[guard]\nephemeral=on\nstrict=", "strict: '': write on or off", 3},
    {"[guard]\nenforce=2", "enforce: '2': write on or off", 2},
    {"[guard]\nguard=on", "guard: no such key in [guard]", 2},
    {"[guard]\niops=1", "no such key in [guard]", 2},
    {"[pool]\nephemeral=on", "no such key in [pool]", 2},
    {"[guard]\nstrict=on\nstrict=on", "strict: written twice", 3},
    {"[pool]\nquota=12Q", "quota: '12Q': write", 2},
    {"[pool]\nquota=1G extra", "quota: '1G extra': write", 2},
    {"[limits]\niops=1.5", "iops: '1.5': write", 2},
    {"[limits]\nbandwidth=fast", "bandwidth: 'fast': write", 2},
    {"[pool]\nquota=\xff\xfe\x01", "': write a size from 8M", 2},
    {"[pool]\npool=dir:/" LENGTH LENGTH, "too long: shorten it", 2},
};

/* Each error is one printable line that begins with file and line number. */
static void wrong(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct rules rules = {.pool = "dir:/x"};
        char text[STORE_TEXT] = "", place[32];

        snprintf(place, sizeof(place), "/e/own.conf:%u: ", bad[i].line);
        CU_ASSERT_EQUAL(parse(&rules, true, bad[i].content, text), -EINVAL);
        CU_ASSERT_EQUAL(strncmp(text, place, strlen(place)), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, bad[i].words));
        if (strncmp(text, place, strlen(place)) || !strstr(text, bad[i].words))
            printf("row %zu: %s\n", i, text);
        CU_ASSERT_PTR_NULL(strpbrk(text, "\n\xff"));
    }
}

static void nul_byte(void)
{
    static const char content[] = "[pool]\npool=dir:/a\0/../b\n";
    const struct rules_text in = {.file = "/f", .at = content, .length = sizeof(content) - 1};
    struct rules rules = {.pool = ""};
    char text[STORE_TEXT] = "";

    CU_ASSERT_EQUAL(rules_parse(&rules, &in, text), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "/f:2: a NUL"));
}

static const struct {
    const char *all, *own, *words;
} pairs[] = {
    {"", "", "no pool: write"},
    {"[pool]\npool=ram:1G\nquota=1G", "", "/e/all.conf:3: quota: a ram: pool"},
    {"[pool]\nquota=1G\npool=block:/a", "", "/e/all.conf:2: quota: a block: pool"},
    {"[pool]\nram-budget=9M\npool=ram:1G", "", "/e/all.conf:2: ram-budget: a ram:"},
    {"[pool]\npool=dir:/a\nquota=1G", "\n[pool]\npool=ram:1G", "/e/own.conf:3: quota: a ram:"},
    {"[pool]\npool=ram:1G", "[pool]\nquota=1G", "/e/own.conf:2: quota: a ram:"},
    {"[pool]\npool=dir:/a\nlow-water=1G", "[pool]\nquota=1G",
     "/e/own.conf:2: low-water: not below"},
    {"[pool]\nintegrity=off\npool=block:/a,shared", "", "/e/all.conf:2: integrity: a shared"},
    {"[pool]\nquota=1G\nintegrity=off", "[pool]\nquota=2G\npool=block:/a,shared",
     "/e/own.conf:3: integrity: a shared"},
    {"[pool]\nintegrity=off\npool=block:/a,shared", "[pool]\nquota=1G",
     "/e/all.conf:2: integrity: a shared"},
    {"[pool]\npool=block:/a,shared", "[pool]\nquota=2G\nintegrity=off",
     "/e/own.conf:3: integrity: a shared"},
};

/* What contradicts itself is told for the file that can mend it. */
static void contradictions(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct rules rules = {.pool = ""};
        char text[STORE_TEXT] = "";

        CU_ASSERT_EQUAL(parse(&rules, false, pairs[i].all, text), 0);
        CU_ASSERT_EQUAL(parse(&rules, true, pairs[i].own, text), 0);
        CU_ASSERT_EQUAL(finish(&rules, text), -EINVAL);
        CU_ASSERT_EQUAL(strncmp(text, pairs[i].words, strlen(pairs[i].words)), 0);
    }
}

static void names(void)
{
    char name[256] = "";

    CU_ASSERT(rules_nameable("web"));
    CU_ASSERT(rules_nameable("a.b c"));
    CU_ASSERT_FALSE(rules_nameable(""));
    CU_ASSERT_FALSE(rules_nameable("."));
    CU_ASSERT_FALSE(rules_nameable(".."));
    CU_ASSERT_FALSE(rules_nameable(".web"));
    CU_ASSERT_FALSE(rules_nameable("../blkback-ephem"));
    CU_ASSERT_FALSE(rules_nameable("a/b"));
    CU_ASSERT_FALSE(rules_nameable("a\nb"));
    memset(name, 'n', 250);
    CU_ASSERT(rules_nameable(name));
    name[250] = 'n';
    CU_ASSERT_FALSE(rules_nameable(name));
}

static char dir[64];

static void put(const char *name, const char *content, mode_t mode)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    CU_ASSERT_EQUAL(fchmod(fd, mode), 0);
    close(fd);
}

static void mode(const char *name, mode_t to)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    CU_ASSERT_EQUAL(chmod(path, to), 0);
}

static void tree_open(void)
{
    strcpy(dir, "/var/tmp/ephem-unit-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    put("blkback-ephem.conf", "[pool]\npool=dir:/all\nquota=1G\n", 0644);
    char below[96];
    snprintf(below, sizeof(below), "%s/domains", dir);
    CU_ASSERT_EQUAL(mkdir(below, 0755), 0);
    put("domains/web.conf", "[pool]\nquota=2G\n", 0644);
}

static void tree_close(void)
{
    char command[96];

    snprintf(command, sizeof(command), "rm -r %s", dir);
    CU_ASSERT_EQUAL(system(command), 0);
}

static void files(void)
{
    struct rules rules;
    char text[STORE_TEXT];

    tree_open();
    unsigned int before = unit_fds();
    CU_ASSERT_EQUAL(rules_read(&rules, dir, "dir:/command", NULL, text), 0);
    CU_ASSERT_STRING_EQUAL(rules.pool, "dir:/all");
    CU_ASSERT_EQUAL(rules.limits.quota, 1u << 30);
    CU_ASSERT_EQUAL(rules_read(&rules, dir, NULL, "web", text), 0);
    CU_ASSERT_STRING_EQUAL(rules.pool, "dir:/all");
    CU_ASSERT_EQUAL(rules.limits.quota, 2ull << 30);
    CU_ASSERT_EQUAL(rules_read(&rules, dir, NULL, "db", text), 0);
    CU_ASSERT_EQUAL(rules.limits.quota, 1u << 30);
    /* No way out of the directory. */
    CU_ASSERT_EQUAL(rules_read(&rules, dir, NULL, "../domains/web", text), 0);
    CU_ASSERT_EQUAL(rules.limits.quota, 1u << 30);
    CU_ASSERT_EQUAL(rules_read(&rules, "/nonexistent", "dir:/command", "web", text), 0);
    CU_ASSERT_STRING_EQUAL(rules.pool, "dir:/command");
    CU_ASSERT_EQUAL(rules_read(&rules, "/nonexistent", NULL, NULL, text), -EINVAL);
    /* Who needs no pool has the rest. */
    put("blkback-ephem.conf", "[guard]\nephemeral=on\nstrict=on\n", 0644);
    put("domains/web.conf", "[guard]\nstrict=off\n", 0644);
    CU_ASSERT_EQUAL(rules_look_up(&rules, dir, "web", text), 0);
    CU_ASSERT(rules.ephemeral && !rules.strict);
    CU_ASSERT_EQUAL(rules_look_up(&rules, dir, NULL, text), 0);
    CU_ASSERT(rules.ephemeral && rules.strict);
    CU_ASSERT_EQUAL(rules_look_up(&rules, "/nonexistent", "web", text), 0);
    CU_ASSERT_FALSE(rules.ephemeral);
    put("domains/web.conf", "[guard]\nstrict=perhaps\n", 0644);
    CU_ASSERT_EQUAL(rules_look_up(&rules, dir, "web", text), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "/domains/web.conf:2: strict: 'perhaps'"));
    CU_ASSERT_EQUAL(unit_fds(), before);
    tree_close();
}

/* What cannot be trusted or read is an error, never the same as missing. */
static int refused(const char *domain, const char *words)
{
    struct rules rules;
    char text[STORE_TEXT] = "";
    unsigned int before = unit_fds();
    int err = rules_read(&rules, dir, "dir:/command", domain, text);

    CU_ASSERT_PTR_NOT_NULL(strstr(text, words));
    CU_ASSERT(strstr(text, dir) == text);
    CU_ASSERT_EQUAL(unit_fds(), before);
    return err;
}

static void unsafe(void)
{
    char path[96];

    tree_open();
    mode("", 0775);
    CU_ASSERT_EQUAL(refused(NULL, ": others than root"), -EPERM);
    mode("", 0755);
    mode("blkback-ephem.conf", 0646);
    CU_ASSERT_EQUAL(refused(NULL, "blkback-ephem.conf: others than root"), -EPERM);
    mode("blkback-ephem.conf", 0644);
    mode("domains", 0777);
    CU_ASSERT_EQUAL(refused("web", "/domains: others than root"), -EPERM);
    mode("domains", 0755);
    mode("domains/web.conf", 0660);
    CU_ASSERT_EQUAL(refused("web", "/domains/web.conf: others than root"), -EPERM);
    mode("domains/web.conf", 0644);
    if (geteuid() == 0) {
        snprintf(path, sizeof(path), "%s/domains/web.conf", dir);
        CU_ASSERT_EQUAL(chown(path, 65534, 0), 0);
        CU_ASSERT_EQUAL(refused("web", "others than root"), -EPERM);
    }
    tree_close();
}

static void odd_files(void)
{
    static char large[70000];
    char path[96];

    tree_open();
    snprintf(path, sizeof(path), "%s/domains/a.conf", dir);
    CU_ASSERT_EQUAL(symlink("web.conf", path), 0);
    CU_ASSERT_EQUAL(refused("a", "a.conf: a symbolic link"), -ELOOP);
    unlink(path);
    CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
    CU_ASSERT_EQUAL(refused("a", "a.conf: not a file"), -EINVAL);
    unlink(path);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    CU_ASSERT_EQUAL(refused("a", "a.conf: not a file"), -EINVAL);
    memset(large, '\n', sizeof(large) - 1);
    put("domains/b.conf", large, 0644);
    CU_ASSERT_EQUAL(refused("b", "b.conf: larger than 64K"), -EFBIG);
    put("domains/c.conf", "[pool]\nquota=1\n", 0644);
    CU_ASSERT_EQUAL(refused("c", "/domains/c.conf:2: quota"), -EINVAL);
    put("blkback-ephem.conf", "[pool]\nquota=1\n", 0644);
    CU_ASSERT_EQUAL(refused(NULL, "/blkback-ephem.conf:2: quota"), -EINVAL);
    CU_ASSERT_EQUAL(refused("web", "/blkback-ephem.conf:2: quota"), -EINVAL);
    tree_close();
}

int suite_rules(void)
{
    static const struct unit_case cases[] = {
        {"all keys", all_keys},    {"key by key", key_by_key},
        {"switches", switches},    {"what is wrong, with its line", wrong},
        {"a NUL byte", nul_byte},  {"contradictions", contradictions},
        {"domains' names", names}, {"files", files},
        {"unsafe files", unsafe},  {"odd files", odd_files},
    };

    return UNIT_SUITE("rules", cases);
}
