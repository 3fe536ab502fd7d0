// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * metrics: labels as the format wants them, whatever a guest is called; each family once and in one
 * piece; nothing for what nobody knows.  rates: differences, lives that began anew, the order.
 */
#include "metrics.h"
#include "latency.h"
#include "rates.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *printed;

static const char *escaped(const char *text)
{
    size_t size;
    free(printed);
    printed = NULL;
    FILE *to = open_memstream(&printed, &size);

    metrics_escape(to, text);
    fclose(to);
    return printed;
}

static void test_escape(void)
{
    CU_ASSERT_STRING_EQUAL(escaped(""), "");
    CU_ASSERT_STRING_EQUAL(escaped("sys-net"), "sys-net");
    CU_ASSERT_STRING_EQUAL(escaped("a\"b"), "a\\\"b");
    CU_ASSERT_STRING_EQUAL(escaped("a\\b"), "a\\\\b");
    CU_ASSERT_STRING_EQUAL(escaped("a\nb"), "a\\nb");
    CU_ASSERT_STRING_EQUAL(escaped("\033[1m\x7f\r\t"), "?[1m???");
    CU_ASSERT_STRING_EQUAL(escaped("\\\"\n"), "\\\\\\\"\\n");
    CU_ASSERT_STRING_EQUAL(escaped("b\xc3\xbc"), "b\xc3\xbc");
}

static const char status_two[] =
    "{\"daemon\":{\"version\":\"1\\\"2\",\"xenstore\":true,\"suspended\":[{}],"
    "\"pools\":[{\"spec\":\"block:/dev/x,shared\",\"bytes\":4096,\"free\":0}]},"
    "\"guests\":[{\"domid\":1,\"name\":\"a\\\"} "
    "9\\nx\",\"life\":\"7\",\"held\":3,\"pool_left\":null,"
    "\"volumes\":[{\"vdev\":\"xvda\",\"reads\":5,\"latency_ns\":1500000000,\"latency\":[2,0,3]},{"
    "\"vdev\":\"xvdb\",\"reads\":18446744073}]},"
    "{\"domid\":2,\"name\":\"b\",\"life\":\"8\",\"held\":0,\"pool_left\":10,\"volumes\":[]}]}";

static const char metrics_two[] =
    "# HELP blkback_ephem_daemon_info Always 1; the daemon's version.\n"
    "# TYPE blkback_ephem_daemon_info gauge\n"
    "blkback_ephem_daemon_info{version=\"1\\\"2\"} 1\n"
    "# HELP blkback_ephem_xenstore_up Whether the daemon has a xenstore.\n"
    "# TYPE blkback_ephem_xenstore_up gauge\n"
    "blkback_ephem_xenstore_up 1\n"
    "# HELP blkback_ephem_guests Domains with volumes of ours.\n"
    "# TYPE blkback_ephem_guests gauge\n"
    "blkback_ephem_guests 2\n"
    "# HELP blkback_ephem_suspended_guests Guests that may not start until 'ephemctl forget'.\n"
    "# TYPE blkback_ephem_suspended_guests gauge\n"
    "blkback_ephem_suspended_guests 1\n"
    "# HELP blkback_ephem_guest_pool_left_bytes What the pool can still give to the guest.\n"
    "# TYPE blkback_ephem_guest_pool_left_bytes gauge\n"
    "blkback_ephem_guest_pool_left_bytes{domid=\"2\",name=\"b\",life=\"8\"} 10\n"
    "# HELP blkback_ephem_guest_held_writes Writes that wait for space in the pool.\n"
    "# TYPE blkback_ephem_guest_held_writes gauge\n"
    "blkback_ephem_guest_held_writes{domid=\"1\",name=\"a\\\"} 9\\nx\",life=\"7\"} 3\n"
    "blkback_ephem_guest_held_writes{domid=\"2\",name=\"b\",life=\"8\"} 0\n"
    "# HELP blkback_ephem_volume_read_requests_total Reads answered.\n"
    "# TYPE blkback_ephem_volume_read_requests_total counter\n"
    "blkback_ephem_volume_read_requests_total"
    "{domid=\"1\",name=\"a\\\"} 9\\nx\",life=\"7\",vdev=\"xvda\"} 5\n"
    "blkback_ephem_volume_read_requests_total"
    "{domid=\"1\",name=\"a\\\"} 9\\nx\",life=\"7\",vdev=\"xvdb\"} 18446744073\n"
    "# HELP blkback_ephem_volume_latency_seconds How long reads and writes took in the worker.\n"
    "# TYPE blkback_ephem_volume_latency_seconds histogram\n"
    "blkback_ephem_volume_latency_seconds_bucket"
    "{domid=\"1\",name=\"a\\\"} 9\\nx\",life=\"7\",vdev=\"xvda\",le=\"0.000004096\"} 2\n"
    "blkback_ephem_volume_latency_seconds_bucket"
    "{domid=\"1\",name=\"a\\\"} 9\\nx\",life=\"7\",vdev=\"xvda\",le=\"0.000008192\"} 2\n"
    "blkback_ephem_volume_latency_seconds_bucket"
    "{domid=\"1\",name=\"a\\\"} 9\\nx\",life=\"7\",vdev=\"xvda\",le=\"+Inf\"} 5\n"
    "blkback_ephem_volume_latency_seconds_sum"
    "{domid=\"1\",name=\"a\\\"} 9\\nx\",life=\"7\",vdev=\"xvda\"} 1.500000000\n"
    "blkback_ephem_volume_latency_seconds_count"
    "{domid=\"1\",name=\"a\\\"} 9\\nx\",life=\"7\",vdev=\"xvda\"} 5\n"
    "# HELP blkback_ephem_pool_size_bytes Size of a device that is a pool.\n"
    "# TYPE blkback_ephem_pool_size_bytes gauge\n"
    "blkback_ephem_pool_size_bytes{pool=\"block:/dev/x,shared\"} 4096\n"
    "# HELP blkback_ephem_pool_free_bytes What nobody has of it.\n"
    "# TYPE blkback_ephem_pool_free_bytes gauge\n"
    "blkback_ephem_pool_free_bytes{pool=\"block:/dev/x,shared\"} 0\n";

static void test_text(void)
{
    json_t *status = json_loads(status_two, 0, NULL);
    size_t size;

    free(printed);
    printed = NULL;
    FILE *to = open_memstream(&printed, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(status);
    metrics_print(to, status);
    fclose(to);
    CU_ASSERT_STRING_EQUAL(printed, metrics_two);
    if (strcmp(printed, metrics_two))
        printf("\n%s", printed);
    json_decref(status);
}

static const char rates_before[] =
    "{\"guests\":[{\"domid\":1,\"life\":\"1\",\"resident\":1,\"throttled\":4,\"volumes\":["
    "{\"devid\":1,\"bytes_read\":1000,\"bytes_written\":50,\"reads\":3,\"writes\":1,"
    "\"latency_ns\":1000,\"latency\":[100,7,0,0]}]},"
    "{\"domid\":2,\"life\":\"2\",\"resident\":1,\"volumes\":[{\"devid\":1,\"bytes_read\":9000}]},"
    "{\"domid\":3,\"life\":\"3\",\"resident\":1,\"volumes\":[{\"devid\":1,\"bytes_read\":7000}]}]}";

static const char rates_now[] =
    "{\"guests\":[{\"domid\":1,\"name\":\"one\",\"life\":\"1\",\"resident\":8,\"throttled\":6,"
    "\"held\":0,\"pool_bytes\":4,\"pool_left\":2,\"volumes\":["
    "{\"devid\":1,\"bytes_read\":3000,\"bytes_written\":54,\"reads\":5,\"writes\":4,\"flushes\":1,"
    "\"latency_ns\":2501000,\"latency\":[300,7,47,3]},"
    "{\"devid\":2,\"bytes_read\":77777}]},"
    "{\"domid\":2,\"life\":\"9\",\"resident\":1,\"volumes\":[{\"devid\":1,\"bytes_read\":99000}]},"
    "{\"domid\":3,\"life\":\"3\",\"resident\":1,\"held\":1,\"volumes\":"
    "[{\"devid\":1,\"bytes_read\":60}]},"
    "{\"domid\":4,\"life\":\"1\",\"stubdom_of\":1,\"volumes\":[]}]}";

static json_int_t of(const json_t *rows, size_t at, const char *key)
{
    const json_t *value = json_object_get(json_array_get(rows, at), key);

    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static void test_rates(void)
{
    json_t *before = json_loads(rates_before, 0, NULL), *now = json_loads(rates_now, 0, NULL);
    json_t *rows = rates_between(before, now, 2.0);

    /* Held first, then the busy; the stub domain is its guest's. */
    CU_ASSERT_EQUAL_FATAL(json_array_size(rows), 3);
    CU_ASSERT_EQUAL(of(rows, 0, "domid"), 3);
    CU_ASSERT_EQUAL(of(rows, 1, "domid"), 1);
    CU_ASSERT_EQUAL(of(rows, 2, "domid"), 2);
    CU_ASSERT_EQUAL(of(rows, 1, "read_bytes"), 1000);
    CU_ASSERT_EQUAL(of(rows, 1, "write_bytes"), 2);
    CU_ASSERT_EQUAL(of(rows, 1, "requests"), 3);
    CU_ASSERT_EQUAL(of(rows, 1, "throttled"), 1);
    /* 250 requests in 2500 us, of which 3, more than one of 100, took more than 16384 ns. */
    CU_ASSERT_EQUAL(of(rows, 1, "latency"), 10);
    CU_ASSERT_EQUAL(of(rows, 1, "latency_99"), 33);
    CU_ASSERT_EQUAL(of(rows, 0, "latency"), 0);
    CU_ASSERT_EQUAL(of(rows, 0, "latency_99"), 0);
    CU_ASSERT_EQUAL(of(rows, 2, "latency"), -1);
    CU_ASSERT_EQUAL(of(rows, 1, "ram"), 8);
    CU_ASSERT_EQUAL(of(rows, 1, "pool"), 4);
    CU_ASSERT_EQUAL(of(rows, 1, "left"), 2);
    /* Went back: from 0.  Another life: nothing is known yet. */
    CU_ASSERT_EQUAL(of(rows, 0, "read_bytes"), 30);
    CU_ASSERT_EQUAL(of(rows, 0, "left"), -1);
    CU_ASSERT_EQUAL(of(rows, 2, "read_bytes"), -1);
    json_decref(rows);
    rows = rates_between(NULL, now, 0);
    CU_ASSERT_EQUAL(json_array_size(rows), 3);
    CU_ASSERT_EQUAL(of(rows, 1, "read_bytes"), -1);
    json_decref(rows);
    json_decref(before);
    json_decref(now);
}

static int clean(void)
{
    free(printed);
    return 0;
}

/* What took longer than the last class but one is told of no limit that it kept. */
static void test_slowest(void)
{
    static const char was[] = "{\"guests\":[{\"domid\":1,\"life\":\"1\",\"resident\":1,\"volumes\":"
                              "[{\"devid\":1,\"latency\":[]}]}]}";
    char now[1200] = "{\"guests\":[{\"domid\":1,\"life\":\"1\",\"resident\":1,\"volumes\":[{"
                     "\"devid\":1,\"latency_ns\":600000000000,\"latency\":[";

    for (uint32_t i = 0; i < LATENCY_CLASSES; i++)
        snprintf(now + strlen(now), sizeof(now) - strlen(now), "%s%d", i ? "," : "",
                 i == LATENCY_CLASSES - 1);
    strcat(now, "]}]}]}");
    json_t *before = json_loads(was, 0, NULL), *after = json_loads(now, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(before);
    CU_ASSERT_PTR_NOT_NULL_FATAL(after);
    json_t *rows = rates_between(before, after, 1.0);
    const json_t *row = json_array_get(rows, 0);
    CU_ASSERT_EQUAL(of(rows, 0, "latency"), 600000000);
    CU_ASSERT(json_is_null(json_object_get(row, "latency_99")));
    json_decref(rows);
    json_decref(before);
    json_decref(after);
}

int suite_metrics(void)
{
    CU_pSuite suite = CU_add_suite("metrics", NULL, clean);

    if (!suite || !CU_add_test(suite, "labels are escaped", test_escape) ||
        !CU_add_test(suite, "the text, byte for byte", test_text) ||
        !CU_add_test(suite, "rates are differences", test_rates) ||
        !CU_add_test(suite, "the slowest", test_slowest))
        return -1;
    return 0;
}
