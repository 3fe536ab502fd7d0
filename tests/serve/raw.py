#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A raw NBD client that may also break every rule: raw.py SOCKET CASE.  Exit status 0: as expected.

The exports are xvda (the first) and xvdc, a blank one of at least 128 MiB.
"""
import os
import random
import select
import socket
import struct
import sys
import time

OPT = 0x49484156454F5054
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES = range(7)
EPERM, EIO, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP = 1, 5, 22, 28, 75, 95
MIB = 1 << 20


class Conn:
    def __init__(self, path, export="xvdc", structured=False, go=True, flags=3, timeout=20):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(timeout)
        self.s.connect(path)
        self.structured = structured
        self.cookie = 0
        if export is None:
            return
        self.greet(flags)
        if structured:
            assert self.option(8) == [(1, b"")]
        name = export.encode()
        if go:
            replies = self.option(7, struct.pack(">I", len(name)) + name + b"\0\0")
            assert replies[-1] == (1, b""), replies
            info = [d for t, d in replies if t == 3 and d[:2] == b"\0\0"][0]
            self.size, self.flags = struct.unpack(">QH", info[2:])
        else:
            self.s.sendall(struct.pack(">QII", OPT, 1, len(name)) + name)
            self.size, self.flags = struct.unpack(">QH", self.take(10))
            if not flags & 2:
                assert self.take(124) == bytes(124)

    def greet(self, flags=3):
        assert self.take(18) == b"NBDMAGICIHAVEOPT\0\3"
        self.s.sendall(struct.pack(">I", flags))

    def take(self, n):
        got = bytearray()
        while len(got) < n:
            some = self.s.recv(n - len(got))
            if not some:
                raise EOFError
            got += some
        return bytes(got)

    def option(self, opt, data=b"", length=None):
        length = len(data) if length is None else length
        self.s.sendall(struct.pack(">QII", OPT, opt, length) + data)
        replies = []
        while True:
            magic, o, t, n = struct.unpack(">QIII", self.take(20))
            assert magic == 0x3E889045565A9 and o == opt, (magic, o)
            replies.append((t, self.take(n)))
            if t not in (2, 3):
                return replies

    def send(self, command, offset, length, data=b"", flags=0):
        self.cookie += 1
        self.s.sendall(
            struct.pack(">IHHQQI", 0x25609513, flags, command, self.cookie, offset, length) + data)
        return self.cookie

    def simple(self):
        magic, error, cookie = struct.unpack(">IIQ", self.take(16))
        assert magic == 0x67446698, hex(magic)
        return error, cookie

    def call(self, command, offset, length, data=b"", flags=0):
        """-> error, data"""
        cookie = self.send(command, offset, length, data, flags)
        if self.structured and command == READ:
            return self.chunks(cookie, offset, length)
        error, back = self.simple()
        assert back == cookie
        return error, self.take(length) if command == READ and not error else b""

    def chunks(self, cookie, offset, length):
        got, error, have = bytearray(length), 0, 0
        while True:
            magic, flags, kind, back, n = struct.unpack(">IHHQI", self.take(20))
            assert magic == 0x668E33EF and back == cookie, (hex(magic), back)
            body = self.take(n)
            if kind == 1:
                at = struct.unpack(">Q", body[:8])[0] - offset
                got[at:at + n - 8] = body[8:]
                have += n - 8
            else:
                assert kind == 0x8001, kind
                error = struct.unpack(">I", body[:4])[0]
            if flags & 1:
                assert error or have == length
                return error, bytes(got)

    def gone(self):
        """The server hangs up."""
        try:
            while self.s.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True


def fine(path):
    """Another connection is served as if nothing were."""
    c = Conn(path)
    data = os.urandom(4096)
    assert c.call(WRITE, 4096, 4096, data) == (0, b"")
    assert c.call(READ, 4096, 4096) == (0, data)
    c.send(DISC, 0, 0)
    assert c.gone()


def case_agree(path):
    a, b = Conn(path), Conn(path, structured=True)
    for i in range(200):
        data = os.urandom(512 * random.randint(1, 40))
        at = 512 * random.randint(0, 4000)
        one, other = (a, b) if i % 2 else (b, a)
        assert one.call(WRITE, at, len(data), data)[0] == 0
        assert other.call(READ, at, len(data)) == (0, data)
    # Two halves of a block, written at the same time from both sides, are both kept.
    for i in range(200):
        x, y = os.urandom(2048), os.urandom(2048)
        ca = a.send(WRITE, 8 * MIB, 2048, x)
        cb = b.send(WRITE, 8 * MIB + 2048, 2048, y)
        assert a.simple() == (0, ca) and b.simple() == (0, cb)
        assert a.call(READ, 8 * MIB, 4096) == (0, x + y)


def large(c):
    data = os.urandom(32 * MIB)
    assert c.call(WRITE, 512, len(data), data) == (0, b"")
    assert c.call(READ, 512, len(data)) == (0, data)
    # A short read behind a long one, both at once.
    for first, second in ((5 * MIB, 4096), (1536, 9 * MIB + 512), (3 * MIB, 3 * MIB)):
        one, two = c.send(READ, 512, first), c.send(READ, 1024, second)
        wanted = {one: data[:first], two: data[512:512 + second]}
        while wanted and not c.structured:
            error, cookie = c.simple()
            assert error == 0
            assert c.take(len(wanted[cookie])) == wanted.pop(cookie)
        while wanted:
            # Chunks of both may come mixed.
            _, flags, kind, cookie, n = struct.unpack(">IHHQI", c.take(20))
            assert kind == 1
            body = c.take(n)
            at = struct.unpack(">Q", body[:8])[0] - 512
            assert body[8:] == data[at:at + n - 8]
            if flags & 1:
                wanted.pop(cookie)
    assert c.call(ZEROES, 1024, 31 * MIB) == (0, b"")
    assert c.call(READ, 512, 32 * MIB) == (0, data[:512] + bytes(31 * MIB) + data[31 * MIB + 512:])
    assert c.call(WRITE, 0, 4 * MIB, data[:4 * MIB]) == (0, b"")
    assert c.call(ZEROES, 512, 2 * MIB, flags=2) == (0, b"")
    expected = data[:512] + bytes(2 * MIB) + data[2 * MIB + 512:4 * MIB]
    assert c.call(READ, 0, 4 * MIB) == (0, expected)


def case_simple(path):
    large(Conn(path, go=False, flags=1))


def case_structured(path):
    c = Conn(path, structured=True)
    large(c)
    assert c.call(READ, 512, 65536, flags=4)[0] == 0
    assert c.call(READ, 0, 65536 + 512, flags=4)[0] == EOVERFLOW


def case_pipeline(path):
    """Many requests at once, answered in any order."""
    for structured in (False, True):
        c = Conn(path, structured=structured)
        c.s.sendall(b"".join(struct.pack(">IHHQQI", 0x25609513, 0, FLUSH, i, 0, 0)
                             for i in range(3000)))
        assert sorted(c.simple() for i in range(3000)) == [(0, i) for i in range(3000)]
        c.s.sendall(b"".join(struct.pack(">IHHQQI", 0x25609513, 0, TRIM, i, 4096 * i, 4096)
                             for i in range(3000)))
        assert sorted(c.simple() for i in range(3000)) == [(0, i) for i in range(3000)]
        data = [os.urandom(4096) for _ in range(150)]
        wanted = {c.send(WRITE, i * 4096, 4096, d) for i, d in enumerate(data)}
        while wanted:
            error, cookie = c.simple()
            assert error == 0
            wanted.remove(cookie)
        reads = {c.send(READ, i * 4096, 4096): d for i, d in enumerate(data)}
        while reads:
            if structured:
                _, flags, kind, cookie, n = struct.unpack(">IHHQI", c.take(20))
                assert (flags, kind, n) == (1, 1, 4104)
                c.take(8)
            else:
                error, cookie = c.simple()
                assert error == 0
            assert c.take(4096) == reads.pop(cookie)


def case_errors(path):
    for structured in (False, True):
        c = Conn(path, structured=structured)
        keep = os.urandom(8192)
        assert c.call(WRITE, 0, 8192, keep)[0] == 0
        end = c.size
        for command, offset, length, flags, error in (
                (READ, 1, 512, 0, EINVAL), (READ, 0, 513, 0, EINVAL), (READ, 0, 0, 0, EINVAL),
                (READ, end, 512, 0, EINVAL), (READ, end - 512, 1024, 0, EINVAL),
                (READ, 2**64 - 512, 1024, 0, EINVAL), (READ, 0, 33 * MIB, 0, EINVAL),
                (READ, 0, 512, 0x8000, EINVAL), (WRITE, 100, 512, 0, EINVAL),
                (WRITE, 0, 100, 0, EINVAL), (WRITE, end, 512, 0, ENOSPC),
                (WRITE, end - 512, 4096, 1, ENOSPC), (WRITE, 2**64 - 512, 512, 0, ENOSPC),
                (WRITE, 0, 33 * MIB, 0, EINVAL), (WRITE, 0, 512, 2, EINVAL),
                (TRIM, end, 4096, 0, EINVAL), (TRIM, 7, 4096, 0, EINVAL),
                (ZEROES, end, 512, 0, ENOSPC),
                (ZEROES, 0, 4096, 2 | 16, ENOTSUP), (ZEROES, 0, 512, 64, EINVAL),
                (CACHE, 0, 512, 0, EINVAL), (99, 0, 0, 0, EINVAL), (FLUSH, 0, 512, 0, EINVAL)):
            data = bytes(length) if command == WRITE else b""
            got = c.call(command, offset, length, data, flags)[0]
            assert got == error, (structured, command, offset, length, flags, got, error)
        assert c.call(FLUSH, 0, 0) == (0, b"")
        assert c.call(READ, 0, 8192, flags=1) == (0, keep)
        assert c.call(ZEROES, 0, 4096, flags=16) == (0, b"")
        assert c.call(READ, 0, 8192) == (0, bytes(4096) + keep[4096:])


def case_options(path):
    c = Conn(path, None)
    c.greet()
    unsup, invalid, unknown, big = 0x80000001, 0x80000003, 0x80000006, 0x80000009
    assert c.option(5)[0][0] == unsup
    assert c.option(10, bytes(12))[0][0] == unsup
    assert c.option(77, bytes(2048))[0][0] == unsup
    assert c.option(77, bytes(60000))[0][0] == big
    assert [d[4:] for t, d in c.option(3) if t == 2][:2] == [b"xvda", b"xvdc"]
    assert c.option(3, b"x")[0][0] == invalid
    assert c.option(8, b"x")[0][0] == invalid
    assert c.option(7, b"\0\0\0\4nope\0\0")[0][0] == unknown
    assert c.option(6, b"\0\0\0\4xv")[0][0] == invalid
    assert c.option(7, b"\xff\xff\xff\xffxvda\0\0")[0][0] == invalid
    assert c.option(7, b"\0\0\0\4xvda\0\5\0\0")[0][0] == invalid
    assert c.option(7, b"")[0][0] == invalid
    replies = c.option(6, b"\0\0\0\0\0\1\0\3")
    assert (3, struct.pack(">HIII", 3, 512, 4096, MIB)) in replies and replies[-1] == (1, b"")
    # Several options in one packet.
    c.s.sendall(b"".join(struct.pack(">QII", OPT, 3, 0) for _ in range(50)))
    for _ in range(50):
        while struct.unpack(">QIII", (h := c.take(20)))[2] != 1:
            c.take(struct.unpack(">QIII", h)[3])
    assert c.option(2) == [(1, b"")]
    assert c.gone()
    # One that ends the negotiation, with requests right behind it.
    c = Conn(path, None)
    c.take(18)
    c.s.sendall(struct.pack(">I", 3) + struct.pack(">QII", OPT, 7, 10) + b"\0\0\0\4xvdc\0\0" +
                b"".join(struct.pack(">IHHQQI", 0x25609513, 0, READ, i, 0, 512)
                         for i in range(100)))
    for n in (32, 34, 20):
        c.take(n)
    for i in range(100):
        assert c.simple()[0] == 0
        c.take(512)


def case_garbage(path):
    rng = random.Random(7)
    for i in range(60):
        c = Conn(path, None if i % 2 else "xvdc")
        if i % 6 == 1:
            c.greet()
        try:
            c.s.sendall(rng.randbytes(rng.randint(1, 30000)))
        except (BrokenPipeError, ConnectionResetError):
            pass
        c.s.close()
    for bytes_ in (struct.pack(">I", 0xFFFFFFFF), struct.pack(">IQII", 3, OPT, 7, 0xFFFFFFFF),
                   struct.pack(">IQII", 3, OPT + 1, 7, 0),
                   struct.pack(">IQII", 3, OPT, 1, 4) + b"nope",
                   struct.pack(">IQII", 3, OPT, 1, 5000)):
        c = Conn(path, None)
        c.take(18)
        c.s.sendall(bytes_)
        assert c.gone()
    c = Conn(path)
    c.s.sendall(bytes(28))
    assert c.gone()
    for end in (10, 28, 28 + 1000):  # gone in the middle of a request
        c = Conn(path)
        c.s.sendall((struct.pack(">IHHQQI", 0x25609513, 0, WRITE, 1, 0, 65536) + bytes(2000))[:end])
        c.s.close()
    for _ in range(20):  # gone with requests in flight
        c = Conn(path)
        c.s.setblocking(False)
        try:
            for i in range(30):
                c.send(WRITE if i % 2 else READ, i * 65536, 65536, bytes(65536 * (i % 2)))
        except BlockingIOError:
            pass
        c.s.close()
    fine(path)


def case_greedy(path):
    """Clients that ask for much, read nothing or send half a payload, stall only themselves."""
    greedy = []
    for i in range(12):
        c = Conn(path)
        c.s.setblocking(False)
        try:
            for k in range(500):
                c.send(READ, 0, (MIB, 65536, 4096)[i % 3])
        except BlockingIOError:
            pass
        greedy.append(c)
    for i in range(2):
        c = Conn(path)
        c.send(WRITE, 0, MIB, bytes(1000))
        greedy.append(c)
    start = time.monotonic()
    for _ in range(4):
        fine_patiently(path)
    took = time.monotonic() - start
    print("others waited %.1f s" % took)
    assert took < 5


def conn_patiently(path):
    """The one before may not have gone yet: sixteen are served at a time."""
    end = time.monotonic() + 10
    while True:
        try:
            return Conn(path, timeout=30)
        except (EOFError, ConnectionResetError, BrokenPipeError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def fine_patiently(path):
    c = conn_patiently(path)
    data = os.urandom(65536)
    assert c.call(WRITE, 65536, 65536, data) == (0, b"")
    assert c.call(READ, 65536, 65536) == (0, data)


def case_many(path):
    """Sixteen are served, the seventeenth is turned away, and there is room again later."""
    conns = [Conn(path) for _ in range(16)]
    try:
        Conn(path)
        raise SystemExit("a seventeenth connection was served")
    except (EOFError, ConnectionResetError, BrokenPipeError):
        pass
    for c in conns:
        assert c.call(READ, 0, 512)[0] == 0
        c.s.close()
    time.sleep(0.3)
    fine(path)


def case_slow(path):
    """A client that does not negotiate is hung up on, one that has does not have to hurry."""
    c, d = Conn(path, None), Conn(path)
    c.take(18)
    start = time.monotonic()
    assert c.gone()
    took = time.monotonic() - start
    assert 8 < took < 15, took
    assert d.call(READ, 0, 512)[0] == 0
    assert not select.select([d.s], [], [], 0)[0]


if __name__ == "__main__":
    globals()["case_" + sys.argv[2]](sys.argv[1])
