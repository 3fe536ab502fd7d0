# SPDX-License-Identifier: GPL-2.0-or-later
"""
The daemon's file for one qube: DIRECTORY/NAME.conf, see blkback-ephem.conf(5).  It is there only
while a qube starts and runs whose pool is its own volatile volume.  Written as a whole or not at
all, before each start, since the device may have changed; removed when the qube has ended, and
before a start that needs none: names of disposables come back.

A file without our first line is somebody's decision: it is never changed.
"""

import os
import re
import stat

DIRECTORY = "/etc/blkback-ephem/domains"
MARK = "# Written by qubesd for one start of this qube, and removed after it: do not edit.\n"
DEVICE = re.compile(r"/dev/[A-Za-z0-9+_.@/-]{1,150}\Z")


class PoolError(Exception):
    """The pool cannot be as the qube's features say; the text says what to do."""


def _path(name):
    return os.path.join(DIRECTORY, f"{name}.conf")


def _is_ours(path):
    """None when there is no file, else whether it is ours and may be changed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PoolError(f"{path}: {error.strerror}: remove it") from error
    with os.fdopen(fd, encoding="utf-8", errors="replace") as file:
        return file.readline() == MARK


def remove(name):
    """Removes our file, if there is one; somebody's stays.  PoolError when it cannot be."""
    path = _path(name)
    try:
        if _is_ours(path):
            os.unlink(path)
    except OSError as error:
        raise PoolError(f"{path}: {error.strerror}: remove it") from error


def _check_device(device):
    if not DEVICE.match(device):
        raise PoolError(f"{device} cannot be a pool: not a device's path")
    try:
        mode = os.stat(device).st_mode
    except OSError as error:
        raise PoolError(f"{device} cannot be a pool: {error.strerror}") from error
    if not stat.S_ISBLK(mode):
        raise PoolError(
            f"{device} cannot be a pool: a file, not a block device: switch the qube's pool off, "
            f"so that the one of /etc/blkback-ephem/blkback-ephem.conf is used"
        )


def write(name, device):
    """Makes `device` the pool of the qube's next start; PoolError, and nothing is changed."""
    path, fresh = _path(name), os.path.join(DIRECTORY, f".{name}.conf.new")
    _check_device(device)
    if _is_ours(path) is False:
        raise PoolError(f"{path} is your own: remove it, or switch the qube's pool off")
    try:
        with open(fresh, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            # A quota of the defaults does not fit a device that is one qube's alone.
            file.write(f"{MARK}[pool]\npool=block:{device}\nquota=0\n")
        os.rename(fresh, path)
    except OSError as error:
        raise PoolError(f"{path}: {error.strerror}") from error
