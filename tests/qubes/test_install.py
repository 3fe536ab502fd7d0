# SPDX-License-Identifier: GPL-2.0-or-later
"""`make install-qubes`: what arrives where, and that qubesd would find it."""

import glob
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FILES = (
    "usr/bin/qvm-ephemeral",
    "usr/share/qubes/templates/libvirt/xen-dist.xml",
    "usr/share/man/man1/qvm-ephemeral.1",
)


class Install(unittest.TestCase):
    """Into a folder, as a package does."""

    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.root)
        before = cls.sources()
        subprocess.run(
            ["make", "--no-print-directory", "-C", TOP, "install-qubes", f"DESTDIR={cls.root}"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        cls.litter = cls.sources() - before
        found = glob.glob(os.path.join(cls.root, "usr", "**", "qubes_ephemeral"), recursive=True)
        assert len(found) == 1, found
        cls.modules = os.path.dirname(found[0])

    @staticmethod
    def sources():
        """What is in the folder that is installed from."""
        return set(glob.glob(os.path.join(TOP, "dom0-tools", "qubes", "**"), recursive=True))

    def test_files(self):
        for name in FILES:
            self.assertTrue(os.path.getsize(os.path.join(self.root, name)), name)
        self.assertTrue(os.access(os.path.join(self.root, FILES[0]), os.X_OK))

    def test_no_litter(self):
        self.assertEqual(self.litter, set())

    def test_entry_point(self):
        found = [
            entry
            for one in importlib.metadata.distributions(path=[self.modules])
            for entry in one.entry_points
            if entry.group == "qubes.ext"
        ]
        self.assertEqual(
            [entry.value for entry in found], ["qubes_ephemeral.extension:EphemeralExtension"]
        )

    def run_python(self, *args):
        """What it prints, with what has been installed and the stand-in of Qubes' modules."""
        standin = os.path.join(TOP, "tests", "qubes", "standin")
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{self.modules}:{standin}"}
        done = subprocess.run(
            [sys.executable, "-B", *args], env=env, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def test_loads(self):
        code = (
            "import importlib.metadata as m\n"
            "for entry in m.entry_points(group='qubes.ext'):\n"
            "    print(type(entry.load()()).__name__)"
        )
        self.assertEqual(self.run_python("-c", code), "EphemeralExtension\n")

    def test_tool_needs_no_qubesd(self):
        """It runs as a user who has only the client's modules."""
        code = (
            "import sys; sys.modules['qubes'] = None\n"
            "import qubes_ephemeral.tool as tool; print(tool.main.__name__)"
        )
        self.assertEqual(self.run_python("-c", code), "main\n")
        out = self.run_python(os.path.join(self.root, FILES[0]), "--help")
        self.assertIn("qvm-ephemeral", out)
