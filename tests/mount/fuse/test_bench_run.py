#!/usr/bin/env python3
"""scalefs-bench run over mounts: every target that mounts gives results of the form that is asked for, a directory that is full or
read-only is said to be, and no mount, daemon, loop device or image stays of a run that ends, is interrupted or is killed."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / 'bench'), str(ROOT / 'tests' / 'support')]
from mount import has_loops  # noqa: E402
from scalefs_bench import results, workplace  # noqa: E402

BUILD = os.path.abspath(os.environ.get('SCALEFS_BIN_DIR', 'build/release'))
PROGRAM = [sys.executable, '-B', str(ROOT / 'bench' / 'scalefs-bench'), 'run', '--binaries', BUILD]


class Runs(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix='bench-run-')
        self.addCleanup(workplace.clear, self.top)
        self.images, self.out = os.path.join(self.top, 'images'), os.path.join(self.top, 'out')
        os.mkdir(self.images)

    def words(self, target, workload, *more):
        return [*PROGRAM, '--out', self.out, '--dir-for-images', self.images, '--target', target, '--workload', workload,
                '--warmup', '0', '--threads', '2', *more]

    def run_bench(self, *words):
        return subprocess.run(self.words(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)

    def daemons(self):
        """Processes with a path of this test's in their command lines."""
        found = []
        for process in pathlib.Path('/proc').glob('[0-9]*'):
            try:
                words = (process / 'cmdline').read_bytes().split(b'\0')
            except OSError:
                continue
            if any(self.images.encode() in word for word in words) and int(process.name) != os.getpid():
                found.append(words)
        return found

    def nothing_stays(self, patience=0.0):
        until = time.monotonic() + patience
        while True:
            left = (workplace.mounts_below(self.images), workplace.loops_below(self.images), self.daemons(), os.listdir(self.images))
            if not any(left) or time.monotonic() > until:
                break
            time.sleep(0.1)
        self.assertEqual(left, ([], [], [], []))

    def tmpfs(self, *options):
        path = os.path.join(self.top, 'tmpfs')
        os.mkdir(path)
        subprocess.run(['mount', '-t', 'tmpfs', *options, 'tmpfs', path], check=True)
        return path

    def test_all_that_mount(self):
        done = self.run_bench('scalefs,scalefs:memory,null,peers', 'MWCL,DWSL,MRDM', '--count', '40', '--repeat', '2',
                              '--files', '10', '--size', '64K', '--image-size', '320M')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.nothing_stays()
        run, environment = results.read(self.out)
        names = [target['name'] for target in environment['targets']]
        left_out = re.findall(r'(?m)^scalefs-bench run: (\S+) is left out: ', done.stderr)
        wanted = ['scalefs:io_uring', 'scalefs:dev_fuse', 'scalefs:memory', 'null:io_uring', 'null:dev_fuse', 'ext4', 'xfs',
                  'btrfs', 'tmpfs', 'fuse2fs', 'ntfs-3g', 'bindfs']
        self.assertEqual(sorted(names + left_out), sorted(wanted))
        for name in ('scalefs:dev_fuse', 'scalefs:memory', 'null:dev_fuse', 'tmpfs'):
            self.assertIn(name, names)
        self.assertEqual(len(run['benchmarks']), len(names) * 3 * 2)
        for entry in run['benchmarks']:
            self.assertEqual(entry['iterations'], 80, entry['name'])
        types = {target['name']: target['type'] for target in environment['targets']}
        self.assertEqual((types['scalefs:dev_fuse'], types['tmpfs']),
                         ('fuseblk.scalefs' if has_loops() else 'fuse.scalefs', 'tmpfs'))

    def test_dbench_and_mail_end_clean_on_an_image(self):
        done = self.run_bench('scalefs:dev_fuse', 'mailbench-shared,smallfile,mdtest,git,untar,largefile,fsync', '--count', '30',
                              '--repeat', '1', '--files', '20', '--size', '256K', '--image-size', '64M')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.nothing_stays()

    def test_a_full_directory(self):
        path = self.tmpfs('-o', 'size=1M')
        kept = os.path.join(path, 'kept')
        pathlib.Path(kept).write_bytes(b'x' * 1000)
        done = self.run_bench(f'dir:{path}', 'MWCM', '--seconds', '1', '--repeat', '1')
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn('No space left on device', done.stderr)
        self.assertIn('1 of 1 repetitions failed', done.stderr)
        self.assertEqual(os.listdir(path), ['kept'])
        self.assertFalse(os.path.exists(self.out))
        self.nothing_stays()

    def test_a_read_only_directory(self):
        path = self.tmpfs('-o', 'ro')
        done = self.run_bench(f'dir:{path}', 'MWCM')
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(f'dir: nothing can be made in {path}: Read-only file system', done.stderr)
        self.nothing_stays()

    def test_no_room_for_the_image(self):
        path = self.tmpfs('-o', 'size=8M')
        done = subprocess.run([*PROGRAM, '--out', self.out, '--dir-for-images', path, '--target', 'scalefs:dev_fuse', '--workload', 'MWCL',
                               '--image-size', '64M'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn('there is no room for an image of 64 MiB', done.stderr)
        self.assertEqual(os.listdir(path), [])

    def test_ends_of_runs(self):
        for target in ('scalefs:dev_fuse', 'peer:ext4'):
            for number, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
                run = subprocess.Popen(self.words(target, 'MWCL', '--seconds', '0.4', '--repeat', '100', '--image-size', '64M'),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                for line in run.stderr:
                    if line.startswith('1/'):
                        break
                until = time.monotonic() + 60
                while not workplace.mounts_below(self.images) and time.monotonic() < until:
                    time.sleep(0.01)
                self.assertTrue(workplace.mounts_below(self.images))
                run.send_signal(number)
                run.stderr.read()
                run.stderr.close()
                self.assertEqual(run.wait(), status)
                self.nothing_stays(patience=60 if number == signal.SIGKILL else 0)


if __name__ == '__main__':
    if os.geteuid() != 0 or not os.path.exists('/dev/fuse'):
        print('needs root and /dev/fuse')
        sys.exit(77)
    unittest.main()
