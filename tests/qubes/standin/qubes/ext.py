# SPDX-License-Identifier: GPL-2.0-or-later
"""Extensions: one object a class, whose methods handle events of classes of qubes."""

from . import vm as vms


class Extension:
    """Registers its handlers when it is made for the first time; only those of its very class."""

    def __new__(cls):
        if "_instance" not in vars(cls):
            cls._instance = super().__new__(cls)
            for name in vars(cls):
                method = getattr(cls._instance, name)
                for event in getattr(method, "ha_events", ()):
                    method.ha_vm.__handlers__[event].append(method)
        return cls._instance


def handler(*events, vm=None):
    """Marks a method of an extension."""

    def mark(function):
        function.ha_events = events
        function.ha_vm = vm or vms.LocalVM
        return function

    return mark
