# SPDX-License-Identifier: GPL-2.0-or-later
"""
The extension and the template on Qubes' own code: the same expectations as of the stand-in, if
fewer.
"""

import asyncio
import os
import xml.etree.ElementTree as ElementTree
from unittest import mock

import qubes.exc
import qubes.vm.dispvm
import qubes.vm.standalonevm
from qubes_ephemeral import disks
from realworld import World, make_known

FLAG, APPVM, POOL = "ephemeral-backend", "ephemeral-backend-appvm", "ephemeral-backend-pool"


def setUpModule():  # pylint: disable=invalid-name
    """Before the first test."""
    make_known()


class Real(World):
    """Names are those of the other tests."""

    def rendered(self, vm):
        """Driver, script and source of each disk."""
        found = {}
        for disk in ElementTree.fromstring(vm.create_config_file()).findall("./devices/disk"):
            found[disk.find("target").get("dev")] = (
                disk.find("driver").attrib,
                disk.find("script").get("path"),
                disk.find("source").get("dev"),
                disk.find("readonly") is not None,
            )
        return found

    async def test_rendered(self):
        ours = ({"name": "tap", "type": "raw"}, disks.SCRIPT)
        theirs = ({"name": "phy"}, "/etc/xen/scripts/qubes-block")
        for mode in ("pvh", "hvm"):
            with self.subTest(mode):
                disp = self.disposable(f"disp-{mode}", mode)
                plain = {
                    "xvda": (*theirs, "/dev/mapper/vg-root", False),
                    "xvdb": (*theirs, "/dev/mapper/vg-private", False),
                    "xvdc": (*theirs, "/dev/mapper/vg-volatile", False),
                    "xvdd": (*theirs, "/dev/mapper/vg-kernel", True),
                }
                self.assertEqual(self.rendered(disp), plain)
                disp.features[FLAG] = "1"
                self.assertEqual(
                    self.rendered(disp),
                    {
                        **plain,
                        "xvda": (*ours, "/dev/mapper/vg-root", False),
                        "xvdb": (*ours, "/dev/mapper/vg-private", False),
                        "xvdc": (*ours, f"blank:{12 << 30}", False),
                    },
                )

    async def test_changes_nothing_else(self):
        for mode in ("pvh", "hvm"):
            disp = self.disposable(f"disp-{mode}", mode)
            parent = self.app.env.get_template("libvirt/xen.xml").render(vm=disp, bug=None)
            self.assertEqual(disp.create_config_file(), parent)
            disp.features[FLAG] = "1"
            back = disp.create_config_file().replace(f"blank:{12 << 30}", "/dev/mapper/vg-volatile")
            back = back.replace('"tap" type="raw"', '"phy"').replace("block-ephem", "qubes-block")
            self.assertEqual(back, parent)

    async def test_started(self):
        for mode in ("pvh", "hvm"):
            with self.subTest(mode):
                self.trace.clear()
                self.dvm.features[FLAG] = "1"
                disp = self.disposable(f"disp-{mode}", mode)
                await disp.start()
                self.assertEqual(disp.get_power_state(), "Running")
                expected = {"51712": "vbd3", "51728": "vbd3", "51744": "vbd3", "51760": "vbd"}
                self.assertEqual(self.kinds(disp.xid), expected)
                if mode == "hvm":
                    self.assertEqual(self.kinds(disp.stubdom_xid), expected)
                names = "domain-pre-start domain-pre-spawn create domain-spawn resume domain-start"
                self.assertEqual([n for n in self.trace if n in names.split()], names.split())

    async def test_not_enabled(self):
        self.server.close()
        self.dom0.features[FLAG] = "1"
        self.work.kernel = None
        await self.work.start()
        self.assertEqual(set(self.kinds(self.work.xid).values()), {"vbd"})

    async def test_daemon_dead(self):
        self.dvm.features[FLAG] = "1"
        disp = self.disposable()
        self.server.close()
        await self.refused(disp, "systemctl status blkback-ephemd")
        self.assertNotIn("domain-pre-spawn", self.trace)

    async def test_user_overrides(self):
        self.dvm.features[FLAG] = "1"
        for name in ("xen-user.xml", "xen/by-name/disp1.xml"):
            with self.subTest(name):
                self.override(name)
                await self.refused(self.disposable(), "is not ephemeral in libvirt's configuration")
                self.assertNotIn("create", self.trace)
                os.unlink(os.path.join(self.user, "libvirt", name))

    async def test_libxl_takes_another_backend(self):
        self.dvm.features[FLAG] = "1"
        for stub_only in (False, True):
            with self.subTest(stub_only):
                self.trace.clear()
                self.xen.kind = lambda disk, stub: "vbd3" if stub_only and not stub else "vbd"
                await self.refused(self.disposable("disp2", "hvm"), "is not ephemeral")
                self.assertIn("destroy", self.trace)
                self.assertIn("domain-start-failed", self.trace)

    async def test_inherited(self):
        named = self.disposable("sys-usb")
        self.dom0.features[FLAG] = True
        await named.start()
        self.assertIn("vbd3", self.kinds(named.xid).values())
        await named.kill()
        self.dvm.features[FLAG] = False
        await named.start()
        self.assertNotIn("vbd3", self.kinds(named.xid).values())

    async def test_appvm(self):
        self.work.features[APPVM] = "1"
        self.work.kernel = None
        await self.work.start()
        self.assertIn("vbd3", self.kinds(self.work.xid).values())

    async def test_refused_features(self):
        alone = self.add(qubes.vm.standalonevm.StandaloneVM, name="alone", label="red")
        for vm, feature, value in (
            (self.template, FLAG, "1"),
            (self.template, APPVM, "1"),
            (alone, APPVM, "1"),
            (alone, FLAG, "1"),
            (self.dom0, APPVM, "1"),
            (self.work, FLAG, "1"),
            (self.dvm, FLAG, "0"),
            (self.dvm, POOL, "/dev/sda"),
        ):
            with self.subTest((vm.name, feature)):
                with self.assertRaises(qubes.exc.QubesValueError):
                    vm.features[feature] = value
                self.assertNotIn(feature, vm.features)

    async def test_preloaded_dropped(self):
        self.template.features["qrexec"] = True
        for service in ("WaitForRunningSystem", "WaitForSession"):
            self.template.features[f"supported-rpc.qubes.{service}"] = True
        with mock.patch.object(self.dvm, "fire_event_async", mock.AsyncMock()) as fire:
            self.dvm.features["preload-dispvm-max"] = "1"
            disp = self.disposable()
            self.dvm.features["preload-dispvm"] = "disp1"
            fire.reset_mock()
            with mock.patch.object(disp, "cleanup", mock.AsyncMock()) as cleanup:
                self.dvm.features[FLAG] = "1"
                await asyncio.sleep(0)
                cleanup.assert_called_once()
            self.assertEqual(fire.call_args.args, ("domain-preload-dispvm-start",))
        self.assertEqual(self.dvm.get_feat_preload(), [])
