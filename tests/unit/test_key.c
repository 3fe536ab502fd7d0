// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * key: every key is another, its halves differ, and its page is locked, not dumped, read-only and
 * empty in a child.
 */
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "key.h"

static void halves_differ(void)
{
    struct key *keys[8];

    for (int i = 0; i < 8; i++) {
        CU_ASSERT_EQUAL_FATAL(key_open(&keys[i]), 0);
        const uint8_t *bytes = key_bytes(keys[i]);
        CU_ASSERT_NOT_EQUAL(memcmp(bytes, bytes + 32, 32), 0);
        for (int j = 0; j < i; j++) {
            CU_ASSERT_NOT_EQUAL(memcmp(bytes, key_bytes(keys[j]), 32), 0);
            CU_ASSERT_NOT_EQUAL(memcmp(key_seal_bytes(keys[i]), key_seal_bytes(keys[j]), 32), 0);
        }
        CU_ASSERT_NOT_EQUAL(memcmp(key_seal_bytes(keys[i]), bytes, 32), 0);
        CU_ASSERT_NOT_EQUAL(memcmp(key_seal_bytes(keys[i]), bytes + 32, 32), 0);
    }
    for (int i = 0; i < 8; i++)
        key_close(keys[i]);
    key_close(NULL);
}

/* One line of the key's mapping in smaps, or its head line when `name` is "". */
static bool smaps(const void *at, const char *name, char line[512])
{
    unsigned long from, to, want = (unsigned long)at;
    bool inside = false, found = false;
    FILE *f = fopen("/proc/self/smaps", "re");

    while (f && !found && fgets(line, 512, f)) {
        bool head = sscanf(line, "%lx-%lx ", &from, &to) == 2;
        if (head)
            inside = from <= want && want < to;
        found = inside && (*name ? strncmp(line, name, strlen(name)) == 0 : head);
    }
    if (f)
        fclose(f);
    return found;
}

static void page(void)
{
    char line[512];
    struct key *key;

    CU_ASSERT_EQUAL_FATAL(key_open(&key), 0);
    CU_ASSERT_FATAL(smaps(key, "", line));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, " r--p "));
    CU_ASSERT_FATAL(smaps(key, "VmFlags:", line));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, " dd")); /* not dumped */
    CU_ASSERT_PTR_NOT_NULL(strstr(line, " wf")); /* wiped on fork */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CU_ASSERT_PTR_NOT_NULL(strstr(line, " lo")); /* sanitizers make mlock do nothing */
    CU_ASSERT_FATAL(smaps(key, "Locked:", line));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, " 4 kB"));
#endif
    key_close(key);
}

static void empty_in_a_child(void)
{
    struct key *key;
    int status = 0;

    CU_ASSERT_EQUAL_FATAL(key_open(&key), 0);
    pid_t child = fork();
    if (child == 0) {
        int seen = 0;
        for (unsigned int i = 0; i < KEY_BYTES; i++)
            seen |= key_bytes(key)[i] | key_seal_bytes(key)[i % KEY_SEAL_BYTES];
        _exit(seen ? 1 : 0);
    }
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    key_close(key);
}

int suite_key(void)
{
    static const struct unit_case cases[] = {
        {"halves differ", halves_differ},
        {"its page", page},
        {"empty in a child", empty_in_a_child},
    };

    return UNIT_SUITE("key", cases);
}
