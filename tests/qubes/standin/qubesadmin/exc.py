# SPDX-License-Identifier: GPL-2.0-or-later
"""qubesd's errors, as they arrive."""

import qubes.exc

QubesException = qubes.exc.QubesException
