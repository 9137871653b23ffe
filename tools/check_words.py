#!/usr/bin/env python3
"""Files that are too long, notes to oneself, and words that do not belong into the tree. Usage: check_words.py [ROOT]"""
import os
import re
import subprocess
import sys

LINES_MAX = 800
WIDTH_MAX = 140
FORBIDDEN = [
    (re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b"), "a note to oneself: do it, or leave it"),
    (re.compile(r"\bfor " r"now\b", re.I), "what is here is meant to stay"),
    (re.compile(r"\.\./shar" r"ed"), "the tree stands alone"),
]
NAMES = re.compile(r"(^|/)(util|utils|helper|helpers|manager|handler|common|misc)\.(h|cc)$")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    listed = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, text=True, check=True).stdout.split("\n")
    problems, count = [], 0
    for path in filter(None, listed):
        if not path.endswith((".h", ".cc", ".py", ".md", ".fbs", ".txt", ".cmake", ".sh", ".yml")) and path not in ("dev", ".ci/run"):
            continue
        full = os.path.join(root, path)
        if not os.path.exists(full):
            continue
        count += 1
        if NAMES.search(path):
            problems.append("%s:1: a file is named after the one thing it holds" % path)
        lines = open(full, encoding="utf-8").read().split("\n")
        if len(lines) > LINES_MAX and path.endswith((".h", ".cc")):
            problems.append("%s:1: %d lines; files of one noun have at most %d" % (path, len(lines), LINES_MAX))
        for number, line in enumerate(lines, 1):
            if len(line) > WIDTH_MAX and path.endswith((".h", ".cc")):
                problems.append("%s:%d: %d characters; at most %d" % (path, number, len(line), WIDTH_MAX))
            for pattern, why in FORBIDDEN:
                if pattern.search(line):
                    problems.append("%s:%d: %s: %s" % (path, number, pattern.search(line).group(0), why))
    for problem in problems:
        print(problem)
    print("words: %d files, %d problems" % (count, len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
