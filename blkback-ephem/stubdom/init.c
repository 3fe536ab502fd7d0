// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * init: process 1 of a storage domain, and everything in it that is not our daemon and workers.  It mounts
 * what they need, loads the modules that are in the image, takes devices by the parts that dom0 gave them on the
 * command line (words.h), starts the daemon and waits for its end.
 *
 * It fails closed: whatever is not as it should be is one line on the console, and then process 1 exits, which the kernel
 * takes for a crash and Xen tells the toolstack.  So does the end of the daemon that nobody asked for: guests' disks are
 * dead then, and their keys go with this domain's memory, which Xen scrubs.  SIGTERM, which /sbin/poweroff sends when the
 * toolstack asks for a shutdown (the same program under that name), ends all and powers off.
 *
 * There is deliberately no shell, no network, no login, no file of dom0's choosing but block devices, no restart of a daemon
 * whose end is not understood, and no clock beyond Xen's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "words.h"

#define INIT_MODULES "/lib/modules"
#define INIT_BASES   "/bases"
#define INIT_CONFIG  "/etc/blkback-ephem"
#define INIT_DAEMON  "/bin/blkback-ephemd"
#define INIT_WORKER  "/bin/blkback-ephem"
#define INIT_DEVICES 60 /* s until a device must be there */

__attribute__((format(printf, 1, 2))) static void init_say(const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    dprintf(STDERR_FILENO, "storage domain: %s\n", text);
}

/* Does not return: see above. */
__attribute__((format(printf, 1, 2), noreturn)) static void init_fail(const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    init_say("%s: it ends here, and whatever it has served", text);
    _exit(EXIT_FAILURE);
}

static void init_mount(const char *what, const char *where, unsigned long flags, const char *data)
{
    if (mkdir(where, 0755) && errno != EEXIST)
        init_fail("%s: %s", where, strerror(errno));
    if (mount(what, where, what, flags | MS_NOSUID, data) && errno != EBUSY)
        init_fail("%s cannot be mounted: %s", where, strerror(errno));
}

static void init_mounts(void)
{
    static const char *const folders[] = {"/etc",      INIT_CONFIG, INIT_BASES,
                                          "/var",      "/var/lib",  "/var/lib/blkback-ephem",
                                          "/run/ephem"};

    init_mount("devtmpfs", "/dev", MS_NOEXEC, "mode=0755");
    init_mount("proc", "/proc", MS_NODEV | MS_NOEXEC, NULL);
    init_mount("sysfs", "/sys", MS_NODEV | MS_NOEXEC, NULL);
    init_mount("tmpfs", "/run", MS_NODEV | MS_NOEXEC, "mode=0755,size=1m");
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
        if (mkdir(folders[i], 0700) && errno != EEXIST)
            init_fail("%s: %s", folders[i], strerror(errno));
}

/* All that are in the image, in the order of their names, which is that of their needs. */
static void init_modules(void)
{
    struct dirent **names;
    char path[320];

    int count = scandir(INIT_MODULES, &names, NULL, alphasort);
    if (count < 0)
        init_fail(INIT_MODULES ": %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), INIT_MODULES "/%.255s", names[i]->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
            init_fail("%s: %s", path, strerror(errno));
        close(fd);
        free(names[i]);
    }
    free(names);
}

static void init_words(struct words *words)
{
    char line[WORDS_LINE + 1], text[WORDS_TEXT];
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, line, WORDS_LINE);

    if (got < 0)
        init_fail("/proc/cmdline: %s", strerror(errno));
    close(fd);
    line[got] = '\0';
    if (words_parse(line, words, text))
        init_fail("the kernel's command line: %s", text);
}

/* Milliseconds on a clock that nobody sets. */
static long init_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until the kernel has made the device's node. */
static void init_await(int watch, const char *path)
{
    const long end = init_now() + INIT_DEVICES * 1000L;
    struct pollfd wait = {.fd = watch, .events = POLLIN};
    char events[4096];
    struct stat st;

    while (stat(path, &st) || !S_ISBLK(st.st_mode)) {
        long left = end - init_now();

        if (left <= 0)
            init_fail("%s is not there after %d s: does the domain's configuration have that disk?",
                      path, INIT_DEVICES);
        if (poll(&wait, 1, (int)left) > 0 && read(watch, events, sizeof(events)) < 0)
            init_fail("/dev cannot be watched: %s", strerror(errno));
    }
}

/* What is there, and as writable as its part asks for. */
static void init_device(int watch, const char *device, bool writable)
{
    char path[32];
    int readonly = -1;

    snprintf(path, sizeof(path), "/dev/%s", device);
    init_await(watch, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, BLKROGET, &readonly))
        init_fail("%s: %s", path, strerror(errno));
    close(fd);
    if (writable && readonly)
        init_fail("%s is the pool, and read-only: give it access=rw", path);
    if (!writable && !readonly)
        init_fail("%s is a base, and writable: give it access=ro", path);
}

static void init_devices(const struct words *words)
{
    int watch = inotify_init1(IN_CLOEXEC);

    if (watch < 0 || inotify_add_watch(watch, "/dev", IN_CREATE | IN_ATTRIB) < 0)
        init_fail("/dev cannot be watched: %s", strerror(errno));
    init_device(watch, words->pool, true);
    for (size_t i = 0; i < words->base_count; i++) {
        const struct words_base *base = &words->bases[i];
        char path[32], name[sizeof(INIT_BASES) + WORDS_NAME + 1];

        init_device(watch, base->device, false);
        snprintf(path, sizeof(path), "/dev/%s", base->device);
        snprintf(name, sizeof(name), INIT_BASES "/%s", base->name);
        if (symlink(path, name))
            init_fail("%s: %s", name, strerror(errno));
    }
    close(watch);
}

static void init_config(const struct words *words)
{
    static const char path[] = INIT_CONFIG "/blkback-ephem.conf";
    FILE *file = fopen(path, "wxe");

    if (!file)
        init_fail("%s: %s", path, strerror(errno));
    fprintf(file, "[pool]\npool=block:/dev/%s%s%s\n", words->pool, words->shared ? ",shared" : "",
            words->force ? ",force" : "");
    for (size_t i = 0; i < words->option_count; i++) {
        const char *option = words->options[i];
        int section = (int)strcspn(option, ".");

        fprintf(file, "[%.*s]\n%s\n", section, option, option + section + 1);
    }
    if (fclose(file))
        init_fail("%s: %s", path, strerror(errno));
}

static pid_t init_daemon(void)
{
    static char *const argv[] = {INIT_DAEMON,    "--driver-domain", "--worker", INIT_WORKER,
                                 "--run-dir",    "/run/ephem",      "--cgroup", "off",
                                 "--config-dir", INIT_CONFIG,       NULL};
    static char *const environment[] = {"PATH=/bin", NULL};
    sigset_t none;
    pid_t pid = fork();

    if (pid < 0)
        init_fail("no process for the daemon: %s", strerror(errno));
    if (pid)
        return pid;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(INIT_DAEMON, argv, environment);
    init_say(INIT_DAEMON ": %s", strerror(errno));
    _exit(127);
}

/* Ends everything and powers off.  Workers get a moment to leave by themselves. */
__attribute__((noreturn)) static void init_shut(void)
{
    const long end = init_now() + 3000;

    init_say("asked to end: guests' disks are dead from here on, and their data gone");
    kill(-1, SIGTERM);
    while (init_now() < end && (waitpid(-1, NULL, WNOHANG) >= 0 || errno == EINTR))
        poll(NULL, 0, 20);
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        continue;
    reboot(RB_POWER_OFF);
    init_fail("it cannot be powered off: %s", strerror(errno));
}

/* Reaps whoever ends, until the daemon has. */
__attribute__((noreturn)) static void init_serve(void)
{
    sigset_t awaited;
    pid_t ended;
    int status;

    sigemptyset(&awaited);
    sigaddset(&awaited, SIGTERM);
    sigaddset(&awaited, SIGCHLD);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    const pid_t daemon = init_daemon();
    for (;;) {
        if (sigwaitinfo(&awaited, NULL) == SIGTERM)
            init_shut();
        while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
            if (ended == daemon && WIFSIGNALED(status))
                init_fail("its daemon was killed by signal %d", WTERMSIG(status));
            if (ended == daemon)
                init_fail("its daemon ended with status %d", WEXITSTATUS(status));
        }
    }
}

int main(int argc, char **argv)
{
    static struct words words;

    (void)argc;
    if (getpid() != 1) {
        const char *name = strrchr(argv[0], '/');

        return strcmp(name ? name + 1 : argv[0], "poweroff") || kill(1, SIGTERM) ? EXIT_FAILURE
                                                                                 : EXIT_SUCCESS;
    }
    umask(0077);
    init_mounts();
    init_modules();
    init_words(&words);
    init_config(&words);
    init_devices(&words);
    init_serve();
}
