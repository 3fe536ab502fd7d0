// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * convert: an xl configuration to its ephemeral twin.  Reads a file and writes another; asks nobody.
 */
#include "ephemctl.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "convert.h"
#include "stubdom_find.h"
#include "textfile.h"

#define CONVERT_SUFFIX ".ephemeral"

static const char convert_help[] =
    "usage: ephemctl convert FILE.cfg [-o OUT] [--backend stubdom:NAME] [--json]\n"
    "Writes the ephemeral twin of an xl configuration: every writable disk becomes a disk of\n"
    "blkback-ephemd over the same base, all else stays byte for byte.  CD drives and disks that\n"
    "are read-only stay as they are.  A disk that cannot be turned is an error with its line.\n"
    "Other settings that give the guest storage or devices of the host are warned of.\n"
    "\n"
    "  -o, --output OUT  where to, and what is there is replaced; '-' is the standard output;\n"
    "                    without it FILE" CONVERT_SUFFIX ".cfg, which must not be there yet\n"
    "  --backend stubdom:NAME  the disks are to be in that storage domain of 'ephemctl stubdom',\n"
    "                    which must have the base of each\n"
    "  --json            tell as JSON what was done\n"
    "  --help            this text\n";

static const char *const convert_words[] = {[XLDISK_TURN] = "ephemeral now",
                                            [XLDISK_READONLY] = "read-only, left as it is",
                                            [XLDISK_CDROM] = "a CD drive, left as it is",
                                            [XLDISK_OURS] = "ephemeral already"};
static const char *const convert_keys[] = {[XLDISK_TURN] = "converted",
                                           [XLDISK_READONLY] = "read-only",
                                           [XLDISK_CDROM] = "cdrom",
                                           [XLDISK_OURS] = "ephemeral"};

/* FILE[:LINE]: why, printable. */
static void convert_say(const char *file, unsigned int line, const char *why)
{
    char name[PATH_MAX], clean[XLCFG_WHY], place[16] = "";

    if (line)
        snprintf(place, sizeof(place), ":%u", line);
    fprintf(stderr, "ephemctl convert: %s%s: %s\n", ctl_clean(file, name, sizeof(name)), place,
            ctl_clean(why, clean, sizeof(clean)));
}

static int convert_failed(const char *file, unsigned int line, const char *why)
{
    convert_say(file, line, why);
    return EXIT_FAILURE;
}

#define CONVERT_AUTO "/etc/xen/auto/"
#define CONVERT_STARTED                                                                            \
    "is in " CONVERT_AUTO ", where xendomains starts every file at boot: see that it does not "    \
    "start the guest as it was, too"

/* The twin beside its original where xendomains starts all that there is. */
static bool convert_is_started(const char *out)
{
    char path[PATH_MAX];

    return realpath(out, path) && !strncmp(path, CONVERT_AUTO, sizeof(CONVERT_AUTO) - 1);
}

/* What the twin does not make ephemeral. */
static void convert_warn(const struct convert *twin, const char *file, const char *out)
{
    char words[XLCFG_WHY];

    for (size_t i = 0; i < twin->noted; i++) {
        snprintf(words, sizeof(words), "warning: %s %s", twin->notes[i].name, twin->notes[i].text);
        convert_say(file, twin->notes[i].line, words);
    }
    if (convert_is_started(out))
        convert_say(out, 0, "warning: " CONVERT_STARTED);
}

static json_t *convert_warnings(const struct convert *twin, const char *out)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < twin->noted; i++)
        json_array_append_new(rows, json_pack("{s:I, s:s, s:s}", "line",
                                              (json_int_t)twin->notes[i].line, "setting",
                                              twin->notes[i].name, "text", twin->notes[i].text));
    if (convert_is_started(out))
        json_array_append_new(
            rows, json_pack("{s:n, s:n, s:s}", "line", "setting", "text", CONVERT_STARTED));
    return rows;
}

static int convert_unread(const char *file, int err)
{
    return convert_failed(file, 0,
                          err == -EFBIG    ? "larger than 1M: this is no configuration"
                          : err == -EINVAL ? "not a file: name the configuration of a domain"
                                           : strerror(-err));
}

static void convert_tell(const struct convert *twin, const char *out)
{
    char clean[XLDISK_TEXT];

    for (size_t i = 0; i < twin->count; i++)
        printf("%-8s %s: %s\n", twin->disks[i].vdev, convert_words[twin->disks[i].verdict],
               ctl_clean(twin->disks[i].target, clean, sizeof(clean)));
    printf("%zu of %zu disks converted; written to %s\n", twin->turned, twin->count,
           ctl_clean(out, clean, sizeof(clean)));
}

static int convert_tell_json(const struct convert *twin, const char *out)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < twin->count; i++) {
        const struct convert_disk *disk = &twin->disks[i];

        json_array_append_new(rows, json_pack("{s:s, s:I, s:s, s:o}", "vdev", disk->vdev, "line",
                                              (json_int_t)disk->line, "result",
                                              convert_keys[disk->verdict], "target",
                                              ctl_text_json(disk->target)));
    }
    json_t *answer = json_pack("{s:o, s:I, s:o, s:o}", "file", ctl_text_json(out), "converted",
                               (json_int_t)twin->turned, "disks", rows, "warnings",
                               convert_warnings(twin, out));
    if (!answer || json_array_size(rows) != twin->count) {
        fputs("ephemctl convert: written, but no memory to tell about it\n", stderr);
        json_decref(answer);
        return EXIT_FAILURE;
    }
    ctl_print_json(answer);
    json_decref(answer);
    return EXIT_SUCCESS;
}

static int convert_write(const struct convert *twin, const struct textfile *from, const char *out,
                         bool named, bool json)
{
    struct stat st;

    if (named && !strcmp(out, "-")) {
        if (fwrite(twin->text, 1, twin->length, stdout) == twin->length && !fflush(stdout))
            return EXIT_SUCCESS;
        return convert_failed("standard output", 0, strerror(errno));
    }
    if (!stat(out, &st) && st.st_dev == from->dev && st.st_ino == from->ino)
        return convert_failed(out, 0, "is the file to be converted: name another with -o");
    if (!stat(out, &st) && !S_ISREG(st.st_mode))
        return convert_failed(out, 0, "is there, and not a file: name another with -o");
    int err = textfile_write(out, twin->text, twin->length, from->mode, !named);
    if (err)
        return convert_failed(out, 0,
                              err == -EEXIST ? "is there already: -o with its name replaces it"
                                             : strerror(-err));
    if (json)
        return convert_tell_json(twin, out);
    convert_tell(twin, out);
    return EXIT_SUCCESS;
}

/* "guest.cfg" -> "guest.ephemeral.cfg", "guest" -> "guest.ephemeral" */
static int convert_name(const char *file, char out[PATH_MAX])
{
    size_t length = strlen(file);
    bool cfg = length > 4 && !strcmp(file + length - 4, ".cfg");
    int room = snprintf(out, PATH_MAX, "%.*s" CONVERT_SUFFIX "%s", (int)(length - (cfg ? 4 : 0)),
                        file, cfg ? ".cfg" : "");

    return room < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int convert_file(const char *file, const char *out, bool json,
                        const struct convert_storage *storage)
{
    char name[PATH_MAX];
    struct textfile from;
    struct convert twin;
    bool named = out != NULL;
    int status = EXIT_FAILURE;

    if (!named && convert_name(file, name))
        return convert_failed(file, 0, "its name is too long");
    int err = textfile_read(file, &from);
    if (err)
        return convert_unread(file, err);
    err = convert_text(&twin, from.text, from.length, storage);
    if (err)
        convert_failed(file, twin.line, err == -ENOMEM ? strerror(ENOMEM) : twin.why);
    else
        status = convert_write(&twin, &from, named ? out : name, named, json);
    if (status == EXIT_SUCCESS)
        convert_warn(&twin, file, named ? out : name);
    convert_free(&twin);
    free(from.text);
    return status;
}

#define CONVERT_STUBDOM "stubdom:"

/* Into the storage domain that --backend names. */
static int convert_into(const char *file, const char *out, bool json, const char *backend)
{
    static struct stub_bases bases;
    struct convert_storage storage = {.base = stub_bases_find, .arg = &bases};
    char why[STUB_WHY];

    storage.domain = backend + strlen(CONVERT_STUBDOM);
    if (strncmp(backend, CONVERT_STUBDOM, strlen(CONVERT_STUBDOM)) ||
        !stub_is_name(storage.domain)) {
        fputs("ephemctl convert: --backend is stubdom:NAME, as 'ephemctl stubdom list' has it\n",
              stderr);
        return 2;
    }
    if (stub_bases_read(&bases, storage.domain, why))
        return convert_failed("--backend", 0, why);
    return convert_file(file, out, json, &storage);
}

int cmd_convert(int argc, char **argv)
{
    const char *file, *out = NULL, *backend = NULL;
    const struct ctl_value values[] = {
        {"output", 'o', &out}, {"backend", 0, &backend}, {NULL, 0, NULL}};
    bool json;
    int status = ctl_options_with(argc, argv, convert_help, 1, &file, &json, values);

    if (status >= 0)
        return status;
    if (!file || (json && out && !strcmp(out, "-"))) {
        fputs(file ? "ephemctl convert: --json and -o - both want the standard output\n"
                   : "ephemctl convert: which file?  Try 'ephemctl convert --help'.\n",
              stderr);
        return 2;
    }
    return backend ? convert_into(file, out, json, backend) : convert_file(file, out, json, NULL);
}
