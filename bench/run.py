#!/usr/bin/env python3
"""Runs the benchmarks of build/release/bin, writes build/bench/latest.json and a page with bars, prints a table."""
import argparse
import datetime
import html
import json
import os
import platform
import subprocess
import sys
import time

import data_plane
import readme

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
BIN = os.path.join(ROOT, "build/release/bin")
OUT = os.path.join(ROOT, "build/bench")


def fanout(quick):
    file = os.path.join(OUT, "fanout.json")
    command = [os.path.join(BIN, "terrazzo-fanout-bench"), "--json", file, "--rounds", "3" if quick else "5", "--seconds", "1" if quick else "3"]
    if folder := data_plane.prepare_peers(20000):
        command += ["--peers", folder]
    subprocess.run(command, check=True)
    return json.load(open(file))


def timed(name, quick):
    program = os.path.join(BIN, name)
    if not os.path.exists(program):
        print(name + ": left out, Google Benchmark was not there when the tree was configured")
        return None
    ran = subprocess.run([program, "--benchmark_format=json", "--benchmark_min_time=%s" % ("0.1" if quick else "0.5")],
                         capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def stores(quick, arguments=()):
    program = os.path.join(BIN, "terrazzo-store-suite")
    if not os.path.exists(program):
        print("stores side by side: left out, install liblmdb-dev, libsqlite3-dev and librocksdb-dev")
        return None
    file = os.path.join(OUT, "stores.json")
    table = os.path.join(OUT, "stores.md")
    subprocess.run([program, "--folder", OUT, "--json", file, "--markdown", table, *arguments] + (["--quick"] if quick else []), check=True)
    return json.load(open(file))


# Only the stores: the table of goals, and of what was measured for each store.
def stores_main(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench store", description="The store beside LMDB, SQLite and RocksDB: goals P4 to P8 as one table, "
                                     "build/bench/stores.md and .json. Six minutes, and with --large some fifteen more.")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything works")
    parser.add_argument("--large", action="store_true", help="edits and reads in a million chunks, too: up to 17 GB of disk space at a time")
    parser.add_argument("--only", help="one part: p4, p5, pages, p5b, p6, p7 or p8")
    parser.add_argument("--readme", action="store_true", help="put the tables into bench/README.md, too")
    options = parser.parse_args(arguments)
    if options.quick and options.readme:
        parser.error("figures of --quick are none: leave out --readme")
    os.makedirs(OUT, exist_ok=True)
    began, load = time.time(), os.getloadavg()[0]
    rows = stores(options.quick, (["--large"] if options.large else []) + (["--only", options.only] if options.only else []))
    if rows is None:
        return 1
    words = "%s: `./dev bench store%s` on %s, %d CPUs; load %.1f when it began, %.1f at the end; %.0f s.\n\n" % (
        datetime.date.today(), "".join(" " + a for a in arguments if a != "--readme"), platform.platform(), os.cpu_count(), load, os.getloadavg()[0], time.time() - began)
    text = words + open(os.path.join(OUT, "stores.md")).read() + "\n" + store_tables(rows) + "\n" + section_tables(rows)
    with open(os.path.join(OUT, "stores.md"), "w") as out:
        out.write(text)
    if options.readme:
        readme.put("store", text)
    print("wrote build/bench/stores.md and stores.json")
    return 0


# A store for each row, an operation for each column.
def store_tables(rows):
    out = []
    for section in dict.fromkeys(r["section"] for r in rows if r.get("section", "").startswith("P5 ")):
        here = [(*r["name"].split(": ", 1), r) for r in rows if r.get("section") == section and ": " in r.get("name", "")]
        columns = list(dict.fromkeys(operation for _, operation, _ in here))
        values = {(name, operation): "%s %s" % (format(r["value"], ",.0f"), r["unit"]) for name, operation, r in here}
        body = [[name] + [values.get((name, c), "–") for c in columns] for name in dict.fromkeys(name for name, _, _ in here)]
        out.append("**%s**\n\n%s" % (section, data_plane.table([""] + columns, body)))
    return "\n".join(out)


# What the goals rest on, in the order it was measured.
def section_tables(rows):
    out = []
    for section in dict.fromkeys(r["section"] for r in rows if "section" in r and not r["section"].startswith(("P5 ", "pages"))):
        body = [[r["name"].strip(), "%s %s" % (format(r["value"], ",.2f" if r["value"] < 100 else ",.0f"), r["unit"])] for r in rows if r.get("section") == section and "value" in r]
        out.append("**%s**\n\n%s" % (section, data_plane.table(["", ""], body)))
    return "\n".join(out)


def readers(quick):
    program = os.path.join(BIN, "terrazzo-reader-bench")
    if not os.path.exists(program):
        print("readers on the same host: left out, install liblmdb-dev")
        return None
    file = os.path.join(OUT, "readers.json")
    subprocess.run([program, "--folder", OUT, "--json", file] + (["--quick", "--chunks", "16384"] if quick else []), check=True)
    return json.load(open(file))


def bars(title, rows, unit):
    most = max(value for _, value in rows) or 1
    out = ["<h2>%s</h2><svg width='760' height='%d' font-family='sans-serif' font-size='13'>" % (html.escape(title), 28 * len(rows) + 8)]
    for i, (name, value) in enumerate(rows):
        y = 28 * i + 4
        out.append("<text x='0' y='%d'>%s</text><rect x='320' y='%d' width='%.1f' height='18' fill='#2f7f8f'/><text x='%.1f' y='%d'>%s %s</text>"
                   % (y + 14, html.escape(name), y, 300 * value / most, 328 + 300 * value / most, y + 14, format(value, ",.0f"), unit))
    return "".join(out) + "</svg>"


def main():
    if "data-plane" in sys.argv[1:]:
        return data_plane.main([a for a in sys.argv[1:] if a != "data-plane"])
    if sys.argv[1:2] == ["store"]:
        return stores_main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="./dev bench", description="All benchmarks with their yardsticks: tables, build/bench/latest.json, and a "
                                     "page with bars. \"./dev bench data-plane\": only the data plane, with its peers. \"./dev bench store\": only the stores. "
                                     "Both have a --help of their own.")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything works")
    parser.add_argument("--large", action="store_true", help="the stores with a million chunks, too")
    options = parser.parse_args()
    quick = options.quick
    os.makedirs(OUT, exist_ok=True)
    print("%s, %s, %d CPUs, load %s" % (datetime.date.today(), platform.platform(), os.cpu_count(), os.getloadavg()[0]))
    results = {"date": str(datetime.date.today()), "machine": platform.platform(), "cpus": os.cpu_count(), "load": os.getloadavg()[0]}
    page = ["<!doctype html><meta charset='utf-8'><title>Terrazzo: figures</title><body style='font-family:sans-serif'><h1>Terrazzo: figures of %s</h1>" % results["date"]]
    results["fanout"] = fanout(quick)
    page.append(bars("Server CPU per message delivered to one of %d viewers" % results["fanout"]["results"][0]["viewers"],
                     [(s["name"], s["cpu_ns_per_delivered"]) for s in results["fanout"]["results"]], "ns"))
    page.append(bars("Messages delivered per second", [(s["name"], s["delivered_per_second"]) for s in results["fanout"]["results"]], ""))
    for key, program in (("store", "terrazzo-store-bench"), ("core", "terrazzo-core-bench")):
        results[key] = timed(program, quick)
        if results[key]:
            rows = [(b["name"], b["cpu_time"]) for b in results[key]["benchmarks"]]
            for name, value in rows:
                print("  %-28s %10.1f ns" % (name, value))
            page.append(bars("Time per operation", rows, "ns"))
    results["stores"] = stores(quick, ["--large"] if options.large else [])
    results["readers"] = readers(quick)
    sections = {}
    for row in results["stores"] or []:
        if row.get("unit") == "ns":
            sections.setdefault(row["section"], []).append((row["name"], row["value"]))
    for title, rows in sections.items():
        page.append(bars(title, rows, "ns"))
    with open(os.path.join(OUT, "latest.json"), "w") as out:
        json.dump(results, out, indent=1)
    with open(os.path.join(OUT, "latest.html"), "w") as out:
        out.write("\n".join(page))
    print("wrote %s and latest.html beside it" % os.path.relpath(os.path.join(OUT, "latest.json"), ROOT))


if __name__ == "__main__":
    sys.exit(main())
