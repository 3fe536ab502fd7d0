# SPDX-License-Identifier: GPL-2.0-or-later
"""
What qvm-ephemeral knows of qubes: what their features want, by qubesd, and what they run on, by
ephemctl. Without an answer of ephemctl's nothing is claimed: a qube that runs is "unknown".
"""

import json
import os
import subprocess
import sys

from . import policy

PATIENCE = 20  # seconds
LOCAL = ("AppVM", "DispVM", "StandaloneVM", "TemplateVM")


class ToolError(Exception):
    """It cannot be done; the text says why and what to do."""


def find(app, name):
    """A qube by its name."""
    try:
        return app.domains[name]
    except KeyError as error:
        raise ToolError(f"no qube named {name}: see qvm-ls") from error


def qubes(app, names=()):
    """These, or all that have disks here, by name."""
    found = [find(app, name) for name in names] if names else list(app.domains)
    return sorted((q for q in found if q.klass in LOCAL), key=lambda qube: qube.name)


def served():
    """Of each running guest, by name, the devices that the daemon serves.  ToolError without it."""
    command = ["ephemctl", "list", "--json"]
    if os.geteuid():
        command = ["sudo", "-n", *command]
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"ephemctl cannot be asked: {error}") from error
    if done.returncode:
        raise ToolError(
            done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "ephemctl failed"
        )
    try:
        return {
            guest["name"]: {volume["vdev"] for volume in guest["volumes"]}
            for guest in json.loads(done.stdout)["guests"]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ToolError("ephemctl's answer cannot be read: are they of one version?") from error


def served_or_none():
    """The same; None, and a line that says so, where nobody knows."""
    try:
        return served()
    except ToolError as error:
        print(f"qvm-ephemeral: {error}", file=sys.stderr)
        return None


def _state(qube, devices):
    if qube.is_halted():
        return "halted"
    if devices is None:
        return "unknown"
    mine = devices.get(qube.name, set())
    if mine.issuperset(policy.DEVICES.values()):
        return "served"
    return "partly" if mine else "plain"


def look(qube, devices):
    """All about one qube, as a dictionary that can be JSON."""
    wanted, where, pool, problem = False, None, None, None
    try:
        wanted, where = policy.decide(qube)
        pool = (policy.pool_of(qube) or "default") if wanted else None
    except ValueError as error:
        problem = str(error)
    return {
        "name": qube.name,
        "class": qube.klass,
        "ephemeral": wanted,
        "from": where,
        "pool": pool,
        "state": _state(qube, devices),
        "problem": problem,
        "odd": list(policy.odd_settings(qube)) if wanted else [],
    }


def _plainly(volume):
    if not volume.rw:
        return "read-only"
    return "dm-crypt" if volume.ephemeral else "plain"


def _now(qube, volume, device, devices):
    if qube.is_halted():
        return None
    if devices is None:
        return "unknown"
    return "ephemeral" if device in devices.get(qube.name, ()) else _plainly(volume)


def volumes(qube, devices):
    """What its volumes are now and at the next start."""
    view = look(qube, devices)
    found = []
    for name, volume in sorted(qube.volumes.items()):
        device = policy.DEVICES.get(name, "xvdd" if name == "kernel" else "-")
        following = (
            "ephemeral" if view["ephemeral"] and name in policy.DEVICES else _plainly(volume)
        )
        found.append(
            {
                "volume": name,
                "device": device,
                "now": _now(qube, volume, device, devices),
                "next": "refused" if view["problem"] else following,
            }
        )
    return {"name": qube.name, "class": qube.klass, "state": view["state"], "volumes": found}
