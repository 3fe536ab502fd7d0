#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
A device model that asks for much and reads nothing, for test_emulated.sh.

greedy.py PATIENT SOCKET...: connects sixteen times to each SOCKET, or with a PATIENT one until
nobody is answered any more; prints "greedy N"; reads 4 KiB through PATIENT ("-": does not) and
prints "served"; stays.
"""
import socket
import struct
import sys
import time

MIB = 1 << 20
CONNECTIONS = 16  # of a socket


def connect(path, timeout):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    s.connect(path)
    if s.recv(18, socket.MSG_WAITALL)[:8] != b"NBDMAGIC":
        raise EOFError
    s.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 1, 0))
    if len(s.recv(10, socket.MSG_WAITALL)) != 10:
        raise EOFError
    return s


def ask(s, n, length):
    s.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, n, 0, length))


def greedy(path):
    s = connect(path, 0.5)
    for n in range(60):
        ask(s, n, MIB)
    return s


def main():
    patient, held, failed = sys.argv[1], [], 0
    for path in sys.argv[2:]:
        for _ in range(CONNECTIONS):
            try:
                if failed < 4:  # in a row: there is no more on any thread
                    s = greedy(path)
                    if patient != "-":
                        s.recv(1, socket.MSG_PEEK)  # it holds something
                    held.append(s)
                    failed = 0
            except (TimeoutError, EOFError):
                failed += 1
    print("greedy", len(held), flush=True)
    if patient != "-":
        s = connect(patient, 30)
        ask(s, 1, 4096)
        assert len(s.recv(16 + 4096, socket.MSG_WAITALL)) == 16 + 4096
        print("served", flush=True)
    time.sleep(100)


main()
