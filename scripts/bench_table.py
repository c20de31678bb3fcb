#!/usr/bin/env python3
"""Measures calls in memory beside tmpfs, and commits, and prints the tables of README.md (Markdown).

usage: bench_table.py [MICROBENCH] [REPETITIONS]     (build/release/scalefs-microbench, 7)

All benchmarks run in one process, their repetitions in random order, so that what disturbs the machine
disturbs all of them; medians are shown.
"""
import json
import os
import subprocess
import sys

# What is measured: its benchmark in MemFS, and on tmpfs.
CALLS = [
    ("create", "BM_Create/iterations:262144/real_time", "tmpfs_create/real_time"),
    ("unlink", "BM_Unlink/iterations:262144/real_time", "tmpfs_unlink/real_time"),
    ("lookup", "BM_Lookup/real_time", "tmpfs_lookup/real_time"),
    ("stat", "BM_Stat/real_time", "tmpfs_stat/real_time"),
    ("rename", "BM_Rename/iterations:262144/real_time", "tmpfs_rename/real_time"),
    ("read of 4 KiB", "BM_Read4K/shared:0/real_time", "tmpfs_read_4k/real_time"),
    ("write of 4 KiB", "BM_Write4K/shared:0/real_time", "tmpfs_write_4k/real_time"),
]
COMMITS = [1, 100, 10000]
FILTER = "BM_(Create|Unlink|Lookup/|Stat|Rename|Commit)|4K/shared:0|tmpfs_"


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else os.path.join("build", "release", "scalefs-microbench")
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    run = subprocess.run(
        [program, f"--benchmark_filter={FILTER}", f"--benchmark_repetitions={repetitions}",
         "--benchmark_enable_random_interleaving=true", "--benchmark_min_time=0.1",
         "--benchmark_report_aggregates_only=true", "--benchmark_format=json"],
        check=True, stdout=subprocess.PIPE, text=True)
    medians = {}
    for result in json.loads(run.stdout)["benchmarks"]:
        if result.get("error_occurred"):
            sys.exit(f"{result['name']}: {result['error_message']}")
        if result.get("aggregate_name") == "median":
            medians[result["run_name"]] = result

    def nanoseconds(name, threads):
        return medians[f"{name}/threads:{threads}"]["real_time"]

    print("| call | 1 thread, ns | 2 threads, ns a call | tmpfs 1, ns | tmpfs 2, ns | tmpfs / scalefs, 1 | 2 |")
    print("|---|---|---|---|---|---|---|")
    for what, ours, theirs in CALLS:
        times = [nanoseconds(name, threads) for name in (ours, theirs) for threads in (1, 2)]
        print(f"| {what} | {times[0]:.0f} | {times[1]:.0f} | {times[2]:.0f} | {times[3]:.0f}"
              f" | {times[2] / times[0]:.1f} | {times[3] / times[1]:.1f} |")
    print()
    print("| commit of | 1 thread, µs | 2 threads, µs a commit | µs an operation, 1 thread | journal bytes an operation |")
    print("|---|---|---|---|---|")
    for count in COMMITS:
        name = f"BM_Commit/operations:{count}/real_time"
        one, two = (nanoseconds(name, threads) / 1000 for threads in (1, 2))
        journal = medians[f"{name}/threads:1"]["journal_bytes_per_op"]
        print(f"| {count} | {one:.1f} | {two:.1f} | {one / count:.2f} | {journal:.0f} |")


if __name__ == "__main__":
    main()
