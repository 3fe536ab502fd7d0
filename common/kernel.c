// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kernel: init_on_free is a word of the command line, of which the last counts, and one that the kernel
 * does not understand (kstrtobool) counts for nothing; else what CONFIG_INIT_ON_FREE_DEFAULT_ON was as it
 * was built.  Of that there may be a copy in /boot.  /proc/config.gz is not read: it would take zlib, and
 * who has it has the other as a rule.
 */
#include "kernel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define CMDLINE_BYTES 8192u /* the kernel's are 4096 at most */

/* 1 or 0; -EINVAL: the kernel does not understand it, either. */
static int kernel_bool(const char *word)
{
    if (*word && strchr("yYtT1", *word))
        return 1;
    if (*word && strchr("nNfF0", *word))
        return 0;
    if (*word != 'o' && *word != 'O')
        return -EINVAL;
    return strchr("nN", word[1]) && word[1] ? 1 : strchr("fF", word[1]) && word[1] ? 0 : -EINVAL;
}

/* The next word, ended by a NUL, or NULL; blanks within double quotes are its own. */
static char *kernel_word(char **at)
{
    bool quoted = false;
    char *begin = *at + strspn(*at, " \t\n"), *end = begin;

    if (!*begin)
        return NULL;
    for (; *end && (quoted || !strchr(" \t\n", *end)); end++)
        quoted ^= *end == '"';
    *at = *end ? end + 1 : end;
    *end = '\0';
    return *begin == '"' ? begin + 1 : begin;
}

/* As its command line says; -ENOENT: it does not. */
static int kernel_told(const char *path)
{
    static const char key[] = "init_on_free=";
    char text[CMDLINE_BYTES], *at = text, *word;
    int is = -ENOENT;
    FILE *file = fopen(path, "re");

    if (!file)
        return -errno == -ENOENT ? -EACCES : -errno;
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[length] = '\0';
    while ((word = kernel_word(&at)) && strcmp(word, "--") != 0) {
        int value = strncmp(word, key, sizeof(key) - 1) ? -EINVAL
                                                        : kernel_bool(word + sizeof(key) - 1);
        if (value >= 0)
            is = value;
    }
    return is;
}

/* As it was built. */
static int kernel_built(const char *path)
{
    char *line = NULL;
    size_t room = 0;
    int is = -ENOENT;
    FILE *file = fopen(path, "re");

    while (file && is < 0 && getline(&line, &room, file) > 0) {
        if (!strcmp(line, "CONFIG_INIT_ON_FREE_DEFAULT_ON=y\n"))
            is = 1;
        else if (!strcmp(line, "# CONFIG_INIT_ON_FREE_DEFAULT_ON is not set\n"))
            is = 0;
    }
    free(line);
    if (file)
        fclose(file);
    return is;
}

int kernel_zeroes_freed(const char *cmdline, const char *config)
{
    char path[128];
    struct utsname name;
    int is = kernel_told(cmdline);

    if (is != -ENOENT)
        return is;
    if (!config) {
        uname(&name);
        snprintf(path, sizeof(path), "/boot/config-%.100s", name.release);
        config = path;
    }
    return kernel_built(config);
}
