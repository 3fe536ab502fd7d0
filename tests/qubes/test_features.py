# SPDX-License-Identifier: GPL-2.0-or-later
"""Which qube is served: inheritance, classes, values; what happens when a feature is set."""

import asyncio

from qubes import vm
from qubes.exc import QubesValueError
from world import World

FLAG, APPVM, POOL = "ephemeral-backend", "ephemeral-backend-appvm", "ephemeral-backend-pool"


class Features(World):
    """Whether a qube is served is told by its start."""

    async def served(self, qube):
        """Starts it, looks, ends it."""
        await qube.start()
        kinds = set(list(self.backends(qube.xid).values())[:3])
        await qube.kill()
        self.assertEqual(len(kinds), 1)
        return kinds == {"vbd3"}

    async def test_inherited(self):
        named = self.disposable("sys-usb")
        self.assertFalse(await self.served(named))
        self.dvm.features[FLAG] = "1"
        self.assertTrue(await self.served(named))
        self.assertTrue(await self.served(self.disposable("disp1")))

    async def test_own_goes_first(self):
        named = self.disposable("sys-usb")
        named.features[FLAG] = ""
        self.dvm.features[FLAG] = "1"
        self.assertFalse(await self.served(named))

    async def test_dom0_is_the_default(self):
        self.dom0.features[FLAG] = True
        self.assertTrue(await self.served(self.disposable()))
        self.dvm.features[FLAG] = False
        self.assertFalse(await self.served(self.disposable("disp2")))

    async def test_only_disposables(self):
        self.dom0.features[FLAG] = "1"
        self.dvm.features[FLAG] = "1"
        for qube in (self.dvm, self.work, self.template, vm.StandaloneVM(self.app, "alone")):
            with self.subTest(qube.name):
                self.assertFalse(await self.served(qube))

    async def test_appvm(self):
        self.work.features[APPVM] = "1"
        self.assertTrue(await self.served(self.work))

    async def test_appvm_only_itself(self):
        self.dvm.features[APPVM] = "1"
        self.assertTrue(await self.served(self.dvm))
        disp = self.disposable()
        self.assertEqual(disp.features[APPVM], "1")
        self.assertFalse(await self.served(disp))

    async def test_appvm_inherits_nothing(self):
        """Nor from where it cannot be set any more."""
        self.template.features.load(APPVM, "1")
        self.dom0.features.load(APPVM, "1")
        self.assertFalse(await self.served(self.work))

    def not_set(self, qube, feature, value, words):
        """The feature is refused, and not there."""
        with self.assertRaises(QubesValueError) as caught:
            qube.features[feature] = value
        self.assertIn(words, str(caught.exception))
        self.assertNotIn(feature, qube.features)

    async def test_classes(self):
        alone = vm.StandaloneVM(self.app, "alone")
        self.not_set(self.template, FLAG, "1", "not for fedora (TemplateVM)")
        self.not_set(self.template, APPVM, "1", "not for fedora (TemplateVM)")
        self.not_set(self.template, POOL, "volatile", "not for fedora")
        self.not_set(alone, FLAG, "1", "(StandaloneVM, no disposable template)")
        self.not_set(alone, APPVM, "1", "not for alone (StandaloneVM)")
        self.not_set(self.dom0, APPVM, "1", "not for dom0 (AdminVM)")
        self.not_set(self.work, FLAG, "1", "work (AppVM, no disposable template)")
        alone.template_for_dispvms = True
        alone.features[FLAG] = "1"
        self.work.features[POOL] = "volatile"
        self.dom0.features[POOL] = ""

    async def test_values(self):
        for value in ("0", "no", "false", " ", "2", "1\n"):
            self.not_set(self.dvm, FLAG, value, "set it to '1', or to ''")
            self.not_set(self.work, APPVM, value, "set it to '1', or to ''")
            self.not_set(self.work, POOL, value, "set it to 'volatile', or to ''")
        self.not_set(self.work, POOL, "dir:/etc", "which means nothing")

    async def test_values_of_old(self):
        """Set when nobody looked: Qubes takes '0' for true, its user does not."""
        self.dvm.features.load(FLAG, "0")
        with self.assertRaisesRegex(QubesValueError, "ephemeral-backend is '0'"):
            self.disposable("disp1")
        self.dvm.features.load(FLAG, "")
        named = self.disposable("sys-usb")
        named.features.load(FLAG, "0")
        await self.refused(named, "ephemeral-backend is '0'")
        self.work.features.load(APPVM, "0")
        await self.refused(self.work, "ephemeral-backend-appvm is '0'")

    async def test_classes_of_old(self):
        """A template that says it of itself does not start as if it had not."""
        self.template.features.load(FLAG, "1")
        await self.refused(self.template, "not for fedora")
        alone = vm.StandaloneVM(self.app, "alone")
        alone.features.load(APPVM, "1")
        await self.refused(alone, "not for alone")
        self.assertTrue(await self.served(self.disposable("disp2")))

    async def preloaded(self):
        """Two disposables wait, paused."""
        self.dvm.features["preload-dispvm-max"] = "2"
        self.dvm.features["preload-dispvm"] = "disp8 disp9"
        found = [self.disposable(name) for name in ("disp8", "disp9")]
        for disp in found:
            await disp.start()
        self.app.trace.clear()
        return found

    async def settle(self):
        """Lets what has been set off run."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def test_preloaded_dropped(self):
        found = await self.preloaded()
        self.dvm.features[FLAG] = "1"
        await self.settle()
        self.assertEqual([disp.state for disp in found], ["Halted", "Halted"])
        self.assertEqual(self.dvm.get_feat_preload(), [])
        self.assertNotIn("disp8", [qube.name for qube in self.app.domains])
        self.assertIn("default-dvm domain-preload-dispvm-start", self.app.trace)

    async def test_preloaded_dropped_by_default(self):
        found = await self.preloaded()
        self.dom0.features[FLAG] = "1"
        await self.settle()
        self.assertEqual([disp.state for disp in found], ["Halted", "Halted"])

    async def test_preloaded_dropped_on_delete(self):
        self.dvm.features[FLAG] = "1"
        found = await self.preloaded()
        del self.dvm.features[FLAG]
        await self.settle()
        self.assertEqual([disp.state for disp in found], ["Halted", "Halted"])

    async def test_preloaded_dropped_with_pool(self):
        """Their blocks lie in a pool that is not wanted any more."""
        self.dvm.features[FLAG] = "1"
        found = await self.preloaded()
        self.dvm.features[POOL] = "volatile"
        await self.settle()
        self.assertEqual([disp.state for disp in found], ["Halted", "Halted"])
        self.assertIn("default-dvm domain-preload-dispvm-start", self.app.trace)

    async def test_preloaded_dropped_on_delete_of_pool(self):
        self.dvm.features[FLAG] = "1"
        found = await self.preloaded()
        self.dvm.features.load(POOL, "volatile")
        del self.dvm.features[POOL]
        await self.settle()
        self.assertEqual([disp.state for disp in found], ["Halted", "Halted"])

    async def test_preloaded_dropped_with_pool_by_default(self):
        self.dom0.features[FLAG] = "1"
        found = await self.preloaded()
        self.dom0.features[POOL] = "volatile"
        await self.settle()
        self.assertEqual([disp.state for disp in found], ["Halted", "Halted"])

    async def test_preloaded_kept_without_pool(self):
        """Nothing serves them, so that no pool is theirs."""
        found = await self.preloaded()
        self.dvm.features[POOL] = "volatile"
        await self.settle()
        self.assertEqual([disp.state for disp in found], ["Running", "Running"])

    async def test_preloaded_kept(self):
        self.dvm.features[FLAG] = "1"
        found = await self.preloaded()
        self.dvm.features[FLAG] = "1"
        self.work.features[APPVM] = "1"
        self.dvm.features["other"] = "1"
        await self.settle()
        self.assertEqual([disp.state for disp in found], ["Running", "Running"])
