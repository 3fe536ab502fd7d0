// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * key: every key is another, its halves differ, and its page is secret memory, read-only and not there
 * in a child; where there is no memory that can be locked, there is no key.
 */
#include "unit.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/crypto.h>
#include "key.h"
#include "secret.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

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

/* The kernel's file name for memfd_secret. */
static bool is_hidden(const char *head)
{
    return strstr(head, "/secretmem") != NULL;
}

static void page(void)
{
    char line[512];
    struct key *key;

    CU_ASSERT_EQUAL_FATAL(key_open(&key), 0);
    CU_ASSERT_FATAL(smaps(key, "", line));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, " r--s "));
    CU_ASSERT_EQUAL(is_hidden(line), secret_is_hidden());
    CU_ASSERT_FATAL(smaps(key, "VmFlags:", line));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, " dd")); /* not dumped */
    CU_ASSERT_PTR_NOT_NULL(strstr(line, " dc")); /* not there after a fork */
    if (secret_is_hidden() || !SANITIZED)        /* sanitizers make mlock do nothing */
        CU_ASSERT_PTR_NOT_NULL(strstr(line, " lo"));
    key_close(key);
}

/* In a child that may die of it: what `run` returns. */
static int in_a_child(int (*run)(void *arg), void *arg)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        _exit(run(arg));
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int is_mapped(void *at)
{
    unsigned char in[1];

    return mincore(at, 4096, in) == 0 ? 1 : errno == ENOMEM ? 0 : 2;
}

static void not_in_a_child(void)
{
    struct key *key;

    CU_ASSERT_EQUAL_FATAL(key_open(&key), 0);
    CU_ASSERT_EQUAL(in_a_child(is_mapped, key), 0);
    void *heap = OPENSSL_malloc(10);
    CU_ASSERT_EQUAL(in_a_child(is_mapped, (void *)((uintptr_t)heap & ~(uintptr_t)4095)), 0);
    OPENSSL_free(heap);
    CU_ASSERT_EQUAL(is_mapped(key), 1);
    key_close(key);
}

/* From now on as on a kernel that has no memfd_secret. */
static bool without_hidden(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    return filter && !seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), 447, 0) &&
           !seccomp_load(filter);
}

/* 0: the page is as it should be; else what is wrong. */
static int older_kernel(void *arg)
{
    char line[512];
    uint8_t at[KEY_BYTES], none[KEY_BYTES] = {0};
    unsigned long place;
    struct key *key;

    (void)arg;
    if (!without_hidden() || key_open(&key))
        return 1;
    if (!smaps(key, "", line) || is_hidden(line) || secret_is_hidden() || !strstr(line, " r--s "))
        return 2;
    if (sscanf(line, "%*s %*s %lx", &place) != 1 ||
        pread(secret_file(), at, sizeof(at), (off_t)place) != sizeof(at) ||
        memcmp(at, key_bytes(key), sizeof(at)) != 0)
        return 6;
    if (!smaps(key, "VmFlags:", line) || !strstr(line, " dd") || !strstr(line, " dc"))
        return 3;
    if (!SANITIZED && !strstr(line, " lo"))
        return 4;
    if (in_a_child(is_mapped, key) != 0)
        return 5;
    key_close(key);
    if (pread(secret_file(), at, sizeof(at), (off_t)place) != sizeof(at) ||
        memcmp(at, none, sizeof(at)) != 0)
        return 7;
    return 0;
}

static void on_an_older_kernel(void)
{
    CU_ASSERT_EQUAL(in_a_child(older_kernel, NULL), 0);
}

/* What key_open says where no memory can be locked, with memfd_secret and without. */
static int nothing_locked(void *arg)
{
    struct rlimit none = {0, 0};
    struct key *key;

    if (arg && !without_hidden())
        return 1;
    if (setrlimit(RLIMIT_MEMLOCK, &none) || (geteuid() == 0 && setresuid(65534, 65534, 65534)))
        return 2;
    switch (key_open(&key)) {
    case -ENOMEM:
    case -EPERM:
    case -EAGAIN:
        return 0;
    default:
        return 3;
    }
}

static void no_memory_to_lock(void)
{
    if (SANITIZED)
        return; /* mlock does nothing there */
    CU_ASSERT_EQUAL(in_a_child(nothing_locked, NULL), 0);
    CU_ASSERT_EQUAL(in_a_child(nothing_locked, ""), 0);
}

int suite_key(void)
{
    static const struct unit_case cases[] = {
        {"halves differ", halves_differ},         {"its page", page},
        {"not in a child", not_in_a_child},       {"on an older kernel", on_an_older_kernel},
        {"no memory to lock", no_memory_to_lock},
    };

    return UNIT_SUITE("key", cases);
}
