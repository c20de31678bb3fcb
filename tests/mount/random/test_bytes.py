"""Random calls on the bytes of files, as fsx makes them, against a model (bytes_file.py): several processes, each on files of its
own and on its blocks of one file of all; everything is compared anew behind an unmount, and behind a kill that follows an fsync of
the root directory.

  SCALEFS_SEED=n           one seed, as a failure prints it
  SCALEFS_BYTES_SEEDS=n    half as many on each kind of mount (8)
  SCALEFS_BYTES_CALLS=n    calls of a process between two mounts (1500)
  test_bytes.py --on DIR   on another file system
"""

import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

import mount  # noqa: E402
from bytes_caller import CHANGES, Caller, Failed  # noqa: E402
from bytes_shared import SharedCaller, make_shared_file  # noqa: E402
from seeds import seeds  # noqa: E402

SEEDS = int(os.environ.get('SCALEFS_BYTES_SEEDS', 8))
CALLS = int(os.environ.get('SCALEFS_BYTES_CALLS', 1500))
PROCESSES = 3
ROUNDS = 3
ON = sys.argv[sys.argv.index('--on') + 1] if '--on' in sys.argv else None


class Workers:
    """Processes that work a round, close their files, and wait for the next."""

    def __init__(self, seed, folder):
        self.seed, self.pipes = seed, []
        for number in range(PROCESSES):
            self.pipes.append(subprocess.Popen(
                [sys.executable, '-B', __file__, 'worker', str(seed), str(folder), str(number), *(['--on', ON] if ON else [])],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))

    def tell(self, what):
        """All do it; an AssertionError with what those say who could not."""
        for pipe in self.pipes:
            pipe.stdin.write(what + '\n')
            pipe.stdin.flush()
        answers = [pipe.stdout.readline() for pipe in self.pipes]
        if answers != ['done\n'] * len(answers):
            wrong = '\n'.join(answer + pipe.stdout.read() for answer, pipe in zip(answers, self.pipes) if answer != 'done\n')
            raise AssertionError(f'SCALEFS_SEED={self.seed} SCALEFS_BYTES_CALLS={CALLS}: {wrong}')

    def end(self):
        for pipe in self.pipes:
            pipe.kill()
            pipe.communicate()


def work(seed, folder, number):
    mapped = ON is not None or random.Random(seed).random() < 0.5  # direct I/O of parts of blocks is not for every file system
    callers = [Caller(seed, folder, f'worker-{number}', ON is not None),
               SharedCaller(seed, os.path.join(folder, 'shared'), number, PROCESSES, mapped)]
    for caller in callers:
        caller.close()
    for line in sys.stdin:
        try:
            for caller in callers:
                caller.open()
                if line == 'check\n':
                    caller.check()
            for part in range(10 if line == 'run\n' else 0):
                for caller in callers:
                    caller.run(CALLS // 20)
        except Failed as failure:
            print(failure, flush=True)
            return
        for caller in callers:
            caller.close()
        print('done', flush=True)


class Bytes(mount.MountTest):
    limit = 120 + SEEDS * (30 + CALLS // 50)

    def one_seed(self, seed, folder, between):
        """`between(round)` is called when no file is open."""
        folder.mkdir()
        make_shared_file(folder / 'shared')
        workers = Workers(seed, folder)
        try:
            for number in range(ROUNDS):
                workers.tell('run')
                between(number)
                workers.tell('check')
        finally:
            workers.end()
        shutil.rmtree(folder)

    def test_in_memory_over_rings(self):
        if ON:
            self.skipTest('of scalefs')
        volume = self.volume(memory=True).mount()
        for seed in seeds(1, SEEDS // 2):
            with self.subTest(seed=seed):
                self.one_seed(seed, volume.path / str(seed), lambda number: None)
        volume.unmount()

    def test_on_an_image(self):
        if ON:
            self.skipTest('of scalefs')
        for options in (('io_uring=off',), ('strict_open', 'cache_size=16M', 'commit=1')):
            volume = self.volume('256M', '-'.join(options)).mount(*options)
            for seed in seeds(1000 if len(options) == 1 else 2000, SEEDS // 2):
                with self.subTest(seed=seed, options=options):
                    self.one_seed(seed, volume.path / str(seed), lambda number: self.mount_again(volume, number))
            volume.unmount()
            volume.fsck()

    def mount_again(self, volume, number):
        if number == 0:
            volume.unmount()
        else:
            volume.fsync_root()
            volume.kill()
        volume.fsck()
        volume.mount(*volume.options)

    def test_on_another_file_system(self):
        if ON is None:
            return
        with tempfile.TemporaryDirectory(dir=ON) as folder:
            for seed in seeds(1, SEEDS // 2):
                with self.subTest(seed=seed):
                    self.one_seed(seed, pathlib.Path(folder, str(seed)), lambda number: None)

    def test_mistakes_are_found(self):
        """A change of each kind that the model does not see, and a byte written behind its back."""
        top = pathlib.Path(tempfile.mkdtemp(dir=ON)) if ON else self.volume(memory=True).mount().path
        for kind in CHANGES:
            for seed in range(4):  # a change may happen to change nothing that shows
                caller = Caller(seed, top, f'{kind}-{seed}', ON is not None, forget=kind)
                try:
                    caller.run(400)
                except Failed:
                    break
                finally:
                    caller.close()
            else:
                # Without them the model knows of no blocks, which is not asked of other file systems.
                if not (ON and kind == 'allocate_keep'):
                    self.fail(f'{kind} was left out of the model and not found')
        caller = Caller(1, top, 'damaged', ON is not None)
        caller.run(100)
        file = max(caller.files, key=lambda one: len(one.bytes))
        with open(file.path, 'r+b') as damaged:
            damaged.seek(file.base + len(file.bytes) - 1)
            damaged.write(bytes([file.bytes[-1] ^ 1]))
        with self.assertRaisesRegex(Failed, '1 bytes from'):
            caller.check()
        caller.close()
        if ON:
            shutil.rmtree(top)


if __name__ == '__main__':
    if len(sys.argv) > 1 and sys.argv[1] == 'worker':
        work(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        if ON:
            del sys.argv[sys.argv.index('--on'):sys.argv.index('--on') + 2]
        mount.main()
