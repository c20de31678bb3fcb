"""The command that measures (scripts/speed_rows.py) measures what it says: each call makes the kernel ask the daemon that
stores nothing for exactly what it asks scalefs for, and whatever was mounted, attached or made is gone afterwards,
also when it is broken off. No rate and no time is looked at."""

import collections
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / 'scripts'))

import mount  # noqa: E402
from speed import calls  # noqa: E402

OPCODE = re.compile(r'opcode: (\w+) \(\d+\)')
LATER = {'FORGET', 'BATCH_FORGET', 'INTERRUPT'}
COUNT = 20
# What each call is at the least, of every thread.
EACH = {'create': 'MKNOD', 'unlink': 'UNLINK', 'mkdir': 'MKDIR', 'rename': 'RENAME', 'chmod': 'SETATTR',
        'missing': 'LOOKUP', 'write4k': 'WRITE', 'read4k': 'READ', 'write1m': 'WRITE', 'direct1m': 'WRITE', 'read1m': 'READ'}
NEVER = {'open': 'OPEN'}
SCRIPT = mount.SOURCE / 'scripts' / 'speed_rows.py'


class Null(mount.Volume):
    """scalefs-null takes no volume."""

    def __init__(self, folder):
        super().__init__(folder, 'null', memory=True)
        self.program = str(mount.BIN / 'scalefs-null')

    def mount(self, *options):
        return super().mount(*options)


class Counts(mount.MountTest):
    def setUp(self):
        super().setUp()
        self.files = {'scalefs': self.volume(memory=True)}
        self.files['null'] = Null(self.folder)
        self.volumes.append(self.files['null'])
        self.runs = 0

    def requests(self, volume, call, threads, count):
        """Opcodes and how often."""
        self.runs += 1
        start = volume.log.stat().st_size
        mount.run(mount.BIN / 'scalefs-calls', call, volume.path, volume.path, threads, count, self.runs, 0, volume.pid)
        end = start
        since = time.monotonic()
        while time.monotonic() - since < 0.02:
            time.sleep(0.01)
            if volume.log.stat().st_size != end:
                end, since = volume.log.stat().st_size, time.monotonic()
        with open(volume.log, encoding='utf-8', errors='replace') as log:
            log.seek(start)
            return collections.Counter(opcode for opcode in OPCODE.findall(log.read()) if opcode not in LATER)

    def check(self, transport):
        for volume in self.files.values():
            volume.mount('debug', transport)
        for call in (*calls.CALLS, 'mail', 'append'):
            if call == 'list5':
                continue
            threads = 1  # two meet in the folder above, whose attributes are then asked for as it happens
            count = 2 if call in calls.LARGE or call.startswith('list') else COUNT
            found = {}
            for name, volume in self.files.items():
                self.requests(volume, call, threads, count)  # what it makes once
                found[name] = self.requests(volume, call, threads, count)
            with self.subTest(call=call, transport=transport):
                self.assertEqual(found['scalefs'], found['null'])
                if call in EACH:
                    self.assertGreaterEqual(found['null'][EACH[call]], threads * count)
                if call in NEVER:
                    self.assertEqual(found['null'][NEVER[call]], 0)
        for volume in self.files.values():
            volume.unmount()

    def test_null_is_asked_what_scalefs_is_asked_over_rings(self):
        if pathlib.Path('/sys/module/fuse/parameters/enable_uring').read_text().strip() != 'Y':
            self.skipTest('this kernel does not offer FUSE over io_uring')
        self.check('io_uring=on')

    def test_null_is_asked_what_scalefs_is_asked_over_dev_fuse(self):
        self.check('io_uring=off')


class Command(mount.MountTest):
    def attached(self):
        """Loop devices over images of this test's; there may be others."""
        found = mount.run('losetup', '-n', '-O', 'BACK-FILE').stdout
        return [line for line in found.splitlines() if str(self.folder) in line]

    def start(self, *words):
        return subprocess.Popen([sys.executable, '-B', SCRIPT, '--quick', '--binaries', mount.BIN, '--folder', self.folder,
                                 *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def mounts(self):
        text = pathlib.Path('/proc/self/mountinfo').read_text(encoding='utf-8', errors='surrogateescape')
        return [line for line in text.splitlines() if str(self.folder) in line]

    def check_nothing_left(self):
        self.assertEqual(self.mounts(), [])
        self.assertEqual(self.attached(), [])
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_row_for_each_call_and_thread(self):
        process = self.start('--rows', 'rings memory chmod', '--rows', 'rings image unlink', '--rows', 'append 1 ext4',
                             '--rows', 'journal', '--rows', 'programs find')
        output, _ = process.communicate(timeout=150)
        self.assertIn(process.returncode, (0, 1), output)
        for row in ('chmod, 1 thread', 'chmod, 2 threads', 'unlink, 2 threads', 'append 4 KiB + fsync, 1 thread, ext4',
                    'append 4 KiB + fsync', 'find'):
            self.assertRegex(output, rf'(?m)^\| {re.escape(row)} \|', output)
        self.assertRegex(output, r'(?m)^\d+ of \d+ rows hold$')
        self.check_nothing_left()

    def test_a_name_of_no_row(self):
        process = self.start('--rows', 'nothing')
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 2)
        self.assertIn('no row is called nothing', output)

    def test_broken_off_it_leaves_nothing(self):
        process = self.start('--rows', 'durable append 1 ext4')
        try:
            deadline = time.monotonic() + 60
            while not self.attached() and time.monotonic() < deadline:
                time.sleep(0.02)
            self.assertNotEqual(self.attached(), [])
        finally:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, output)
        self.check_nothing_left()


if __name__ == '__main__':
    mount.main()
