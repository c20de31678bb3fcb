"""Power cuts under a real mount: the daemon works over a device whose cache is in its own memory (tests/mount/cut),
so that killing it loses what was not flushed, but for what such a cache writes early, in parts. Meanwhile
dbench works, mail is delivered by processes that know what they were promised (mail.py), and others
make calls of all kinds (history.py). After each cut the checker must be content, and everything that was
acknowledged must be there, also what earlier rounds left.

  SCALEFS_CUT_ROUNDS  rounds (4)
  SCALEFS_CUT_SEED    the seed that a failure printed; the moment of the cut is not repeatable
"""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

import mail  # noqa: E402
import mount  # noqa: E402
from history import History, Writer  # noqa: E402

ROUNDS = int(os.environ.get('SCALEFS_CUT_ROUNDS', '4'))
MAILBOXES = 2
WRITERS = 2
DBENCH_LOAD = '/usr/share/dbench/client.txt'
KEPT_ROUNDS = 2


class PowerCut(mount.MountTest):
    limit = 120 + 15 * ROUNDS

    def start_volume(self, **environment):
        self.seed = int(os.environ.get('SCALEFS_CUT_SEED', random.SystemRandom().randrange(1 << 32)))
        print(f'SCALEFS_CUT_SEED={self.seed} SCALEFS_CUT_ROUNDS={ROUNDS}', flush=True)
        self.random = random.Random(self.seed)
        volume = self.volume('1G')
        volume.program = str(mount.BIN / 'scalefs_cut')
        volume.environment = environment
        self.settled = {}
        return volume

    def test_what_was_acknowledged_outlives_power_cuts(self):
        volume = self.start_volume()
        taken = calls = 0
        for number in range(ROUNDS):
            volume.environment['SCALEFS_CUT_SEED'] = str(self.random.randrange(1 << 32))
            volume.mount(f'commit={self.random.choice((1, 5))}')
            more = self.round(volume, number)
            taken, calls = taken + more[0], calls + more[1]
        print(f'{ROUNDS} cuts: {taken} messages taken, {calls} calls', flush=True)
        self.assertGreater(taken, ROUNDS * 2, 'next to no mail was delivered')
        self.assertGreater(calls, ROUNDS * 10, 'the writers did next to nothing')

    def test_a_flush_that_does_nothing_is_found(self):
        volume = self.start_volume(SCALEFS_CUT_LOSE_FLUSHES='1')
        volume.mount('commit=1')
        with self.assertRaises((AssertionError, OSError)):
            self.round(volume, 0)

    def round(self, volume, number):
        """Works, cuts, checks. Messages taken, and calls made. Ends without a mount."""
        for name, before in self.settled.items():
            mount.compare(before, mount.fingerprint(volume.path / name), f'in round {number}')
        top = volume.path / f'round-{number}'
        old = volume.path / f'round-{number - KEPT_ROUNDS}'
        if self.settled.pop(old.name, None) is not None:
            shutil.rmtree(old)
        boxes = {w: top / f'mail-{w}' for w in range(MAILBOXES)}
        for box in boxes.values():
            mail.prepare(box)
        for writer in range(WRITERS):
            (top / f'calls-{writer}').mkdir()
        (top / 'dbench').mkdir()
        volume.fsync_root()
        journal = {w: self.folder / f'{w}-{number}' for w in
                   [f'mail-{w}' for w in boxes] + [f'calls-{w}' for w in range(WRITERS)]}
        processes = [self.start(top, name, path) for name, path in journal.items()]
        dbench = subprocess.Popen(['dbench', '-c', DBENCH_LOAD, '-D', str(top / 'dbench'), '-t', '600', '2'],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, start_new_session=True)
        for process in processes:
            self.assertEqual(process.stdout.readline(), 'working\n')
        time.sleep(0.5 + self.random.choice((0.5, 1.5, 3.0)) * self.random.random())
        early = [process.poll() for process in processes]
        volume.kill()
        os.killpg(dbench.pid, signal.SIGKILL)
        dbench.wait()
        outputs = [process.communicate(timeout=60)[0] for process in processes]
        self.assertEqual(early, [None] * len(early), f'one ended before the cut: {outputs}')
        volume.fsck()
        volume.mount(*volume.options)
        try:
            result = self.check(top, boxes, journal)
        except AssertionError as error:
            raise AssertionError(f'round {number}: {error}') from error
        shutil.rmtree(top / 'dbench')
        for name, before in self.settled.items():
            mount.compare(before, mount.fingerprint(volume.path / name), f'in round {number}')
        volume.fsync_root()
        self.settled[top.name] = mount.fingerprint(top)
        volume.kill()
        return result

    def check(self, top, boxes, journal):
        taken = calls = 0
        for writer, box in boxes.items():
            had, there = mail.check(box, journal[f'mail-{writer}'], writer)
            print(f'{box.name}: {had} messages taken, {there} there', flush=True)
            taken += had
        for writer in range(WRITERS):
            name = f'calls-{writer}'
            made, least, match = History(journal[name], [name]).check(top)
            print(f'{name}: {made} calls, {least} promised, {match} found', flush=True)
            calls += made
        return taken, calls

    def start(self, top, name, journal):
        words = [sys.executable, '-B', __file__, name, str(top), str(journal),
                 str(self.random.randrange(1 << 32))]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)


def work(name, top, journal, seed):
    kind, writer = name.split('-')
    print('working', flush=True)
    if kind == 'mail':
        mail.Mailbox(os.path.join(top, name), journal, int(writer), int(seed)).run()
    else:
        Writer(top, [name], journal, int(seed), os.path.dirname(top)).run()


if __name__ == '__main__':
    if len(sys.argv) == 5:
        work(*sys.argv[1:])
    else:
        mount.main()
