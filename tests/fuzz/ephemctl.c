// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz/ephemctl: what ephemctl makes of any answer of a daemon: the production ephemctl.c, client.c and
 * cmd_*.c with the input as the daemon's line.  It ends with 0 or 1, and whatever the answer says,
 * nothing but printable lines reaches the terminal.
 */
#define main ephemctl_main
#include "../../dom0-tools/ephemctl.c"
#undef main

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fuzz.h"

/* Look at xenstore first, or ask nobody: not this target's. */
#define NOT_HERE(verb)                                                                             \
    int cmd_##verb(int argc, char **argv)                                                          \
    {                                                                                              \
        (void)argc, (void)argv;                                                                    \
        abort();                                                                                   \
    }
NOT_HERE(attach)
NOT_HERE(audit)
NOT_HERE(convert)
NOT_HERE(detach)
NOT_HERE(disable)
NOT_HERE(enable)
NOT_HERE(scan)
NOT_HERE(stubdom)

static const uint8_t *answer;
static size_t answer_bytes;

/* Instead of the daemon; the descriptor is a real one, for close(). */
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length);
ssize_t __wrap_send(int fd, const void *from, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *out, size_t n, int flags);

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    (void)fd, (void)address, (void)length;
    return 0;
}

ssize_t __wrap_send(int fd, const void *from, size_t n, int flags)
{
    (void)fd, (void)from, (void)flags;
    return (ssize_t)n;
}

ssize_t __wrap_recv(int fd, void *out, size_t n, int flags)
{
    size_t some = n < answer_bytes ? n : answer_bytes;

    (void)fd, (void)flags;
    memcpy(out, answer, some);
    answer += some;
    answer_bytes -= some;
    return (ssize_t)some;
}

/* DEL moves no cursor; jansson leaves it in keys, with --json. */
static void check_output(const char *text, size_t n, bool json)
{
    for (size_t i = 0; i < n; i++)
        FUZZ_CHECK(text[i] == '\n' || ((unsigned char)text[i] >= ' ' && (json || text[i] != 0x7f)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *commands[] = {"list", "status", "refresh", "pool", "metrics"};
    char *argv[] = {"ephemctl", "", NULL, NULL};
    char *out = NULL, *err = NULL;
    size_t out_bytes = 0, err_bytes = 0;
    FILE *was_out = stdout, *was_err = stderr;
    uint8_t which = size ? data[0] : 0;

    argv[1] = commands[which % 5];
    argv[2] = which & 0x40 ? "--json" : NULL;
    answer = size ? data + 1 : data;
    answer_bytes = size ? size - 1 : 0;
    fflush(stdout);
    stdout = open_memstream(&out, &out_bytes);
    stderr = open_memstream(&err, &err_bytes);
    optind = 0;
    int status = ephemctl_main(argv[2] ? 3 : 2, argv);
    fclose(stdout);
    fclose(stderr);
    stdout = was_out;
    stderr = was_err;
    FUZZ_CHECK(status == 0 || status == 1);
    FUZZ_CHECK(status ? !out_bytes : !err_bytes);
    check_output(out, out_bytes, which & 0x40);
    check_output(err, err_bytes, false);
    free(out);
    free(err);
    return 0;
}
