#!/usr/bin/env python3
"""Functions that are too long to be read at once. A rough check: it follows braces, not the grammar. Usage: check_functions.py [ROOT]"""
import os
import re
import subprocess
import sys

LINES_MAX = 70
# A line that ends in a brace and is none of these begins the body of a function, as clang-format lays out the tree.
NOT_A_FUNCTION = re.compile(r"\s*(namespace|class|struct|enum|union|extern|if|for|while|switch|else|do|try|case|default|return|[{}])\b|\s*[{}]")
BEGINS = re.compile(r"(\)|\bconst|\bnoexcept|\boverride|\bfinal|\bTEST\w*\(.*\)|-> [\w:<>*& ]+)\s*\{$")


def bare(text):
    """The text without comments and literals, line by line as it was."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'R"(\w*)\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', blank, text, flags=re.S)


def functions(text):
    """(line, lines) of every function that is not inside another one."""
    depth, start, floor = 0, None, 0
    for number, line in enumerate(bare(text).split("\n"), 1):
        line = line.rstrip()
        if start is None and BEGINS.search(line) and not NOT_A_FUNCTION.match(line):
            start, floor = number, depth
        depth += line.count("{") - line.count("}")
        if start is not None and depth <= floor:
            yield start, number - start + 1
            start = None


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    listed = subprocess.run(["git", "-C", root, "ls-files", "*.h", "*.cc"], capture_output=True, text=True, check=True)
    problems, count = [], 0
    for path in listed.stdout.split():
        full = os.path.join(root, path)
        if not os.path.exists(full):
            continue
        for line, length in functions(open(full, encoding="utf-8").read()):
            count += 1
            if length > LINES_MAX:
                problems.append("%s:%d: a function of %d lines; at most %d: what it does in steps are functions too"
                                % (path, line, length, LINES_MAX))
    for problem in problems:
        print(problem)
    print("functions: %d, %d problems" % (count, len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
