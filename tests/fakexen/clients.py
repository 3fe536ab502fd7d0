# SPDX-License-Identifier: GPL-2.0-or-later
#
# clients.py SOCKET read|write|watch|hold PATH [VALUE]: what xenstored says to that, as one line; an
# error is "!" and its name. watch goes on with what fires, until nothing does for VALUE seconds.
# hold keeps all watches that its domain may have but VALUE.
#
# clients.py SOCKET: several clients of one guestxs, on the wire: each gets its own replies and
# watches, and what one leaves behind is taken away without the others noticing. As domain 1, whose
# folder data is its own. Prints what is wrong; exit 1 if anything is.

import socket
import struct
import sys

READ, WATCH, UNWATCH, START, END, WRITE, EVENT, ERROR, RESET = 2, 4, 5, 6, 7, 11, 15, 16, 21
HEAD = struct.Struct("<IIII")


class Client:
    def __init__(self):
        self.events = []
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
        self.sock.settimeout(10)

    def send(self, kind, *words, tx=0, number=7, end=True):
        body = b"\0".join(w.encode() for w in words) + (b"\0" if end else b"")
        self.sock.sendall(HEAD.pack(kind, number, tx, len(body)) + body)

    def message(self):
        data = b""
        while len(data) < HEAD.size:
            data += self.get(HEAD.size - len(data))
        kind, number, _, size = HEAD.unpack(data)
        body = b""
        while len(body) < size:
            body += self.get(size - len(body))
        return kind, number, body.rstrip(b"\0").decode()

    def get(self, size):
        data = self.sock.recv(size)
        if not data:
            raise EOFError("guestxs has hung up")
        return data

    def reply(self, number=7):
        while True:
            kind, has, text = self.message()
            if kind == EVENT:
                self.events.append(tuple(text.split("\0")))
                continue
            if has != number:
                raise ValueError(f"reply {has} instead of {number}")
            return text if kind != ERROR else "!" + text

    def ask(self, kind, *words, **more):
        self.send(kind, *words, **more)
        return self.reply(more.get("number", 7))

    def event(self):
        if self.events:
            return self.events.pop(0)
        kind, _, text = self.message()
        return tuple(text.split("\0")) if kind == EVENT else (kind, text)

    def quiet(self):
        self.sock.settimeout(0.3)
        try:
            return not self.events and not self.message()
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(10)

    def write(self, path, value, **more):
        body = path + "\0" + value
        return self.ask(WRITE, body, end=False, **more)

    def close(self):
        self.sock.close()


def same_ids():
    """Equal request ids of many, all under way at once."""
    many = [Client() for _ in range(12)]
    for i, client in enumerate(many):
        assert client.write(f"data/{i}", f"of {i}") == "OK"
    for _ in range(20):
        for i, client in enumerate(many):
            for number in (1, 2, 3):
                client.send(READ, f"data/{i}", number=number)
        for i, client in enumerate(many):
            assert [client.reply(n) for n in (1, 2, 3)] == [f"of {i}"] * 3
    for client in many:
        client.close()


def same_watches():
    """The same path and token of two, and one of them stays when the other's goes."""
    one, two, three = Client(), Client(), Client()
    for client in (one, two):
        assert client.ask(WATCH, "data/watched", "token") == "OK"
        assert client.event() == ("data/watched", "token")
    assert three.ask(WATCH, "data", "other") == "OK" and three.event() == ("data", "other")
    assert three.write("data/watched/below", "1") == "OK"
    for client, token in ((one, "token"), (two, "token"), (three, "other")):
        assert client.event() == ("data/watched/below", token)
    assert one.ask(UNWATCH, "data/watched", "token") == "OK"
    assert one.ask(UNWATCH, "data/watched", "token") == "!ENOENT"
    assert one.ask(UNWATCH, "data", "other") == "!ENOENT"
    assert one.ask(RESET, "") == "!EBUSY"
    assert three.write("data/watched", "2") == "OK"
    assert two.event() == ("data/watched", "token") and one.quiet()
    one.close()
    assert three.write("data/watched", "3") == "OK"
    assert two.event() == ("data/watched", "token") and two.quiet()
    two.close()
    three.close()


def leavers():
    """Watches and transactions of those that have left are no longer counted; a transaction of
    one that stays stands. xenstored has 128 and 10 of them for a domain."""
    stays = Client()
    assert stays.write("data/own", "before") == "OK" and stays.write("data/kept", "") == "OK"
    own = int(stays.ask(START, ""))
    assert stays.write("data/own", "through", tx=own) == "OK"
    assert stays.ask(WATCH, "data/kept", "kept") == "OK" and stays.event() == ("data/kept", "kept")
    for i in range(60):
        leaver = Client()
        for w in range(5):
            assert leaver.ask(WATCH, f"data/{w}", "w") == "OK", f"watch {w} of client {i}"
        for t in range(3):
            said = leaver.ask(START, "")
            assert said.isdigit(), f"transaction {t} of client {i}: {said}"
        if i % 2:
            leaver.send(START, "")  # and does not wait for it
            leaver.send(WATCH, "data", "late")
        leaver.close()
    last = Client()
    assert last.write("data/kept", "x") == "OK" and stays.event() == ("data/kept", "kept")
    said = stays.ask(END, "T", tx=own), last.ask(READ, "data/own")
    assert said == ("OK", "through"), said
    count = 0
    while last.ask(WATCH, f"data/{count}", "w") == "OK":
        count += 1
    assert 127 <= count <= 128, f"{count} watches beside the one that is left"
    stays.close()
    last.close()


def deaf():
    """One that reads nothing is no hindrance, and is dropped in the end."""
    deaf_one, other = Client(), Client()
    assert deaf_one.ask(WATCH, "data", "t" * 3000) == "OK"
    for i in range(3000):
        assert other.write("data/1", str(i)) == "OK"
    try:
        while True:
            deaf_one.message()
    except EOFError:
        pass
    deaf_one.close()
    other.close()


def crowd():
    """More than there is room for: they wait until others leave."""
    many = [Client() for _ in range(22)]
    for client in many:
        client.send(READ, "domid")
    for client in many:
        assert client.reply() == "1"
        client.close()


def broken():
    """Half a message, and one that is too long: nobody else's business."""
    half, much, other = Client(), Client(), Client()
    half.sock.sendall(HEAD.pack(READ, 1, 0, 100) + b"data")
    much.sock.sendall(HEAD.pack(READ, 1, 0, 5000) + b"x" * 5000)
    assert other.ask(READ, "domid") == "1"
    try:
        much.message()
        raise AssertionError("5000 bytes were taken")
    except (EOFError, ConnectionError):
        pass
    half.close()
    assert other.ask(READ, "domid") == "1" and other.ask(READ, "nothing") == "!ENOENT"
    full = Client()
    said = full.write("data/1", "x" * (4096 - 7)), full.ask(READ, "domid")
    assert said == ("!ENOSPC", "1"), said
    assert full.ask(WATCH, "data") == "!EINVAL"
    other.close()
    full.close()


def asked(kind, path, value=""):
    client = Client()
    if kind == "write":
        print(client.write(path, value))
        return
    if kind == "hold":
        count = 0
        while client.ask(WATCH, path, str(count)) == "OK":
            count += 1
        for i in range(int(value)):
            client.ask(UNWATCH, path, str(i))
        print(count - int(value), flush=True)
        client.sock.settimeout(None)
        client.message()
        return
    print(client.ask(READ, path) if kind == "read" else client.ask(WATCH, path, "token"))
    client.sock.settimeout(float(value or 0) or 10)
    try:
        while kind == "watch":
            print(client.event()[0], flush=True)
    except TimeoutError:
        pass


if len(sys.argv) > 2:
    asked(*sys.argv[2:])
    sys.exit()

failed = 0
for test in (same_ids, same_watches, leavers, deaf, crowd, broken):
    try:
        test()
    except (AssertionError, ValueError, OSError, EOFError) as err:
        line = err.__traceback__.tb_next.tb_lineno
        print(f"{test.__name__}, line {line}: {err or type(err).__name__}")
        failed = 1
sys.exit(failed)
