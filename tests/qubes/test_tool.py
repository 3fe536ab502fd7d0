# SPDX-License-Identifier: GPL-2.0-or-later
"""qvm-ephemeral: what it does and says; its ephemctl is a script."""

import contextlib
import io
import json
import os
from unittest import mock

from qubes import vm
from qubes_ephemeral import audit, pool, tool
from world import PRODUCT, World

FLAG, APPVM, POOL = "ephemeral-backend", "ephemeral-backend-appvm", "ephemeral-backend-pool"


class Tool(World):
    """With all templates in their places."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.serves = {}
        self.ephemctl("echo '%s'" % json.dumps({"guests": []}))
        audit.TEMPLATES = (self.user, os.path.join(PRODUCT, "templates"))
        for patch in (
            mock.patch("os.geteuid", lambda: 0),
            mock.patch.dict(os.environ, {"PATH": f"{self.place}:{os.environ['PATH']}"}),
        ):
            patch.start()
            self.addCleanup(patch.stop)

    def ephemctl(self, command):
        """What it does when it is asked."""
        path = os.path.join(self.place, "ephemctl")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\n[ "$*" = "list --json" ] || exit 9\n{command}\n')
        os.chmod(path, 0o755)

    def serve(self, *qubes, devices="abc"):
        """What it says: these are served."""
        guests = [
            {"name": qube.name, "volumes": [{"vdev": f"xvd{letter}"} for letter in devices]}
            for qube in qubes
        ]
        self.ephemctl("echo '%s'" % json.dumps({"guests": guests}))

    def run_tool(self, *args):
        """Status, output, errors."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = tool.main(list(args), app=self.app)
            except SystemExit as error:
                status = error.code
        return status, out.getvalue(), err.getvalue()

    def good(self, *args):
        """Its output, as JSON when it is asked for."""
        status, out, err = self.run_tool(*args)
        self.assertEqual((status, err), (0, ""))
        return json.loads(out) if "--json" in args else out

    def bad(self, status, words, *args):
        """It fails with a line like this."""
        found, _, err = self.run_tool(*args)
        self.assertEqual(found, status, err)
        self.assertIn(words, err)

    async def test_enable_and_disable(self):
        self.assertEqual(
            self.good("enable", "default-dvm", "--json"),
            {"enabled": "default-dvm", "feature": FLAG, "warnings": []},
        )
        self.assertEqual(self.dvm.features[FLAG], "1")
        self.good("disable", "default-dvm")
        self.assertNotIn(FLAG, self.dvm.features)

    async def test_enable_appvm(self):
        self.bad(1, "would be lost", "enable", "work")
        self.assertEqual(dict(self.work.features), {})
        self.good("enable", "--appvm", "work")
        self.assertEqual(dict(self.work.features), {APPVM: "1"})
        self.good("disable", "work")
        self.assertEqual(dict(self.work.features), {})

    async def test_enable_refused(self):
        alone = vm.StandaloneVM(self.app, "alone")
        for words, args in (
            ("not for fedora (TemplateVM)", ["fedora"]),
            ("not for alone", ["alone"]),
            ("--appvm is for AppVMs", ["--appvm", "fedora"]),
            ("--appvm is for AppVMs", ["--appvm", "dom0"]),
            ("no qube named nobody", ["nobody"]),
        ):
            with self.subTest(args):
                self.bad(1, words, "enable", "--pool", "volatile", *args)
        for qube in (alone, self.template, self.dom0):
            self.assertEqual(dict(qube.features), {})

    async def test_enable_half(self):
        """qubesd refuses the second feature: the first is as it was."""
        self.dvm.features[POOL] = ""
        check = tool.policy.check_value

        def check_flag(feature, value):
            if feature == FLAG and value == "1":
                raise ValueError("not today")
            return check(feature, value)

        with mock.patch("qubes_ephemeral.policy.check_value", check_flag):
            self.bad(1, "not today", "enable", "default-dvm", "--pool", "volatile")
        self.assertEqual(dict(self.dvm.features), {POOL: ""})

    async def test_pool(self):
        self.good("enable", "default-dvm", "--pool", "volatile")
        self.assertEqual(self.dvm.features[POOL], "volatile")
        self.disposable()
        self.assertEqual(self.good("list", "disp1", "--json")["qubes"][0]["pool"], "volatile")
        self.good("enable", "default-dvm", "--pool", "default")
        self.assertEqual(self.dvm.features[POOL], "")
        self.assertEqual(self.run_tool("disable", "default-dvm")[0], 0)
        self.assertEqual(dict(self.dvm.features), {})

    async def test_disable_what_is_inherited(self):
        self.good("enable", "dom0")
        named = self.disposable("sys-usb")
        self.good("disable", "sys-usb")
        self.assertEqual(named.features[FLAG], "")
        self.assertEqual([q["name"] for q in self.good("list", "--json")["qubes"]], [])

    async def test_warnings(self):
        disp = self.disposable()
        await disp.start()
        disp.volumes["root"].rw = False
        status, _, err = self.run_tool("enable", "default-dvm")
        self.assertEqual(status, 0)
        self.assertIn("disp1 runs, and is not ephemeral before", err)
        self.assertIn("disp1: root is read-only", err)
        self.serve(disp)
        self.assertIn("disp1 runs, and is ephemeral until", self.run_tool("disable", "disp1")[2])

    async def test_settings_of_their_own(self):
        """A disposable made after its template was enabled has a copy."""
        self.good("enable", "default-dvm")
        self.disposable("sys-usb")
        for name in ("default-dvm", "dom0"):
            status, _, err = self.run_tool("disable", name)
            self.assertEqual(status, 0)
            self.assertIn("sys-usb has '1' of its own, and keeps it: qvm-ephemeral disable", err)
        self.good("disable", "sys-usb")
        self.dvm.features[FLAG] = ""
        self.assertIn("default-dvm has '' of its own", self.run_tool("enable", "dom0")[2])
        self.assertEqual(self.run_tool("enable", "default-dvm")[2], "")

    async def test_list(self):
        self.good("enable", "default-dvm")
        disp, named = self.disposable(), self.disposable("sys-usb")
        del named.features[FLAG]
        await disp.start()
        self.serve(disp)
        lines = self.good("list").splitlines()
        self.assertEqual(lines[1].split(), "disp1 DispVM yes disp1 default served".split())
        self.assertEqual(lines[2].split(), "sys-usb DispVM yes default-dvm default halted".split())
        self.assertEqual(len(lines), 3)
        self.serve()
        self.assertEqual(self.good("list", "disp1", "--json")["qubes"][0]["state"], "plain")
        self.assertEqual(self.good("list", "work", "--json")["qubes"][0]["ephemeral"], False)

    async def test_list_wrong(self):
        self.work.features.load(APPVM, "0")
        self.assertIn("work: ephemeral-backend-appvm is '0'", self.good("list"))

    async def test_list_without_daemon(self):
        self.good("enable", "default-dvm")
        await self.disposable().start()
        for command in ("echo 'ephemctl: no daemon' >&2; exit 1", "echo '{}'", "echo '['"):
            self.ephemctl(command)
            status, out, err = self.run_tool("list", "--json")
            self.assertEqual((status, json.loads(out)["qubes"][0]["state"]), (0, "unknown"))
            self.assertIn("ephemctl", err)

    async def test_scan(self):
        disp = self.disposable()
        await disp.start()
        self.work.volumes["volatile"].ephemeral = True
        disp.features[FLAG] = "1"
        rows = {tuple(line.split()) for line in self.good("scan").splitlines()}
        self.assertIn(("disp1", "root", "xvda", "plain", "ephemeral"), rows)
        self.assertIn(("disp1", "kernel", "xvdd", "read-only", "read-only"), rows)
        self.assertIn(("work", "volatile", "xvdc", "-", "dm-crypt"), rows)
        self.assertIn(("default-dvm", "private", "xvdb", "-", "plain"), rows)
        self.assertEqual(len(rows), 1 + 4 * 4)
        self.serve(disp)
        volumes = self.good("scan", "disp1", "--json")["qubes"][0]["volumes"]
        self.assertEqual({v["now"] for v in volumes}, {"ephemeral", "read-only"})

    def audit(self):
        """Its findings, as lines; the status fits."""
        status, out, _ = self.run_tool("audit", "--json")
        found = json.loads(out)["findings"]
        self.assertEqual(status, 1 if found else 0)
        return [f"{one['qube']}: {one['finding']}" for one in found]

    def found(self, words):
        """There is one finding, and it is this."""
        found = self.audit()
        self.assertEqual(len(found), 1, found)
        self.assertIn(words, found[0])

    async def test_audit_clean(self):
        self.good("enable", "default-dvm")
        disp = self.disposable()
        await disp.start()
        self.serve(disp)
        self.assertEqual(self.good("audit"), "0 findings\n")

    async def test_audit_daemon(self):
        self.ephemctl("echo 'ephemctl: nobody is there' >&2; exit 1")
        self.found("nobody is there; ephemeral qubes do not start")

    async def test_audit_running(self):
        disp = self.disposable()
        await disp.start()
        disp.features[FLAG] = "1"
        self.found("disp1: runs on disks that are not ephemeral")
        self.serve(disp, devices="ab")
        self.assertEqual(self.good("list", "disp1", "--json")["qubes"][0]["state"], "partly")
        self.found("disp1: runs on disks that are not ephemeral")
        disp.features[FLAG] = ""
        self.serve(disp)
        self.found("disp1: is ephemeral until it stops")

    async def test_audit_features(self):
        self.work.features.load(FLAG, "1")
        self.found("work: has ephemeral-backend and is no disposable template")
        self.work.features.load(FLAG, "")
        self.template.features.load(FLAG, "1")
        self.found("fedora: does not start: ephemeral-backend is not for fedora")

    async def test_audit_volumes(self):
        self.work.features[APPVM] = "1"
        self.work.volumes["private"].ephemeral = True
        self.found("work: private is encrypted by dm-crypt as well")

    async def test_audit_templates(self):
        self.override("xen-user.xml", "{% extends 'libvirt/xen.xml' %}")
        self.found("xen-user.xml does not extend libvirt/xen-dist.xml")
        self.override("xen-user.xml", "{% extends 'libvirt/xen-dist.xml' %}")
        self.override("xen/by-name/work.xml", "{% extends 'libvirt/xen.xml' %}")
        self.found("by-name/work.xml does not extend")
        self.override("xen/by-name/work.xml", "{% extends 'libvirt/xen-dist.xml' %}")
        self.override("xen-dist.xml", "{% extends 'libvirt/xen.xml' %}")
        self.found("xen-dist.xml is another one than ours")
        audit.TEMPLATES = (os.path.join(self.place, "domains"),)
        self.found("xen-dist.xml is missing")

    async def test_audit_left_behind(self):
        for name, text in (("disp7", pool.MARK), ("work", "[pool]\n")):
            with open(os.path.join(pool.DIRECTORY, f"{name}.conf"), "w", encoding="utf-8") as file:
                file.write(text)
        self.found("disp7: ")

    async def test_usage(self):
        for args in (
            (),
            ("frobnicate",),
            ("enable",),
            ("enable", "a", "--pool", "x"),
            ("audit", "x"),
        ):
            with self.subTest(args):
                self.bad(2, "usage", *args)
        self.assertIn("enable", self.good("--help"))
