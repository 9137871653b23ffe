#!/usr/bin/env python3
"""Says last, where people look first, which tests failed and what each of them said: from the JUnit file that ctest wrote.

Usage: failed_tests.py RESULTS.xml
"""
import sys
import xml.etree.ElementTree as ElementTree

LINES = 40  # of a test's words: the first ones that tell of a failure, and the last ones


def words_of(output):
    lines = output.splitlines()
    if len(lines) <= 2 * LINES:
        return lines
    first = next((i for i, line in enumerate(lines) if ": Failure" in line or "assert" in line), len(lines) - LINES)
    start = max(0, min(first, len(lines) - 2 * LINES))
    return lines[start:start + LINES] + ["…"] + lines[-LINES:]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    failed = [case for case in ElementTree.parse(sys.argv[1]).iter("testcase") if case.find("failure") is not None]
    for case in failed:
        print(f"\n==== {case.get('name')} failed after {float(case.get('time', 0)):.1f} s")
        print("\n".join(words_of(case.findtext("system-out", ""))))
    print(f"\n{len(failed)} failed: {' '.join(case.get('name') for case in failed)}")


main()
