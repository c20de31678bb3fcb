#!/usr/bin/env python3
"""results.json: what is accepted, and that whatever is wrong is named by its key; what stands in the three files."""
import csv
import getpass
import json
import math
import os
import re
import socket
import subprocess
import sys
import tempfile
import unittest

import bench_modules  # noqa: F401
import synthetic
from scalefs_bench import env, results

_COMPARE = "/usr/share/benchmark/compare.py"


def problems(run, own=True):
    try:
        results.validate(run, own)
    except results.InvalidResults as error:
        return error.problems
    return []


class Schema(unittest.TestCase):
    def setUp(self):
        self.run_ = synthetic.run({"engine": 1000}, rounds=2, threads=(1,))

    def refused(self, line):
        self.assertEqual(problems(self.run_), [line])

    def test_accepts(self):
        self.assertEqual(problems(self.run_), [])
        self.run_["benchmarks"][0]["our_own"] = {"more": 1}
        self.run_["benchmarks"][0]["bytes_per_second"] = 1e6
        self.run_["benchmarks"][0]["transport"] = "io_uring"
        self.assertEqual(problems(self.run_), [])

    def test_each_needed_key(self):
        needed = [key for key, (_, needed) in results.SCHEMA.items() if needed]
        self.assertGreater(len(needed), 15)
        for key in needed:
            self.setUp()
            del self.run_["benchmarks"][1][key]
            self.refused(f"benchmarks[1].{key}: is missing")

    def test_values(self):
        for key, value, words in (
                ("threads", 0, "must be a whole number, 1 or more, is 0"),
                ("threads", True, "must be a whole number, 1 or more, is true"),
                ("threads", 1.5, "must be a whole number, 1 or more, is 1.5"),
                ("real_time", "7", 'must be a number, 0 or more, is "7"'),
                ("items_per_second", -1, "must be a number, 0 or more, is -1"),
                ("items_per_second", math.nan, "must be a number, 0 or more, is NaN"),
                ("bytes_per_second", None, "must be a number, 0 or more, is null"),
                ("seconds", 0, "must be a number above 0, is 0"),
                ("time_unit", "ms", "must be one of 'ns', is \"ms\""),
                ("run_type", "aggregate", "must be one of 'iteration', is \"aggregate\""),
                ("workload", "", 'must be a text that is not empty, is ""'),
                ("target", "dir:/a", 'must be a word, without / (results name no paths), is "dir:/a"'),
                ("operations", [], "must be an object of operations by their kind")):
            self.setUp()
            self.run_["benchmarks"][0][key] = value
            with self.subTest(key=key, value=value):
                self.refused(f"benchmarks[0].{key}: {words}")

    def test_operations(self):
        for key, value, words in (
                ("p99_ns", None, "create.p99_ns: must be a number, 0 or more, is null"),
                ("histogram", [[1, 2], [1, 3]], "create.histogram: bounds must rise, 1 comes behind 1, is [[1, 2], [1, 3]]"),
                ("histogram", [[1]], "create.histogram: must be a list of [upper bound in ns, count], has [1], is [[1]]"),
                ("histogram", [[1, 2]], "create: count is 10000, the histogram holds 2")):
            self.setUp()
            self.run_["benchmarks"][0]["operations"]["create"][key] = value
            with self.subTest(value=value):
                self.refused(f"benchmarks[0].operations: {words}")
        self.setUp()
        self.run_["benchmarks"][0]["operations"]["create"]["histogram"] = []
        self.assertEqual(problems(self.run_), [])

    def test_name_is_made_of_what_it_names(self):
        self.run_["benchmarks"][0]["name"] = "MWCL"
        self.refused("benchmarks[0].name: is 'MWCL', workload, target and threads say 'MWCL/target:engine/threads:1'")

    def test_a_round_is_there_once(self):
        self.run_["benchmarks"][1]["round"] = 0
        self.refused("benchmarks[1].round: MWCL/target:engine/threads:1 has round 0 twice")

    def test_the_whole(self):
        self.assertEqual(problems([]), ["results: must be an object with the keys context and benchmarks"])
        self.assertEqual(problems({}), ["context: is missing", "benchmarks: is missing"])
        self.assertEqual(problems({"context": {}, "benchmarks": 3}), ["benchmarks: must be a list"])
        self.assertEqual(problems({"context": {}, "benchmarks": [3]}), ["benchmarks[0]: must be an object"])

    def test_many_problems_are_told_in_few_lines(self):
        with self.assertRaises(results.InvalidResults) as caught:
            results.validate({"context": {}, "benchmarks": [3] * 40})
        self.assertEqual(len(str(caught.exception).split("\n")), 11)
        self.assertIn("and 30 more", str(caught.exception))


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = os.path.join(folder.name, "out")
        self.run_ = synthetic.run({"engine": 1000, "null": 500}, rounds=3)

    def write(self):
        results.write(self.folder, self.run_["context"], self.run_["benchmarks"], {"libfuse": "3.14.0"})

    def test_are_read_as_they_were_written(self):
        self.write()
        self.assertEqual(results.read(self.folder), (self.run_, {"libfuse": "3.14.0"}))
        self.assertEqual(sorted(os.listdir(self.folder)), ["env.json", "results.csv", "results.json"])

    def test_an_entry_is_a_line(self):
        self.write()
        with open(os.path.join(self.folder, "results.json"), encoding="utf-8") as file:
            lines = file.read().split("\n")
        self.assertEqual(sum(line.startswith('{"name": ') for line in lines), len(self.run_["benchmarks"]))

    def test_nothing_invalid_is_written(self):
        self.run_["benchmarks"][0]["unit"] = 3
        with self.assertRaises(results.InvalidResults):
            self.write()
        self.assertFalse(os.path.exists(self.folder))

    def test_csv_has_a_row_a_repetition(self):
        self.write()
        with open(os.path.join(self.folder, "results.csv"), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), len(self.run_["benchmarks"]))
        self.assertEqual(rows[1]["name"], "MWCL/target:engine/threads:2")
        self.assertEqual(float(rows[1]["items_per_second"]), 1800)
        self.assertEqual(rows[1]["create.count"], "10000")
        self.assertEqual(rows[1]["transport"], "")

    def test_bad_files_are_named(self):
        with self.assertRaisesRegex(results.InvalidResults, r"nowhere: No such file"):
            results.read(os.path.join(self.folder, "nowhere"))
        os.makedirs(self.folder)
        with self.assertRaisesRegex(results.InvalidResults, r"has no results\.json; `scalefs-bench run --out .*` writes one"):
            results.read(self.folder)
        path = os.path.join(self.folder, "results.json")
        for text, words in (("{", "is no JSON: Expecting property name"), ("[]", r"results\.json:\nresults: must be an object"),
                            ("\xff", "is no JSON")):
            with open(path, "w", encoding="latin-1") as file:
                file.write(text)
            with self.assertRaisesRegex(results.InvalidResults, words):
                results.read(self.folder)

    def test_google_benchmarks_files_are_read(self):
        path = self.folder + ".json"
        entry = {"name": "BM_X/threads:2", "run_name": "BM_X/threads:2", "run_type": "iteration", "repetitions": 1, "threads": 2,
                 "iterations": 9, "real_time": 1.5, "cpu_time": 1.5, "time_unit": "us"}
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"context": {}, "benchmarks": [entry]}, file)
        self.assertEqual(results.read(path)[0]["benchmarks"], [entry])

    def test_google_benchmarks_program_takes_ours(self):
        python = "/usr/bin/python3"
        if not os.path.exists(_COMPARE) or subprocess.run([python, "-c", "import scipy"], stderr=subprocess.DEVNULL,
                                                          check=False).returncode != 0:
            self.skipTest("libbenchmark-tools and python3-scipy are not installed")
        self.write()
        path = os.path.join(self.folder, "results.json")
        done = subprocess.run([python, "-B", _COMPARE, "--no-color", "benchmarks", path, path], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        text = done.stdout.decode()
        self.assertEqual(done.returncode, 0, text)
        self.assertRegex(text, r"MWCL/target:null/threads:4_pvalue +1\.0000")


class Environment(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="unmistakable-")
        cls.env = env.collect(["engine", ("ext4", cls.folder.name), f"dir:{cls.folder.name}"])

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def texts(self, value):
        if isinstance(value, dict):
            return [text for one in value.values() for text in self.texts(one)]
        if isinstance(value, list):
            return [text for one in value for text in self.texts(one)]
        return [str(value)]

    def test_tells_the_machine(self):
        self.assertEqual(self.env["cpu"]["online"], os.cpu_count())
        self.assertGreaterEqual(self.env["cpu"]["cores"], 1)
        self.assertGreater(self.env["memory_mib"], 0)
        self.assertEqual(self.env["kernel"]["release"], os.uname().release)
        self.assertEqual([target["name"] for target in self.env["targets"]], ["engine", "ext4", "dir"])
        self.assertEqual(self.env["targets"][1]["type"], self.env["targets"][2]["type"])
        self.assertTrue(self.env["targets"][1]["type"])
        self.assertEqual(set(self.env["noise"]), {"spread_percent", "load_average", "stolen_percent", "others_percent"})

    def test_tells_nothing_private(self):
        words = [socket.gethostname()] + ([getpass.getuser()] if getpass.getuser() != "root" else [])
        with open("/proc/cmdline", encoding="utf-8", errors="replace") as file:
            words += [word for word in file.read().split() if len(word) > 7]
        for text in self.texts(self.env):
            self.assertNotIn("unmistakable", text)
            self.assertIsNone(re.search(r"(^|[ =,])/", text), text)
            for word in words:
                self.assertIsNone(re.search(rf"(?<![\w.]){re.escape(word)}(?![\w.])", text), f"{word!r} in {text!r}")

    def test_options_are_told_without_paths(self):
        self.assertEqual(env._public_options(["rw", "lowerdir=/a:/b", "user_id=7", "fsname=/x", "rw", "max_read=4096", "resuid=8"]),
                         "rw,lowerdir=(path),max_read=4096")

    def test_lists_of_processors(self):
        self.assertEqual(env.parse_list("0-2,8"), [0, 1, 2, 8])
        self.assertEqual(env.parse_list(""), [])
        self.assertEqual(env.parse_list(None), [])

    def test_context_is_google_benchmarks(self):
        context = env.google_context(self.env)
        for key in ("date", "num_cpus", "mhz_per_cpu", "cpu_scaling_enabled", "caches", "load_avg", "library_build_type"):
            self.assertIn(key, context)
        self.assertNotIn("host_name", context)

    def test_watch(self):
        watch = env.Watch()
        env.measure_noise(0.1)
        report = watch.report()
        for value in report.values():
            self.assertTrue(0 <= value <= 100, report)


if __name__ == "__main__":
    sys.exit(unittest.main())
