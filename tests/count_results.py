#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adds up the results in a folder: meson's logs (NAME.json), counts (NAME.counts) and single checks
(NAME.check).

A test whose last line counts its own checks ("3 passed, 0 failed, 1 skipped") adds these counts; one
whose exit status contradicts its counts adds a failure as well. Failures come last, each with the
command that repeats it.
"""
import json
import pathlib
import re
import sys

# Where the runs named in tests/run.sh are built.
DIRECTORIES = {"tests": "build", "asan": "build-asan", "tsan": "build-tsan"}
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped(?:, (\d+) broken)?$", re.M)


def of_test(entry):
    """(passed, failed, skipped) from one line of meson's log."""
    counts = COUNTS.findall(entry.get("stdout") or "")
    good = entry["result"] in ("OK", "EXPECTEDFAIL")
    if counts:
        passed, failed, skipped, broken = (int(n or 0) for n in counts[-1])
        failed += broken
        if not good and entry["result"] != "SKIP" and failed == 0:
            failed = 1
        return passed, failed, skipped
    if entry["result"] == "SKIP":
        return 0, 0, 1
    return (1, 0, 0) if good else (0, 1, 0)


def repeat(suite, entry):
    """The command that repeats a failed test: the test's own suggestion, or meson's."""
    found = re.findall(r"^\s*repeat: (.+)$", entry.get("stdout") or "", re.M)
    # meson's name: "project:suite / test".
    name = entry["name"].split(" / ")[-1]
    return found or [f"meson test -C {DIRECTORIES[suite]} '{name}' --print-errorlogs"]


def main():
    folder = pathlib.Path(sys.argv[1])
    total = [0, 0, 0]
    seen = 0
    failed = []
    for path in sorted(folder.glob("*.json")):
        for line in path.read_text(errors="replace").splitlines():
            entry = json.loads(line)
            seen += 1
            one = of_test(entry)
            print(f"{path.stem}: {entry['name']}: {one[0]} passed, {one[1]} failed, {one[2]} skipped")
            total = [a + b for a, b in zip(total, one)]
            if one[1]:
                failed += [f"{path.stem}: {entry['name']}: {command}"
                           for command in repeat(path.stem, entry)]
    for path in sorted(folder.glob("*.counts")):
        seen += 1
        one = tuple(map(int, re.findall(r"(\d+) (?:passed|failed|skipped)", path.read_text())))
        print(f"{path.stem}: {one[0]} passed, {one[1]} failed, {one[2]} skipped")
        total = [a + b for a, b in zip(total, one)]
        if one[1]:
            failed.append(f"{path.stem}: sh tests/run.sh --kernels")
    for path in sorted(folder.glob("*.check")):
        seen += 1
        verdict, _, command = path.read_text().strip().partition(" ")
        good = verdict == "pass"
        if not good:
            failed.append(f"{path.stem}: {command or 'see above'}")
        print(f"{path.stem}: {'passed' if good else 'FAILED'}")
        total[0 if good else 1] += 1
    if seen == 0:
        total[1] += 1
    if failed:
        print("\nfailed, and what repeats it:")
        print(*failed, sep="\n")
        print()
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
