#!/usr/bin/env python3
"""Measures with scalefs-microbench and prints tables in Markdown.

usage: bench_report.py calls [MICROBENCH [REPETITIONS]]   (build/release/scalefs-microbench, 7)
       bench_report.py scaling [MICROBENCH [ROUNDS]]
       bench_report.py against OLD_MICROBENCH [MICROBENCH [ROUNDS]]
       bench_report.py structures [STRUCTURES [REPETITIONS]]   (build/release/scalefs-structures, 5)

  calls    calls in memory beside tmpfs through system calls, and commits: the tables of README.md. All
           run in one process, their repetitions in random order; medians are shown
  scaling  what the second thread brings on one file system, against the same on two private ones. In the rows of one
           directory, one name or one file the threads meet, in the others they do not
  against  what a call costs one thread, against the same call of another build
  structures  what one operation of each hot structure costs, beside what else could have been taken. Repetitions of
           all in random order; medians are shown

What disturbs the machine is to disturb both sides of a ratio: scaling and against measure both sides right
after each other, in an order that alternates from round to round, and show the median of the rounds' ratios
and the quartiles.
"""
import json
import os
import statistics
import subprocess
import sys

ITERATIONS = "iterations:32768/"
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
# What two threads share, as the benchmark's argument `private` has it, beside file systems of their own.
ONE, PRIVATE, OWN_DIRECTORIES = 0, 1, 2
SCALING = [
    ("create, own directories", "BM_Create", ITERATIONS, OWN_DIRECTORIES),
    ("create, own directories, growing", "BM_CreateGrowing", ITERATIONS, OWN_DIRECTORIES),
    ("unlink, own directories", "BM_Unlink", ITERATIONS, OWN_DIRECTORIES),
    ("rename, own directories", "BM_Rename", ITERATIONS, OWN_DIRECTORIES),
    ("lookup, own directories", "BM_Lookup", "", OWN_DIRECTORIES),
    ("lookup, one directory", "BM_Lookup", "", ONE),
    ("lookup, one name", "BM_LookupSameName", "", ONE),
    ("stat", "BM_Stat", "", ONE),
    ("read of 4 KiB, own files", "BM_Read4K", "shared:0/", ONE),
    ("read, one file", "BM_Read4K", "shared:1/", ONE),
    ("write of 4 KiB, own files", "BM_Write4K", "shared:0/", ONE),
    ("write, one file", "BM_Write4K", "shared:1/", ONE),
    ("append of 4 KiB, own files", "BM_Append4K", "", ONE),
    ("create, one directory", "BM_Create", ITERATIONS, ONE),
    ("create, one directory, growing", "BM_CreateGrowing", ITERATIONS, ONE),
    ("unlink, one directory", "BM_Unlink", ITERATIONS, ONE),
    ("rename, one directory", "BM_Rename", ITERATIONS, ONE),
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


def memfs(benchmark, rest, private=ONE):
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


def one_time(program, name, threads):
    """The time a call of one run of one benchmark, in ns."""
    run = subprocess.run(
        [program, f"--benchmark_filter=^{name}/threads:{threads}$", "--benchmark_min_time=0.1",
         "--benchmark_format=json"], check=True, stdout=subprocess.PIPE, text=True)
    results = json.loads(run.stdout)["benchmarks"]
    if len(results) != 1 or results[0].get("error_occurred"):
        sys.exit(f"not measured: {name}")
    return results[0]["real_time"]


def spread(ratios):
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.2f} | {low:.2f} to {high:.2f}"


def print_scaling(program, rounds):
    """One thread on one file system is what both gains start from, so that the ratio of the gains is that of the times of
    two threads."""
    print(f"| call | gain of the 2nd thread | on private file systems | ratio of {rounds} pairs | quartiles |")
    print("|---|---|---|---|---|")
    for what, ours, rest, shared in SCALING:
        gains = {shared: [], PRIVATE: []}
        for i in range(rounds):
            one = one_time(program, memfs(ours, rest, PRIVATE), 1)
            for private in (shared, PRIVATE) if i % 2 == 0 else (PRIVATE, shared):
                gains[private].append(one / one_time(program, memfs(ours, rest, private), 2))
        ratios = [together / alone for together, alone in zip(gains[shared], gains[PRIVATE])]
        print(f"| {what} | {statistics.median(gains[shared]):.2f} | {statistics.median(gains[PRIVATE]):.2f}"
              f" | {spread(ratios)} |", flush=True)


def print_against(old, new, rounds):
    print(f"| call | ns before | ns now | before / now, {rounds} pairs | quartiles |")
    print("|---|---|---|---|---|")
    for what, ours, rest, _ in CALLS:
        times = {old: [], new: []}
        for i in range(rounds):
            for program in (old, new) if i % 2 == 0 else (new, old):
                times[program].append(one_time(program, memfs(ours, rest), 1))
        ratios = [before / now for before, now in zip(times[old], times[new])]
        print(f"| {what} | {statistics.median(times[old]):.0f} | {statistics.median(times[new]):.0f}"
              f" | {spread(ratios)} |", flush=True)


def structure_rows(results):
    """{(structure, what it works with): {alternative: {threads: ns}}} of results in Google Benchmark's form. A name is
    STRUCTURE/ALTERNATIVE[/ARGUMENTS][/real_time][/threads:N]."""
    rows = {}
    for result in results:
        structure, alternative, *rest = result["run_name"].split("/")
        arguments = [word for word in rest if word != "real_time" and not word.startswith("threads:")]
        row = rows.setdefault((structure, ", ".join(arguments)), {})
        row.setdefault(alternative, {})[result["threads"]] = result["real_time"]
    return rows


def print_structures(program, repetitions):
    run = subprocess.run(
        [program, "--benchmark_min_time=0.1", f"--benchmark_repetitions={repetitions}",
         "--benchmark_enable_random_interleaving=true", "--benchmark_report_aggregates_only=true",
         "--benchmark_format=json"], check=True, stdout=subprocess.PIPE, text=True)
    medians = [r for r in json.loads(run.stdout)["benchmarks"] if r.get("aggregate_name") == "median"]
    print("| structure | alternative | ns, 1 thread | more threads |")
    print("|---|---|---|---|")
    for (structure, arguments), alternatives in structure_rows(medians).items():
        for alternative, times in alternatives.items():
            more = ", ".join(f"{threads}: {time:.1f}" for threads, time in sorted(times.items()) if threads > 1)
            what = f"{structure} ({arguments})" if arguments else structure
            print(f"| {what} | {alternative} | {times[1]:.1f} | {more} |")


def main():
    tables = {"calls": print_calls, "scaling": print_scaling, "against": print_against,
              "structures": print_structures}
    arguments = sys.argv[1:]
    if not arguments or arguments[0] not in tables:
        sys.exit(__doc__)
    what = arguments.pop(0)
    olds = []
    if what == "against":
        if not arguments:
            sys.exit(__doc__)
        olds.append(arguments.pop(0))
    built, rounds = ("scalefs-structures", 5) if what == "structures" else ("scalefs-microbench", 7)
    program = arguments[0] if arguments else os.path.join("build", "release", built)
    tables[what](*olds, program, int(arguments[1]) if len(arguments) > 1 else rounds)


if __name__ == "__main__":
    main()
