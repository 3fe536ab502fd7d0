# SPDX-License-Identifier: GPL-2.0-or-later
"""
The machine: all qubes, templates of libvirt's XML, and Xen.
"""

import types

import jinja2
from fakelibxl import Xen


class Domains:
    """Qubes by name; those one goes through are qubes."""

    def __init__(self):
        self.qubes = {}

    def __getitem__(self, name):
        return self.qubes[name]

    def __iter__(self):
        return iter(list(self.qubes.values()))

    def add(self, qube):
        """A qube that has been made."""
        self.qubes[qube.name] = qube

    def remove(self, qube):
        """One that is no more."""
        self.qubes.pop(qube.name, None)


class App:
    """`folders`: where templates are looked for."""

    def __init__(self, folders):
        self.trace = []
        self.domains = Domains()
        self.xen = Xen()
        self.vmm = types.SimpleNamespace(xs=self.xen.xs)
        self.env = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folders),
            undefined=jinja2.StrictUndefined,
            autoescape=True,
        )
