#!/usr/bin/env python3
"""The programs of Google Benchmark's that scripts/bench_report.py makes its tables of: each structure runs beside what else
could have been taken, and there is a benchmark for each row of the tables."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))

import bench_report  # noqa: E402

BIN = pathlib.Path(os.environ.get("SCALEFS_BIN_DIR", "build/release")).resolve()

STRUCTURES = {
    "names_find": {"scalefs", "mutex_unordered_map", "urcu_lfht"},
    "names_make_remove": {"scalefs", "mutex_unordered_map", "urcu_lfht"},
    "page_find": {"scalefs", "mutex_unordered_map"},
    "guard": {"scalefs_epoch", "shared_mutex", "urcu"},
    "retire": {"scalefs_epoch", "urcu"},
    "reference": {"scalefs_delta_cache", "atomic_counter"},
    "oplog_append": {"scalefs", "mutex_vector"},
    "oplog_merge": {"scalefs", "sort"},
    "tree_put": {"scalefs", "std_map"},
    "journal_encode": {"scalefs", "copy_of_structs"},
    "crc32c": {"scalefs", "tables"},
    "allocate": {"scalefs", "mutex_bitmap"},
}


class Structures(unittest.TestCase):
    def test_each_stands_beside_what_else_could_have_been_taken(self):
        run = subprocess.run([BIN / "scalefs-structures", "--benchmark_min_time=0.002", "--benchmark_format=json"],
                             check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
        results = json.loads(run.stdout)["benchmarks"]
        for result in results:
            self.assertFalse(result.get("error_occurred", False), result)
            self.assertGreater(result["iterations"], 0, result["name"])
        found = {}
        for (structure, arguments), alternatives in bench_report.structure_rows(results).items():
            found.setdefault(structure, set()).update(alternatives)
            # What is compared ran with the same arguments and numbers of threads.
            threads = {frozenset(times) for times in alternatives.values()}
            self.assertEqual(len(threads), 1, (structure, arguments))
            self.assertEqual(set(alternatives), STRUCTURES[structure], (structure, arguments))
        self.assertEqual(found, STRUCTURES)


class Calls(unittest.TestCase):
    def names(self):
        run = subprocess.run([BIN / "scalefs-microbench", "--benchmark_list_tests=true"], check=True,
                             stdout=subprocess.PIPE, text=True, timeout=60)
        return set(run.stdout.split())

    def test_each_row_has_its_benchmark(self):
        names = self.names()
        for what, benchmark, rest, tmpfs in bench_report.CALLS:
            for threads in (1, 2):
                self.assertIn(f"{bench_report.memfs(benchmark, rest)}/threads:{threads}", names, what)
                self.assertIn(f"{tmpfs}/real_time/threads:{threads}", names, what)
        for what, benchmark, rest, shared in bench_report.SCALING:
            for private in (shared, bench_report.PRIVATE):
                self.assertIn(f"{bench_report.memfs(benchmark, rest, private)}/threads:2", names, what)

    def test_each_way_of_sharing_runs(self):
        for private in (bench_report.ONE, bench_report.PRIVATE, bench_report.OWN_DIRECTORIES):
            for benchmark, rest in (("BM_Create", bench_report.ITERATIONS), ("BM_Stat", "")):
                name = bench_report.memfs(benchmark, rest, private)
                self.assertGreater(bench_report.one_time(BIN / "scalefs-microbench", name, 2), 0, name)


if __name__ == "__main__":
    unittest.main()
