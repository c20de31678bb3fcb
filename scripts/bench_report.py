#!/usr/bin/env python3
"""Measures with scalefs-microbench and prints tables in Markdown.

usage: bench_report.py calls|scaling [MICROBENCH [REPETITIONS]]   (build/release/scalefs-microbench, 7)

  calls    calls in memory beside tmpfs through system calls, and commits: the tables of README.md
  scaling  what the second thread brings on one file system, against the same on two private ones

All benchmarks of a table run in one process, their repetitions in random order, so that what disturbs
the machine disturbs all of them; medians are shown.
"""
import json
import os
import subprocess
import sys

ITERATIONS = "iterations:262144/"
# What is measured: the benchmark in MemFS, between its name and its file system the rest, and on tmpfs.
CALLS = [
    ("create", "BM_Create", ITERATIONS, "tmpfs_create"),
    ("unlink", "BM_Unlink", ITERATIONS, "tmpfs_unlink"),
    ("lookup", "BM_Lookup", "", "tmpfs_lookup"),
    ("stat", "BM_Stat", "", "tmpfs_stat"),
    ("rename", "BM_Rename", ITERATIONS, "tmpfs_rename"),
    ("read of 4 KiB", "BM_Read4K", "shared:0/", "tmpfs_read_4k"),
    ("write of 4 KiB", "BM_Write4K", "shared:0/", "tmpfs_write_4k"),
]
SCALING = [row[:3] for row in CALLS] + [
    ("lookup, one name", "BM_LookupSameName", ""),
    ("read, one file", "BM_Read4K", "shared:1/"),
    ("write, one file", "BM_Write4K", "shared:1/"),
    ("append of 4 KiB", "BM_Append4K", ""),
]
COMMITS = [1, 100, 10000]


def measure(program, repetitions, names):
    """{benchmark's name without the threads: {threads: the medians of its counters}}"""
    run = subprocess.run(
        [program, f"--benchmark_filter=^({'|'.join(names)})/threads", "--benchmark_min_time=0.1",
         f"--benchmark_repetitions={repetitions}", "--benchmark_enable_random_interleaving=true",
         "--benchmark_report_aggregates_only=true", "--benchmark_format=json"],
        check=True, stdout=subprocess.PIPE, text=True)
    medians = {}
    for result in json.loads(run.stdout)["benchmarks"]:
        if result.get("error_occurred"):
            sys.exit(f"{result['name']}: {result['error_message']}")
        if result.get("aggregate_name") == "median":
            medians.setdefault(result["run_name"].rsplit("/", 1)[0], {})[result["threads"]] = result
    missing = set(names) - set(medians)
    if missing:
        sys.exit(f"not measured: {', '.join(sorted(missing))}")
    return medians


def memfs(benchmark, rest, private=0):
    return f"{benchmark}/private:{private}/{rest}real_time"


def print_calls(program, repetitions):
    commits = {count: f"BM_Commit/operations:{count}/real_time" for count in COMMITS}
    names = [memfs(ours, rest) for _, ours, rest, _ in CALLS]
    names += [f"{theirs}/real_time" for *_, theirs in CALLS] + list(commits.values())
    medians = measure(program, repetitions, names)
    print("| call | ns, 1 thread | ns, 2 threads | tmpfs, 1 thread | tmpfs, 2 threads |"
          " tmpfs / scalefs, 1 thread | 2 threads |")
    print("|---|---|---|---|---|---|---|")
    for what, ours, rest, theirs in CALLS:
        times = [medians[name][threads]["real_time"]
                 for name in (memfs(ours, rest), f"{theirs}/real_time") for threads in (1, 2)]
        print(f"| {what} | {' | '.join(f'{time:.0f}' for time in times)}"
              f" | {times[2] / times[0]:.1f} | {times[3] / times[1]:.1f} |")
    print("\n| commit of | µs, 1 thread | µs, 2 threads | µs an operation, 1 thread |"
          " journal bytes an operation |")
    print("|---|---|---|---|---|")
    for count, name in commits.items():
        one, two = (medians[name][threads]["real_time"] / 1000 for threads in (1, 2))
        journal = medians[name][1]["journal_bytes_per_op"]
        print(f"| {count} | {one:.1f} | {two:.1f} | {one / count:.2f} | {journal:.0f} |")


def print_scaling(program, repetitions):
    names = [memfs(ours, rest, private) for _, ours, rest in SCALING for private in (0, 1)]
    medians = measure(program, repetitions, names)
    print("| call | gain of the 2nd thread | on private file systems | ratio |")
    print("|---|---|---|---|")
    for what, ours, rest in SCALING:
        gains = []
        for private in (0, 1):
            of = medians[memfs(ours, rest, private)]
            gains.append(of[1]["real_time"] / of[2]["real_time"])
        print(f"| {what} | {gains[0]:.2f} | {gains[1]:.2f} | {gains[0] / gains[1]:.2f} |")


def main():
    tables = {"calls": print_calls, "scaling": print_scaling}
    if len(sys.argv) < 2 or sys.argv[1] not in tables:
        sys.exit(__doc__)
    program = sys.argv[2] if len(sys.argv) > 2 else os.path.join("build", "release", "scalefs-microbench")
    tables[sys.argv[1]](program, int(sys.argv[3]) if len(sys.argv) > 3 else 7)


if __name__ == "__main__":
    main()
