// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stubdom_image: a storage domain's words: what `ephemctl stubdom` writes is what init reads, and what either refuses.
 */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "stubdom/words.h"
#include "stubdom_bases.h"
#include "stubdom_cfg.h"
#include "util.h"

#define LEAST "ephem.pool=xvda ephem.shape=shared"

static void good_lines(void)
{
    struct words words;
    char text[WORDS_TEXT] = "";

    CU_ASSERT_EQUAL(words_parse("quiet " LEAST "\n", &words, text), 0);
    CU_ASSERT(words.shared && !words.force && !words.base_count && !words.option_count);
    CU_ASSERT_STRING_EQUAL(words.pool, "xvda");
    CU_ASSERT_EQUAL(
        words_parse("ephem.shape=per-guest ephem.base.root=xvdb  ephem.base.a-1._=xvdz "
                    "ephem.pool=xvdc,force ephem.opt.pool.quota=1G root=/dev/x ephemx=1",
                    &words, text),
        0);
    CU_ASSERT(!words.shared && words.force && words.base_count == 2 && words.option_count == 1);
    CU_ASSERT_STRING_EQUAL(words.bases[1].name, "a-1._");
    CU_ASSERT_STRING_EQUAL(words.bases[1].device, "xvdz");
    CU_ASSERT_STRING_EQUAL(words.options[0], "pool.quota=1G");
    CU_ASSERT_EQUAL(text[0], '\0');
}

static void bad_lines(void)
{
    static const char *const bad[] = {
        "",
        "quiet",
        "ephem.pool=xvda",
        "ephem.shape=shared",
        LEAST " ephem.shape=shared",
        LEAST " ephem.pool=xvdb",
        "ephem.pool=sda ephem.shape=shared",
        "ephem.pool=xvda1 ephem.shape=shared",
        "ephem.pool=xvd ephem.shape=shared",
        "ephem.pool=xvdA ephem.shape=shared",
        "ephem.pool=xvda,forced ephem.shape=shared",
        "ephem.pool= ephem.shape=shared",
        "ephem.pool=xvda ephem.shape=both",
        LEAST " ephem.base.a=xvda",
        LEAST " ephem.base.a=xvdb ephem.base.b=xvdb",
        LEAST " ephem.base.a=xvdb ephem.base.a=xvdc",
        LEAST " ephem.base.=xvdb",
        LEAST " ephem.base.A=xvdb",
        LEAST " ephem.base...=xvdb",
        LEAST " ephem.base.a/b=xvdb",
        LEAST " ephem.base.a=",
        LEAST " ephem.base.a",
        LEAST " ephem.base.abcdefghijklmnopqrstuvwxyzabcdef=xvdb",
        LEAST " ephem.opt.quota=1G",
        LEAST " ephem.opt.pool.quota=",
        LEAST " ephem.opt.pool.=1",
        LEAST " ephem.opt..quota=1",
        LEAST " ephem.opt.pool.QUOTA=1",
        LEAST " ephem.opt.pool.a.b=1",
        LEAST " ephem.opt.pool.quota=1 ephem.opt.pool.quota=2",
        LEAST " ephem.opt.pool.quota=1\r",
        LEAST " ephem.opt.pool.quota=\x80",
        LEAST " ephem.\x1b[2J=1",
        LEAST " ephem.none=1",
        LEAST " ephem.",
        LEAST " ephem.opt.pool.quota="
              "1234567890123456789012345678901234567890123456789012345678901234567890",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct words words;
        char text[WORDS_TEXT] = "";

        if (!words_parse(bad[i], &words, text)) {
            printf("'%s' is taken\n", bad[i]);
            CU_FAIL("taken");
        }
        CU_ASSERT(text[0] && !strchr(text, '\n'));
    }
}

/* As many as fit, and not one more. */
static void many(void)
{
    struct words words;
    char line[WORDS_LINE + 1] = LEAST, text[WORDS_TEXT];

    for (int i = 0; i < WORDS_BASES; i++)
        snprintf(line + strlen(line), sizeof(line) - strlen(line), " ephem.base.b%d=xvd%c", i,
                 'b' + i);
    CU_ASSERT_EQUAL(words_parse(line, &words, text), 0);
    CU_ASSERT_EQUAL(words.base_count, WORDS_BASES);
    snprintf(line + strlen(line), sizeof(line) - strlen(line), " ephem.base.last=xvdz");
    CU_ASSERT(words_parse(line, &words, text) < 0);
}

/* Bytes of any kind end in a verdict, and never beyond the line. */
static void noise(void)
{
    static const char *const pieces[] = {"ephem.", "pool=", "base.",  "opt.",    "=",
                                         ",force", "xvda",  "shape=", "shared ", " ",
                                         "a",      ".",     "\n",     "\x80"};
    uint64_t seed = 11;

    for (int n = 0; n < 20000; n++) {
        char line[WORDS_LINE + 1] = "", text[WORDS_TEXT] = "";
        struct words words;

        for (uint64_t i = unit_below(&seed, 60); i; i--)
            strncat(line, pieces[unit_below(&seed, ARRAY_SIZE(pieces))],
                    sizeof(line) - strlen(line) - 1);
        if (words_parse(line, &words, text))
            CU_ASSERT(text[0] != '\0');
    }
}

static struct stub_wish wish_of(const char *name)
{
    return (struct stub_wish){.name = name, .pool = "/dev/vg/pool", .image = "/usr/lib/x"};
}

/* The command line that is written is understood, with the same parts. */
static void agree(void)
{
    struct stub_wish wish = wish_of("sys-ephem");
    static char cfg[STUB_TEXT];
    char why[STUB_WHY] = "", text[WORDS_TEXT] = "", line[WORDS_LINE + 1];
    struct words words;

    CU_ASSERT_EQUAL(stub_add_base(&wish, "root=/dev/vg/root,x=y", why), 0);
    CU_ASSERT_EQUAL(stub_add_base(&wish, "data_1=/dev/loop3", why), 0);
    CU_ASSERT_EQUAL(stub_add_option(&wish, "pool.quota=1G", why), 0);
    CU_ASSERT_EQUAL(stub_check(&wish, why), 0);
    CU_ASSERT_EQUAL(wish.memory, STUB_LEAST);
    wish.force = wish.per_guest = true;
    CU_ASSERT_EQUAL(stub_write(&wish, cfg, why), 0);
    const char *at = strstr(cfg, "\ncmdline = \"");
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(at + 12, "\""), at + 12);
    CU_ASSERT_EQUAL(words_parse(line, &words, text), 0);
    CU_ASSERT(words.force && !words.shared && words.base_count == 2);
    CU_ASSERT_STRING_EQUAL(words.pool, "xvda");
    CU_ASSERT_STRING_EQUAL(words.bases[0].name, "root");
    CU_ASSERT_STRING_EQUAL(words.bases[1].device, "xvdc");
    CU_ASSERT_STRING_EQUAL(words.options[0], "pool.quota=1G");
    CU_ASSERT_PTR_NOT_NULL(
        strstr(cfg, "'format=raw,backendtype=phy,vdev=xvda,access=rw,target=/dev/vg/pool'"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(cfg, "'format=raw,backendtype=phy,vdev=xvdb,access=ro,target=/dev/vg/root,x=y'"));
    wish.host = "sys-disk";
    CU_ASSERT_EQUAL(stub_write(&wish, cfg, why), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(cfg, "access=ro,backend=sys-disk,target=/dev/loop3'"));
}

static void refused(void)
{
    static const char *const bases[] = {
        "",       "a",      "=/x",     "a=x",    "A=/x",
        ".a=/x",  "a=/x y", "a=/x'y",  "a=/x\"", "a=/x\\",
        "a=/x\n", "a b=/x", "a=/\x80", "a=/x,",  "abcdefghijklmnopqrstuvwxyzabcdef=/x"};
    static const char *const options[] = {
        "", "a", "a=1", "a.b", "a.b=", "A.b=1", "a.b=1 2", "a.b='", "a.b.c=1"};
    static const char *const names[] = {
        "",    ".x",
        "-x",  "a b",
        "7",   "0123",
        "a/b", "a\"b",
        "a'",  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl"};
    struct stub_wish wish = wish_of("x");
    char why[STUB_WHY];

    for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
        CU_ASSERT(stub_add_base(&wish, bases[i], why) < 0);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        CU_ASSERT(stub_add_option(&wish, options[i], why) < 0);
    CU_ASSERT(!wish.base_count && !wish.option_count);
    CU_ASSERT_EQUAL(stub_add_base(&wish, "a=/x", why), 0);
    CU_ASSERT(stub_add_base(&wish, "a=/y", why) < 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        wish.name = names[i];
        CU_ASSERT(stub_check(&wish, why) < 0);
    }
    wish = wish_of("x");
    wish.pool = "dev/x";
    CU_ASSERT(stub_check(&wish, why) < 0);
    wish = wish_of("x");
    wish.memory = STUB_LEAST - 1;
    CU_ASSERT(stub_check(&wish, why) < 0);
    wish = wish_of("x");
    CU_ASSERT_EQUAL(stub_add_base(&wish, "a=/dev/vg/pool", why), 0);
    CU_ASSERT(stub_check(&wish, why) < 0 && strstr(why, "and the pool"));
    wish = wish_of("x");
    wish.host = "a,b";
    CU_ASSERT(stub_check(&wish, why) < 0);
}

/* What was written is taken apart again. */
static void bases_again(void)
{
    struct stub_wish wish = wish_of("sys-ephem");
    static char cfg[STUB_TEXT], words[STUB_BASES][32];
    static struct stub_bases bases;
    char why[STUB_WHY] = "";

    CU_ASSERT_EQUAL(stub_write(&wish, cfg, why), 0);
    CU_ASSERT_EQUAL(stub_bases_parse(&bases, cfg, strlen(cfg), why), 0);
    CU_ASSERT_EQUAL(bases.count, 0);
    for (int i = 0; i < STUB_BASES; i++) {
        snprintf(words[i], sizeof(words[i]), "b%d=/dev/x,b=%d", i, 100 - i);
        CU_ASSERT_EQUAL(stub_add_base(&wish, words[i], why), 0);
    }
    CU_ASSERT_EQUAL(stub_add_option(&wish, "pool.quota=1G", why), 0);
    CU_ASSERT_EQUAL(stub_write(&wish, cfg, why), 0);
    CU_ASSERT_EQUAL(stub_bases_parse(&bases, cfg, strlen(cfg), why), 0);
    CU_ASSERT_EQUAL(bases.count, STUB_BASES);
    for (size_t i = 0; i < bases.count; i++) {
        CU_ASSERT_STRING_EQUAL(bases.bases[i].name, wish.bases[i].name);
        CU_ASSERT_STRING_EQUAL(bases.bases[i].path, wish.bases[i].path);
    }
    wish.host = "sys-disk";
    CU_ASSERT_EQUAL(stub_write(&wish, cfg, why), 0);
    CU_ASSERT(stub_bases_parse(&bases, cfg, strlen(cfg), why) < 0 && strstr(why, "another domain"));
}

static void bases_odd(void)
{
    static const char *const odd[] = {
        "",
        "name = \"x\"\n",
        "\ncmdline = \"ephem.base.a=xvdb\"\n",
        "\ncmdline = \"ephem.base.a=xvdb\"\ndisk = [ 'vdev=xvdc,target=/a' ]\n",
        "\ncmdline = \"ephem.base.a\"\ndisk = [ 'vdev=xvdb,target=/a' ]\n",
        "\ncmdline = \"ephem.base.a=xvdb\"\ndisk = [ 'vdev=xvdb,target=/a'\n",
        "\ncmdline = \"ephem.base.a=xvdb\"\ndisk = [ 'access=none,vdev=xvdb,target=/a' ]\n",
        "\ncmdline = \"ephem.base.abcdefghijklmnopqrstuvwxyzabcdef=xvdb\"\n"
        "disk = [ 'vdev=xvdb,target=/a' ]\n",
    };
    static struct stub_bases bases;
    char why[STUB_WHY];

    for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
        CU_ASSERT(stub_bases_parse(&bases, odd[i], strlen(odd[i]), why) < 0);
}

int suite_stubdom_image(void)
{
    static const struct unit_case cases[] = {
        {"command lines", good_lines},
        {"what is wrong", bad_lines},
        {"many bases", many},
        {"noise", noise},
        {"both ends agree", agree},
        {"what is refused", refused},
        {"bases are found again", bases_again},
        {"odd configurations", bases_odd},
    };

    return UNIT_SUITE("stubdom_image", cases);
}
