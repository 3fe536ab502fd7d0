# SPDX-License-Identifier: GPL-2.0-or-later
"""
What is wrong, or would mislead: qubes that are not what their features say, settings that do not
fit, libvirt templates that hide ours, files left behind.
"""

import glob
import os

from . import policy, pool, state

# Qubes looks through these in this order.
TEMPLATES = ("/etc/qubes/templates", "/usr/share/qubes/templates")
OURS = "libvirt/xen-dist.xml"


def _text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def overrides():
    """Libvirt templates that come before ours and do not build on it: their qubes do not start."""
    for folder in TEMPLATES:
        for pattern in ("libvirt/xen/by-name/*.xml", "libvirt/xen-user.xml"):
            for path in sorted(glob.glob(os.path.join(folder, pattern))):
                if OURS not in _text(path):
                    yield f"{path} does not extend {OURS}: ephemeral qubes it is for do not start"
    found = [p for p in (os.path.join(f, OURS) for f in TEMPLATES) if os.path.exists(p)]
    if not found:
        yield f"{os.path.join(TEMPLATES[-1], OURS)} is missing: ephemeral qubes do not start"
    elif "block-ephem" not in _text(found[0]):
        yield f"{found[0]} is another one than ours: ephemeral qubes do not start"


def _qube(qube, view):
    if view["problem"]:
        yield f"does not start: {view['problem']}"
    if view["ephemeral"] and view["state"] in ("plain", "partly"):
        yield "runs on disks that are not ephemeral: stop it and start it again"
    if view["ephemeral"] and view["state"] == "unknown":
        yield "runs, and nobody knows on which disks"
    if not view["ephemeral"] and view["state"] in ("served", "partly"):
        yield "is ephemeral until it stops, against its features: what it writes is lost"
    yield from view["odd"]
    if (
        qube.klass in ("AppVM", "StandaloneVM")
        and qube.features.get(policy.FLAG, None)
        and not qube.template_for_dispvms
    ):
        yield f"has {policy.FLAG} and is no disposable template: it means nothing for it"


def _left(app):
    """Files of qubes that do not run."""
    for path in sorted(glob.glob(os.path.join(pool.DIRECTORY, "*.conf"))):
        name = os.path.basename(path)[: -len(".conf")]
        if not _text(path).startswith(pool.MARK):
            continue
        if name not in {q.name for q in app.domains} or app.domains[name].is_halted():
            yield name, f"{path} was left behind: remove it"


def _one(qube, finding):
    return {"qube": qube, "finding": finding}


def findings(app):
    """All of them, each with the qube, None for dom0's, and a line."""
    devices = None
    try:
        devices = state.served()
    except state.ToolError as error:
        yield _one(None, f"{error}; ephemeral qubes do not start")
    for line in overrides():
        yield _one(None, line)
    for qube in state.qubes(app):
        for line in _qube(qube, state.look(qube, devices)):
            yield _one(qube.name, line)
    for name, line in _left(app):
        yield _one(name, line)
