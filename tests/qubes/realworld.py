# SPDX-License-Identifier: GPL-2.0-or-later
"""
What tests of the extension on Qubes' own code have in common; QUBES_CORE_ADMIN names a checkout of
qubes-core-admin.  Real are events, features, classes of qubes, their start, templates of libvirt's.
What is beneath, libvirt with libxl, and what needs a machine, storage, qubesdb, qrexec, memory, is
not.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import types
import unittest
import xml.etree.ElementTree as ElementTree
from unittest import mock

import fakelibxl
import jinja2
import libvirt
import qubes.exc
import qubes.storage
import qubes.tests.vm
import qubes.vm.adminvm
import qubes.vm.appvm
import qubes.vm.dispvm
import qubes.vm.standalonevm
import qubes.vm.templatevm
from qubes_ephemeral import daemon, extension, pool

PRODUCT = os.path.dirname(os.path.dirname(os.path.abspath(extension.__file__)))
THEIRS = os.environ["QUBES_CORE_ADMIN"]
MACHINE = "create_qdb_entries start_qdb_watch request_mem is_fully_usable create_xs_entries".split()
VOLUMES = {"root": 10 << 30, "private": 2 << 30, "volatile": 12 << 30, "kernel": 1 << 28}
ANSWER = {"ok": True, "daemon": {"xenstore": True, "suspended": []}, "guests": []}


def make_known():
    """Makes the entry points of the checkout known; nothing is written there."""
    place = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(place.cleanup)
    subprocess.run(
        [
            sys.executable,
            "-B",
            "-W",
            "ignore",
            "setup.py",
            "-q",
            "egg_info",
            "--egg-base",
            place.name,
        ],
        cwd=THEIRS,
        check=True,
    )
    sys.path.append(place.name)
    # Of other packages of dom0, and not called here.
    for name in ("qrexec", "qrexec.server", "qubesdb"):
        sys.modules.setdefault(name, mock.Mock())


class Volume(types.SimpleNamespace):
    """One that needs no pool, with a device as qubesd hands it on."""

    snapshots_disabled = False

    def block_device(self):
        """Qubes' own."""
        return qubes.storage.BlockDevice(self.path, self.name, rw=self.rw)

    def is_outdated(self):
        """It never is."""
        return False


class Domain:
    """libvirt's object for a qube."""

    def __init__(self, world, vm, config):
        self.world, self.vm, self.config = world, vm, config
        self.paused = self.active = False
        self.domids = (-1, -1)

    def createWithFlags(self, flags):
        """Makes the domain."""
        assert flags == libvirt.VIR_DOMAIN_START_PAUSED
        self.world.trace.append("create")
        self.domids = self.world.xen.create(self.vm, self.config)
        self.active = self.paused = True
        if self.domids[1] > 0:
            path = f"/local/domain/{self.domids[0]}/image/device-model-domid"
            self.world.xen.xs.nodes[path] = str(self.domids[1])

    def resume(self):
        """From here on it runs."""
        self.world.trace.append("resume")
        self.paused = False

    def destroy(self):
        """Its end, which qubesd is told of."""
        self.world.trace.append("destroy")
        self.world.xen.destroy(*self.domids)
        self.active = False
        asyncio.get_running_loop().call_soon(self.vm.on_libvirt_domain_stopped)

    def isActive(self):
        """Whether there is a domain."""
        return self.active

    def state(self):
        """As of libvirt."""
        if not self.active:
            return [libvirt.VIR_DOMAIN_SHUTOFF]
        return [libvirt.VIR_DOMAIN_PAUSED if self.paused else libvirt.VIR_DOMAIN_RUNNING]

    def ID(self):
        """Its number."""
        return self.domids[0]


class Text(fakelibxl.Xenstore):
    """xenstore as text, which qubesd makes a number of."""

    def read(self, transaction, path):
        value = super().read(transaction, path)
        return None if value is None else value.decode()


class App(qubes.tests.vm.TestApp):
    """Qubes' own pretended one, with the templates where they are installed."""

    def __init__(self, world):
        super().__init__()
        self.save = mock.Mock()
        self.world = world
        self.default_dispvm = None
        self.vmm = types.SimpleNamespace(
            offline_mode=False,
            is_xen=True,
            xs=world.xen.xs,
            libvirt_conn=types.SimpleNamespace(
                lookupByUUID=lambda uuid: Domain(world, None, None), defineXML=self.define
            ),
        )
        self.env = jinja2.Environment(
            loader=jinja2.FileSystemLoader(
                [world.user, os.path.join(PRODUCT, "templates"), os.path.join(THEIRS, "templates")]
            ),
            undefined=jinja2.StrictUndefined,
            autoescape=True,
        )

    def define(self, config):
        """libvirt learns of a qube."""
        name = ElementTree.fromstring(config).find("./name").text
        return Domain(self.world, self.domains[name], config)


class World(unittest.IsolatedAsyncioTestCase):
    """A machine as that of world.py."""

    async def asyncSetUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.user = os.path.join(place.name, "user")
        os.makedirs(os.path.join(self.user, "libvirt", "xen", "by-name"))
        pool.DIRECTORY = os.path.join(place.name, "domains")
        os.mkdir(pool.DIRECTORY)
        daemon.SOCKET = os.path.join(place.name, "control.sock")
        self.server = await asyncio.start_unix_server(self._serve, daemon.SOCKET)
        self.trace, self.xen = [], fakelibxl.Xen()
        self.xen.xs = Text()
        self.app = App(self)
        self.extension = extension.EphemeralExtension()
        self._people()

    async def asyncTearDown(self):
        for vm in set(self.app.domains.values()):
            vm.close()
        self.server.close()
        await self.server.wait_closed()

    async def _serve(self, reader, writer):
        await reader.readline()
        writer.write(json.dumps(ANSWER).encode() + b"\n")
        writer.close()

    def _people(self):
        storage = mock.patch("qubes.storage.Storage", self._storage)
        storage.start()
        self.addCleanup(storage.stop)
        self.dom0 = self.add(qubes.vm.adminvm.AdminVM)
        self.template = self.add(qubes.vm.templatevm.TemplateVM, name="fedora", label="black")
        self.dvm = self.add(
            qubes.vm.appvm.AppVM, name="default-dvm", template=self.template, label="red"
        )
        self.dvm.template_for_dispvms = True
        self.work = self.add(
            qubes.vm.appvm.AppVM, name="work", template=self.template, label="blue"
        )

    def _storage(self, vm):
        """Of a qube that is being made: volumes, and nothing behind them."""
        vm.volumes = {
            name: Volume(
                name=name,
                path=f"/dev/mapper/vg-{name}",
                rw=name != "kernel",
                ephemeral=False,
                size=size,
                config={},
            )
            for name, size in VOLUMES.items()
        }
        # What Qubes does with them is its own.
        return mock.Mock(
            vm=vm,
            block_devices=lambda: REAL_STORAGE.block_devices(types.SimpleNamespace(vm=vm)),
            **{name: mock.AsyncMock() for name in ("verify", "start", "stop", "remove", "create")},
        )

    def add(self, cls, **kwargs):
        """A qube, with what needs a machine taken out."""
        if cls is not qubes.vm.adminvm.AdminVM:
            kwargs.setdefault("qid", 1 + len(self.app.domains))
        # Nobody is asked whether it runs, nor for dom0's qubesdb.
        self.app.vmm.offline_mode = True
        vm = cls(self.app, None, **kwargs)
        self.app.vmm.offline_mode = False
        vm.events_enabled = True  # as when qubesd has loaded it
        for key in (vm.name, vm, vm.qid):
            self.app.domains[key] = vm
        if cls is not qubes.vm.adminvm.AdminVM:
            vm.netvm = None
            self._without_machine(vm)
        return vm

    def _without_machine(self, vm):
        for name in ("start_qubesdb", "start_qrexec_daemon"):
            setattr(vm, name, mock.AsyncMock())
        for name in MACHINE:
            setattr(vm, name, mock.Mock())
        vm._qdb_connection = mock.Mock()  # pylint: disable=protected-access
        fire = vm.fire_event_async

        async def traced(event, *args, **kwargs):
            self.trace.append(event)
            return await fire(event, *args, **kwargs)

        vm.fire_event_async = traced

    def disposable(self, name="disp1", mode="pvh"):
        """One made of the disposable template now."""
        disp = self.add(qubes.vm.dispvm.DispVM, name=name, dispid=7, template=self.dvm)
        disp.kernel = None
        disp.virt_mode = mode
        return disp

    def kinds(self, domid):
        """Of each disk of a domain the kind of its backend."""
        return {
            path.split("/")[7]: path.split("/")[5]
            for path in self.xen.xs.nodes
            if path.endswith("/script") and path.split("/")[6] == str(domid)
        }

    async def refused(self, vm, words):
        """It does not start, for this reason, and has not run."""
        with self.assertRaises(qubes.exc.QubesException) as caught:
            await vm.start()
        self.assertIn(words, str(caught.exception))
        self.assertNotIn("resume", self.trace)
        self.assertEqual(vm.get_power_state(), "Halted")
        self.assertEqual([path for path in self.xen.xs.nodes if path.endswith("/script")], [])

    def override(self, name, text="{% extends 'libvirt/xen.xml' %}"):
        """A template of the user's own."""
        with open(os.path.join(self.user, "libvirt", name), "w", encoding="utf-8") as file:
            file.write(text)


REAL_STORAGE = qubes.storage.Storage
