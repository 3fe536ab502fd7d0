// SPDX-License-Identifier: GPL-2.0-or-later
/* The grant half of conformance: own pages, shared with the own domain, mapped and copied. */
#define _GNU_SOURCE
#include "conformance.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <xengnttab.h>

#define PAGE    4096
#define BAD_REF 0x7ffffff0u

struct grants {
    xengntshr_handle *share;
    xengnttab_handle *map;
    uint32_t rw[4], ro[1];
    char *rw_page, *ro_page;
};

static bool open_grants(struct grants *g)
{
    *g = (struct grants){.share = xengntshr_open(NULL, 0), .map = xengnttab_open(NULL, 0)};
    if (!g->share || !g->map)
        return false;
    g->rw_page = xengntshr_share_pages(g->share, self, 4, g->rw, 1);
    g->ro_page = xengntshr_share_pages(g->share, self, 1, g->ro, 0);
    return g->rw_page && g->ro_page;
}

static void close_grants(const struct grants *g)
{
    if (g->rw_page)
        xengntshr_unshare(g->share, g->rw_page, 4);
    if (g->ro_page)
        xengntshr_unshare(g->share, g->ro_page, 1);
    if (g->share)
        xengntshr_close(g->share);
    if (g->map)
        xengnttab_close(g->map);
}

static void test_mapping(struct grants *g)
{
    uint32_t order[4] = {g->rw[3], g->rw[1], g->rw[2], g->rw[0]};
    uint32_t bad[2] = {g->rw[0], BAD_REF};
    char *map = xengnttab_map_domain_grant_refs(g->map, 4, self, order, PROT_READ | PROT_WRITE);

    check(map != NULL, "four own grants map as one range");
    if (map) {
        strcpy(g->rw_page + 3 * PAGE, "from the granting side");
        check(!strcmp(map, g->rw_page + 3 * PAGE), "pages come in the order of the references");
        strcpy(map + 3 * PAGE, "from the mapping side");
        check(!strcmp(map + 3 * PAGE, g->rw_page), "writes go the other way too");
        errno = 0;
        check(xengnttab_unmap(g->map, map, 3) < 0 && errno == EINVAL,
              "unmap with a wrong count: EINVAL");
        check(xengnttab_unmap(g->map, map, 4) == 0, "unmap");
    }
    errno = 0;
    check(!xengnttab_map_domain_grant_refs(g->map, 2, self, bad, PROT_READ) && errno == EINVAL,
          "map with one bad reference: EINVAL for all");
    errno = 0;
    check(!xengnttab_map_grant_ref(g->map, UNKNOWN_DOMAIN, g->rw[0], PROT_READ) && errno == EINVAL,
          "map from an unknown domain: EINVAL");
    errno = 0;
    check(!xengnttab_map_grant_ref(g->map, self, g->ro[0], PROT_READ | PROT_WRITE) &&
              errno == EINVAL,
          "map a read-only grant for writing: EINVAL");
    map = xengnttab_map_grant_ref(g->map, self, g->ro[0], PROT_READ);
    check(map != NULL, "map a read-only grant for reading");
    if (map)
        xengnttab_unmap(g->map, map, 1);
}

static xengnttab_grant_copy_segment_t copy_from(uint32_t domid, uint32_t ref, uint16_t offset,
                                                void *into, uint16_t len)
{
    xengnttab_grant_copy_segment_t seg = {.len = len, .flags = GNTCOPY_source_gref, .status = 1};

    seg.source.foreign.domid = (uint16_t)domid;
    seg.source.foreign.ref = ref;
    seg.source.foreign.offset = offset;
    seg.dest.virt = into;
    return seg;
}

static xengnttab_grant_copy_segment_t copy_to(uint32_t ref, uint16_t offset, void *from,
                                              uint16_t len)
{
    xengnttab_grant_copy_segment_t seg = {.len = len, .flags = GNTCOPY_dest_gref, .status = 1};

    seg.dest.foreign.domid = (uint16_t)self;
    seg.dest.foreign.ref = ref;
    seg.dest.foreign.offset = offset;
    seg.source.virt = from;
    return seg;
}

static void test_copy(struct grants *g)
{
    static _Alignas(PAGE) char buf[4][PAGE];
    xengnttab_grant_copy_segment_t segs[4];

    memset(g->rw_page, 'r', PAGE);
    memset(buf, 'b', sizeof(buf));
    segs[0] = copy_from(self, g->rw[0], 512, buf[0], 1024);
    segs[1] = copy_to(g->rw[1], 2048, buf[3], 2048);
    check(!xengnttab_grant_copy(g->map, 2, segs) && !segs[0].status && !segs[1].status,
          "copies in both directions in one call");
    check(buf[0][0] == 'r' && buf[0][1023] == 'r' && buf[0][1024] == 'b', "copied in exactly");
    check(g->rw_page[PAGE + 2047] == 0 && g->rw_page[PAGE + 2048] == 'b', "copied out exactly");

    segs[0] = copy_from(self, BAD_REF, 0, buf[0], 512);
    segs[1] = copy_from(UNKNOWN_DOMAIN, g->rw[0], 0, buf[1], 512);
    segs[2] = copy_to(g->ro[0], 0, buf[3], 512);
    segs[3] = copy_from(self, g->rw[0], 0, buf[2], 512);
    check(!xengnttab_grant_copy(g->map, 4, segs), "failed segments do not fail the call");
    check(segs[0].status == GNTST_bad_gntref, "bad reference: status -3");
    check(segs[1].status == GNTST_bad_domain, "unknown domain: status -2");
    check(segs[2].status < 0 && g->ro_page[0] == 0, "writing a read-only grant: negative status");
    check(!segs[3].status && buf[2][0] == 'r', "a good segment after bad ones is done");

    segs[0] = copy_from(self, g->rw[0], 4096 - 256, buf[0], 512);
    errno = 0;
    check(xengnttab_grant_copy(g->map, 1, segs) < 0 && errno == EINVAL,
          "a segment across the end of a granted page: EINVAL for the call");
    segs[0].flags = 0;
    errno = 0;
    check(xengnttab_grant_copy(g->map, 1, segs) < 0 && errno == EINVAL,
          "a segment without a grant: EINVAL for the call");
}

static void test_revoked(struct grants *g)
{
    char buf[512];
    uint32_t ref = g->ro[0];
    xengnttab_grant_copy_segment_t seg = copy_from(self, ref, 0, buf, sizeof(buf));

    xengntshr_unshare(g->share, g->ro_page, 1);
    g->ro_page = NULL;
    check(!xengnttab_grant_copy(g->map, 1, &seg) && seg.status < 0,
          "copy from a grant taken back: negative status");
}

void test_grants(void)
{
    struct grants g;
    bool opened = open_grants(&g);

    check(opened, "sharing pages with this domain itself");
    if (opened) {
        test_mapping(&g);
        test_copy(&g);
        test_revoked(&g);
    }
    close_grants(&g);
}
