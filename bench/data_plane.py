#!/usr/bin/env python3
"""The data plane beside its peers, in one run of less than ten minutes: fan-out to 200, 1000 and 5000 viewers, interest, latency,
loading a view, messages between cores, idle, stalled and returning clients. Writes build/bench/data-plane.json, .md and .svg.
Usage: bench/data_plane.py [--quick] [--bin FOLDER]"""
import argparse
import datetime
import html
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time

import readme

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
OUT = os.path.join(ROOT, "build/bench")
PACKAGES = ["ws@8", "yjs@13", "y-websocket@2", "y-protocols@1", "lib0", "@hocuspocus/server@3"]
COLORS = {"terrazzo ring": "#1f6f78", "terrazzo epoll": "#5fb0a8", "send() loop": "#8a8a8a", "node ws": "#c9892f", "y-websocket": "#b5524a", "hocuspocus": "#7d5a9e"}


def prepare_peers(messages):
    """A folder with the packages and with what their clients say; None where there is no node, no npm, or no registry."""
    if not shutil.which("node") or not shutil.which("npm"):
        print("servers on node: left out, node and npm are not installed")
        return None
    folder = os.path.join(OUT, "peers")
    os.makedirs(folder, exist_ok=True)
    source = os.path.join(ROOT, "bench/peers")
    for name in os.listdir(source):
        shutil.copy(os.path.join(source, name), folder)
    if not all(os.path.exists(os.path.join(folder, "node_modules", p.rsplit("@", 1)[0] or p)) for p in PACKAGES):
        with open(os.path.join(folder, "package.json"), "w") as out:
            out.write('{"private": true}\n')
        # y-websocket asks for a database with a native part; nothing here uses it, so its build script need not run.
        done = subprocess.run(["npm", "install", *PACKAGES, "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, timeout=180)
        if done.returncode != 0:
            print("servers on node: left out, npm could not install the packages")
            return None
    for peer in ("y-websocket", "hocuspocus"):
        subprocess.run(["node", "y_words.mjs", peer, str(messages), peer + ".txt"], cwd=folder, check=True)
    return folder


class Bench:
    def __init__(self, bin_folder, quick):
        self.bin, self.quick, self.results = os.path.abspath(bin_folder), quick, {}

    def run(self, key, program, *arguments):
        """Runs a program that writes JSON; what cannot be measured is said and left out."""
        file = os.path.join(OUT, key + ".json")
        if os.path.exists(file):
            os.remove(file)
        began = time.time()
        done = subprocess.run([os.path.join(self.bin, program), *[str(a) for a in arguments], "--json", file])
        print("  (%s: %.0f s, load %.1f)" % (key, time.time() - began, os.getloadavg()[0]), flush=True)
        if done.returncode != 0 or not os.path.exists(file):
            print("%s: something did not hold or could not be measured (exit code %d), see above" % (key, done.returncode))
        if os.path.exists(file):
            self.results[key] = json.load(open(file))

    def fan_out(self, key, *arguments):
        self.run(key, "terrazzo-fanout-bench", "--io", "ring,epoll", *arguments)

    def all(self):
        quick = self.quick
        peers = prepare_peers(4000 if quick else 40000)
        with_peers = ["--peers", peers] if peers else []
        rounds, seconds = (1, 0.5) if quick else (3, 1.5)
        sizes = "50,200" if quick else "200,1000,5000"
        self.fan_out("fanout", "--viewers", sizes, "--rounds", rounds, "--seconds", seconds, "--paced-seconds", 0.5 if quick else 1, *with_peers)
        # 1000 clients at places all over a world, of which 100 painters paint at 100; beside 100 painters and all 1000 at one place.
        painting = ("--painters", 10 if quick else 100, "--rounds", rounds, "--seconds", seconds, "--paced-seconds", 0, "--only", "terrazzo ring,terrazzo epoll")
        self.fan_out("spread", "--viewers", 40 if quick else 400, "--places", 10 if quick else 100, "--bystanders", "0,60,120" if quick else "0,600,1200", *painting)
        self.fan_out("one_spot", "--viewers", 100 if quick else 1000, *painting)
        self.fan_out("latency", "--viewers", 1, "--deliveries", 500, "--rounds", rounds, "--seconds", 0, "--paced-seconds", 0.5 if quick else 3,
                     "--only", "terrazzo ring,terrazzo epoll,send() loop")
        self.run("view", "terrazzo-view-bench", "--rounds", rounds, "--loads", 5 if quick else 60, "--clients", 20 if quick else 100)
        self.mesh()
        few = quick
        self.run("idle", "terrazzo-load", "idle", "--threads", 2, "--idle", 200 if few else 10000, "--active", 20 if few else 1000, "--seconds", 1 if few else 5)
        self.run("stall", "terrazzo-load", "stall", "--stalled", 50 if few else 1000, "--painters", 10 if few else 100, "--seconds", 1 if few else 5,
                 "--rounds", 1 if few else 3)
        for cause in ("cut", "killed"):
            self.run("storm_" + cause, "terrazzo-load", "storm", "--threads", 2, "--clients", 100 if few else 5000, "--cause", cause, "--seconds", 1 if few else 5)

    def mesh(self):
        program = os.path.join(self.bin, "terrazzo-mesh-bench")
        if not os.path.exists(program):
            print("messages between cores: left out, Google Benchmark was not there when the tree was configured")
            return
        ran = subprocess.run([program, "--benchmark_format=json", "--benchmark_min_time=%s" % ("0.05" if self.quick else "0.5")], capture_output=True, text=True)
        rows = json.loads(ran.stdout)["benchmarks"] if ran.returncode == 0 else []
        self.results["mesh"] = rows
        for row in rows:
            print("  %-40s %10.1f ns%s" % (row["name"], row["real_time"], "" if "items_per_second" not in row else ", %.1f ns a message" % (1e9 / row["items_per_second"])))


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def number(value, digits=0):
    return format(value, ",.%df" % digits)


def fan_out_tables(rows):
    out = []
    for viewers in sorted({r["viewers"] for r in rows}):
        here = {r["name"]: r for r in rows if r["viewers"] == viewers}
        own = here.get("terrazzo ring") or here.get("terrazzo epoll")
        body = []
        for name, r in here.items():
            cost = r["cpu_ns_per_delivered"]
            body.append([name, number(r["delivered_per_second"]), number(cost), number(own["cpu_ns_per_delivered"] / cost, 3) if cost else "–",
                         number(own["delivered_per_second"] / r["delivered_per_second"], 1) if r["delivered_per_second"] else "–", number(r["p50_us"]), number(r["p99_us"])])
        out.append("**One message to %d viewers**\n\n" % viewers + table(
            ["server", "delivered/s, saturated", "CPU ns per delivered", "Terrazzo's (ring) part of it", "Terrazzo's throughput over it", "p50 µs, 20,000 deliveries/s", "p99 µs"], body))
    return "\n".join(out)


def goals(results):
    rows = []
    fan = {(r["viewers"], r["name"]): r for r in results.get("fanout", {}).get("results", [])}
    def cost(viewers, name):
        row = fan.get((viewers, name))
        return row["cpu_ns_per_delivered"] if row else 0
    for viewers in sorted({v for v, _ in fan}):
        for name, most, goal in (("node ws", 0.1, "P1"), ("send() loop", 0.15, "P1")):
            if cost(viewers, name):
                rows.append((goal, "CPU per delivered message over %s, %d viewers" % (name, viewers), cost(viewers, "terrazzo ring") / cost(viewers, name), "≤ %g" % most))
        for name in ("y-websocket", "hocuspocus"):
            if cost(viewers, name) and cost(viewers, "terrazzo ring"):
                rows.append(("P16", "edits per CPU second over %s, %d viewers" % (name, viewers), cost(viewers, name) / cost(viewers, "terrazzo ring"), "≥ 20"))
    spread = {(r["bystanders"], r["name"]): r for r in results.get("spread", {}).get("results", [])}
    spot = {r["name"]: r for r in results.get("one_spot", {}).get("results", [])}
    counts = sorted({b for b, _ in spread})
    for name in ("terrazzo ring", "terrazzo epoll"):
        if len(counts) == 3 and spread.get((counts[1], name), {}).get("cpu_ns_per_message"):
            base, twice = spread[(counts[1], name)], spread[(counts[2], name)]
            rows.append(("P2", "%s: CPU per edit of %d painters at %d places, 4 viewers each, with %d uninterested clients over %d" % (
                name, base["painters"], base["places"], counts[2], counts[1]), twice["cpu_ns_per_message"] / base["cpu_ns_per_message"], "≤ 1.05"))
            if name in spot:
                rows.append(("P2", "%s: CPU per edit, spread over all on one spot (%s and %s µs)" % (
                    name, number(base["cpu_ns_per_message"] / 1000, 1), number(spot[name]["cpu_ns_per_message"] / 1000, 1)),
                    base["cpu_ns_per_message"] / spot[name]["cpu_ns_per_message"], "–"))
    late = {r["name"]: r for r in results.get("latency", {}).get("results", [])}
    for name in ("terrazzo ring", "terrazzo epoll"):
        if name in late and late.get("send() loop", {}).get("p50_us"):
            bare = late["send() loop"]
            rows.append(("P3", "%s: p50 edit to another client, over a bare relay (%s and %s µs)" % (name, number(late[name]["p50_us"]), number(bare["p50_us"])), late[name]["p50_us"] / bare["p50_us"], "≤ 3"))
            rows.append(("P3", "%s: p99 (%s and %s µs)" % (name, number(late[name]["p99_us"]), number(bare["p99_us"])), late[name]["p99_us"] / bare["p99_us"], "≤ 10"))
    if "view" in results:
        view = results["view"]
        rows.append(("P9", "throughput of %d clients loading 64 chunks, over bare send()" % view["clients"], view["mb_per_second"] / view["bare_mb_per_second"], "≥ 0.5"))
    found = lambda run, key: results.get(run, {}).get("findings", {}).get(key, {}).get("value")
    if found("idle", "user_bytes_per_idle_connection") is not None:
        rows.append(("P10", "bytes of server memory per idle connection", found("idle", "user_bytes_per_idle_connection"), "≤ 1536"))
    batch = [r for r in results.get("mesh", []) if r["name"].startswith("messages_in_batches/256")]
    if batch:
        rows.append(("P17", "ns per message between two cores, batches of 256", 1e9 / batch[0]["items_per_second"], "< 20"))
    if found("stall", "kernel_bytes_per_stalled_client") is not None:
        rows.append(("R5", "KiB per stalled client: queued and in the kernel", (found("stall", "queued_bytes_per_stalled_client") + found("stall", "kernel_bytes_per_stalled_client")) / 1024, "≤ 256"))
    if found("stall", "p99_ratio") is not None:
        rows.append(("R5", "p99 of the others, with stalled clients over without, median of pairs (%s and %s ms)" % (
            number(found("stall", "stalled_seen_p99_ms"), 2), number(found("stall", "before_seen_p99_ms"), 2)), found("stall", "p99_ratio"), "≤ 1.5"))
    if found("stall", "user_bytes_per_stalled_client") is not None:
        rows.append(("R5", "KiB of server memory per stalled client, what is shared counted once", found("stall", "user_bytes_per_stalled_client") / 1024, "≤ 256"))
    return rows


def met(value, wanted):
    sign, _, bound = wanted.partition(" ")
    if not bound:
        return "–"
    return "yes" if (value >= float(bound) if sign == "≥" else value <= float(bound)) else "**no**"


def findings_tables(results):
    out = []
    for key in ("idle", "stall", "storm_cut", "storm_killed"):
        if key in results:
            rows = [[f["what"], number(f["value"], 0 if abs(f["value"]) >= 100 else 2), f["unit"]] for f in results[key]["findings"].values()]
            out.append("**%s**\n\n" % results[key]["title"] + table(["", "", ""], rows) + "".join("\nProblem: %s\n" % p for p in results[key]["problems"]))
    return "\n".join(out)


def panel(x, title, rows, value, unit):
    """Grouped bars on a logarithmic scale, one group for each number of viewers."""
    groups = sorted({r["viewers"] for r in rows})
    values = [value(r) for r in rows if value(r) > 0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    top, height, width = 40, 260, 400
    place = lambda v: top + height * (1 - (math.log10(v) - low) / max(high - low, 1))
    out = ["<text x='%d' y='20' font-size='14'>%s</text>" % (x, html.escape(title))]
    for power in range(low, high + 1):
        y = place(10 ** power)
        out.append("<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='#ddd'/><text x='%d' y='%.1f' text-anchor='end' font-size='11'>%s</text>"
                   % (x + 50, y, x + 50 + width, y, x + 46, y + 4, format(10 ** power, ",")))
    for g, viewers in enumerate(groups):
        here = [r for r in rows if r["viewers"] == viewers and value(r) > 0]
        left, bar = x + 60 + g * width / len(groups), width / len(groups) / (len(COLORS) + 1)
        for i, r in enumerate(here):
            y = place(value(r))
            out.append("<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' fill='%s'><title>%s: %s %s</title></rect>"
                       % (left + i * bar, y, bar - 2, top + height - y, COLORS.get(r["name"], "#444"), html.escape(r["name"]), number(value(r)), unit))
        out.append("<text x='%.1f' y='%d' font-size='12'>%d viewers</text>" % (left, top + height + 18, viewers))
    return "".join(out)


def plot(rows):
    if not rows:
        return ""
    panels = [("Server CPU, ns per delivered message", lambda r: r["cpu_ns_per_delivered"], "ns"), ("Delivered messages per second, saturated", lambda r: r["delivered_per_second"], "/s"),
              ("p99, µs, at 20,000 deliveries per second", lambda r: r["p99_us"], "µs")]
    out = ["<svg xmlns='http://www.w3.org/2000/svg' width='1440' height='370' font-family='sans-serif'><rect width='1440' height='370' fill='white'/>"]
    out += [panel(10 + 475 * i, *p[:1], rows, *p[1:]) for i, p in enumerate(panels)]
    for i, name in enumerate(n for n in COLORS if any(r["name"] == n for r in rows)):
        out.append("<rect x='%d' y='340' width='12' height='12' fill='%s'/><text x='%d' y='351' font-size='12'>%s</text>" % (60 + 150 * i, COLORS[name], 78 + 150 * i, html.escape(name)))
    return "".join(out) + "</svg>\n"


def interest_table(results):
    rows = [r for key in ("spread", "one_spot") for r in results.get(key, {}).get("results", [])]
    body = [["%d painters and %d viewers at %s" % (r["painters"], r["viewers"], "%d places" % r["places"] if r["places"] > 1 else "one place"), str(r["bystanders"]), r["name"],
             number(1e9 / r["cpu_ns_per_message"]) if r["cpu_ns_per_message"] else "–", number(r["cpu_ns_per_message"] / 1000, 1), number(r["cpu_ns_per_delivered"])] for r in rows]
    return "**Who is interested**\n\n" + table(["", "uninterested clients", "server", "edits per CPU second", "CPU µs per edit", "CPU ns per delivered"], body) if rows else ""


def write(results, command, into_readme):
    rows = results.get("fanout", {}).get("results", [])
    words = ["# The data plane", "", "%s: `%s` on %s, %d CPUs; load %.1f when it began, %.1f at the end; %.0f s." % (
        results["date"], command, results["machine"], results["cpus"], results["load"], results["load_end"], results["seconds"]), "",
        table(["goal", "ratio or size", "measured", "wanted", "met?"], [[g, w, number(v, 0 if v >= 100 else 2 if v >= 1 else 3), t, met(v, t)] for g, w, v, t in goals(results)]),
        fan_out_tables(rows) if rows else "", interest_table(results), findings_tables(results)]
    if into_readme:
        readme.put("data plane", "\n".join(words[2:]))
    for name, text in (("data-plane.md", "\n".join(words)), ("data-plane.svg", plot(rows)), ("data-plane.json", json.dumps(results, indent=1) + "\n")):
        with open(os.path.join(OUT, name), "w") as out:
            out.write(text)
    print("\nwrote build/bench/data-plane.md, .svg and .json")


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything work?")
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/release/bin"), help="folder of the programs")
    parser.add_argument("--readme", action="store_true", help="put the tables into bench/README.md, too")
    options = parser.parse_args(arguments)
    if options.quick and options.readme:
        parser.error("figures of --quick are none: leave out --readme")
    os.makedirs(OUT, exist_ok=True)
    began, load = time.time(), os.getloadavg()[0]
    bench = Bench(options.bin, options.quick)
    bench.all()
    bench.results.update(date=str(datetime.date.today()), machine=platform.platform(), cpus=os.cpu_count(), load=load, load_end=os.getloadavg()[0], seconds=time.time() - began)
    write(bench.results, "./dev bench data-plane" + (" --quick" if options.quick else ""), options.readme)


if __name__ == "__main__":
    main(sys.argv[1:])
