#!/usr/bin/env python3
"""Relative links in the tree's Markdown files lead to files that exist. Usage: check_links.py [ROOT]"""
import os
import re
import subprocess
import sys


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    listed = subprocess.run(["git", "-C", root, "ls-files", "*.md"], capture_output=True, text=True, check=True).stdout.split("\n")
    problems = []
    for path in filter(None, listed):
        text = re.sub(r"```.*?```", "", open(os.path.join(root, path), encoding="utf-8").read(), flags=re.S)
        for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            file = os.path.normpath(os.path.join(root, os.path.dirname(path), target.split("#")[0]))
            if not os.path.exists(file):
                problems.append("%s: %s leads nowhere" % (path, target))
    for problem in problems:
        print(problem)
    print("links: %d problems" % len(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
