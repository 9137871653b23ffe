#!/usr/bin/env python3
"""Says what the simulator has shown: how much it ran, what went wrong in it, which rare paths it came by, and how many seeds each
bug on purpose took. From the JUnit file that ctest wrote.

Usage: simulated.py RESULTS.xml
"""
import sys
import xml.etree.ElementTree as ElementTree

# The tests that tell of it, and how the lines that do begin; none: all lines.
TESTS = {"sim.seeds": ("faults:", "marks (runs):"), "sim.canaries": ()}


def summary(name, output):
    begins = TESTS[name]
    return [line for line in output.splitlines() if not begins or line.startswith(begins) or " runs, " in line]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for case in ElementTree.parse(sys.argv[1]).iter("testcase"):
        name = case.get("name")
        if name not in TESTS:
            continue
        print(f"\n==== {name}, {float(case.get('time', 0)):.1f} s")
        print("\n".join(summary(name, case.findtext("system-out", ""))))


main()
