# SPDX-License-Identifier: MIT
"""No folder of supervisor/ includes a folder that includes it, directly or through others."""
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "supervisor")


def includes():
    """{folder: {included folder: one file that includes it}}"""
    found = {}
    for path, _, files in os.walk(ROOT):
        for name in files:
            if not name.endswith((".cpp", ".hpp", ".c", ".h", ".S")):
                continue
            file = os.path.relpath(os.path.join(path, name), ROOT)
            folder = file.split(os.sep)[0]
            with open(os.path.join(path, name)) as f:
                for other in re.findall(r'#include "([a-z]+)/', f.read()):
                    if other != folder and os.path.isdir(os.path.join(ROOT, other)):
                        found.setdefault(folder, {}).setdefault(other, file)
    return found


def main():
    direct = includes()
    failed = 0
    for start in sorted(direct):
        for first, file in sorted(direct[start].items()):
            seen, todo = set(), [first]
            while todo:
                folder = todo.pop()
                if folder not in seen:
                    seen.add(folder)
                    todo += direct.get(folder, {})
            if start in seen:
                failed += 1
                print(f"FAIL {start}/ includes {first}/ in {file}, which leads back to {start}/")
    print(f"{0 if failed else len(direct)} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed or not direct else 0)


main()
