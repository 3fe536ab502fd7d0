// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main: runs all suites, or the ones named.  The last line is "N passed, N failed" (tests).
 */
#include "suites.h"
#include "unit.h"

#include <CUnit/Basic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "log.h"
#include "secret.h"

static const struct {
    const char *name;
    int (*add)(void);
} suites[] = {
#define UNIT_ROW(name) {#name, suite_##name},
    UNIT_SUITES(UNIT_ROW)
#undef UNIT_ROW
};

static int run_named(const char *name)
{
    CU_pSuite suite = CU_get_suite(name);

    if (!suite) {
        fprintf(stderr, "no suite %s\n", name);
        return 2;
    }
    CU_basic_run_suite(suite);
    return 0;
}

/* UNIT_PART=K/N: the K-th of N parts, from 0, so that several can run side by side; else all. */
static bool is_of_part(size_t suite)
{
    const char *part = getenv("UNIT_PART");
    unsigned int k = 0, n = 1;

    return !part || (sscanf(part, "%u/%u", &k, &n) == 2 && n && suite % n == k);
}

int main(int argc, char **argv)
{
    unsigned int failed = 0, passed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    secret_enter();
    log_open("unit", LOG_LEVEL_WARN);
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        if (suites[i].add && is_of_part(i) && suites[i].add()) {
            fprintf(stderr, "suite %s cannot be registered: %s\n", suites[i].name,
                    CU_get_error_msg());
            return 2;
        }
    }
    CU_basic_set_mode(CU_BRM_NORMAL);
    if (argc == 1) {
        CU_basic_run_tests();
        failed = CU_get_number_of_tests_failed();
        passed = CU_get_number_of_tests_run() - failed;
    }
    for (int i = 1; i < argc; i++) {
        if (run_named(argv[i]))
            return 2;
        failed += CU_get_number_of_tests_failed();
        passed += CU_get_number_of_tests_run() - CU_get_number_of_tests_failed();
    }
    CU_cleanup_registry();
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
