# SPDX-License-Identifier: GPL-2.0-or-later
"""Qubes of each class, and how they start and end."""

import asyncio
import logging
import types
import uuid

from . import events, exc


class Features(dict):
    """Strings; any but the empty one is true, and what is set is turned into a string."""

    def __init__(self, qube):
        super().__init__()
        self.qube = qube

    def __setitem__(self, key, value):
        if value is None or isinstance(value, bool):
            value = "1" if value else ""
        told = {"feature": key, "value": str(value)}
        if key in self:
            told["oldvalue"] = self[key]
        self.qube.fire_event(f"domain-feature-pre-set:{key}", pre_event=True, **told)
        super().__setitem__(key, str(value))
        self.qube.fire_event(f"domain-feature-set:{key}", **told)

    def __delitem__(self, key):
        self.qube.fire_event(f"domain-feature-pre-delete:{key}", feature=key)
        super().__delitem__(key)
        self.qube.fire_event(f"domain-feature-delete:{key}", feature=key)

    def load(self, key, value):
        """As from qubes.xml: without events."""
        super().__setitem__(key, value)

    def check_with_template(self, key, default=None):
        """Of the qube, or the next above it that has it."""
        at = self.qube
        while at is not None:
            if key in at.features:
                return at.features[key]
            at = getattr(at, "template", None)
        return default

    def check_with_template_and_adminvm(self, key, default=None):
        """The same, dom0 being the last that is asked."""
        value = self.check_with_template(key)
        return self.qube.app.domains["dom0"].features.get(key, default) if value is None else value


class LocalVM(events.Emitter):
    """What all qubes of this machine are, dom0 too."""

    def __init__(self, app, name):
        self.app, self.name = app, name
        self.uuid = uuid.uuid4()
        self.log = logging.getLogger(f"vm.{name}")
        self.features = Features(self)
        app.domains.add(self)

    klass = property(lambda self: type(self).__name__)


class AdminVM(LocalVM):
    """dom0."""


class QubesVM(LocalVM):
    """What can be started."""

    def __init__(self, app, name, virt_mode="pvh"):
        super().__init__(app, name)
        self.virt_mode = virt_mode
        self.state = "Halted"
        self.xid = self.stubdom_xid = -1
        self.volumes = {
            "root": types.SimpleNamespace(rw=True, ephemeral=False, size=10 << 30),
            "private": types.SimpleNamespace(rw=True, ephemeral=False, size=2 << 30),
            "volatile": types.SimpleNamespace(rw=True, ephemeral=False, size=12 << 30),
            "kernel": types.SimpleNamespace(rw=False, ephemeral=False, size=1 << 28),
        }
        self.paths = {n: f"/dev/mapper/vg-vm--{name}--{n}" for n in self.volumes}
        self.attached = []
        self.lock = asyncio.Lock()

    @property
    def block_devices(self):
        """One for each volume."""
        for name, volume in self.volumes.items():
            yield types.SimpleNamespace(
                name=name, path=self.paths[name], rw=volume.rw, domain=None, devtype="disk"
            )

    def create_config_file(self):
        """The XML of the first template there is."""
        names = [f"libvirt/xen/by-name/{self.name}.xml"]
        names += [f"libvirt/{name}.xml" for name in ("xen-user", "xen-dist", "xen")]
        return self.app.env.select_template(names).render(vm=self)

    def is_halted(self):
        """Neither runs nor waits."""
        return self.state == "Halted"

    async def _prepare(self):
        if self.features.get("prohibit-start", ""):
            raise exc.QubesException("not allowed to start")
        await self.fire_event_async(
            "domain-pre-start", pre_event=True, start_guid=True, mem_required=None
        )
        self.app.trace.append(f"{self.name} storage.start")

    async def _create(self):
        try:
            await self.fire_event_async("domain-pre-spawn", pre_event=True, start_guid=True)
            config = self.create_config_file()
            self.app.trace.append(f"{self.name} create")
            self.xid, self.stubdom_xid = self.app.xen.create(self, config)
        except Exception:
            await self._failed()
            self.app.trace.append(f"{self.name} storage.stop")
            raise
        self.state = "Paused"

    async def _run(self):
        try:
            await self.fire_event_async("domain-spawn", start_guid=True)
            self.fire_event("domain-qdb-create")
            await self.fire_event_async("domain-pre-unpaused", pre_event=True)
            self.app.trace.append(f"{self.name} resume")
            self.state = "Running"
            await self.fire_event_async("domain-unpaused")
            await self.fire_event_async("domain-start", start_guid=True)
        except Exception:
            await self._failed()
            await self.kill()
            raise

    async def _failed(self):
        await self.fire_event_async("domain-start-failed", reason="")

    async def start(self):
        """All of it; an exception means that it does not run."""
        async with self.lock:
            if self.state != "Halted":
                return self
            try:
                await self._prepare()
            except Exception:
                await self._failed()
                raise
            await self._create()
            await self._run()
        return self

    async def kill(self):
        """Ends it, if it is there."""
        if self.state == "Halted":
            return
        self.app.trace.append(f"{self.name} destroy")
        self.app.xen.destroy(self.xid, self.stubdom_xid)
        self.xid = self.stubdom_xid = -1
        self.state = "Halted"
        await self.fire_event_async("domain-stopped")
        await self.fire_event_async("domain-shutdown")


class TemplateVM(QubesVM):
    """Has what others start from."""


class DisposableTemplate(QubesVM):
    """What disposables can be made of: AppVMs and StandaloneVMs."""

    template_for_dispvms = False

    def get_feat_preload(self):
        """Names of disposables started in advance."""
        return self.features.get("preload-dispvm", "").split()

    def can_preload(self):
        """Whether there could be more of them."""
        return len(self.get_feat_preload()) < int(self.features.get("preload-dispvm-max", "") or 0)

    def remove_preload_excess(self, max_preload=None, reason=None):
        """Ends all but so many."""
        names = self.get_feat_preload()
        if not names:
            return
        self.features["preload-dispvm"] = " ".join(names[:max_preload])
        self.app.trace.append(f"{self.name} dropped: {reason}")
        for name in names[max_preload:]:
            asyncio.ensure_future(self.app.domains[name].cleanup())


class AppVM(DisposableTemplate):
    """Keeps its private volume."""

    def __init__(self, app, name, template, **kwargs):
        super().__init__(app, name, **kwargs)
        self.template = template


class StandaloneVM(DisposableTemplate):
    """Keeps all."""


class DispVM(QubesVM):
    """Keeps nothing.  It begins with its template's features."""

    def __init__(self, app, name, template, **kwargs):
        super().__init__(app, name, **kwargs)
        self.template = template
        for key, value in template.features.items():
            if not key.startswith("preload-"):
                self.features[key] = value

    async def start(self):
        """As any; one that does not start is gone."""
        try:
            return await super().start()
        except Exception:
            await self.cleanup()
            raise

    async def cleanup(self):
        """Ends it for good."""
        await self.kill()
        self.app.domains.remove(self)
