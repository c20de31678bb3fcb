#!/usr/bin/env python3
"""What scripts/fuzz.sh found out.

usage: fuzz_report.py table WORK TARGET...   tables of the runs and of the parsers' coverage
       fuzz_report.py keep MERGED CORPUS     copies the smallest inputs of MERGED that CORPUS lacks

The exit status of `table` is 1 when a target found something.
"""
import fnmatch
import hashlib
import json
import os
import re
import shutil
import sys

# The sources that take bytes from outside.
PARSERS = (
    "diskfs/superblock.cc", "diskfs/superblock_scan.cc", "diskfs/geometry.cc", "diskfs/space_map.cc",
    "diskfs/journal_format.cc", "diskfs/journal_reader.cc", "diskfs/recovery.cc",
    "diskfs/batch_decoder.cc", "diskfs/batch_scan.cc", "diskfs/varint.cc", "diskfs/mount.cc",
    "diskfs/node_format.cc", "diskfs/node_store.cc", "diskfs/items.cc", "diskfs/tree_reader.cc",
    "diskfs/tree_walk.cc", "diskfs/tree_cursor.cc", "diskfs/xattr_map.cc", "diskfs/file_map.cc",
    "diskfs/inline_pages.cc", "diskfs/apply.cc", "diskfs/check/*.cc",
    "fuse/options.cc", "fuse/option_table.cc", "fuse/wire.cc", "fuse/raw_requests.cc",
    "fuse/request_check.cc", "fuse/request.cc", "fuse/operations_*.cc", "fuse/libfuse_operations.cc",
    "fuse/libfuse_reply.cc", "fuse/reply_buffer.cc",
)
KEPT_A_TARGET = 24
KEPT_BYTES_MAX = 1024


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def last_number(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def findings_of(folder):
    folder = os.path.join(folder, "findings")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def print_runs(work, targets):
    """True when nothing was found."""
    print("| target | seconds | executions | a second | branches | inputs | findings |")
    print("|---|---|---|---|---|---|---|")
    clean = True
    total = 0
    for target in targets:
        folder = os.path.join(work, target)
        log = read_text(os.path.join(folder, "run.log"))
        if not log:
            continue
        ran = last_number(r"stat::number_of_executed_units: (\d+)", log)
        seconds = last_number(r"Done \d+ runs in (\d+) second", log)
        found = findings_of(folder)
        total += ran
        clean = clean and not found and seconds > 0
        branches = last_number(r"cov: (\d+)", log)
        inputs = last_number(r"corp: (\d+)/", log)
        rate = ran // seconds if seconds else ""
        print(f"| {target} | {seconds or 'ended early'} | {ran} | {rate} | {branches} | {inputs} | "
              f"{' '.join(found) or 'none'} |")
    print(f"\n{total} executions\n")
    return clean


def print_coverage(work, root):
    text = read_text(os.path.join(work, "coverage.json"))
    if not text:
        return
    print("| source | lines | reached | % |")
    print("|---|---|---|---|")
    lines = reached = 0
    for file in sorted(json.loads(text)["data"][0]["files"], key=lambda f: f["filename"]):
        path = os.path.relpath(file["filename"], root)
        if not any(fnmatch.fnmatchcase(path, pattern) for pattern in PARSERS):
            continue
        summary = file["summary"]["lines"]
        lines += summary["count"]
        reached += summary["covered"]
        print(f"| {path} | {summary['count']} | {summary['covered']} | {summary['percent']:.1f} |")
    if lines:
        print(f"| all of them | {lines} | {reached} | {100 * reached / lines:.1f} |")


def keep(merged, corpus):
    """Small inputs first: they say more a byte, and a file each is read by people too."""
    names = sorted(os.listdir(merged), key=lambda n: (os.path.getsize(os.path.join(merged, n)), n))
    had = {hashlib.sha1(open(os.path.join(corpus, n), "rb").read()).hexdigest()
           for n in os.listdir(corpus)}
    kept = 0
    for name in names:
        source = os.path.join(merged, name)
        digest = hashlib.sha1(open(source, "rb").read()).hexdigest()
        if kept == KEPT_A_TARGET or os.path.getsize(source) > KEPT_BYTES_MAX:
            break
        if digest in had or os.path.getsize(source) < 8:
            continue
        shutil.copyfile(source, os.path.join(corpus, "found_" + digest[:10]))
        kept += 1
    print(f"{corpus}: {kept} inputs added")


def main():
    if sys.argv[1] == "keep":
        keep(*sys.argv[2:4])
        return 0
    work, targets = sys.argv[2], sys.argv[3:]
    clean = print_runs(work, targets)
    print_coverage(work, os.getcwd())
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
