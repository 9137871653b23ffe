"""Puts what a run has measured into bench/README.md, between the two comments that name it."""
import os

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")


def put(what, text):
    begin, end = "<!-- figures: %s -->" % what, "<!-- end of figures: %s -->" % what
    with open(README, encoding="utf-8") as file:
        before, found, rest = file.read().partition(begin)
        old, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise SystemExit("bench/README.md has no place for the figures of the %s: the comments %s and %s are missing" % (what, begin, end))
    with open(README, "w", encoding="utf-8") as file:
        file.write("%s%s\n%s\n%s%s" % (before, begin, text.strip(), end, after))
    print("put the figures of the %s into bench/README.md" % what)
