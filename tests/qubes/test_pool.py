# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's file for a qube whose pool is its own volatile volume."""

import os
import stat
from unittest import mock

from qubes_ephemeral import pool
from world import World

POOL = "ephemeral-backend-pool"
real_stat = os.stat


def as_device(path, *args, **kwargs):
    """/dev/mapper has block devices."""
    if isinstance(path, str) and path.startswith("/dev/mapper/"):
        return mock.Mock(st_mode=stat.S_IFBLK | 0o660)
    return real_stat(path, *args, **kwargs)


class Pool(World):
    """With a disposable that is served, from its own volume."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.dvm.features["ephemeral-backend"] = "1"
        self.dvm.features[POOL] = "volatile"
        self.disp = self.disposable()
        patch = mock.patch("os.stat", as_device)
        patch.start()
        self.addCleanup(patch.stop)

    def path(self, name="disp1"):
        """Where the daemon looks."""
        return os.path.join(pool.DIRECTORY, f"{name}.conf")

    def file(self, name="disp1"):
        """What it finds there, without comments."""
        try:
            with open(self.path(name), encoding="utf-8") as file:
                return [line.strip() for line in file if not line.startswith("#")]
        except FileNotFoundError:
            return None

    def put(self, text):
        """A file that is there already."""
        with open(self.path(), "w", encoding="utf-8") as file:
            file.write(text)

    async def test_written_in_time(self):
        seen = []
        create = self.app.xen.create

        def looking(qube, config):
            seen.append(self.file())
            return create(qube, config)

        self.app.xen.create = looking
        await self.disp.start()
        self.assertEqual(
            seen, [["[pool]", "pool=block:/dev/mapper/vg-vm--disp1--volatile", "quota=0"]]
        )
        self.assertEqual(stat.S_IMODE(real_stat(self.path()).st_mode), 0o644)
        await self.disp.cleanup()
        self.assertEqual(os.listdir(pool.DIRECTORY), [])

    async def test_volatile_is_no_base(self):
        await self.disp.start()
        params = self.app.xen.xs.read(
            "", f"/local/domain/0/backend/vbd3/{self.disp.xid}/51744/params"
        )
        self.assertTrue(params.startswith(b"blank:"))

    async def test_off(self):
        self.disp.features[POOL] = ""
        await self.disp.start()
        self.assertIsNone(self.file())

    async def test_only_for_served(self):
        self.disp.features["ephemeral-backend"] = ""
        await self.disp.start()
        self.assertIsNone(self.file())

    async def test_default_of_dom0(self):
        del self.dvm.features[POOL]
        self.dom0.features[POOL] = "volatile"
        await self.disposable("disp2").start()
        self.assertIsNotNone(self.file("disp2"))

    async def test_gone_after_failure(self):
        self.app.xen.kind = lambda disk, stub: "vbd"
        await self.refused(self.disp, "is not ephemeral")

    async def test_stale_one_goes(self):
        """Of a qube of this name, when qubesd was killed."""
        self.disp.features[POOL] = ""
        self.put(pool.MARK + "[pool]\npool=block:/dev/mapper/another\n")
        await self.disp.start()
        self.assertIsNone(self.file())

    async def test_stale_one_is_replaced(self):
        self.put(pool.MARK + "[pool]\npool=block:/dev/mapper/another\n")
        await self.disp.start()
        self.assertIn("pool=block:/dev/mapper/vg-vm--disp1--volatile", self.file())

    async def test_somebody_elses(self):
        mine = "[pool]\npool=ram:1G\n"
        self.put(mine)
        with self.assertRaisesRegex(Exception, "disp1.conf is your own"):
            await self.disp.start()
        self.assertEqual(self.disp.state, "Halted")
        with open(self.path(), encoding="utf-8") as file:
            self.assertEqual(file.read(), mine)
        other = self.disposable("disp1")
        other.features[POOL] = ""
        await other.start()
        await other.cleanup()
        self.assertEqual(self.file(), mine.split())

    async def test_symbolic_link(self):
        target = os.path.join(self.place, "target")
        with open(target, "w", encoding="utf-8") as file:
            file.write(pool.MARK)
        os.symlink(target, self.path())
        with self.assertRaisesRegex(Exception, "disp1.conf: .*: remove it"):
            await self.disp.start()
        with open(target, encoding="utf-8") as file:
            self.assertEqual(file.read(), pool.MARK)

    async def test_not_a_device(self):
        self.disp.paths["volatile"] = os.path.join(self.place, "volatile.img")
        await self.refused(self.disp, "cannot be a pool")
        for path in ("/dev/null", "/dev/nowhere"):
            with self.subTest(path):
                disp = self.disposable("disp2")
                disp.paths["volatile"] = path
                await self.refused(disp, "cannot be a pool")

    async def test_awkward_path(self):
        for path in ("/dev/mapper/a,force", "/dev/mapper/a\nquota=1", "/dev/mapper/a ;b", "/etc/x"):
            with self.subTest(path):
                disp = self.disposable("disp2")
                disp.paths["volatile"] = path
                await self.refused(disp, "not a device's path")

    async def test_encrypted_already(self):
        self.disp.volumes["volatile"].ephemeral = True
        await self.refused(self.disp, "qvm-volume config disp1:volatile ephemeral False")

    async def test_no_directory(self):
        os.rmdir(pool.DIRECTORY)
        with self.assertRaisesRegex(Exception, "domains/disp1.conf: No such file"):
            await self.disp.start()
        self.assertEqual(self.disp.state, "Halted")
