"""Benchmarks of others, short, for what they do rather than for their figures: postmark, fs_mark and bonnie++ must end well, each over
the other way to the kernel than the one before, and leave an image that the checker finds clean. (dbench is in test_programs.)

  SCALEFS_BENCHMARK_SCALE=n  so many times the files
"""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from mount import MountTest, main, run  # noqa: E402

SCALE = int(os.environ.get('SCALEFS_BENCHMARK_SCALE', 1))


class Benchmarks(MountTest):
    limit = 120 + 60 * SCALE

    def start(self, *options):
        self.there = self.volume(f'{512 * SCALE}M').mount(*options)
        return self.there.path

    def end(self):
        self.there.check_everything_stays()
        self.there.unmount()
        self.there.fsck()

    def test_postmark(self):
        top = self.start('io_uring=off')
        commands = (f'set location {top}', f'set number {1000 * SCALE}', f'set transactions {3000 * SCALE}', 'set subdirectories 20',
                    'set size 100 30000', 'set seed 3', 'set buffering false', 'run', 'quit')
        done = subprocess.run(['postmark'], input='\n'.join(commands) + '\n', capture_output=True, text=True, timeout=200 * SCALE, check=True)
        self.assertRegex(done.stdout, r'transactions \(\d+ per second\)')
        self.assertNotRegex(done.stdout + done.stderr, r'(?i)error|cannot|fail')
        self.assertEqual(os.listdir(top), [])
        self.end()

    def test_fs_mark(self):
        top = self.start('commit=1')
        for number, sync in enumerate(('0', '1', '2', '3', '5')):
            folder = top / sync
            folder.mkdir()
            done = run('fs_mark', '-d', 'a', '-d', 'b', '-n', 100 * SCALE, '-s', 8000, '-w', 4096, '-S', sync, '-k', '-p', 10,
                       '-D', 5, '-N', 20, '-l', self.folder / f'{number}.log', cwd=folder, timeout=200 * SCALE)
            self.assertNotRegex(done.stdout, r'(?i)error|fail')
            files = [name for _, _, names in os.walk(folder) for name in names]
            self.assertEqual(len(files), 200 * SCALE)
        self.end()

    def test_bonnie(self):
        top = self.start('strict_open', 'cache_size=32M')
        for more in ([], ['-b'], ['-D']):  # plain, fsync of each file, direct I/O
            done = run('bonnie++', '-d', top, '-s', f'{64 * SCALE}M', '-r', '0', '-n', '1:20000:100:4', '-u', '0:0', '-q', '-f', *more,
                       timeout=200 * SCALE)
            self.assertNotRegex(done.stdout, r"(?i)can't|error|fail|expected")
        self.assertEqual(os.listdir(top), [])
        self.end()


if __name__ == '__main__':
    main()
