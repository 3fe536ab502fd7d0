#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
run.py [MODULE...]: runs these modules' tests, prints "ok NAME", "not ok NAME" with the words that
explain it, or "skip NAME: WHY"; the last line is "N passed, N failed".  Exit 1 if anything failed
or nothing ran.

Without a module: all on the stand-in, then, in a process of their own since both are called qubes,
those on Qubes' own code where QUBES_CORE_ADMIN names a checkout of it.
"""

import glob
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PRODUCT = os.path.join(HERE, "..", "..", "dom0-tools", "qubes")
REAL = "test_real"
LIMIT = 120  # seconds


class Lines(unittest.TestResult):
    """One line a test."""

    def __init__(self):
        super().__init__()
        self.passed = self.failed = 0

    @staticmethod
    def _name(test):
        module, _, rest = test.id().partition(".")
        return f"{module.replace('test_', 'qubes-')}/{rest.rpartition('.')[2].replace('test_', '')}"

    def addSuccess(self, test):
        self.passed += 1
        print(f"ok {self._name(test)}", flush=True)

    def _bad(self, test, error):
        self.failed += 1
        print(f"not ok {self._name(test)}")
        for line in self._exc_info_to_string(error, test).splitlines()[-20:]:
            print(f"    {line}")
        sys.stdout.flush()

    def addFailure(self, test, err):
        self._bad(test, err)

    def addError(self, test, err):
        self._bad(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._bad(test, err)

    def addSkip(self, test, reason):
        print(f"skip {self._name(test)}: {reason}", flush=True)


def run_here(names):
    """Runs them: how many passed and failed."""
    theirs = os.environ["QUBES_CORE_ADMIN"] if REAL in names else os.path.join(HERE, "standin")
    sys.path[:0] = [HERE, theirs, PRODUCT]
    result = Lines()
    unittest.defaultTestLoader.loadTestsFromNames(names).run(result)
    return result.passed, result.failed


def run_apart(names):
    """The same in another process, without its last line; where there is none, it has failed."""
    command = [sys.executable, "-B", os.path.abspath(__file__), *names]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=False
        )
        lines = done.stdout.splitlines()
    except subprocess.TimeoutExpired as error:
        lines = [*(error.stdout or b"").decode().splitlines(), f"killed after {LIMIT} s"]
    print("\n".join(lines[:-1]))
    words = lines[-1].split() if lines else []
    if words[1::2] == ["passed,", "failed"]:
        return int(words[0]), int(words[2])
    print(f"not ok qubes: {' '.join(names)} ended early")
    return 0, 1


def main(names):
    """The exit status."""
    sys.dont_write_bytecode = True
    if names:
        passed, failed = run_here(names)
    else:
        found = sorted(os.path.basename(p)[:-3] for p in glob.glob(os.path.join(HERE, "test_*.py")))
        passed, failed = run_apart([name for name in found if name != REAL])
        if os.environ.get("QUBES_CORE_ADMIN"):
            more = run_apart([REAL])
            passed, failed = passed + more[0], failed + more[1]
        else:
            print("skip qubes-real: QUBES_CORE_ADMIN names no checkout of qubes-core-admin")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
