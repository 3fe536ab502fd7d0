# SPDX-License-Identifier: GPL-2.0-or-later
"""
libvirt and libxl, as far as they show in xenstore: what a disk of the XML becomes.  Beneath the
stand-in of qubesd, and beneath the real one.
"""

import xml.etree.ElementTree as ElementTree

NUMBERS = {f"xvd{letter}": 51712 + 16 * at for at, letter in enumerate("abcdefghijklmnop")}


class Xenstore:
    """xenstored as Python's binding shows it: bytes, and None for what is not there."""

    def __init__(self):
        self.nodes = {}

    def read(self, _transaction, path):
        """A node."""
        value = self.nodes.get(path)
        return None if value is None else value.encode()

    def ls(self, _transaction, path):
        """The names below a node."""
        found = {
            at[len(path) + 1 :].split("/")[0] for at in self.nodes if at.startswith(path + "/")
        }
        return sorted(found) or None


class Xen:
    """
    libxl.  Which backend it takes for a disk of the XML is `kind`'s to say, so that a test can have
    one that does not do what it was told.  A stub domain gets the same disks as its guest.
    """

    def __init__(self):
        self.xs = Xenstore()
        self.last = 0
        self.serving = True

    @staticmethod
    def kind(disk, _stub):
        """The backend of a disk."""
        return "vbd3" if disk.find("driver").get("name") == "tap" else "vbd"

    def _attach(self, domid, disk, stub):
        number = NUMBERS[disk.find("target").get("dev")]
        kind = self.kind(disk, stub)
        back = f"/local/domain/0/backend/{kind}/{domid}/{number}"
        front = f"/local/domain/{domid}/device/vbd/{number}"
        script = disk.find("script")
        self.xs.nodes.update(
            {
                f"{front}/backend": back,
                f"/libxl/{domid}/device/vbd/{number}/backend": back,
                f"{back}/frontend": front,
                f"{back}/params": disk.find("source").get("dev"),
                f"{back}/script": "/etc/xen/scripts/block"
                if script is None
                else script.get("path"),
            }
        )

    def _new(self, disks, stub):
        self.last += 1
        for disk in disks:
            self._attach(self.last, disk, stub)
        return self.last

    def create(self, qube, config):
        """A domain, paused, and its stub domain: their numbers."""
        disks = ElementTree.fromstring(config).findall("./devices/disk")
        if not self.serving and any(d.find("driver").get("name") == "tap" for d in disks):
            raise RuntimeError("libxenlight failed to create the domain: nobody serves its disks")
        xid = self._new(disks, False)
        stub = self._new(disks, True) if qube.virt_mode == "hvm" else -1
        return xid, stub

    def destroy(self, *domids):
        """All nodes of these are gone."""
        for domid in domids:
            for path in list(self.xs.nodes):
                if f"/{domid}/" in path:
                    del self.xs.nodes[path]
