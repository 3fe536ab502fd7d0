// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xlcfg: configurations as operators write them, odd ones, and hostile ones; what xl itself makes of such
 * texts was looked up with its own parser.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "convert.h"
#include "util.h"
#include "xlcfg.h"

/* ---- the file ---- */

static void whole_files(void)
{
    static const struct {
        const char *text, *disks; /* each followed by | */
    } rows[] = {
        {"", ""},
        {"\n\n# disk = ['x']\n", ""},
        {"disk=['a']", "a|"},
        {"disk = [ 'a' , \"b\" ]\n", "a|b|"},
        {"disk = [\n # one, 'quoted'\n 'a',\n\n 'b'\n ,\n]\n", "a|b|"},
        {"disk=['a'\n,'b'\n]", "a|b|"},
        {"disk=[]\ndisk+=['a']\ndisk += [ 'b' ]", NULL},
        {"disk+=['a']\ndisk += [ 'b' ]", "a|b|"},
        {"disk=['a']\ndisk+=['b']", "a|b|"},
        {"name='x';disk=['a'];;\n;vcpus=0x10", "a|"},
        {"extra=\"a 'b' # no comment\" # one\ndisk=['a']", "a|"},
        {"extra=\"q \\\"disk=['n']\\\" \"\ndisk=['a']", "a|"},
        {"extra='x\\\\'\ndisk=['a']", "a|"},
        {"disk=['a # b; c']", "a # b; c|"},
        {"disk=['a\"b',\"c'd\"]", "a\"b|c'd|"},
        {"vif=['a',['b',['c',1]],2]\ndisk=['']", "|"},
        {"disks=['a']\nmydisk=['b']\n", ""},
        {"x=['disk=[\"n\"]']", ""},
        {"\tdisk\t=\t[\t'a'\t]\t#\n", "a|"},
    };
    static struct xlcfg cfg;
    char got[64];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int err = xlcfg_parse(&cfg, rows[i].text, strlen(rows[i].text));

        got[0] = '\0';
        for (size_t d = 0; !err && d < cfg.count; d++)
            snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s|",
                     (int)cfg.disks[d].length, rows[i].text + cfg.disks[d].at);
        /* An empty list that is added to: as good as none. */
        const char *wanted = rows[i].disks ? rows[i].disks : "a|b|";
        if (err || strcmp(got, wanted))
            fprintf(stderr, "row %zu: %s line %u %s\n", i, got, cfg.line, cfg.why);
        CU_ASSERT_EQUAL(err, 0);
        CU_ASSERT_STRING_EQUAL(got, wanted);
    }
}

static void broken_files(void)
{
    static const struct {
        const char *text;
        unsigned int line;
        const char *why;
    } rows[] = {
        {"disk=['a", 1, "no end"},
        {"disk=['a\n']", 1, "no end"},
        {"disk=['a\\']", 1, "no end"},
        {"disk=['a\\", 1, "does not know"},
        {"disk=['a\\z']", 1, "does not know"},
        {"\n\ndisk=['a' 'b']", 3, "comma"},
        {"disk=['a',,'b']", 1, "no quoted string"},
        {"disk=[,]", 1, "no quoted string"},
        {"disk=['a',\n\n['b']]", 3, "no quoted string"},
        {"disk=[12]", 1, "no quoted string"},
        {"disk=[a]", 1, "no quoted string"},
        {"disk=['a'", 1, "no end"},
        {"disk=['a',", 1, "no quoted string"},
        {"disk=", 1, "no list"},
        {"disk='a'", 1, "no list"},
        {"disk=('a')", 1, "no list"},
        {"disk", 1, "without ="},
        {"disk\n=['a']", 1, "without ="},
        {"disk=\n['a']", 1, "no list"},
        {"disk=['a']\n\ndisk=['b']", 3, "forgets"},
        {"disk+=['a']\ndisk=['b']", 2, "forgets"},
        {"Disk=['a']", 1, "lower case"},
        {"disk=['a'] x=1", 1, "behind the value"},
        {"disk=['a']]", 1, "behind the value"},
        {"disk=['''a''']", 1, "comma"},
        {"name=bank\ndisk=['a']", 1, "put it in quotes"},
        {"import os\n", 1, "without ="},
        {"x=-1\n", 1, "put it in quotes"},
        {"name='x'\r\ndisk=['a']", 1, "carriage return"},
        {"x=[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]", 1, "16 lists"},
    };
    static struct xlcfg cfg;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int err = xlcfg_parse(&cfg, rows[i].text, strlen(rows[i].text));

        if (err != -EINVAL || cfg.line != rows[i].line || !strstr(cfg.why, rows[i].why))
            fprintf(stderr, "row %zu: %d line %u %s\n", i, err, cfg.line, cfg.why);
        CU_ASSERT_EQUAL(err, -EINVAL);
        CU_ASSERT_EQUAL(cfg.line, rows[i].line);
        CU_ASSERT_PTR_NOT_NULL(strstr(cfg.why, rows[i].why));
    }
    CU_ASSERT_EQUAL(xlcfg_parse(&cfg, "a=1\n\0disk=['a']", 15), -EINVAL);
    CU_ASSERT_EQUAL(cfg.line, 2);
}

/* As many disks as there is room for, and one more. */
static void many_disks(void)
{
    static struct xlcfg cfg;
    static char text[XLCFG_DISKS * 4 + 32];

    for (unsigned int more = 0; more < 2; more++) {
        strcpy(text, "disk=[");
        for (unsigned int i = 0; i < XLCFG_DISKS + more; i++)
            strcat(text, "'',\n");
        strcat(text, "]");
        CU_ASSERT_EQUAL(xlcfg_parse(&cfg, text, strlen(text)), more ? -EINVAL : 0);
        CU_ASSERT_EQUAL(cfg.count, XLCFG_DISKS);
    }
    CU_ASSERT_EQUAL(cfg.line, XLCFG_DISKS + 1);
}

/* ---- noise ---- */

/* The same text, but for what stands between the quotes of its disks. */
static bool same_but_disks(const char *one, size_t one_length, const char *two, size_t two_length)
{
    static struct xlcfg first, second;
    size_t from = 0, to = 0;

    if (xlcfg_parse(&first, one, one_length) || xlcfg_parse(&second, two, two_length) ||
        first.count != second.count)
        return false;
    for (size_t i = 0; i < first.count; i++) {
        size_t gap = first.disks[i].at - from;

        if (second.disks[i].at - to != gap || memcmp(one + from, two + to, gap))
            return false;
        from = first.disks[i].at + first.disks[i].length;
        to = second.disks[i].at + second.disks[i].length;
    }
    return one_length - from == two_length - to && !memcmp(one + from, two + to, one_length - from);
}

/* Nothing else is asked of noise. */
static void noise(void)
{
    static const char *const words[] = {
        "'",       "\"", "\\", ",",  "\n", "=",   "[",          "]",
        "disk=['", "']", "#",  ";",  "/a", "raw", "xvda",       "w",
        "phy:",    "x=", " ",  "+=", "r",  "','", "/a,,xvda,w", "disk+=['"};
    uint64_t seed = 7;
    unsigned int taken = 0;

    for (unsigned int n = 0; n < 30000; n++) {
        char text[512] = "";
        bool whole = unit_below(&seed, 2);
        struct convert out;

        strcpy(text, whole ? "disk=['/a,,xvda,w" : "");
        for (uint64_t i = unit_below(&seed, whole ? 5 : 14); i; i--)
            strcat(text, words[unit_below(&seed, ARRAY_SIZE(words))]);
        strcat(text, whole ? "']" : "");
        if (!convert_text(&out, text, strlen(text), NULL)) {
            taken++;
            CU_ASSERT(same_but_disks(text, strlen(text), out.text, out.length));
        }
        convert_free(&out);
    }
    CU_ASSERT(taken > 1000);
}

static const char *base_a(const void *arg, const char *target)
{
    return strcmp(target, arg) ? NULL : "debian";
}

/* Into a storage domain: its bases by their names; what is not one of them is refused. */
static void storage(void)
{
    static const struct convert_storage to = {"sys-ephem", base_a, "/a,b"};
    static const struct {
        const char *disk, *twin; /* NULL: refused */
    } rows[] = {
        {"vdev=xvda,target=/a,b", "backend=sys-ephem,format=raw,vdev=xvda,access=rw,"
                                  "target=/bases/debian"},
        {"untrusted,discard,vdev=xvda,target=/a,b",
         "backend=sys-ephem,format=raw,vdev=xvda,access=rw,discard,untrusted,target=/bases/debian"},
        {"backend=sys-ephem,format=raw,vdev=xvda,access=rw,target=/bases/debian",
         "backend=sys-ephem,format=raw,vdev=xvda,access=rw,target=/bases/debian"},
        {"backend=sys-ephem,format=raw,vdev=xvda,access=rw,target=blank:1G",
         "backend=sys-ephem,format=raw,vdev=xvda,access=rw,target=blank:1G"},
        {"/other,raw,xvdb,r", "/other,raw,xvdb,r"},
        {"/iso,,hdc:cdrom,r", "/iso,,hdc:cdrom,r"},
        {"/other,raw,xvda,w", NULL},
        {"/a,raw,xvda,w", NULL},
        {"format=qcow2,vdev=xvda,target=/a,b", NULL},
        {"backend=other,format=raw,vdev=xvda,target=/bases/debian", NULL},
        {"backend=sys-ephem,format=raw,vdev=xvda,target=/dev/x", NULL},
        {"backend=sys-ephem,format=raw,vdev=xvda,script=x,target=/bases/debian", NULL},
        {"backend=sys-ephem,format=raw,vdev=xvda,odd=1,target=/bases/debian", NULL},
        {"backendtype=tap,format=raw,vdev=xvda,script=block-ephem,target=cow:/a,b", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[300], wanted[300];
        struct convert out;

        snprintf(text, sizeof(text), "disk = ['%s'] # x\n", rows[i].disk);
        snprintf(wanted, sizeof(wanted), "disk = ['%s'] # x\n", rows[i].twin ? rows[i].twin : "");
        int err = convert_text(&out, text, strlen(text), &to);
        if (!err != !!rows[i].twin)
            fprintf(stderr, "row %zu: %d %s\n", i, err, out.why);
        CU_ASSERT_EQUAL(!err, !!rows[i].twin);
        if (!err)
            CU_ASSERT(out.length == strlen(wanted) && !memcmp(out.text, wanted, out.length));
        if (err)
            CU_ASSERT_EQUAL(out.line, 1);
        convert_free(&out);
    }
}

/* Which guests a storage domain can have: HVM only with a stub domain for its device model. */
static void kinds(void)
{
    static const struct convert_storage to = {"sys-ephem", base_a, "/debian"};
    static const struct {
        const char *text;
        bool taken;
    } rows[] = {
        {"", true},
        {"type = 'pvh'", true},
        {"type = 'hvm'", false},
        {"builder=\"hvm\"", false},
        {"type = 'hvm'\ndevice_model_stubdomain_override = 0", false},
        {"type = 'hvm'\ndevice_model_stubdomain_override = 1", true},
        {"type = 'hvm'\ntype = 'pv'", true},
        {"name = 'hvm'", true},
        {"types = 'hvm'", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct convert out;
        char text[300];

        snprintf(text, sizeof(text), "disk = ['/debian,raw,xvda,w']\n%s\n", rows[i].text);
        int err = convert_text(&out, text, strlen(text), &to);
        CU_ASSERT_EQUAL(!err, rows[i].taken);
        convert_free(&out);
        CU_ASSERT_EQUAL(convert_text(&out, text, strlen(text), NULL), 0);
        convert_free(&out);
    }
}

int suite_xlcfg(void)
{
    static const struct unit_case cases[] = {
        {"files with disks, and without", whole_files},
        {"files that xl cannot read", broken_files},
        {"as many disks as fit", many_disks},
        {"noise keeps all but its disks", noise},
        {"into a storage domain", storage},
        {"kinds of guests", kinds},
    };

    return UNIT_SUITE("xlcfg", cases);
}
