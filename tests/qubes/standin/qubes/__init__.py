# SPDX-License-Identifier: GPL-2.0-or-later
"""
A stand-in for the parts of qubesd that the extension meets: how events are fired, what features
are, which steps the start of a qube has and what each of them does when one fails, how preloaded
disposables are dropped.  Written from what Qubes OS R4.3 does, not with its code;
tests/qubes/test_real.py has the same expectations of the real one.

Beneath it is fakelibxl.py.
"""
