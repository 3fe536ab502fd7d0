# SPDX-License-Identifier: GPL-2.0-or-later
"""Qubes OS' dom0: what qubesd finds.  `make install-qubes` installs the rest, too."""

import setuptools

setuptools.setup(
    name="qubes_ephemeral",
    version="0.1",
    description="Ephemeral disks for qubes, by blkback-ephemd",
    license="GPL-2.0-or-later",
    packages=["qubes_ephemeral"],
    entry_points={"qubes.ext": ["qubes_ephemeral = qubes_ephemeral.extension:EphemeralExtension"]},
)
