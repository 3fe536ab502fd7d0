# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt's configuration looks like, PVH and HVM, with the flag and without."""

import xml.etree.ElementTree as ElementTree

from qubes_ephemeral import disks
from world import World

OURS = ("tap", "raw", disks.SCRIPT)
PLAIN = ("phy", None, "/etc/xen/scripts/qubes-block")
VOLATILE = f"blank:{12 << 30}"


class Template(World):
    """The text itself, before anybody checks it."""

    def rendered(self, qube):
        """Of each device of a qube its driver, type, script and source; and the whole tree."""
        tree = ElementTree.fromstring(qube.create_config_file())
        found = {}
        for disk in tree.findall("./devices/disk"):
            driver = disk.find("driver")
            what = (driver.get("name"), driver.get("type"), disk.find("script").get("path"))
            found[disk.find("target").get("dev")] = (*what, disk.find("source").get("dev"))
            if disk.find("target").get("dev") != "xvdd":
                self.assertIsNone(disk.find("readonly"))
        return found, tree

    def expected(self, qube, ours):
        """What there should be."""
        kind = OURS if ours else PLAIN
        return {
            "xvda": (*kind, qube.paths["root"]),
            "xvdb": (*kind, qube.paths["private"]),
            "xvdc": (*kind, VOLATILE if ours else qube.paths["volatile"]),
            "xvdd": (*PLAIN, qube.paths["kernel"]),
        }

    async def test_pvh_and_hvm(self):
        self.dvm.features["ephemeral-backend"] = "1"
        for mode in ("pvh", "hvm"):
            with self.subTest(mode):
                disp = self.disposable(f"disp-{mode}", virt_mode=mode)
                found, tree = self.rendered(disp)
                self.assertEqual(found, self.expected(disp, True))
                self.assertEqual(tree.find("./name").text, disp.name)
                self.assertEqual(len(tree.findall("./devices/emulator")), int(mode == "hvm"))
                self.assertEqual(len(tree.findall("./devices/console/target")), 1)

    async def test_without_flag(self):
        for qube in (self.disposable(), self.work, self.template, self.dvm):
            with self.subTest(qube.name):
                self.assertEqual(self.rendered(qube)[0], self.expected(qube, False))

    async def test_changes_nothing_else(self):
        """But for the three disks the text is the parent's, to the letter."""
        disp = self.disposable(virt_mode="hvm")
        disp.attached = ["/dev/sdb"]
        parent = self.app.env.get_template("libvirt/xen.xml").render(vm=disp)
        self.assertEqual(disp.create_config_file(), parent)
        disp.features["ephemeral-backend"] = "1"
        back = disp.create_config_file().replace(VOLATILE, disp.paths["volatile"])
        back = back.replace('"tap" type="raw"', '"phy"')
        self.assertEqual(back.replace("block-ephem", "qubes-block"), parent)

    async def test_attached_stay(self):
        disp = self.disposable()
        disp.features["ephemeral-backend"] = "1"
        disp.attached = ["/dev/sdb"]
        self.assertEqual(self.rendered(disp)[0]["xvdi"], (*PLAIN, "/dev/sdb"))

    async def test_awkward_paths(self):
        """What is escaped in XML is so once."""
        disp = self.disposable()
        disp.features["ephemeral-backend"] = "1"
        disp.paths["root"] = "/dev/a&b<c>'d\"e"
        self.assertEqual(self.rendered(disp)[0]["xvda"], (*OURS, disp.paths["root"]))

    async def test_pool_of_any_size(self):
        disp = self.disposable()
        disp.features["ephemeral-backend"] = "1"
        disp.volumes["volatile"].size = 512
        self.assertEqual(self.rendered(disp)[0]["xvdc"], (*OURS, "blank:512"))
