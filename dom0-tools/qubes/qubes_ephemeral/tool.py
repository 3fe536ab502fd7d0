# SPDX-License-Identifier: GPL-2.0-or-later
"""
qvm-ephemeral: which qubes are ephemeral, and whether it is true.  A front: what is wanted is in
features (qubesd keeps them, its extension refuses wrong ones), what is so is ephemctl's to say.  It
has no state of its own and never touches a disk.
"""

import argparse
import json
import sys

from . import audit, policy, state
from .state import ToolError


def _table(rows):
    """Rows of text, the first being the head."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def _feature(qube, appvm):
    """The feature that enables this qube; ToolError when it cannot be, or not without --appvm."""
    if appvm:
        feature = policy.FLAG_APPVM
    elif qube.klass == "AppVM" and not qube.template_for_dispvms:
        raise ToolError(
            f"{qube.name} is an AppVM: all it writes would be lost whenever it stops, files and "
            f"mail too; if that is meant: --appvm"
        )
    else:
        feature = policy.FLAG
    if appvm and qube.klass != "AppVM":
        raise ToolError(f"--appvm is for AppVMs; {qube.name} is a {qube.klass}")
    try:
        policy.check_class(qube, feature)
    except ValueError as error:
        raise ToolError(str(error)) from error
    return feature


def _set(qube, feature, value):
    """None: not set at all."""
    if value is not None:
        qube.features[feature] = value
    elif qube.features.get(feature, None) is not None:
        del qube.features[feature]


def _warnings(app, name):
    """What the one who has just changed a feature should know."""
    served = state.served_or_none()
    for qube in state.qubes(app):
        view = state.look(qube, served)
        if name in (view["name"], view["from"]):
            yield from (f"{view['name']}: {line}" for line in view["odd"])
            if view["state"] == "plain" and view["ephemeral"]:
                yield f"{view['name']} runs, and is not ephemeral before it is started again"
            if view["state"] == "served" and not view["ephemeral"]:
                yield f"{view['name']} runs, and is ephemeral until it stops"


def _others(app, qube, feature, value):
    """
    Qubes that a change above them does not reach: disposables begin with a copy of what their
    template has set.
    """
    if feature != policy.FLAG:
        return
    for one in state.qubes(app):
        above = ("dom0",) if one.klass != "DispVM" else (one.template.name, "dom0")
        own = one.features.get(feature, None)
        if qube.name in above and own is not None and own != value:
            remedy = f"qvm-ephemeral {'enable' if value else 'disable'} {one.name}"
            yield f"{one.name} has '{own}' of its own, and keeps it: {remedy}"


def _told(args, done, warnings):
    """Prints what enable and disable have to say."""
    for line in warnings:
        print(f"qvm-ephemeral: warning: {line}", file=sys.stderr)
    if args.json:
        print(json.dumps({**done, "warnings": warnings}, indent=2))
    return 0


def cmd_enable(app, args):
    """One feature, and the pool's before it: a qube that cannot be enabled is as it was."""
    qube = state.find(app, args.qube)
    feature = _feature(qube, args.appvm)
    before = qube.features.get(policy.POOL, None)
    if args.pool:
        _set(qube, policy.POOL, {"volatile": "volatile", "default": ""}[args.pool])
    try:
        _set(qube, feature, "1")
    except Exception:
        if args.pool:
            _set(qube, policy.POOL, before)
        raise
    warnings = [*_others(app, qube, feature, "1"), *_warnings(app, qube.name), *audit.overrides()]
    return _told(args, {"enabled": qube.name, "feature": feature}, warnings)


def cmd_disable(app, args):
    """Takes its own features away; where one above it has the feature it gets an empty one."""
    qube = state.find(app, args.qube)
    own_appvm = qube.klass == "AppVM" and not qube.template_for_dispvms
    feature = policy.FLAG_APPVM if args.appvm or own_appvm else policy.FLAG
    _set(qube, feature, None)
    if feature == policy.FLAG and qube.klass != "AdminVM" and policy.lookup(qube, feature)[0]:
        _set(qube, feature, "")
    _set(qube, policy.POOL, None)
    warnings = [*_others(app, qube, feature, ""), *_warnings(app, qube.name)]
    return _told(args, {"disabled": qube.name, "feature": feature}, warnings)


def cmd_list(app, args):
    """Qubes that are to be ephemeral, or are, or have a feature that is wrong."""
    served = state.served_or_none()
    views = [state.look(qube, served) for qube in state.qubes(app, args.qube)]
    if not args.qube:
        views = [v for v in views if v["ephemeral"] or v["problem"] or v["state"] == "served"]
    if args.json:
        print(json.dumps({"qubes": views}, indent=2))
        return 0
    rows = [("NAME", "CLASS", "EPHEMERAL", "FROM", "POOL", "STATE")]
    for view in views:
        wanted = "wrong" if view["problem"] else "yes" if view["ephemeral"] else "no"
        pool = view["pool"] or "-"
        rows.append((view["name"], view["class"], wanted, view["from"] or "-", pool, view["state"]))
    _table(rows)
    for view in views:
        if view["problem"]:
            print(f"{view['name']}: {view['problem']}")
    return 0


def cmd_scan(app, args):
    """Each volume of each qube: what it is now, and what it will be."""
    served = state.served_or_none()
    found = [state.volumes(qube, served) for qube in state.qubes(app, args.qube)]
    if args.json:
        print(json.dumps({"qubes": found}, indent=2))
        return 0
    rows = [("NAME", "VOLUME", "DEVICE", "NOW", "NEXT START")]
    for qube in found:
        for one in qube["volumes"]:
            rows.append(
                (qube["name"], one["volume"], one["device"], one["now"] or "-", one["next"])
            )
    _table(rows)
    return 0


def cmd_audit(app, args):
    """What is not as it should be; 1 when there is anything."""
    findings = list(audit.findings(app))
    if args.json:
        print(json.dumps({"findings": findings}, indent=2))
    else:
        for one in findings:
            print(f"{one['qube'] or 'dom0'}: {one['finding']}")
        print(f"{len(findings)} findings")
    return 1 if findings else 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="qvm-ephemeral",
        description="Qubes whose disks are ephemeral: what they write is encrypted with a key that "
        "ends with them.  qvm-ephemeral(1) has the rest.",
        epilog="Exit status: 0, 1 failed or audit has findings, 2 wrong usage.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name, run, words):
        command = commands.add_parser(name, help=words, description=words, allow_abbrev=False)
        command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(run=run)
        return command

    enable = add("enable", cmd_enable, "disposables, or with --appvm an AppVM, become ephemeral")
    disable = add("disable", cmd_disable, "they are not any more, from their next start on")
    for command in (enable, disable):
        command.add_argument(
            "qube", metavar="QUBE", help="a disposable, its template, or dom0 for all"
        )
        command.add_argument(
            "--appvm", action="store_true", help="the AppVM itself, which then keeps nothing"
        )
    enable.add_argument(
        "--pool",
        choices=("default", "volatile"),
        help="where what it writes goes: its own volatile volume?",
    )
    for name, run, words in (
        ("list", cmd_list, "qubes that are to be ephemeral, and whether they are"),
        ("scan", cmd_scan, "every volume of every qube: ephemeral, plain, read-only or dm-crypt"),
    ):
        add(name, run, words).add_argument("qube", metavar="QUBE", nargs="*", help="only these")
    add("audit", cmd_audit, "what is wrong or misleading; exit status 1 when anything is")
    return parser


def main(args=None, app=None):
    """The exit status."""
    args = _parser().parse_args(args)
    import qubesadmin  # pylint: disable=import-outside-toplevel
    import qubesadmin.exc  # pylint: disable=import-outside-toplevel

    try:
        return args.run(app or qubesadmin.Qubes(), args)
    except (ToolError, qubesadmin.exc.QubesException) as error:
        print(f"qvm-ephemeral: {error}", file=sys.stderr)
        return 1
