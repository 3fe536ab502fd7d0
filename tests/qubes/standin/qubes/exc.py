# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors that are shown to the user."""


class QubesException(Exception):
    """Any."""


class QubesValueError(QubesException, ValueError):
    """A value that cannot be."""
