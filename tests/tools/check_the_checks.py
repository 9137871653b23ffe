#!/usr/bin/env python3
"""The checks find what they are there to find, and nothing in trees without faults. Usage: check_the_checks.py ROOT"""
import os
import subprocess
import sys
import tempfile

root = sys.argv[1]
LONG = "void f() {\n%s}\n" % ("  g();\n" * 69)
# The check, the files of a tree, and the words of the verdict; none where the tree is without faults.
CASES = [
    ("layers", {"map/cell.h": "#pragma once\n#include <cstdint>\n", "proto/a.h": '#include "map/cell.h"\n'}, None),
    ("layers", {"map/cell.h": '#include "proto/a.h"\n', "proto/a.h": "#pragma once\n"}, "map/cell.h:1: map may not include proto"),
    ("layers", {"server/storage/x.cc": '#include "server/shard/shard.h"\n', "server/shard/shard.h": ""}, "may not include server/shard"),
    ("layers", {"server/session/x.cc": "#include <liburing.h>\n"}, "may not use liburing"),
    ("layers", {"map/x.cc": "#include <sys/mman.h>\n"}, "may not use linux"),
    ("layers", {"map/x.h": '#include "base/canary.h"\n', "base/canary.h": ""}, "map/x.h:1: bugs on purpose"),
    ("layers", {"elsewhere/x.cc": "#include <vector>\n"}, "in no layer"),
    ("words", {"map/x.cc": "// why, and where the number comes from\n"}, None),
    ("words", {"map/x.cc": "\n// TO" "DO: more\n"}, "map/x.cc:2: TO" "DO"),
    ("words", {"map/x.cc": "int a;\n" * 801}, "802 lines"),
    ("words", {"map/x.cc": "// " + "a" * 200 + "\n"}, "203 characters"),
    ("words", {"map/util.h": "\n"}, "named after the one thing"),
    ("links", {"a.md": "[b](docs/b.md) [c](https://example.org)\n", "docs/b.md": ""}, None),
    ("links", {"a.md": "[b](docs/b.md)\n"}, "docs/b.md leads nowhere"),
    ("functions", {"map/x.cc": 'void f() {\n  g("{");  // {\n}\n' + "int a;\n" * 80}, None),
    ("functions", {"map/x.cc": "namespace m {\nstruct S {\n" + LONG.replace("void f()", "  void f() const")}, "map/x.cc:3: a function of 71"),
    ("functions", {"map/x.cc": LONG}, "map/x.cc:1: a function of 71"),
    ("functions", {"map/x.cc": LONG.replace("  g();\n", "", 1)}, None),
]


def write(folder, name, text):
    os.makedirs(os.path.dirname(os.path.join(folder, name)) or folder, exist_ok=True)
    with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
        out.write(text)


failed = 0
for check, files, fault in CASES:
    with tempfile.TemporaryDirectory() as folder:
        layers = open(os.path.join(root, "tools/layers.txt"), encoding="utf-8").read()
        for name, text in {"tools/layers.txt": layers, **files}.items():
            write(folder, name, text)
        subprocess.run(["git", "init", "-q", folder], check=True)
        subprocess.run(["git", "-C", folder, "add", "."], check=True)
        program = os.path.join(root, "tools/check_%s.py" % check)
        ran = subprocess.run([sys.executable, program, folder], capture_output=True, text=True)
        good = ran.returncode == 0 if fault is None else ran.returncode == 1 and fault in ran.stdout
        if not good:
            failed += 1
            print("%s: wrong verdict on %s: %d\n%s%s" % (check, list(files), ran.returncode, ran.stdout, ran.stderr))
print("%d of %d cases as expected" % (len(CASES) - failed, len(CASES)))
sys.exit(1 if failed else 0)
