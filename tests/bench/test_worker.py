#!/usr/bin/env python3
"""scalefs-bench-worker makes the operations that it counts: numbers that are known beforehand, of every workload, in
threads and processes, on a directory and in the engine; and reads load files of dbench, naming each line that is bad."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import bench_modules  # noqa: F401
from scalefs_bench import results, statistics

BUILD = os.environ.get("SCALEFS_BIN_DIR", "build/release")
WORKER = os.path.join(BUILD, "scalefs-bench-worker")
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
FXMARK = ("DRBL DRBM DRBH DWOL DWOM DWAL DWTL DWSL MRPL MRPM MRPH MRDL MRDM MWCL MWCM MWUL MWUM MWRL MWRM").split()
BACKGROUND = "DRBL_bg DRBM_bg DRBH_bg MRPM_bg MRDL_bg MRDM_bg".split()

LOAD = """\
# a comment, and then each operation once
Deltree "\\clients\\client1" NT_STATUS_OK

Mkdir "\\clients" NT_STATUS_OK
NTCreateX "\\clients\\client1" 0x1 0x2 1 NT_STATUS_OK
Close 1 NT_STATUS_OK
NTCreateX "\\clients\\client1\\absent" 0x40 0x1 2 NT_STATUS_OBJECT_NAME_NOT_FOUND
0.001 NTCreateX "\\clients\\client1\\A FILE" 0x40 0x2 3 NT_STATUS_OK
WriteX 3 0 5000 5000 NT_STATUS_OK
ReadX 3 4000 2000 1000 NT_STATUS_OK
LockX 3 2147483538 1 NT_STATUS_OK
UnlockX 3 2147483538 1 0x00000000
Flush 3 NT_STATUS_OK
QUERY_FILE_INFORMATION 3 258 NT_STATUS_OK
SET_FILE_INFORMATION 3 1004 NT_STATUS_OK
Close 3 NT_STATUS_OK
QUERY_PATH_INFORMATION "\\clients\\client1\\a file" 1004 NT_STATUS_OBJECT_NAME_NOT_FOUND
QUERY_FS_INFORMATION 1 NT_STATUS_OK
FIND_FIRST "\\clients\\client1\\<.FIL" 260 1366 1 NT_STATUS_OK
Rename "\\clients\\client1\\A FILE" "\\clients\\client1\\B" NT_STATUS_OK
Unlink "\\clients\\client1\\A FILE" 0x6 NT_STATUS_OBJECT_NAME_NOT_FOUND
Unlink "\\clients\\client1\\B" 0x6 NT_STATUS_OK
Rmdir "\\clients\\client1" NT_STATUS_OK
Sleep 100 NT_STATUS_OK
"""
BAD = """\
NTCreateX "\\a" 0x1 0x2 1 NT_STATUS_OK
Open "\\a" NT_STATUS_OK
WriteX 7 0 1 1 NT_STATUS_OK
WriteX 1 0 x 1 NT_STATUS_OK
Close 1 DONE
Close 1
Close 1 NT_STATUS_OK
Close 1 NT_STATUS_OK
Unlink "\\a 0x6 NT_STATUS_OK
Unlink a 0x6 NT_STATUS_OK
Unlink "\\a\\..\\..\\b" 0x6 NT_STATUS_OK
SMBopen 1 NT_STATUS_OK
1.5
"""
BAD_LINES = {2: "'Open' is no operation", 3: "handle 7 is not open", 4: "'x' is no number", 5: "'DONE' is no status",
             6: "Close takes 1 parameter and a status, here are 1 words", 8: "handle 1 is not open", 9: "quote is not closed",
             10: "'a' is no name", 11: "'/a/../../b' is no name", 12: "load file of dbench 1"}


def worker(*words):
    return subprocess.run([WORKER, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)


class Counting(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="scalefs-worker-", dir=MEMORY)
        self.addCleanup(folder.cleanup)
        self.top = folder.name
        self.folder = os.path.join(self.top, "run")
        os.mkdir(self.folder)
        self.load = os.path.join(self.top, "load.txt")
        with open(self.load, "w", encoding="utf-8") as file:
            file.write(LOAD)

    def run_worker(self, workload, *more, where=None):
        where = where or ["target=dir", f"path={self.folder}"]
        done = worker("run", f"workload={workload}", "files=10", "branch=2", f"load_file={self.load}", "size=65536", *where, *more)
        self.assertEqual(done.returncode, 0, f"{workload} {more}: {done.stderr}")
        self.assertEqual(os.listdir(self.folder), [])
        return json.loads(done.stdout)

    def known(self):
        return {one["name"]: one for one in json.loads(worker("list").stdout)}

    def test_every_workload_counts_what_it_is_asked_for(self):
        known = self.known()
        self.assertEqual([name for name in FXMARK + BACKGROUND if name not in known], [])
        # More than files or size allow at once, so that it also takes several rounds.
        for name, workload in known.items():
            count = 1 if name == "dbench" else 250 if workload["family"] == "fxmark" else 60
            each = 22 * count if name == "dbench" else count
            for where in (None, ["target=memory"]):
                told = self.run_worker(name, f"count={count}", "threads=2", where=where)
                with self.subTest(name, where=where):
                    self.assertEqual(told["items"], 2 * each)
                    self.assertEqual(told["items_of_workers"], [each, each])
                    self.assertEqual(told["unexpected"], 0)
                    self.assertLessEqual(set(told["operations"]), set(workload["kinds"]))
                    self.assertGreater(told["seconds"], 0)
                    self.latencies(told["operations"])
                    if workload["family"] == "fxmark" and not name.startswith("MRD"):
                        self.assertEqual(told["operations"][workload["kinds"][0]]["count"], 2 * each)

    def latencies(self, operations):
        self.assertIsNone(results._operations(operations))
        for kind, one in operations.items():
            told = [one[key] for key in ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")]
            self.assertEqual(told, sorted(told), kind)
            self.assertLessEqual(one["mean_ns"], one["max_ns"], kind)
            # The last bucket has the largest, in whose bound it is at most a thirty-second part below.
            self.assertLessEqual(one["max_ns"], one["histogram"][-1][0], kind)
            self.assertGreaterEqual(one["max_ns"] * 33 / 32 + 1, one["histogram"][-1][0], kind)
            half = statistics.histogram_quantile(one["histogram"], 0.5)
            self.assertAlmostEqual(one["p50_ns"], half, delta=half / 16 + 1, msg=kind)

    def test_parts_of_an_operation(self):
        mail = self.run_worker("mailbench-shared", "count=30", "threads=3")["operations"]
        self.assertEqual({kind: one["count"] for kind, one in mail.items()},
                         {"message": 90, "open": 180, "write": 180, "fsync": 270, "rename": 180, "read": 90, "unlink": 90})
        sync = self.run_worker("DWSL", "count=30", "threads=2")["operations"]
        self.assertEqual({kind: one["count"] for kind, one in sync.items()}, {"pwrite+fsync": 60, "fsync": 60})
        tree = self.run_worker("mdtest", f"count={2 * (3 * 110 + 3 * 10)}")["operations"]
        self.assertEqual({kind: one["count"] for kind, one in tree.items()},
                         {"mkdir": 220, "create": 20, "stat_dir": 220, "stat": 20, "unlink": 20, "rmdir": 220})
        small = self.run_worker("smallfile", "count=60", "fsync=1")["operations"]
        self.assertEqual({kind: one["count"] for kind, one in small.items()},
                         {"create": 20, "read": 20, "unlink": 20, "fsync": 20})

    def test_a_pass_of_a_load_file(self):
        told = json.loads(worker("load", self.load).stdout)
        self.assertEqual(told["total"], 22)
        for more in ([], ["processes=1"], ["sync_open=1", "sync_dir=1", "fsync=1"], ["no_resolve=1"]):
            made = self.run_worker("dbench", "count=3", "threads=2", *more)
            self.assertEqual({kind: one["count"] for kind, one in made["operations"].items()},
                             {kind: 6 * count for kind, count in told["operations"].items()})
            self.assertEqual(made["bytes"], 6 * 7000)
            self.assertEqual(made["unexpected"], 0)
        self.assertEqual(len(told["operations"]), 18)

    def test_the_file_of_the_package(self):
        path = "/usr/share/dbench/client.txt"
        if not os.path.exists(path):
            self.skipTest("dbench's client.txt is not installed")
        told = json.loads(worker("load", path).stdout)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(told["total"], sum(1 for _ in file))

    def test_what_a_load_file_does_not_expect(self):
        with open(self.load, "a", encoding="utf-8") as file:
            file.write('Unlink "\\clients\\nobody" 0x6 NT_STATUS_OK\n')
        done = worker("run", "workload=dbench", "target=memory", f"load_file={self.load}", "count=1")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{self.load}:25: Unlink", done.stderr)
        self.assertIn("No such file or directory", done.stderr)

    def test_bad_lines_are_named(self):
        with open(self.load, "w", encoding="utf-8") as file:
            file.write(BAD)
        done = worker("load", self.load)
        self.assertEqual(done.returncode, 2)
        lines = done.stderr.splitlines()
        self.assertEqual(lines.pop(), "and 1 more")
        self.assertEqual(len(lines), len(BAD_LINES), done.stderr)
        for line, (number, text) in zip(lines, BAD_LINES.items()):
            self.assertTrue(line.startswith(f"{self.load}:{number}: "), line)
            self.assertIn(text, line)
        for content in ("", "# nothing\n"):
            with open(self.load, "w", encoding="utf-8") as file:
                file.write(content)
            self.assertIn(f"{self.load}:1: there is no operation in the file", worker("load", self.load).stderr)
        self.assertIn("No such file", worker("load", self.load + "-absent").stderr)

    def test_processes(self):
        for name in ("DRBH", "MWCM", "DWTL", "DRBL_bg"):
            told = self.run_worker(name, "count=40", "threads=3", "processes=1")
            self.assertEqual(told["items_of_workers"], [40, 40, 40])

    def test_time(self):
        for name in ("DWOL", "MWUL"):  # one that goes on, one that works in rounds
            told = self.run_worker(name, "seconds=0.05", "warmup=0.02", "threads=2")
            self.assertGreater(told["items"], 0)
            self.assertGreaterEqual(told["seconds"], 0.049)
            self.assertEqual(told["operations"]["pwrite" if name == "DWOL" else "unlink"]["count"], told["items"])

    @unittest.skipUnless(os.geteuid() == 0, "needs to mount")
    def test_a_file_system_that_is_full_of_files(self):
        """Creating begins anew where there is no room for more; a file system without room for any is a failure."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=40", "scalefs-test", self.folder], check=True)
        self.addCleanup(subprocess.run, ["umount", self.folder], check=True)
        for name in ("MWCL", "MWCM"):
            told = self.run_worker(name, "count=150", "threads=2", "files=1000")
            self.assertEqual(told["items_of_workers"], [150, 150])
            self.assertEqual(told["operations"]["create"]["count"], 300)
        os.mkdir(os.path.join(self.folder, "rest"))
        for number in range(100):
            try:
                open(os.path.join(self.folder, "rest", str(number)), "wb").close()
            except OSError:
                break
        done = worker("run", "workload=MWCL", "target=dir", f"path={self.folder}", "count=1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left on device", done.stderr)

    def test_an_image(self):
        image = os.path.join(self.top, "disk.img")
        subprocess.run([os.path.join(BUILD, "mkfs.scalefs"), "-q", image, "64M"], check=True)
        told = self.run_worker("mailbench", "count=20", where=["target=image", f"path={image}"])
        self.assertEqual(told["items"], 20)
        fsck = os.path.join(BUILD, "fsck.scalefs")
        self.assertEqual(subprocess.run([fsck, "-n", image], stdout=subprocess.DEVNULL, check=False).returncode, 0)

    def test_arguments(self):
        for words, text in ((["workload=MWCL", "target=memory"], "one of seconds= and count="),
                            (["workload=NONE", "target=memory", "count=1"], "no workload 'NONE'"),
                            (["workload=MWCL", "count=1"], "target=dir needs path="),
                            (["workload=MWCL", "target=memory", "count=1", "processes=1"], "threads, not processes"),
                            (["workload=MWCL", "target=memory", "count=1", "threads=0"], "threads=0: no number"),
                            (["color=blue"], "color: no such setting")):
            done = worker("run", *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(text, done.stderr)

    def test_a_directory_that_is_not_there(self):
        done = worker("run", "workload=MWCL", "target=dir", f"path={self.top}/none", "count=1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("MWCL: mkdir", done.stderr)
        shutil.rmtree(self.folder)


if __name__ == "__main__":
    unittest.main()
