#!/usr/bin/env python3
"""scalefs-bench run, as a program: what it writes is what results.py asks for, names that are wrong are answered with those that
are right, and nothing stays of a run that is interrupted or killed."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from bench_modules import ROOT
from scalefs_bench import programs, results, targets, workloads

BUILD = os.path.abspath(os.environ.get("SCALEFS_BIN_DIR", "build/release"))
PROGRAM = [sys.executable, "-B", os.path.join(ROOT, "bench", "scalefs-bench")]
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def bench(*words, **more):
    more.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([*PROGRAM, *map(str, words)], stderr=subprocess.PIPE, text=True, check=False, **more)


class Run(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="scalefs-run-", dir=MEMORY)
        self.addCleanup(folder.cleanup)
        self.top = folder.name
        self.folder, self.images = os.path.join(self.top, "here"), os.path.join(self.top, "images")
        os.mkdir(self.folder)
        os.mkdir(self.images)
        self.out = os.path.join(self.top, "out")

    def words(self, *more):
        return ["run", "--binaries", BUILD, "--out", self.out, "--dir-for-images", self.images, *more]

    def nothing_stays(self):
        self.assertEqual((os.listdir(self.folder), os.listdir(self.images)), ([], []))

    def test_results(self):
        done = bench(*self.words("--target", f"engine,mine=dir:{self.folder},dir:{self.folder}", "--workload", "MWCL,DWSL,dbench",
                                 "--load-file", self.load(), "--threads", "1,2", "--count", "20", "--repeat", "3",
                                 "--warmup", "0", "--files", "10", "--size", "64K"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.nothing_stays()
        run, environment = results.read(self.out)  # checks the schema, too
        entries = run["benchmarks"]
        self.assertEqual(len(entries), 3 * 3 * 2 * 3)
        for entry in entries:
            each = 60 if entry["workload"] == "dbench" else 20
            self.assertEqual(entry["iterations"], each * entry["threads"])
            self.assertAlmostEqual(entry["items_per_second"] * entry["real_time"], 1e9, delta=10)
        # Rounds are interleaved: A B C, C B A, A B C.
        order = [entry["target"] for entry in entries if entry["workload"] == "MWCL" and entry["threads"] == 1]
        turn = ["engine", "mine", "dir"]
        self.assertEqual(order, turn + turn[::-1] + turn)
        self.assertEqual([entry["round"] for entry in entries[:9]], [0] * 3 + [1] * 3 + [2] * 3)
        self.assertEqual([target["name"] for target in environment["targets"]], turn)
        self.assertIn("type", environment["targets"][1])
        for name in ("results.json", "results.csv", "env.json"):
            with open(os.path.join(self.out, name), encoding="utf-8") as file:
                text = file.read()
            for word in (self.top, socket.gethostname() if len(socket.gethostname()) > 3 else self.top):
                self.assertNotIn(word, text, name)
        self.assertRegex(done.stdout, r"(?m)^MWCL +1 +[\d.]+[kM]? ")

    def load(self):
        path = os.path.join(self.top, "load.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write('Deltree "\\clients\\client1" NT_STATUS_OK\nMkdir "\\clients" NT_STATUS_OK\nQUERY_FS_INFORMATION 1 NT_STATUS_OK\n')
        return path

    def test_wrong_words(self):
        for words, text in ((["--target", "engin", "--workload", "MWCL"], "did you mean engine?\ntargets: engine, "),
                            (["--target", "ext4", "--workload", "MWCL"], "did you mean peer:ext4?"),
                            (["--target", "engine", "--workload", "mwcl"], "did you mean MWCL?\nworkloads: DRBL, "),
                            (["--target", "dir:/nowhere", "--workload", "MWCL"], "there is no directory /nowhere"),
                            (["--target", "engine"], "--workload is needed"),
                            (["--target", "engine", "--workload", "dbench", "--load-file", "/nowhere"], "/nowhere: No such file"),
                            (["--target", "engine", "--workload", "MWCL", "--size", "much"], "'much' is no size"),
                            (["--target", "engine", "--workload", "MWCL", "--threads", "0"], "'0' is no whole number"),
                            (["--target", "engine", "--workload", "MWCL", "--sync-options", "all"], "none of open, dir, fsync")):
            done = bench(*self.words(*words))
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(text, done.stderr)
            self.assertFalse(os.path.exists(self.out))
        done = bench(*self.words("--target", "engine", "--workload", "MWCL", "--processes"))
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("engine: a volume in the worker's process has threads", done.stderr)

    def test_a_bad_line_of_a_load_file(self):
        with open(self.load(), "a", encoding="utf-8") as file:
            file.write("Flush 9 NT_STATUS_OK\n")
        done = bench(*self.words("--target", "engine", "--workload", "dbench", "--load-file", os.path.join(self.top, "load.txt")))
        self.assertEqual(done.returncode, 2)
        self.assertIn("load.txt:4: the handle 9 is not open here", done.stderr)

    def start(self, target):
        """A long run, which is measuring when this returns."""
        run = subprocess.Popen([*PROGRAM, *self.words("--target", target, "--workload", "MWCL,mailbench", "--seconds", "0.3",
                                                      "--warmup", "0", "--repeat", "1000", "--threads", "2", "--image-size", "64M")],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.stderr.close)
        for line in run.stderr:
            if re.match(r"2/\d+ ", line):
                return run
        self.fail("it ended by itself")

    def wait_until_empty(self, folder):
        until = time.monotonic() + 60
        while os.listdir(folder) and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual(os.listdir(folder), [])

    def test_interrupted(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            run = self.start(f"dir:{self.folder},engine:image")
            run.send_signal(number)
            out, error = run.communicate(timeout=100)
            self.assertEqual(run.returncode, 130, error)
            self.assertIn("interrupted; mounts, images and files of the run are gone", error)
            self.nothing_stays()
            written, _ = results.read(self.out)
            self.assertGreaterEqual(len(written["benchmarks"]), 2)
            self.assertTrue(written["context"]["scalefs_bench"]["interrupted"])
            self.assertIn("MWCL", out)

    def test_killed(self):
        run = self.start(f"dir:{self.folder},engine:image")
        self.assertEqual(len(os.listdir(self.images)), 1)
        run.kill()
        run.wait()
        self.wait_until_empty(self.folder)
        self.wait_until_empty(self.images)

    def test_what_a_killed_janitor_left_is_cleared_by_the_next_run(self):
        left = os.path.join(self.images, "scalefs-bench-left")
        os.makedirs(os.path.join(left, "mnt1"))
        for name in ("lock", "disk.img"):
            with open(os.path.join(left, name), "w", encoding="utf-8"):
                pass
        other = os.path.join(self.images, "scalefs-bench-without-lock")
        os.mkdir(other)
        done = bench(*self.words("--target", "engine", "--workload", "MWCL", "--count", "1", "--repeat", "1", "--threads", "1", "-q"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("cleared what a killed run had left", done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(os.listdir(self.images), ["scalefs-bench-without-lock"])


class Listing(unittest.TestCase):
    def test_json(self):
        done = bench("list", "--json", "--binaries", BUILD)
        told = json.loads(done.stdout)
        self.assertEqual({one["name"] for one in told["targets"]}, {word for word, _ in targets.WORDS})
        for one in told["workloads"]:
            self.assertTrue(one["what"] and one["unit"] and one["kinds"], one)

    def test_text(self):
        for what in ("workloads", "targets"):
            done = bench("list", what, "--binaries", BUILD)
            self.assertEqual(done.returncode, 0)
        self.assertIn("peer:ext4", done.stdout)

    def test_the_manual_page_has_all(self):
        known = programs.Programs(BUILD).worker_says("list")
        with open(os.path.join(ROOT, "docs", "man", "scalefs-bench.1"), encoding="utf-8") as file:
            page = set(re.findall(r"[\w:-]+", file.read()))
        words = [one["name"] for one in known] + list(workloads.GROUPS)
        words += [word for word, _ in targets.WORDS if word != "dir:PATH"]
        self.assertEqual([word for word in words if word not in page], [])

    def test_groups(self):
        known = programs.Programs(BUILD).worker_says("list")
        self.assertEqual(len(workloads.choose(known, "fxmark")), 19)
        self.assertEqual(len(workloads.choose(known, "fxmark_bg")), 6)
        self.assertEqual(workloads.choose(known, "all"), known)
        self.assertEqual([one["name"] for one in workloads.choose(known, "git,trees")], ["git", "mdtest", "untar"])


if __name__ == "__main__":
    unittest.main()
