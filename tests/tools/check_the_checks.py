#!/usr/bin/env python3
"""The checks find what they are there to find: a tree with an upward include, one with a wrong library, one without faults."""
import os
import subprocess
import sys
import tempfile

root = sys.argv[1]
CASES = [
    ({"map/cell.h": "#pragma once\n#include <cstdint>\n", "proto/a.h": '#include "map/cell.h"\n'}, True, ""),
    ({"map/cell.h": '#include "proto/a.h"\n', "proto/a.h": "#pragma once\n"}, False, "map may not include proto"),
    ({"server/storage/x.cc": '#include "server/shard/shard.h"\n', "server/shard/shard.h": ""}, False, "may not include server/shard"),
    ({"server/session/x.cc": "#include <liburing.h>\n"}, False, "may not use liburing"),
    ({"map/x.cc": "#include <sys/mman.h>\n"}, False, "may not use linux"),
    ({"elsewhere/x.cc": "#include <vector>\n"}, False, "in no layer"),
]

failed = 0
for files, good, said in CASES:
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(os.path.join(folder, "tools"))
        with open(os.path.join(folder, "tools/layers.txt"), "w") as out:
            out.write(open(os.path.join(root, "tools/layers.txt")).read())
        for name, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            with open(os.path.join(folder, name), "w") as out:
                out.write(text)
        ran = subprocess.run([sys.executable, os.path.join(root, "tools/check_layers.py"), folder], capture_output=True, text=True)
        if (ran.returncode == 0) != good or said not in ran.stdout:
            failed += 1
            print("wrong verdict on %s: %d\n%s" % (files, ran.returncode, ran.stdout))
print("%d of %d cases as expected" % (len(CASES) - failed, len(CASES)))
sys.exit(1 if failed else 0)
