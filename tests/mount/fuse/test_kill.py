"""The kill test: several processes work on a mounted image, the daemon is killed at a random moment, the
next mount recovers, and what is found is checked against the journals of the processes (history.py)
and by the checker. What earlier rounds left must stay as it is.

  SCALEFS_KILL_ROUNDS  rounds (20)
  SCALEFS_KILL_SEED    the seed that a failure printed; the moment of the kill is not repeatable
"""

import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

import mount  # noqa: E402
from history import History, Writer  # noqa: E402

ROUNDS = int(os.environ.get('SCALEFS_KILL_ROUNDS', '20'))
WRITERS = 4
KEPT_ROUNDS = 3


class Kill(mount.MountTest):
    limit = 100 + 12 * ROUNDS

    def test_everything_that_an_fsync_covered_is_there(self):
        seed = int(os.environ.get('SCALEFS_KILL_SEED', random.SystemRandom().randrange(1 << 32)))
        print(f'SCALEFS_KILL_SEED={seed} SCALEFS_KILL_ROUNDS={ROUNDS}', flush=True)
        self.random = random.Random(seed)
        volume = self.volume('512M').mount(f'commit={self.random.choice((1, 5))}')
        settled = {}
        calls = 0
        for number in range(ROUNDS):
            calls += self.round(volume, number, settled)
        self.assertGreater(calls, ROUNDS * 20, 'the writers did next to nothing')
        volume.unmount()
        volume.fsck()

    def round(self, volume, number, settled):
        top = volume.path / f'round-{number}'
        top.mkdir()
        (top / 'shared').mkdir()
        places = {}
        for writer in range(WRITERS):
            places[writer] = [f'own-{writer}', f'shared/of-{writer}']
            for place in places[writer]:
                (top / place).mkdir()
        old = volume.path / f'round-{number - KEPT_ROUNDS}'
        if old.name in settled:
            del settled[old.name]
            shutil.rmtree(old)
        volume.fsync_root()
        journals = {w: self.folder / f'journal-{number}-{w}' for w in places}
        processes = [self.start(top, places[w], journals[w]) for w in places]
        for process in processes:
            self.assertEqual(process.stdout.readline(), 'working\n')
        time.sleep(self.random.choice((0.2, 0.5, 1.0, 2.0)) * self.random.random())
        early = [process.poll() for process in processes]
        volume.kill()
        outputs = [process.communicate(timeout=60)[0] for process in processes]
        self.assertEqual(early, [None] * len(early), f'a writer ended before the kill: {outputs}')
        volume.fsck()
        volume.mount(*volume.options)
        total = 0
        for writer, journal in journals.items():
            history = History(journal, places[writer])
            try:
                made, least, match = history.check(top)
            except AssertionError as error:
                shutil.copy(volume.image, '/tmp/scalefs-kill-failed.img')
                raise AssertionError(f'round {number} writer {writer}: {error}') from error
            total += made
            print(f'round {number} writer {writer}: {made} calls, {least} promised, {match} found',
                  flush=True)
        for name, before in settled.items():
            mount.compare(before, mount.fingerprint(volume.path / name), f'in round {number}')
        settled[top.name] = mount.fingerprint(top)
        return total

    def start(self, top, places, journal):
        seed = self.random.randrange(1 << 32)
        words = [sys.executable, '-B', __file__, 'writer', str(top), str(journal), str(seed), *places]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)


if __name__ == '__main__':
    if len(sys.argv) > 1 and sys.argv[1] == 'writer':
        _, _, root, journal_path, writer_seed, *own = sys.argv
        print('working', flush=True)
        Writer(root, own, journal_path, int(writer_seed), os.path.dirname(root)).run()
    else:
        mount.main()
