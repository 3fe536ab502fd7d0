#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many requests at a time on what a pool keeps, all of it compared: pools.py SOCKET CASE [N...].

The export is xvdc, a blank one.  A batch is sent whole before its replies are taken, and no two of
its requests touch the same place.
"""
import random
import sys

from raw import EIO, MIB, READ, TRIM, WRITE, Conn

BLOCK = 4096
random.seed(20)
NOISE = random.randbytes(MIB + 64 * BLOCK)


def contents(stamp, blocks):
    """What a write leaves: noise and text by turns, none like the one before."""
    if stamp % 3 == 0:
        return (b"%15d\n" % stamp) * (blocks * BLOCK // 16)
    at = stamp * 16 % MIB
    return NOISE[at:at + blocks * BLOCK]


def batch(conn, requests):
    """-> (error, data) of each request (command, block, blocks, data)."""
    order = {conn.send(c, b * BLOCK, n * BLOCK, d): i for i, (c, b, n, d) in enumerate(requests)}
    replies = [None] * len(requests)
    for _ in requests:
        error, cookie = conn.simple()
        i = order.pop(cookie)
        command, _, blocks, _ = requests[i]
        replies[i] = error, conn.take(blocks * BLOCK) if command == READ and not error else b""
    return replies


class Disk:
    """The export, and what should be on it."""

    def __init__(self, path, blocks):
        self.conn = Conn(path, timeout=60)
        self.want = [bytes(BLOCK)] * blocks
        self.stamp = 0

    def apart(self, count):
        """So many places for requests of 1 to 16 blocks."""
        places = random.sample(range(0, len(self.want), 16), count)
        return [(at + random.randrange(16), random.choice((1, 1, 16))) for at in places]

    def requests(self, count, commands):
        made = []
        for at, blocks in self.apart(count):
            at, blocks = (at, 1) if blocks == 1 else (at - at % 16, 16)
            command = random.choice(commands)
            self.stamp += 1
            made.append((command, at, blocks,
                         contents(self.stamp, blocks) if command == WRITE else b""))
        return made

    def do(self, requests):
        """Checks what was read and keeps what was written; -> the writes that failed."""
        failed = []
        for (command, at, blocks, data), (error, got) in zip(requests, batch(self.conn, requests)):
            if error:
                assert command == WRITE and error == EIO, (command, at, error)
                failed.append((command, at, blocks, data))
            elif command == READ:
                assert got == b"".join(self.want[at:at + blocks]), (at, blocks)
            else:
                for i in range(blocks):
                    self.want[at + i] = data[i * BLOCK:(i + 1) * BLOCK] or bytes(BLOCK)
        return failed

    def check(self):
        for at in range(0, len(self.want), 512):
            assert not self.do([(READ, b, 16, b"") for b in range(at, at + 512, 16)])


def case_mixed(path, mib, batches):
    """Writes, overwrites, trims and reads by 32."""
    disk = Disk(path, mib * 256)
    for _ in range(batches):
        assert not disk.do(disk.requests(32, (WRITE, WRITE, WRITE, READ, TRIM)))
    disk.check()


def case_bad(path, mib, places):
    """The storage has so many bad places of a block: each costs one request, once."""
    disk = Disk(path, mib * 256)
    found = []
    for at in range(0, len(disk.want), 32):
        # Failures come to the ones concerned: of 32 blocks beside each other.
        found += disk.do([(WRITE, b, 1, contents(b, 1)) for b in range(at, at + 32)])
    print(len(found), "writes failed:", [at for _, at, _, _ in found])
    assert len(found) == places
    disk.check()
    assert not disk.do(found)
    for _ in range(mib * 16):
        assert not disk.do(disk.requests(32, (WRITE, WRITE, WRITE, READ, TRIM)))
    disk.check()


globals()["case_" + sys.argv[2]](sys.argv[1], *map(int, sys.argv[3:]))
