// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * util: strict parsers.  Everything a guest or an operator writes goes through these, so they
 * accept decimal digits, nothing before and nothing after.
 */
#include "util.h"

#include <errno.h>
#include <string.h>

int parse_u64(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    size_t i;

    for (i = 0; text[i] >= '0' && text[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');

        if (i >= 20 || value > (UINT64_MAX - digit) / 10)
            return -ERANGE;
        value = value * 10 + digit;
    }
    if (i == 0 || text[i])
        return -EINVAL;
    if (value > max)
        return -ERANGE;
    *out = value;
    return 0;
}

int parse_size(const char *text, uint64_t *out)
{
    static const char units[] = "KMGT";
    char digits[24];
    size_t len = strlen(text);
    unsigned int shift = 0;
    uint64_t value;

    if (!len || len >= sizeof(digits))
        return -EINVAL;
    memcpy(digits, text, len + 1);
    const char *unit = strchr(units, digits[len - 1]);
    if (unit) {
        shift = (unsigned int)(unit - units + 1) * 10;
        digits[len - 1] = '\0';
    }
    if (parse_u64(digits, UINT64_MAX >> shift, &value))
        return -EINVAL;
    *out = value << shift;
    return 0;
}

int copy_string(char *dst, size_t size, const char *src)
{
    size_t len = strlen(src);

    if (len >= size) {
        dst[0] = '\0';
        return -ENAMETOOLONG;
    }
    memcpy(dst, src, len + 1);
    return 0;
}

void unescape_octal(char *text)
{
    char *out = text;

    for (; *text; text++) {
        if (text[0] == '\\' && strspn(text + 1, "01234567") >= 3) {
            *out++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
            text += 3;
        } else {
            *out++ = *text;
        }
    }
    *out = '\0';
}
