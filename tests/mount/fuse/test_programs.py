"""Real programs on a mounted image, and what they left: the same after a remount and, behind an fsync of
the root directory, after a kill of the daemon, with an image that the checker finds clean."""

import filecmp
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from mount import SOURCE, MountTest, main, run  # noqa: E402

DBENCH_LOAD = '/usr/share/dbench/client.txt'
DBENCH_SECONDS = os.environ.get('SCALEFS_DBENCH_SECONDS', '5')


class Programs(MountTest):
    limit = 240

    def test_dbench(self):
        volume = self.volume('2G').mount()
        for clients in ('2', '8'):
            done = run('dbench', '-c', DBENCH_LOAD, '-D', volume.path, '-t', DBENCH_SECONDS, clients,
                       timeout=150)
            self.assertRegex(done.stdout, r'Throughput [0-9.]+ MB/sec')
            # The barrier semaphore is tried in two ways, and dbench tells of the first.
            self.assertNotRegex(done.stdout.replace('failed to create barrier', ''),
                                r'(?i)fail|error')
            print(f'dbench {clients} clients:', done.stdout.strip().splitlines()[-1], flush=True)
        volume.check_everything_stays()

    def test_fio_verifies_what_it_wrote(self):
        volume = self.volume('1G').mount()
        for name, more in (('random', ['--rw=randwrite', '--bs=4k', '--size=24m']),
                           ('mixed', ['--rw=randrw', '--bsrange=512-64k', '--size=24m',
                                      '--fsync=64']),
                           ('direct', ['--rw=write', '--bs=1m', '--size=96m', '--direct=1']),
                           ('mapped', ['--rw=randwrite', '--bs=4k', '--size=16m',
                                       '--ioengine=mmap'])):
            run('fio', f'--name={name}', f'--directory={volume.path}', '--numjobs=2',
                '--verify=crc32c', '--verify_fatal=1', '--do_verify=1', '--randseed=42',
                '--thread', '--group_reporting', *more, cwd=self.folder, timeout=150)
        volume.check_everything_stays()

    def test_git(self):
        volume = self.volume('1G').mount()
        clone = volume.path / 'clone'
        origin = self.a_repository()
        git = ['git', '-c', 'user.name=Test', '-c', 'user.email=test@example.com',
               '-c', 'safe.directory=*']
        run(*git, 'clone', '-q', f'file://{origin}', clone)
        run(*git, '-C', clone, 'fsck', '--strict')
        self.assertEqual(run(*git, '-C', clone, 'status', '--porcelain').stdout, '')
        (clone / 'new-file').write_text('new\n')
        run(*git, '-C', clone, 'add', '-A')
        run(*git, '-C', clone, 'commit', '-qm', 'A commit on the mounted volume')
        run(*git, '-C', clone, 'gc', '-q')
        volume.check_everything_stays()
        run(*git, '-C', clone, 'fsck', '--strict')
        self.assertEqual(run(*git, '-C', clone, 'status', '--porcelain').stdout, '')

    def a_repository(self):
        """This project's own repository; where the sources are not one, one made of them."""
        inside = run('git', '-c', 'safe.directory=*', '-C', SOURCE, 'rev-parse', '--git-dir',
                     check=False)
        if inside.returncode == 0:
            return SOURCE
        made = self.folder / 'origin'
        shutil.copytree(SOURCE, made, ignore=shutil.ignore_patterns('build'))
        run('git', '-C', made, 'init', '-q')
        run('git', '-C', made, 'add', '-A')
        run('git', '-C', made, '-c', 'user.name=Test', '-c', 'user.email=test@example.com',
            'commit', '-qm', 'Start')
        return made

    def test_sqlite(self):
        volume = self.volume('512M').mount()
        for mode in ('WAL', 'DELETE'):
            path = volume.path / f'{mode}.db'
            base = sqlite3.connect(path)
            self.assertEqual(base.execute(f'PRAGMA journal_mode={mode}').fetchone()[0].upper(), mode)
            base.execute('PRAGMA synchronous=EXTRA')
            base.execute('CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT)')
            reader = sqlite3.connect(path)
            for batch in range(20):
                with base:
                    base.executemany('INSERT INTO t(text) VALUES(?)',
                                     [('x' * (i % 700),) for i in range(500)])
                    base.execute('DELETE FROM t WHERE id % 7 = ?', (batch % 7,))
                reader.execute('SELECT count(*) FROM t').fetchone()
            count = base.execute('SELECT count(*) FROM t').fetchone()[0]
            base.close()
            reader.close()
            # Committed transactions are durable: no fsync of the root before this crash.
            volume.kill()
            volume.fsck()
            volume.mount()
            base = sqlite3.connect(path)
            self.assertEqual(base.execute('PRAGMA integrity_check').fetchone()[0], 'ok')
            self.assertEqual(base.execute('SELECT count(*) FROM t').fetchone()[0], count)
            base.close()
        volume.check_everything_stays()

    def test_compiling_and_running_a_program(self):
        volume = self.volume('512M').mount()
        (volume.path / 'main.cc').write_text(
            '#include <iostream>\n#include <map>\n#include <string>\n'
            'int main() { std::map<std::string, int> m{{"a", 1}}; std::cout << m["a"] << "\\n"; }\n')
        run('g++', '-g', '-O1', '-o', volume.path / 'main', volume.path / 'main.cc',
            cwd=volume.path)
        self.assertEqual(run(volume.path / 'main').stdout, '1\n')
        volume.check_everything_stays()
        self.assertEqual(run(volume.path / 'main').stdout, '1\n')

    def test_files_copied_out_are_those_copied_in(self):
        volume = self.volume('512M').mount()
        big = self.folder / 'big'
        big.write_bytes(os.urandom(50_000_000))
        for program in (['cp'], ['cp', '--reflink=never', '--sparse=always'], ['rsync'], ['dd']):
            if shutil.which(program[0]) is None:
                continue
            there = volume.path / program[0]
            if program[0] == 'dd':
                run('dd', f'if={big}', f'of={there}', 'bs=1M', 'oflag=direct', 'conv=fsync')
            else:
                run(*program, big, there)
            self.assertTrue(filecmp.cmp(big, there, shallow=False), program)
        volume.check_everything_stays()


if __name__ == '__main__':
    if not os.path.exists(DBENCH_LOAD):
        subprocess.run(['dbench', '--help'], check=False)
        sys.exit(f'{DBENCH_LOAD} is missing: scripts/install-deps.sh installs dbench')
    main()
