#!/usr/bin/env python3
"""scalefs-bench compare: its verdicts on runs whose difference is known, its exit statuses, its messages."""
import copy
import json
import os
import tempfile
import unittest

import bench_modules
import synthetic
from scalefs_bench import compare_command, results

RATES = {"engine": 1e6, "null": 2e5}


def slower(run, factor, target="engine"):
    run = copy.deepcopy(run)
    for entry in run["benchmarks"]:
        if entry["target"] == target:
            for key in ("items_per_second", "real_time", "cpu_time"):
                entry[key] *= 1 / factor if key == "items_per_second" else factor
            for key in ("mean_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"):
                entry["operations"]["create"][key] *= factor
    return run


def verdicts(old, new, limit=0.05, metric="throughput", alpha=0.05):
    return {row.name: row.verdict for row in compare_command.compare(old, new, metric, limit, alpha)[0]}


class Verdicts(unittest.TestCase):
    """old and new are drawn apart, as two runs are."""

    def pair(self, rounds=9, noise=0.01, factor=1.0, seed=1):
        return (synthetic.run(RATES, rounds, noise, seed), slower(synthetic.run(RATES, rounds, noise, seed + 1000), factor))

    def of(self, old, new, target, **more):
        return {verdict for name, verdict in verdicts(old, new, **more).items() if f"target:{target}/" in name}

    def test_no_change(self):
        old, new = self.pair()
        self.assertEqual(self.of(old, new, "engine"), {"same"})
        self.assertEqual(self.of(old, old, "engine"), {"same"})

    def test_three_percent(self):
        old, new = self.pair(factor=1.03)
        self.assertEqual(self.of(old, new, "engine"), {"same"})
        self.assertEqual(self.of(old, new, "engine", limit=0.015), {"worse"})

    def test_ten_percent_worse(self):
        old, new = self.pair(factor=1.1)
        self.assertEqual(self.of(old, new, "engine"), {"worse"})
        self.assertEqual(self.of(old, new, "null"), {"same"})

    def test_ten_percent_better(self):
        new, old = self.pair(factor=1.1)
        self.assertEqual(self.of(old, new, "engine"), {"better"})

    def test_noise_is_not_called_a_change(self):
        old, new = self.pair(rounds=5, noise=0.4, seed=5)
        self.assertEqual(self.of(old, new, "engine"), {"unclear"})

    def test_few_rounds_cannot_tell(self):
        old, new = self.pair(rounds=4, factor=1.5)
        self.assertEqual(self.of(old, new, "engine"), {"unclear"})

    def test_errors_of_many_runs(self):
        wrong = missed = rows = 0
        for seed in range(60):
            old, new = self.pair(noise=0.03, seed=seed)
            wrong += list(verdicts(old, new).values()).count("worse")
            old, new = self.pair(noise=0.03, factor=1.1, seed=seed)
            engine = [v for name, v in verdicts(old, new).items() if "engine" in name]
            missed += len(engine) - engine.count("worse")
            rows += len(engine)
        self.assertEqual(wrong, 0)
        self.assertLessEqual(missed, rows * 0.02)

    def test_metrics_that_fall_when_better(self):
        old, new = self.pair(factor=1.1)
        for metric in ("cpu", "p50", "p99", "p999"):
            self.assertEqual(self.of(old, new, "engine", metric=metric), {"worse"}, metric)
            self.assertEqual(self.of(new, old, "engine", metric=metric), {"better"}, metric)
        self.assertIn("MWCL/target:engine/threads:1 create", verdicts(old, new, metric="p99"))

    def test_nothing_done_is_worse(self):
        old, new = self.pair()
        for entry in new["benchmarks"]:
            entry["items_per_second"] = 0
        self.assertEqual(set(verdicts(old, new).values()), {"worse"})
        self.assertEqual(set(verdicts(new, new).values()), {"same"})

    def test_pairs_are_those_of_a_round(self):
        # The machine halves its speed in the second half of both runs: each pair still says the same.
        old, new = self.pair(noise=0, factor=1.1)
        for entry in old["benchmarks"] + new["benchmarks"]:
            if entry["round"] >= 5:
                entry["items_per_second"] /= 2
        new["benchmarks"].reverse()
        row = compare_command.compare(old, new, "throughput", 0.05, 0.05)[0][0]
        self.assertAlmostEqual(row.ratio, 1 / 1.1)
        self.assertAlmostEqual(row.high - row.low, 0)
        self.assertEqual(row.p, 2 ** -9)


class Command(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.run_ = synthetic.run(RATES, 6, 0.005)

    def save(self, name, run, env=None):
        path = os.path.join(self.folder, name)
        results.write(path, run["context"], run["benchmarks"], env or {})
        return path

    def call(self, old, new, *arguments):
        return bench_modules.call(compare_command, self.save("old", old), self.save("new", new), *arguments)

    def test_statuses(self):
        self.assertEqual(self.call(self.run_, self.run_)[0], 0)
        self.assertEqual(self.call(self.run_, slower(self.run_, 1.1))[0], 1)
        self.assertEqual(self.call(self.run_, slower(self.run_, 1 / 1.1))[0], 0)
        self.assertEqual(self.call(self.run_, slower(self.run_, 1.1), "--fail-above", "15%")[0], 0)
        self.assertEqual(self.call(self.run_, slower(self.run_, 1.1), "--fail-above", "5")[0], 1)
        self.assertEqual(self.call(self.run_, slower(self.run_, 1.1), "--alpha", "0.01")[0], 2)

    def test_table(self):
        _, out, _ = self.call(self.run_, slower(self.run_, 1.1))
        self.assertRegex(out, r"(?m)^MWCL/target:engine/threads:1 +6 +[\d.]+ [Mk] +[\d.]+ [Mk] +0\.909 +0\.909\.\.0\.909 +0\.0156  worse$")
        self.assertIn("\n3 worse, 0 better, 3 same, 0 unclear; more than 5 % counts\n", out)

    def test_names_in_one_alone(self):
        fewer = copy.deepcopy(self.run_)
        fewer["benchmarks"] = [entry for entry in fewer["benchmarks"] if entry["target"] != "null"]
        status, out, _ = self.call(self.run_, fewer)
        self.assertEqual(status, 0)
        self.assertIn("only in OLD: MWCL/target:null/threads:2\n", out)
        self.assertIn("only in NEW: MWCL/target:null/threads:4\n", self.call(fewer, self.run_)[1])

    def test_nothing_in_common(self):
        other = synthetic.run({"tmpfs": 1e5}, 6)
        status, _, err = self.call(self.run_, other)
        self.assertEqual(status, 2)
        self.assertIn("have no throughput of the same name and round", err)
        self.assertIn("NEW has MWCL/target:tmpfs/threads:1, ", err)

    def test_too_few_rounds(self):
        short = synthetic.run(RATES, 4)
        status, out, err = self.call(short, short)
        self.assertEqual(status, 2)
        self.assertIn("MWCL/target:engine/threads:1", out)
        self.assertIn("no name has 5 rounds in both", err)
        self.assertIn("run with --repeat 5 or more", err)

    def test_another_machine_is_warned_of(self):
        old = self.save("old", self.run_, {"cpu": {"model": "A"}, "libfuse": "3.14.0"})
        new = self.save("new", self.run_, {"cpu": {"model": "B"}, "libfuse": "3.14.0"})
        status, _, err = bench_modules.call(compare_command, old, new)
        self.assertEqual(status, 0)
        self.assertEqual(err, "warning: cpu.model was A, is B: the difference may be the machine's\n")

    def test_bad_input(self):
        old = self.save("old", self.run_)
        for arguments, words in (
                (("nowhere", old), "nowhere: No such file"),
                ((old, self.folder), "has no results.json"),
                ((old, old, "--fail-above", "x%"), "'x%' is no percentage such as 5%"),
                ((old, old, "--fail-above=-1%"), "is no percentage"),
                ((old, old, "--alpha", "2"), "'2' is no probability"),
                ((old, old, "--metric", "speed"), "invalid choice: 'speed'"),
                ((old,), "the following arguments are required: NEW")):
            with self.subTest(arguments=arguments):
                status, _, err = bench_modules.call(compare_command, *arguments)
                self.assertEqual(status, 2)
                self.assertIn(words, err)

    def test_google_benchmarks_files(self):
        def save(name, factor):
            entries = [{"name": "BM_Find/threads:1", "run_name": "BM_Find/threads:1", "run_type": "iteration", "repetitions": 9,
                        "repetition_index": index, "threads": 1, "iterations": 9, "real_time": (10 + index % 2) * factor,
                        "cpu_time": 10, "time_unit": "us"} for index in range(9)]
            entries.append({**entries[0], "name": "BM_Find/threads:1_mean", "run_type": "aggregate"})
            path = os.path.join(self.folder, name)
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"context": {}, "benchmarks": entries}, file)
            return path
        status, out, _ = bench_modules.call(compare_command, save("a.json", 1), save("b.json", 1.2))
        self.assertEqual(status, 1)
        self.assertRegex(out, r"(?m)^BM_Find/threads:1 +9 +100 k +83\.33 k +0\.833 ")
        self.assertNotIn("mean", out)


if __name__ == "__main__":
    unittest.main()
