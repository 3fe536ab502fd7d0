# SPDX-License-Identifier: GPL-2.0-or-later
"""
Events: handlers belong to classes, names may have wildcards.  Base classes come first, but last for
a "pre" event; in a class its own handlers come before those of extensions.  Handlers that are
coroutines are all run together, after the others.  An exception of any handler reaches who fired.
"""

import asyncio
import collections
import fnmatch


def handler(*events):
    """Marks a method of a class as its own handler."""

    def mark(function):
        function.ha_events = events
        function.ha_bound = True
        return function

    return mark


class Emitter:
    """Something that events are about."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.__handlers__ = collections.defaultdict(list)
        for function in vars(cls).values():
            for event in getattr(function, "ha_events", ()):
                cls.__handlers__[event].append(function)

    def _handlers(self, event, pre_event):
        classes = [c for c in type(self).__mro__ if "__handlers__" in vars(c)]
        for cls in classes if pre_event else reversed(classes):
            found = [
                function
                for pattern, functions in vars(cls)["__handlers__"].items()
                for function in functions
                if fnmatch.fnmatch(event, pattern)
            ]
            yield from sorted(found, key=lambda function: not hasattr(function, "ha_bound"))

    def _fire(self, event, pre_event, kwargs):
        self.app.trace.append(f"{self.name} {event}")
        later = []
        for function in self._handlers(event, pre_event):
            effect = function(self, event, **kwargs)
            if asyncio.iscoroutinefunction(function):
                later.append(effect)
        return later

    def fire_event(self, event, pre_event=False, **kwargs):
        """For events that nobody may wait in."""
        if self._fire(event, pre_event, kwargs):
            raise RuntimeError(f"{event}: a coroutine handles an event that is not waited for")

    async def fire_event_async(self, event, pre_event=False, **kwargs):
        """Waits for all handlers, then raises what one of them raised."""
        later = self._fire(event, pre_event, kwargs)
        if later:
            done, _ = await asyncio.wait([asyncio.ensure_future(one) for one in later])
            for task in done:
                task.result()
