"""Random calls of several processes in one tree, as fsstress makes them (tree_caller.py): no call may end with an error that cannot be,
names and counts of links agree, the tree is the same behind an unmount, and in order behind a kill in the middle; the checker is content
each time, also on a volume that was full, and what was removed gives its space back.

  SCALEFS_SEED=n           one seed, as a failure prints it (what the processes do to each other is not repeatable)
  SCALEFS_TREES_SEEDS=n    seeds of each test (2)
  SCALEFS_TREES_CALLS=n    calls of a process for a seed (2500)
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
from seeds import seeds  # noqa: E402
from tree_caller import KINDS, Failed, TreeCaller, check_tree  # noqa: E402

SEEDS = int(os.environ.get('SCALEFS_TREES_SEEDS', 2))
CALLS = int(os.environ.get('SCALEFS_TREES_CALLS', 2500))
PROCESSES = 4
# What an image's tree keeps of objects that are gone: their numbers, to be used again, and nodes that are nearly empty.
LEFT_BLOCKS, NUMBERS_OF_BLOCK = 16, 50


def clear(top):
    for name in os.listdir(top):
        path = os.path.join(top, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    for name in os.listxattr(top):
        os.removexattr(top, name)


class Trees(mount.MountTest):
    limit = 120 + SEEDS * (60 + CALLS // 50)
    most = 0  # objects at a time

    def seeds(self, first):
        for seed in seeds(first, SEEDS):
            print(f'SCALEFS_SEED={seed} SCALEFS_TREES_CALLS={CALLS}', flush=True)
            yield seed

    def start(self, seed, top, kind='calls'):
        workers = [subprocess.Popen([sys.executable, '-B', __file__, kind, str(seed), str(number), str(top)], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for number in range(PROCESSES)]
        for worker in workers:
            self.assertEqual(worker.stdout.readline(), 'in the tree\n')
        return workers

    def outputs(self, workers):
        outputs = [worker.stdout.read() for worker in workers]  # communicate() would not see what came with the first line
        for worker in workers:
            worker.communicate()
        return outputs

    def finish(self, seed, workers):
        """The calls that were done."""
        outputs = self.outputs(workers)
        self.assertEqual([worker.returncode for worker in workers], [0] * PROCESSES, f'SCALEFS_SEED={seed}: ' + '\n'.join(outputs))
        return sum(int(output.split()[-1]) for output in outputs)

    def work(self, seed, top, kind='calls'):
        """All calls of a seed; most are done, or they tell nothing."""
        done = self.finish(seed, self.start(seed, top, kind))
        print(f'{done} calls done, {self.count(top)} objects', flush=True)
        return done

    def count(self, top):
        objects = check_tree(top)
        self.most = max(self.most, objects)
        return objects

    def check_that_it_stays(self, volume):
        before = mount.fingerprint(volume.path)
        volume.unmount()
        volume.fsck()
        volume.mount(*volume.options)
        mount.compare(before, mount.fingerprint(volume.path), 'behind an unmount')

    def check_that_all_space_comes_back(self, volume, before):
        clear(volume.path)
        volume.remount()  # a block that was freed is free when a checkpoint says so
        after = os.statvfs(volume.path)
        self.assertGreaterEqual(after.f_bfree, before.f_bfree - LEFT_BLOCKS - self.most // NUMBERS_OF_BLOCK)
        volume.unmount()
        volume.fsck()

    def test_in_memory_over_rings(self):
        volume = self.volume(memory=True).mount()
        for seed in self.seeds(1):
            self.assertGreater(self.work(seed, volume.path), CALLS * PROCESSES // 10)
        clear(volume.path)
        volume.unmount()

    def test_on_an_image(self):
        for first, options in ((1000, ('io_uring=off',)), (2000, ('strict_open', 'cache_size=16M', 'commit=1'))):
            volume = self.volume('512M', '-'.join(options)).mount(*options)
            before = os.statvfs(volume.path)
            for seed in self.seeds(first):
                self.work(seed, volume.path)
                self.check_that_it_stays(volume)
            self.check_that_all_space_comes_back(volume, before)

    def test_killed_in_the_middle(self):
        volume = self.volume('512M').mount('commit=1')
        before = os.statvfs(volume.path)
        for seed in self.seeds(3000):
            for moment in random.Random(seed).choices((0.4, 0.6, 1.0, 1.5), k=3):
                workers = self.start(seed, volume.path, 'endless')
                time.sleep(moment)
                early = [worker.poll() for worker in workers]
                volume.kill()
                outputs = self.outputs(workers)
                self.assertEqual(early, [None] * PROCESSES, f'SCALEFS_SEED={seed}, ended before the kill: {outputs}')
                volume.fsck()
                volume.mount(*volume.options)
                print(self.count(volume.path), 'objects', flush=True)
                self.check_that_it_stays(volume)
            clear(volume.path)
        self.check_that_all_space_comes_back(volume, before)

    def test_on_a_full_volume(self):
        volume = self.volume('32M').mount()
        before = os.statvfs(volume.path)
        for seed in self.seeds(4000):
            with open(volume.path / f'filling-{seed}', 'wb', buffering=0) as filling:
                try:
                    while True:
                        filling.write(bytes(100_000))
                except OSError:
                    filling.truncate(filling.tell() * 9 // 10)
            self.work(seed, volume.path, 'full')
            self.check_that_it_stays(volume)
            clear(volume.path)
        self.check_that_all_space_comes_back(volume, before)

    def test_mistakes_are_found(self):
        volume = self.volume(memory=True).mount()
        top = volume.path / 'top'
        (top / 'a').mkdir(parents=True)
        (top / 'a' / 'file').write_bytes(b'content')
        check_tree(top)
        os.link(top / 'a' / 'file', volume.path / 'elsewhere')
        with self.assertRaisesRegex(Failed, 'has 1 names and 2 links'):
            check_tree(top)
        before = mount.fingerprint(volume.path)
        (top / 'a' / 'file').write_bytes(b'contenu')
        with self.assertRaisesRegex(AssertionError, 'differs'):
            mount.compare(before, mount.fingerprint(volume.path), '')
        self.addCleanup(os.chdir, os.getcwd())
        caller = TreeCaller(1, 'one', top)
        caller.random.choice = lambda among: list(among)[0]  # always the same path
        caller.one('mkdir')
        for kind in ('mkdir', 'unlink'):
            KINDS[kind][1].clear()
            with self.assertRaisesRegex(Failed, kind):
                caller.one(kind)


def work(kind, seed, number, top):
    caller = TreeCaller(seed, f'process-{number}', top, kind == 'full')
    print('in the tree', flush=True)  # and not in what the mount covers
    try:
        while kind == 'endless':
            caller.run(100)
        caller.run(CALLS)
    except Failed as failure:
        # A daemon that was killed is no mistake of a call.
        print(failure, sum(caller.done.values()), flush=True)
        sys.exit(1)
    print(sum(caller.done.values()), flush=True)


if __name__ == '__main__':
    if len(sys.argv) == 5:
        work(*sys.argv[1:])
    else:
        mount.main()
