#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of a server that grants one request a second: rates.py SOCKET CASE."""
import sys
import time

from raw import DISC, READ, Conn


def throttle(path):
    """A connection with requests that wait: the server has read the first of them at least."""
    c = Conn(path)
    for _ in range(20):
        c.send(READ, 0, 4096)
    assert c.simple()[0] == 0
    c.take(4096)
    return c


def places(path, count):
    """So many connections, once the server has noticed that others are gone."""
    conns = []
    late = time.monotonic() + 5
    while len(conns) < count:
        try:
            conns.append(Conn(path))
        except (EOFError, OSError):
            assert time.monotonic() < late
            time.sleep(0.01)
    return conns


def case_goodbye(path):
    """Costs nothing, and is not kept waiting by other connections."""
    throttled = throttle(path)
    start = time.monotonic()
    for _ in range(8):
        c = Conn(path)
        c.send(DISC, 0, 0)
        assert c.gone()
    assert time.monotonic() - start < 1
    throttled.s.close()


def case_places(path):
    """Throttled connections that leave make room at once: the 16 there are, three times over."""
    start = time.monotonic()
    for _ in range(3):
        conns = places(path, 16)
        for c in conns:
            for _ in range(20):
                c.send(READ, 0, 4096)
        time.sleep(0.1)
        for c in conns:
            c.s.close()
    assert time.monotonic() - start < 3


def case_patient(path):
    """A throttled client is not taken for one that does nothing, and gets what it asked for."""
    c = Conn(path)
    for _ in range(4):
        c.send(READ, 0, 512)
    start = time.monotonic()
    for _ in range(4):
        assert c.simple()[0] == 0
        c.take(512)
    assert time.monotonic() - start > 1.9


globals()["case_" + sys.argv[2]](sys.argv[1])
