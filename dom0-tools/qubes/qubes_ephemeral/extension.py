# SPDX-License-Identifier: GPL-2.0-or-later
"""
What qubesd loads (entry point qubes.ext).  A qube whose features ask for ephemeral disks starts on
them or not at all:

domain-pre-start   the features are understood; the daemon is there
domain-pre-spawn   the volumes are there: the daemon's file for this qube; the configuration that
                   libvirt will get has our disks, whatever templates the user has
domain-spawn       libxl has made the domain, which is paused: its disks are ours, and those of its
                   stub domain; an exception makes qubesd destroy it
domain-shutdown, domain-start-failed   the daemon's file goes

What pre-start found holds for the whole start: features changed meanwhile end it.

qubesd's event loop stands still while libxl creates a domain, so nothing of what is run then may
ask qubesd anything; here nothing does, and the daemon is asked by asyncio's means only.
"""

import asyncio

import qubes.exc
import qubes.ext

from . import daemon, disks, policy, pool

REFUSED = (ValueError, daemon.DaemonError, disks.DiskError, pool.PoolError)


def _refuse(vm, error):
    raise qubes.exc.QubesException(f"{vm.name}: ephemeral disks: {error}") from error


def _volatile(vm):
    """The path of the volume that is the qube's own pool."""
    if vm.volumes["volatile"].ephemeral:
        raise pool.PoolError(
            f"volatile cannot be a pool while it is encrypted by dm-crypt: "
            f"qvm-volume config {vm.name}:volatile ephemeral False"
        )
    return next(device.path for device in vm.block_devices if device.name == "volatile")


def _set_pool(vm):
    if policy.pool_of(vm):
        pool.write(vm.name, _volatile(vm))
    else:
        pool.remove(vm.name)


def _check_volumes(vm):
    """Volumes beyond the three have no place in the libvirt template: they would be plain."""
    for device in vm.block_devices:
        if device.rw and device.name not in policy.DEVICES:
            raise disks.DiskError(
                f"its volume {device.name} is writable, and would not be ephemeral"
            )


def _frontends(vm):
    """The domains that have the qube's disks."""
    domids = [vm.xid]
    if vm.virt_mode == "hvm":
        domids.append(vm.stubdom_xid)
    if min(domids) <= 0:
        raise disks.DiskError(f"no such domain, or no stub domain: {domids}")
    return domids


class EphemeralExtension(qubes.ext.Extension):
    """Owner of `starting`: for each qube that is on its way up, whether it is wanted."""

    def __init__(self):
        super().__init__()
        self.starting = {}

    def _decide(self, vm):
        wanted = policy.decide(vm)[0]
        if self.starting.setdefault(vm.uuid, wanted) != wanted:
            raise ValueError("its features were changed while it started: start it again")
        return wanted

    @qubes.ext.handler("domain-pre-start")
    async def on_domain_pre_start(self, vm, event, **kwargs):
        """Before anything is done for the start."""
        # pylint: disable=unused-argument
        self.starting.pop(vm.uuid, None)
        try:
            if not self._decide(vm):
                return
            await daemon.check(str(vm.uuid))
        except REFUSED as error:
            _refuse(vm, error)
        for line in policy.odd_settings(vm):
            vm.log.warning("ephemeral disks: %s", line)

    @qubes.ext.handler("domain-pre-spawn")
    async def on_domain_pre_spawn(self, vm, event, **kwargs):
        """The volumes are there; libvirt has not got its configuration yet."""
        # pylint: disable=unused-argument
        try:
            wanted = self._decide(vm)
            if wanted:
                _check_volumes(vm)
                _set_pool(vm)
            others = disks.check_config(vm.create_config_file(), wanted)
        except REFUSED as error:
            _refuse(vm, error)
        if wanted and others:
            vm.log.warning("not ephemeral, what is written there stays: %s", ", ".join(others))

    @qubes.ext.handler("domain-spawn")
    async def on_domain_spawn(self, vm, event, **kwargs):
        """The domain is there, and has not run."""
        # pylint: disable=unused-argument
        try:
            if self._decide(vm):
                disks.check_xenstore(vm.app.vmm.xs, _frontends(vm))
        except REFUSED as error:
            _refuse(vm, error)
        self.starting.pop(vm.uuid)

    @qubes.ext.handler("domain-start-failed", "domain-shutdown")
    def on_domain_over(self, vm, event, **kwargs):
        """Nothing of a start is left."""
        # pylint: disable=unused-argument
        self.starting.pop(vm.uuid, None)
        try:
            pool.remove(vm.name)
        except pool.PoolError as error:
            vm.log.warning("ephemeral disks: %s", error)

    @qubes.ext.handler(*(f"domain-feature-pre-set:{feature}" for feature in policy.VALUES))
    def on_feature_pre_set(self, vm, event, feature, value, **kwargs):
        """A feature that would be misunderstood is not set."""
        # pylint: disable=unused-argument
        try:
            policy.check_class(vm, feature)
            policy.check_value(feature, value)
        except ValueError as error:
            raise qubes.exc.QubesValueError(str(error)) from error

    @qubes.ext.handler(
        *(f"domain-feature-{verb}:{policy.FLAG}" for verb in ("set", "delete")),
        *(f"domain-feature-{verb}:{policy.POOL}" for verb in ("set", "delete")),
    )
    def on_feature_changed(self, vm, event, feature, value=None, oldvalue=None):
        """Disposables that have been started in advance are not what was asked for now."""
        # pylint: disable=unused-argument
        if value == oldvalue and value is not None:
            return
        for template in vm.app.domains if vm.klass == "AdminVM" else [vm]:
            if not getattr(template, "template_for_dispvms", False):
                continue
            # Those that are not served have no pool.
            if feature != policy.POOL or policy.lookup(template, policy.FLAG)[0]:
                self.drop_preloaded(template, f"{feature} has changed")

    @staticmethod
    def drop_preloaded(template, reason):
        """Ends them, and has qubesd start others."""
        template.remove_preload_excess(0, reason=reason)
        if template.can_preload():
            asyncio.ensure_future(
                template.fire_event_async("domain-preload-dispvm-start", reason=reason, delay=4)
            )
