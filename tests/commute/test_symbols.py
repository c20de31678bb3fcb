"""Every symbol outside the project that the recorded rooms use stands on the reviewed list
tests/commute/base/symbols.txt, and those said to be recorded are."""
import fnmatch
import os
import re
import subprocess
import sys

ROOMS = ("base", "oplog", "memfs", "diskfs", "volume")
SOURCE = os.environ["SCALEFS_SOURCE_DIR"]
BUILD = os.environ["SCALEFS_BIN_DIR"]


def nm(option, path):
    out = subprocess.run(["nm", option, path], check=True, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True).stdout
    return {line.split()[-1] for line in out.splitlines() if len(line.split()) >= 2}


def base_name(symbol):
    """Without arguments: `operator delete(void*, unsigned long)` is `operator delete`."""
    name = re.sub(r"\[abi:\w+\]", "", symbol)
    return re.sub(r"\(.*$", "", name)


def read_list(path):
    classes, current = {}, None
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            head = re.fullmatch(r"\[(\w+)\] (.+)", line)
            if head:
                current = head.group(1)
                continue
            classes[line] = current
    return classes


def main():
    libraries = [os.path.join(BUILD, f"libscalefs_{room}_record.a") for room in ROOMS]
    if not any(os.path.exists(library) for library in libraries):
        print("this build has no recorded rooms")
        return 77
    for library in libraries:
        if not os.path.exists(library):
            print(f"{library} is not built")
            return 1
    undefined, defined = set(), set()
    for library in libraries:
        undefined |= nm("-u", library)
        defined |= nm("--defined-only", library)
    outside = sorted(undefined - defined)
    plain = subprocess.run(["c++filt"], input="\n".join(outside), check=True,
                           stdout=subprocess.PIPE, text=True).stdout.splitlines()
    reviewed = read_list(os.path.join(SOURCE, "tests/commute/base/symbols.txt"))
    with open(os.path.join(SOURCE, "tests/commute/recorder/wrapped.txt"), encoding="utf-8") as file:
        wrapped = set(file.read().split())
    runtime = set()
    folder = os.path.join(BUILD, "CMakeFiles/scalefs_recorder_runtime.dir/tests/commute/recorder")
    for name in os.listdir(folder):
        if name.endswith(".o"):
            runtime |= nm("--defined-only", os.path.join(folder, name))

    errors, used, counts = [], set(), {}
    for symbol, name in zip(outside, plain):
        entries = [e for e in reviewed if e == base_name(name) or
                   (e.endswith("*") and fnmatch.fnmatchcase(name, e))]
        if not entries:
            errors.append(f"not reviewed: {name} ({symbol})")
            continue
        used.update(entries)
        kind = reviewed[entries[0]]
        counts[kind] = counts.get(kind, 0) + 1
        if kind == "recorded" and symbol not in wrapped and symbol not in runtime:
            errors.append(f"said to be recorded, but nothing records it: {name} ({symbol})")
    errors += [f"reviewed, but not used any more: {e}" for e in reviewed if e not in used]
    print(f"{len(outside)} symbols outside the rooms: " +
          ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    print("\n".join(errors))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
