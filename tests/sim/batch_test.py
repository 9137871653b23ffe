#!/usr/bin/env python3
"""Whether a batch of simulated runs that finds something says so: the exit code, the command that replays it, and a smaller
one that fails of the same claim; and whether a run that does not end is named.

Usage: batch_test.py TERRAZZO_SIM TERRAZZO_SIM_CANARIES
"""
import subprocess
import sys

BUG = ["--batch", "--bug", "edit not sent again"]
SEEDS = 10


def run(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=600)
    print(f"{' '.join([program, *arguments])}: {done.returncode}\n{done.stdout}", flush=True)
    return done.returncode, done.stdout.splitlines()


def expect(holds, what):
    if not holds:
        sys.exit(f"FAILED: {what}")


def finding(lines, begin):
    """The arguments of the command behind `begin`, the claim in the line below it, and what was drawn."""
    at = next((i for i, line in enumerate(lines) if line.strip().startswith(begin + " ./dev sim --seed ")), None)
    expect(at is not None and at + 3 < len(lines), f"no line with \"{begin} ./dev sim …\", the claim, what was seen and what was drawn")
    command = lines[at].strip()[len(begin) + 1:].removeprefix("./dev sim ")
    drawn = lines[at + 3].strip()
    expect(drawn.startswith(f"drawn: ./dev sim {command}: "), f"what was drawn is not told: {drawn}")
    return command.split(), lines[at + 1].strip()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    simulator, canaries = sys.argv[1:]

    code, lines = run(canaries, *BUG, "--seeds", str(SEEDS), "--jobs", "2")
    expect(code == 1, "a batch that finds something exits with 1")
    expect(lines[0].startswith(f"seeds 1 to {SEEDS}, 2 at once, "), "the range and the options come first")
    command, claim = finding(lines, "FAILED:")
    smaller, smaller_claim = finding(lines, "shrunk:")
    expect(claim == smaller_claim, "the smaller run fails of the same claim")
    expect(len(smaller) > len(command), "there is a smaller run of this one")

    for each in (command, smaller):
        code, lines = run(canaries, *BUG, "--no-shrink", *each)
        expect(code == 1 and finding(lines, "FAILED:") == (each, claim), "the command that was printed replays it")
        expect(run(simulator, *each)[0] == 0, "without the bug the same run is good")

    code, lines = run(canaries, "--batch", "--spin", "--seed", "7", "--seeds", "2", "--cpu-seconds", "1")
    expect(code == 1 and finding(lines, "FAILED:") == (["--seed", "7"], "a run ends"), "a run that spins is named")


main()
