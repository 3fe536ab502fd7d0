# SPDX-License-Identifier: GPL-2.0-or-later
"""The start of qubes: what is looked at when, and everything that makes a start fail."""

import os
import time

from world import ANSWER, World

OURS = {"51712": "vbd3", "51728": "vbd3", "51744": "vbd3", "51760": "vbd"}
PLAIN = dict.fromkeys(OURS, "vbd")
BESIDE = "{% extends 'libvirt/xen.xml' %}"
ABOVE = "{% extends 'libvirt/xen-dist.xml' %}{% block cpu %}<cpu mode='mine'/>{% endblock %}"


class Start(World):
    """With a disposable whose template has the flag, unless a test says otherwise."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.dvm.features["ephemeral-backend"] = "1"
        self.disp = self.disposable()
        self.app.trace.clear()

    async def test_enabled(self):
        await self.disp.start()
        self.assertEqual(self.disp.state, "Running")
        self.assertEqual(self.backends(self.disp.xid), OURS)
        self.assertEqual(self.asked, [{"cmd": "list"}])

    async def test_enabled_hvm(self):
        disp = self.disposable("disp2", virt_mode="hvm")
        await disp.start()
        self.assertEqual(self.backends(disp.xid), OURS)
        self.assertEqual(self.backends(disp.stubdom_xid), OURS)

    async def test_not_enabled(self):
        await self.stop_daemon()
        await self.work.start()
        self.assertEqual(self.backends(self.work.xid), PLAIN)
        self.assertEqual(self.asked, [])

    async def test_order(self):
        await self.disp.start()
        names = [line.removeprefix("disp1 ") for line in self.app.trace]
        wanted = (
            "domain-pre-start storage.start domain-pre-spawn create domain-spawn resume".split()
        )
        self.assertEqual([name for name in names if name in wanted], wanted)
        self.assertEqual(self.extension.starting, {})

    async def test_daemon_dead(self):
        await self.stop_daemon()
        await self.refused(self.disp, "systemctl status blkback-ephemd")
        self.assertNotIn("disp1 storage.start", self.app.trace)

    async def test_daemon_silent(self):
        self.answer = None
        began = time.monotonic()
        await self.refused(self.disp, "does not answer")
        self.assertLess(time.monotonic() - began, 10)

    async def test_daemon_says_no(self):
        self.answer = {"ok": False, "error": "too many clients"}
        await self.refused(self.disp, "too many clients")

    async def test_daemon_babbles(self):
        for self.answer in (b"", b"{\n", b"[]\n", b'{"ok": 1}\n', {"ok": True}):
            with self.subTest(self.answer):
                await self.refused(self.disposable(), "systemctl status blkback-ephemd")

    async def test_daemon_without_xenstore(self):
        self.answer = {**ANSWER, "daemon": {"xenstore": False, "suspended": []}}
        await self.refused(self.disp, "has no xenstore")

    async def test_suspended(self):
        record = {"uuid": str(self.disp.uuid)}
        self.answer = {**ANSWER, "daemon": {"xenstore": True, "suspended": [record]}}
        await self.refused(self.disp, f"ephemctl forget {self.disp.uuid}")

    async def test_user_overrides(self):
        self.override("xen-user.xml", BESIDE)
        await self.refused(self.disp, "must extend libvirt/xen-dist.xml")
        self.assertNotIn("disp1 create", self.app.trace)

    async def test_user_overrides_by_name(self):
        self.override("xen/by-name/disp1.xml", BESIDE)
        await self.refused(self.disp, "xvda (root) is not ephemeral")
        self.assertNotIn("disp1 create", self.app.trace)

    async def test_user_overrides_well(self):
        self.override("xen-user.xml", ABOVE)
        await self.disp.start()
        self.assertEqual(self.backends(self.disp.xid), OURS)
        self.assertIn("mine", self.disp.create_config_file())

    async def test_user_overrides_partly(self):
        for device, new in (
            ('<target dev="xvdb" />', '<target dev="xvdz" />'),
            ("tap", "phy"),
            ("raw", "qcow2"),
            ('<target dev="xvdc" />', '<target dev="xvdc" /><backenddomain name="other" />'),
            ('<target dev="xvdc" />', '<target dev="xvdc" /><driver name="phy" />'),
        ):
            with self.subTest(new):
                self.override(
                    "xen-user.xml",
                    "{% extends 'libvirt/xen-dist.xml' %}{% block devices %}"
                    f"{{{{ super().replace('{device}'|safe, '{new}'|safe) }}}}{{% endblock %}}",
                )
                await self.refused(self.disposable(), "is not ephemeral")
                self.assertNotIn("disp1 create", self.app.trace)

    async def test_user_overrides_script(self):
        self.override(
            "xen-user.xml",
            "{% extends 'libvirt/xen-dist.xml' %}{% block devices %}"
            "{{ super().replace('block-ephem', 'block') }}{% endblock %}",
        )
        await self.refused(self.disp, "xvda (root)")

    async def test_release_changed(self):
        self.override(
            "xen.xml",
            "<domain><devices>{% block devices %}{% for device in vm.block_devices %}<disk>"
            "<driver name='phy'/><source dev='{{ device.path }}'/><target dev='xvd"
            "{{ 'abcd'[loop.index0] }}'/><script path='/etc/xen/scripts/qubes-block'/></disk>"
            "{% endfor %}{% endblock %}</devices></domain>",
        )
        await self.refused(self.disp, "must fit this release")

    async def test_against_features(self):
        self.override(
            "xen-user.xml",
            "{% extends 'libvirt/xen.xml' %}{% block devices %}"
            "{{ super().replace('qubes-block', 'block-ephem') }}{% endblock %}",
        )
        await self.refused(self.work, "would be lost")

    async def test_libxl_takes_another_backend(self):
        self.app.xen.kind = lambda disk, stub: "vbd"
        await self.refused(self.disp, "/libxl/1/device/vbd/51712/backend is")
        self.assertIn("disp1 create", self.app.trace)
        self.assertIn("disp1 destroy", self.app.trace)

    async def test_stub_domain_has_another_backend(self):
        self.app.xen.kind = lambda disk, stub: "qdisk" if stub else "vbd3"
        disp = self.disposable("disp2", virt_mode="hvm")
        await self.refused(disp, "of domain 2 is not ephemeral")
        self.assertIn("disp2 destroy", self.app.trace)

    async def spoiled(self, path, value, words, **kwargs):
        """xenstore is not as it should be in one place, once the domain is there."""
        create = self.app.xen.create

        def spoiling(qube, config):
            domids = create(qube, config)
            self.app.xen.xs.nodes.update({path: value})
            if value is None:
                del self.app.xen.xs.nodes[path]
            return domids

        self.app.xen.create = spoiling
        await self.refused(self.disposable("disp3", **kwargs), words)
        self.assertIn("disp3 destroy", self.app.trace)

    async def test_frontend_says_otherwise(self):
        await self.spoiled("/local/domain/1/device/vbd/51728/backend", "/elsewhere", "xvdb")

    async def test_another_script(self):
        await self.spoiled("/local/domain/0/backend/vbd3/1/51744/script", "/bin/true", "xvdc")

    async def test_another_frontend(self):
        await self.spoiled(
            "/local/domain/0/backend/vbd3/1/51744/frontend",
            "/local/domain/7/device/vbd/51744",
            "xvdc",
        )

    async def test_no_backend(self):
        await self.spoiled("/local/domain/0/backend/vbd3/1/51712/script", None, "None")

    async def test_a_second_backend(self):
        await self.spoiled("/local/domain/0/backend/vbd/1/51712/frontend", "x", "another backend")

    async def test_stub_domain_a_second_backend(self):
        await self.spoiled(
            "/local/domain/0/backend/vbd/2/51728/frontend", "x", "another backend", virt_mode="hvm"
        )

    async def test_no_stub_domain(self):
        create = self.app.xen.create
        self.app.xen.create = lambda qube, config: (create(qube, config)[0], -1)
        disp = self.disposable("disp2", virt_mode="hvm")
        disp.stubdom_xid = -1
        with self.assertRaisesRegex(Exception, "no stub domain"):
            await disp.start()
        self.assertEqual(disp.state, "Halted")

    async def test_changed_meanwhile(self):
        for value in ("", "1"):
            with self.subTest(value):
                disp = self.disposable("disp4")
                disp.features["ephemeral-backend"] = "" if value else "1"
                create = self.app.xen.create

                def changing(qube, config):
                    self.app.xen.create = create
                    qube.features["ephemeral-backend"] = value
                    return create(qube, config)

                self.app.xen.create = changing
                await self.refused(disp, "were changed while it started")

    async def test_another_volume(self):
        self.disp.volumes["extra"] = self.disp.volumes["private"]
        self.disp.paths["extra"] = "/dev/extra"
        await self.refused(self.disp, "volume extra is writable")

    async def test_attached_disks_stay(self):
        self.disp.attached = ["/dev/sdb", "/dev/sdc"]
        await self.disp.start()
        self.assertEqual(self.backends(self.disp.xid), {**OURS, "51840": "vbd", "51856": "vbd"})
        self.assertTrue(any("stays: xvdi, xvdj" in line for line in self.logged.lines))

    async def test_odd_settings(self):
        self.disp.volumes["private"].rw = False
        self.disp.volumes["volatile"].ephemeral = True
        await self.disp.start()
        told = "\n".join(self.logged.lines)
        self.assertIn("qvm-volume config disp1:private rw True", told)
        self.assertIn("qvm-volume config disp1:volatile ephemeral False", told)
        self.assertNotIn("root is", told)

    async def test_nothing_is_left(self):
        await self.disp.start()
        await self.disp.cleanup()
        self.assertEqual(self.app.xen.xs.nodes, {})
        self.assertEqual(os.listdir(os.path.join(self.place, "domains")), [])
        self.assertEqual(self.extension.starting, {})
