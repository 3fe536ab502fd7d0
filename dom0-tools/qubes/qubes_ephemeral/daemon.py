# SPDX-License-Identifier: GPL-2.0-or-later
"""
One question to blkback-ephemd over its control socket: a line of JSON each way.  It waits in
asyncio's way only, so that qubesd goes on.
"""

import asyncio
import json

SOCKET = "/run/blkback-ephem/control.sock"
PATIENCE = 5  # seconds
ROOM = 16 << 20  # bytes of an answer
REMEDY = "see: systemctl status blkback-ephemd"


class DaemonError(Exception):
    """There is no answer, or it is no; the text says what to do."""


async def _talk(question):
    reader, writer = await asyncio.open_unix_connection(SOCKET, limit=ROOM)
    try:
        writer.write(json.dumps(question).encode() + b"\n")
        await writer.drain()
        return await reader.readline()
    finally:
        writer.close()


async def ask(question):
    """The answer, a dictionary with "ok" true; else DaemonError, after PATIENCE at the latest."""
    try:
        line = await asyncio.wait_for(_talk(question), PATIENCE)
        answer = json.loads(line)
    except (asyncio.TimeoutError, TimeoutError) as error:
        raise DaemonError(f"blkback-ephemd does not answer; {REMEDY}") from error
    except (OSError, ValueError) as error:
        raise DaemonError(f"blkback-ephemd is not there ({error}); {REMEDY}") from error
    if not isinstance(answer, dict) or answer.get("ok") is not True:
        words = answer.get("error") if isinstance(answer, dict) else None
        raise DaemonError(f"blkback-ephemd says no ({words or 'without words'}); {REMEDY}")
    return answer


async def check(uuid):
    """DaemonError unless the daemon can serve the qube of this UUID now."""
    state = (await ask({"cmd": "list"})).get("daemon")
    if not isinstance(state, dict) or state.get("xenstore") is not True:
        raise DaemonError(f"blkback-ephemd has no xenstore; {REMEDY}")
    for record in state.get("suspended", []):
        if record.get("uuid") == uuid:
            raise DaemonError(
                f"it was suspended, or ended unseen: when no saved copy of it will be restored: "
                f"ephemctl forget {uuid}"
            )
