// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xldisk, convert: disks in all the forms xl takes, and some it does not, as its own parser was seen to do;
 * which have a twin, and which are refused.  A twin differs between the quotes only.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "convert.h"
#include "util.h"
#include "xldisk.h"

/* ---- one disk ---- */

#define TWIN(vdev, more, path)                                                                     \
    "backendtype=tap,format=raw,vdev=" vdev ",access=rw," more "script=block-ephem,target="        \
    "cow:" path

static const struct {
    const char *text;
    enum xldisk_verdict verdict;
    const char *twin; /* or, of others, the target */
} taken[] = {
    {"/a,raw,xvda,w", XLDISK_TURN, TWIN("xvda", "", "/a")},
    {"/a,,xvda,rw", XLDISK_TURN, TWIN("xvda", "", "/a")},
    {"/a,raw,xvda", XLDISK_TURN, TWIN("xvda", "", "/a")},
    {"/a,raw,xvda,w,", XLDISK_TURN, TWIN("xvda", "", "/a")},
    {" /a, raw, xvda, w", XLDISK_TURN, TWIN("xvda", "", "/a")},
    {"/a b,raw,sda1,w", XLDISK_TURN, TWIN("sda1", "", "/a b")},
    {"phy:/dev/x,xvda,w", XLDISK_TURN, TWIN("xvda", "", "/dev/x")},
    {"file:/x,hda:disk,w", XLDISK_TURN, TWIN("hda", "", "/x")},
    {"tap:aio:/x,xvda,w", XLDISK_TURN, TWIN("xvda", "", "/x")},
    {"tap2:tapdisk:aio:raw:/x,xvda,w", XLDISK_TURN, TWIN("xvda", "", "/x")},
    {"vdev=xvda,/a", XLDISK_TURN, TWIN("xvda", "", "/a")},
    {"/a,access=w,raw,xvda", XLDISK_TURN, TWIN("xvda", "", "/a")},
    {"format=raw, vdev=xvdb, access=rw, target=/a", XLDISK_TURN, TWIN("xvdb", "", "/a")},
    {"vdev=xvdb,target=/a=b,c,", XLDISK_TURN, TWIN("xvdb", "", "/a=b,c")},
    {"vdev=xvdb,target=/a,access=r", XLDISK_TURN, TWIN("xvdb", "", "/a,access=r")},
    {"backendtype=qdisk,/a,raw,xvda,w", XLDISK_TURN, TWIN("xvda", "", "/a")},
    {"backendtype=tap,/a,raw,xvda,w", XLDISK_TURN, TWIN("xvda", "", "/a")},
    {"/a,raw,xvda,w,backend=0", XLDISK_TURN, TWIN("xvda", "", "/a")},
    {"/a,raw,xvda,w,discard,direct-io-safe", XLDISK_TURN,
     TWIN("xvda", "direct-io-safe,discard,", "/a")},
    {"/a,raw,xvda,w,no-discard,devtype=disk", XLDISK_TURN, TWIN("xvda", "no-discard,", "/a")},
    {"/a,raw,xvda,w,specification=xen", XLDISK_TURN, TWIN("xvda", "", "/a")},
    {"/a,raw,xvda,r", XLDISK_READONLY, "/a"},
    {"/a,qcow2,xvda,ro", XLDISK_READONLY, "/a"},
    {"nbd:/a,xvda,r", XLDISK_READONLY, "/a"},
    {"vdev=xvda,access=r,odd=1,target=x", XLDISK_READONLY, "x"},
    {"file:/i.iso,hdc:cdrom,r", XLDISK_CDROM, "/i.iso"},
    {",empty,hdc:cdrom,r", XLDISK_CDROM, ""},
    {"/a,raw,hdc,w,cdrom", XLDISK_CDROM, "/a"},
    {"vdev=hdc,devtype=cdrom,access=rw,target=/i", XLDISK_CDROM, "/i"},
    {TWIN("xvda", "", "/a"), XLDISK_OURS, "cow:/a"},
    {"backendtype=tap,vdev=xvda,script=/etc/xen/scripts/block-ephem,target=blank:1G", XLDISK_OURS,
     "blank:1G"},
};

static void one_disk(void)
{
    static struct xldisk disk;
    static char twin[XLDISK_TEXT];
    enum xldisk_verdict verdict;
    char why[XLDISK_WHY];

    for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
        strcpy(why, "");
        int err = xldisk_parse(&disk, taken[i].text, strlen(taken[i].text), why);
        err = err ? err : xldisk_judge(&disk, &verdict, why);
        if (err || verdict != taken[i].verdict)
            fprintf(stderr, "row %zu: %s: %s\n", i, taken[i].text, why);
        CU_ASSERT_EQUAL(err, 0);
        CU_ASSERT_EQUAL(verdict, taken[i].verdict);
        if (verdict == XLDISK_TURN)
            CU_ASSERT_EQUAL(xldisk_twin(&disk, twin), 0);
        CU_ASSERT_STRING_EQUAL(verdict == XLDISK_TURN ? twin : disk.target, taken[i].twin);
    }
}

static const struct {
    const char *text, *why;
} refused[] = {
    /* which xl takes, and have no twin */
    {"/a,qcow2,xvda,w", "not raw"},
    {"/a,vhd,xvda,w", "not raw"},
    {"tap:qcow2:/x,xvda,w", "not raw"},
    {"vhd:/x,xvda,w", "not raw"},
    {"/a,raw,xvda,w,backend=storage", "another domain"},
    {"nbd:/x,xvda,w", "a script"},
    {"drbd:r,xvda,w", "a script"},
    {"script=block-iscsi,vdev=xvda,target=iqn", "a script"},
    {"script=block-ephem,vdev=xvda,target=/a", "a script"},
    {"backendtype=tap,script=block-ephemx,vdev=xvda,target=/a", "a script"},
    /* ours but for one thing */
    {"backendtype=tap,script=/x/block-ephem,vdev=xvda,target=/a", "a script"},
    {TWIN("xvda", "backend=dd,", "/a"), "another domain"},
    {"backendtype=tap,format=qcow2,script=block-ephem,vdev=xvda,target=/a", "not raw"},
    {"phy:x,xvda,w", "absolute"},
    {"vdev=xvda,target=", "absolute"},
    {"vdev=xvda", "absolute"},
    {"vdev=xvda,target=/a,size=1G", ",size="},
    {"/a,raw,xvda,w,specification=virtio", "specification="},
    {"/a,raw,xvda,w,colo-host=x", "colo-host="},
    /* which xl does not take */
    {"", "no device"},
    {"/a,raw", "no device"},
    {"/a,xvda,w", "no format"},
    {"/a,RAW,xvda,w", "no format"},
    {"/a , raw , xvda , w", "no format"},
    {"/a,raw,xvda,x", "no access"},
    {"/a,raw,xvda:cd,w", "no device"},
    {"vdev=hdc:cdrom,target=/a", "no device"},
    {"/a,raw,xvda,w,cdrom,devtype=disk", "both"},
    {"/a,raw,hdc:cdrom,w,devtype=disk", "both"},
    {"phy:cdrom,xvda,r", "no target"},
    {"phy: /a,xvda,r", "no target"},
    {"/a,raw,xvda,r,odd=", "nothing stands"},
    {"/a,raw,/dev/xvda,w", "no device"},
    {"/a,raw,xvda,w,x", "one parameter too many"},
    {"/a=b,raw,xvda,w", "target=PATH"},
    {"vdev = xvda,target=/a", "target=PATH"},
    {"vdev=xvda,vdev=xvdb,target=/a", "twice"},
    {"/a,raw,xvda,w,target=/b", "second target"},
    {"/a,raw,xvda,w,backend=", "nothing stands"},
    {"/a,raw,xvda,w,backendtype=foo", "no backendtype"},
    {"/a\\b,raw,xvda,w", "backslash"},
};

static void refused_disks(void)
{
    static struct xldisk disk;
    enum xldisk_verdict verdict;
    char why[XLDISK_WHY];

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        strcpy(why, "");
        int err = xldisk_parse(&disk, refused[i].text, strlen(refused[i].text), why);
        err = err ? err : xldisk_judge(&disk, &verdict, why);
        if (err != -EINVAL || !strstr(why, refused[i].why))
            fprintf(stderr, "row %zu: %s: %s\n", i, refused[i].text, why);
        CU_ASSERT_EQUAL(err, -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(why, refused[i].why));
    }
}

/* Every length of every parameter, around its bound. */
static void long_disks(void)
{
    static const char *const forms[] = {"vdev=xvda,target=/%s", "/%s,raw,xvda,w", "/a,raw,%s,w",
                                        "/a,%s,xvda,w",         "/a,raw,xvda,%s", "%s=1,vdev=xvda",
                                        "script=%s,vdev=xvda",  "vdev=%s",        "phy:/%s,xvda"};
    static const size_t lengths[] = {1,   59,  60,   61,   62,   63,   64,   65,  254,
                                     255, 256, 4300, 4380, 4399, 4400, 4401, 9000};
    static char run[9001], text[9100], twin[XLDISK_TEXT];
    static struct xldisk disk;
    char why[XLDISK_WHY];

    for (size_t f = 0; f < ARRAY_SIZE(forms); f++)
        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
            enum xldisk_verdict verdict = XLDISK_OURS;

            memset(run, 'x', lengths[i]);
            run[lengths[i]] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(text, sizeof(text), forms[f], run);
#pragma GCC diagnostic pop
            if (xldisk_parse(&disk, text, strlen(text), why) ||
                xldisk_judge(&disk, &verdict, why) || verdict != XLDISK_TURN)
                continue;
            if (!xldisk_twin(&disk, twin))
                CU_ASSERT_PTR_NOT_NULL(strstr(twin, disk.target));
        }
    CU_ASSERT_EQUAL(xldisk_parse(&disk, text, XLDISK_TEXT, why), -EINVAL);
}

/* ---- the twin ---- */

static const char guest[] = "# bank \xc3\xa9\nname = \"bank\"  # 'x'\nmemory=1;vcpus=2\n"
                            "disk = [\n\t'phy:/dev/v/r,xvda,w', # root\n"
                            "  \"/d'q.img,raw,xvdb,rw\",'/i,raw,hdc:cdrom,r',\n]\n"
                            "disk += ['/r,raw,xvdd,r']\nextra = 'a \\'disk=[\"n\"]\\''";
static const char guest_twin[] =
    "# bank \xc3\xa9\nname = \"bank\"  # 'x'\nmemory=1;vcpus=2\n"
    "disk = [\n\t'" TWIN(
        "xvda", "",
        "/dev/v/r") "', # root\n"
                    "  \"" TWIN(
                        "xvdb", "",
                        "/d'q.img") "\",'/i,raw,hdc:cdrom,r',\n]\n"
                                    "disk += ['/r,raw,xvdd,r']\nextra = 'a \\'disk=[\"n\"]\\''";

static void twins(void)
{
    struct convert out, again;

    CU_ASSERT_EQUAL_FATAL(convert_text(&out, guest, sizeof(guest) - 1, NULL), 0);
    CU_ASSERT(out.length == sizeof(guest_twin) - 1 && !memcmp(out.text, guest_twin, out.length));
    CU_ASSERT(out.count == 4 && out.turned == 2);
    CU_ASSERT(out.disks[1].line == 6 && out.disks[3].line == 8);
    CU_ASSERT_STRING_EQUAL(out.disks[1].target, "/d'q.img");
    /* A twin is its own twin. */
    CU_ASSERT_EQUAL_FATAL(convert_text(&again, out.text, out.length, NULL), 0);
    CU_ASSERT(again.turned == 0 && again.length == out.length &&
              !memcmp(again.text, out.text, out.length));
    convert_free(&again);
    convert_free(&out);
}

static void no_twins(void)
{
    static const struct {
        const char *text;
        unsigned int line;
        const char *why;
    } rows[] = {
        {"", 0, "no disks"},
        {"disk=[]", 0, "no disks"},
        {"\ndisk=['/a,raw,xvda,w',\n'/b,qcow2,xvdb,w']", 3, "xvdb: its format"},
        {"\ndisk=['/a,raw,xvda,w'\n", 3, "comma"},
        {"disk=['/a\\'b,raw,xvda,w']", 1, "backslash"},
    };
    struct convert out;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CU_ASSERT_EQUAL(convert_text(&out, rows[i].text, strlen(rows[i].text), NULL), -EINVAL);
        CU_ASSERT_EQUAL(out.line, rows[i].line);
        CU_ASSERT_PTR_NOT_NULL(strstr(out.why, rows[i].why));
        convert_free(&out);
    }
}

int suite_xldisk(void)
{
    static const struct unit_case cases[] = {
        {"disks", one_disk},        {"disks without a twin", refused_disks},
        {"long disks", long_disks}, {"a twin is the same but for its disks", twins},
        {"no twin", no_twins},
    };

    return UNIT_SUITE("xldisk", cases);
}
