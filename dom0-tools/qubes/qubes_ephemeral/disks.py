# SPDX-License-Identifier: GPL-2.0-or-later
"""
Whether a qube's disks are ours, looked at twice: in the configuration that libvirt is about to get,
and in xenstore, when libxl has made the domain and it has not run yet.

Only what dom0 alone can write counts as proof in xenstore: the backend's directory and libxl's own
record.  The frontend's word is compared too, since a stub domain may have written there already.
Deliberately not looked at: disks that the user attaches (qvm-block), which are to keep what is
written.
"""

import xml.etree.ElementTree as ElementTree

from .policy import DEVICES, NUMBERS

SCRIPT = "/etc/xen/scripts/block-ephem"
BACKENDS = "/local/domain/0/backend"
KIND = "vbd3"


class DiskError(Exception):
    """A disk is not what the qube's features say; the text says which, and what to do."""


def _attribute(disk, element, attribute):
    found = disk.findall(element)
    return found[0].get(attribute) if len(found) == 1 else None


def _is_ours(disk):
    return (
        _attribute(disk, "driver", "name") == "tap"
        and _attribute(disk, "driver", "type") == "raw"
        and _attribute(disk, "script", "path") == SCRIPT
        and disk.find("backenddomain") is None
    )


def _is_touched(disk):
    return (
        _attribute(disk, "driver", "name") == "tap" or _attribute(disk, "script", "path") == SCRIPT
    )


def _by_device(config):
    disks = {}
    for disk in ElementTree.fromstring(config).findall("./devices/disk"):
        disks.setdefault(_attribute(disk, "target", "dev"), []).append(disk)
    return disks


def check_config(config, wanted):
    """
    Compares libvirt's XML with what is wanted.  DiskError unless root, private and volatile are
    ephemeral, each of them, or none is.  Returns the devices that are writable besides these.
    """
    disks = _by_device(config)
    for volume, device in DEVICES.items():
        found = disks.pop(device, [])
        if not wanted and any(_is_touched(disk) for disk in found):
            raise DiskError(
                f"{device} ({volume}) would be ephemeral, and its features do not say so: what it "
                f"writes would be lost; look for your own template in /etc/qubes/templates/libvirt"
            )
        if wanted and (len(found) != 1 or not _is_ours(found[0])):
            raise DiskError(
                f"{device} ({volume}) is not ephemeral in libvirt's configuration: a template in "
                f"/etc/qubes/templates/libvirt (xen-user.xml, xen/by-name) must extend "
                f"libvirt/xen-dist.xml, which must fit this release of Qubes"
            )
    return [
        device for device, found in disks.items() if any(d.find("readonly") is None for d in found)
    ]


def _read(xs, path):
    value = xs.read("", path)
    return value.decode() if isinstance(value, bytes) else value


def _check_disk(xs, domid, number, device):
    back = f"{BACKENDS}/{KIND}/{domid}/{number}"
    front = f"/local/domain/{domid}/device/vbd/{number}"
    expected = {
        f"/libxl/{domid}/device/vbd/{number}/backend": back,
        f"{front}/backend": back,
        f"{back}/frontend": front,
        f"{back}/script": SCRIPT,
    }
    for path, value in expected.items():
        found = _read(xs, path)
        if found != value:
            raise DiskError(
                f"{device} of domain {domid} is not ephemeral: {path} is {found}, not {value}"
            )


def _check_others(xs, domid, number, device):
    for kind in xs.ls("", BACKENDS) or []:
        path = f"{BACKENDS}/{kind}/{domid}/{number}"
        # Devices of other sorts count from 0, disks by their major and minor number.
        if kind != KIND and _read(xs, f"{path}/frontend") is not None:
            raise DiskError(f"{device} of domain {domid} has another backend, too: {path}")


def check_xenstore(xs, domids):
    """
    DiskError unless the disks of each of these domains, a guest and its stub domain, are served by
    us and by nobody else.
    """
    for domid in domids:
        for device, number in NUMBERS.items():
            _check_disk(xs, domid, number, device)
            _check_others(xs, domid, number, device)
