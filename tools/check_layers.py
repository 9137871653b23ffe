#!/usr/bin/env python3
"""Says which files include what their layer may not (tools/layers.txt). Usage: check_layers.py [ROOT]"""
import os
import re
import subprocess
import sys

# Angle-bracket includes by the library they belong to; what is not here is the standard library or POSIX.
LIBRARIES = {
    "fmt": r"fmt/", "nlohmann": r"nlohmann/", "pugixml": r"pugixml", "zlib": r"zlib\.h", "zstd": r"zstd", "openssl": r"openssl/",
    "flatbuffers": r"flatbuffers/", "simdjson": r"simdjson", "liburing": r"liburing", "boost": r"boost/", "spdlog": r"spdlog/",
    "CLI": r"CLI/", "libcuckoo": r"libcuckoo/", "jwt": r"jwt\.h", "prometheus": r"prometheus/", "spng": r"spng", "lz4": r"lz4",
    "gtest": r"g(test|mock)/", "benchmark": r"benchmark/", "toml": r"toml",
    "linux": r"(linux/|sys/(mman|socket|epoll|eventfd|file|random|statvfs|ioctl|uio|resource|utsname)|netinet/|arpa/|sched\.h|pthread\.h)",
}
# Where a file that includes something belongs, for headers that are found from their own folder.
ROOTS = {"terrazzo/": "client-lib/include"}


def read_layers(path):
    layers = {}
    for line in open(path, encoding="utf-8"):
        line = line.split("#")[0].strip()
        if not line:
            continue
        left, _, right = line.partition(":")
        folder, *may = left.split()
        layers[folder] = (may, right.split())
    return layers


def layer_of(path, layers):
    folder = os.path.dirname(path)
    while folder:
        if folder in layers:
            return folder
        folder = os.path.dirname(folder)
    return None


def check(root):
    layers = read_layers(os.path.join(root, "tools/layers.txt"))
    listed = subprocess.run(["git", "-C", root, "ls-files", "*.h", "*.cc"], capture_output=True, text=True)
    files = listed.stdout.split() if listed.returncode == 0 and listed.stdout else [
        os.path.relpath(os.path.join(folder, name), root)
        for folder, _, names in os.walk(root) for name in names if name.endswith((".h", ".cc"))]
    problems = []
    for path in files:
        own = layer_of(path, layers)
        if own is None:
            problems.append("%s:1: this folder is in no layer: add it to tools/layers.txt" % path)
            continue
        may, libraries = layers[own]
        if may == ["*"]:
            continue
        for number, line in enumerate(open(os.path.join(root, path), encoding="utf-8"), 1):
            match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
            if not match:
                continue
            quoted, name = match.group(1) == '"', match.group(2)
            if quoted and name == "base/canary.h" and path.endswith(".h"):
                problems.append("%s:%d: bugs on purpose are asked for in .cc files only: headers are in programs with and without them" % (path, number))
            if quoted:
                target = next((layer for start, layer in ROOTS.items() if name.startswith(start)), None) or layer_of(name, layers)
                if target is None and "/" in name:
                    problems.append('%s:%d: "%s": includes are written from the root of the tree' % (path, number, name))
                elif target is not None and target != own and target not in may:
                    problems.append("%s:%d: %s may not include %s (%s); it may: %s" % (path, number, own, target, name, ", ".join(may) or "nothing of ours"))
            else:
                for library, pattern in LIBRARIES.items():
                    if re.match(pattern, name) and library not in libraries:
                        # The system's own headers are only forbidden to the pure layers, which name none of them.
                        if library == "linux" and own in ("server/runtime",):
                            continue
                        problems.append("%s:%d: %s may not use %s (<%s>); it may: %s" % (path, number, own, library, name, ", ".join(libraries) or "the standard library"))
    return problems, len(files)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    problems, count = check(root)
    for problem in problems:
        print(problem)
    print("layers: %d files, %d problems" % (count, len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
