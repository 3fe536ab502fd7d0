# SPDX-License-Identifier: GPL-2.0-or-later
"""
What tests of the extension have in common: a machine of the stand-in with dom0, a template, a
disposable template and an AppVM, the extension loaded into it, and a daemon that answers as
blkback-ephemd does.
"""

import asyncio
import json
import logging
import os
import tempfile
import unittest

from qubes import app, vm
from qubes.exc import QubesException
from qubes_ephemeral import daemon, extension, pool

HERE = os.path.dirname(os.path.abspath(__file__))
PRODUCT = os.path.join(HERE, "..", "..", "dom0-tools", "qubes")
ANSWER = {"ok": True, "daemon": {"xenstore": True, "suspended": []}, "guests": []}


class Logged(logging.Handler):
    """Keeps what has been logged."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(f"{record.name}: {record.getMessage()}")


class World(unittest.IsolatedAsyncioTestCase):
    """A test has `app`, `dom0`, `template`, `dvm` (its disposable template), `work` (an AppVM)."""

    async def asyncSetUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = place.name
        self.user = os.path.join(self.place, "templates")
        os.makedirs(os.path.join(self.user, "libvirt", "xen", "by-name"))
        os.mkdir(os.path.join(self.place, "domains"))
        pool.DIRECTORY = os.path.join(self.place, "domains")
        daemon.SOCKET = os.path.join(self.place, "control.sock")
        daemon.PATIENCE = 1
        self.answer, self.asked = ANSWER, []
        self.server = await asyncio.start_unix_server(self._serve, daemon.SOCKET)
        self._listen()
        self._people()

    async def asyncTearDown(self):
        self.server.close()
        await self.server.wait_closed()

    def _listen(self):
        self.logged = Logged()
        root = logging.getLogger()
        root.handlers, root.level = [self.logged], logging.INFO
        logging.getLogger("asyncio").propagate = False

    def _people(self):
        self.app = app.App(
            [
                self.user,
                os.path.join(PRODUCT, "templates"),
                os.path.join(HERE, "standin", "templates"),
            ]
        )
        self.extension = extension.EphemeralExtension()
        self.extension.starting.clear()
        self.dom0 = vm.AdminVM(self.app, "dom0")
        self.template = vm.TemplateVM(self.app, "fedora")
        self.dvm = vm.AppVM(self.app, "default-dvm", self.template)
        self.dvm.template_for_dispvms = True
        self.work = vm.AppVM(self.app, "work", self.template)

    async def _serve(self, reader, writer):
        self.asked.append(json.loads(await reader.readline()))
        if self.answer is None:
            await reader.read()
        elif isinstance(self.answer, bytes):
            writer.write(self.answer)
        else:
            writer.write(json.dumps(self.answer).encode() + b"\n")
        writer.close()

    async def stop_daemon(self):
        """As if it had died: its socket is left, and nobody serves disks."""
        self.server.close()
        await self.server.wait_closed()
        self.app.xen.serving = False

    def disposable(self, name="disp1", **kwargs):
        """One made of the disposable template now."""
        return vm.DispVM(self.app, name, self.dvm, **kwargs)

    def override(self, name, text):
        """A template of the user's own."""
        with open(os.path.join(self.user, "libvirt", name), "w", encoding="utf-8") as file:
            file.write(text)

    async def refused(self, qube, words):
        """It does not start, for this reason; it never ran, and nothing of it is left."""
        with self.assertRaises(QubesException) as caught:
            await qube.start()
        self.assertIn(words, str(caught.exception))
        self.assertIn(qube.name, str(caught.exception))
        self.assertNotIn(f"{qube.name} resume", self.app.trace)
        self.assertEqual(qube.state, "Halted")
        self.assertEqual(self.app.xen.xs.nodes, {})
        self.assertEqual(os.listdir(pool.DIRECTORY), [])
        self.assertEqual(self.extension.starting, {})

    def backends(self, domid):
        """Of each disk of a domain the kind of its backend."""
        found = {}
        for path in self.app.xen.xs.nodes:
            parts = path.split("/")
            if path.endswith("/script") and parts[6] == str(domid):
                found[parts[7]] = parts[5]
        return found
