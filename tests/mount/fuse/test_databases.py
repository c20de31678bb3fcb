"""Databases in which several processes write at a time (sqlite3 with its journals of every kind): each transaction moves money between
accounts and notes itself. Nothing is lost or made up, whatever was committed when the daemon is killed is there, and the database
is sound.

  SCALEFS_SEED=n             what the processes do; when the kill comes is not repeatable
  SCALEFS_DATABASE_ROUNDS=n  kills of each journal mode (1)
"""

import contextlib
import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from mount import MountTest, main, run  # noqa: E402

SEED = int(os.environ.get('SCALEFS_SEED', 1))
ROUNDS = int(os.environ.get('SCALEFS_DATABASE_ROUNDS', 1))
MODES = ('WAL', 'DELETE', 'TRUNCATE', 'PERSIST')
WRITERS = 3
ACCOUNTS = 200
TOTAL = ACCOUNTS * 1000


def open_database(path, mode):
    base = sqlite3.connect(path, timeout=60, isolation_level=None)
    base.execute(f'PRAGMA journal_mode={mode}')
    # Without EXTRA the removal of a journal, which is the commit, is not made durable.
    base.execute('PRAGMA synchronous=EXTRA')
    base.execute('PRAGMA wal_autocheckpoint=50')
    return base


class Databases(MountTest):
    limit = 60 + len(MODES) * ROUNDS * 30

    def make(self, path, mode):
        base = open_database(path, mode)
        base.execute('CREATE TABLE account(id INTEGER PRIMARY KEY, money INTEGER, note BLOB)')
        base.execute('CREATE TABLE done(writer INTEGER, number INTEGER, text TEXT, PRIMARY KEY(writer, number))')
        base.execute('CREATE INDEX by_text ON done(text)')
        with_all = [(i, TOTAL // ACCOUNTS, b'') for i in range(ACCOUNTS)]
        base.executemany('INSERT INTO account VALUES(?, ?, ?)', with_all)
        base.close()

    def check(self, path, promised):
        """`promised`: the last transaction of each writer that was told to be done."""
        with contextlib.closing(sqlite3.connect(path)) as base:
            self.assertEqual(base.execute('PRAGMA integrity_check').fetchall(), [('ok',)])
            self.assertEqual(base.execute('SELECT sum(money) FROM account').fetchone(), (TOTAL,))
            for writer, number in promised.items():
                count, last = base.execute('SELECT count(*), coalesce(max(number), 0) FROM done WHERE writer = ?', (writer,)).fetchone()
                # All up to the last one, which is the promised one or the one that was under way.
                self.assertEqual(count, last)
                self.assertIn(last, (number, number + 1), f'SCALEFS_SEED={SEED} {path}')

    def start(self, path, mode, count):
        workers = [subprocess.Popen([sys.executable, '-B', __file__, str(path), mode, str(writer), str(count)], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for writer in range(WRITERS)]
        for worker in workers:
            self.assertEqual(worker.stdout.readline(), '0\n')
        return workers

    def finish(self, workers):
        promised, errors = {}, []
        for writer, worker in enumerate(workers):
            # communicate() would not see what came with the first line.
            output, error = worker.stdout.read(), worker.stderr.read()
            worker.communicate()
            promised[writer] = max(map(int, output.split()), default=0)
            errors.append(error[-2000:] if worker.returncode != 0 else '')
        return promised, errors

    def test_several_writers(self):
        volume = self.volume('256M').mount('io_uring=off')
        for mode in MODES:
            path = volume.path / mode
            self.make(path, mode)
            promised, errors = self.finish(self.start(path, mode, 25))
            self.assertEqual(errors, [''] * WRITERS)
            self.check(path, promised)
            self.assertEqual(list(promised.values()), [25] * WRITERS)
            with self.assertRaises(AssertionError):
                self.check(path, {0: 26})  # one that is not there
            run('sqlite3', path, 'VACUUM; PRAGMA integrity_check')
        volume.check_everything_stays()

    def test_killed_while_they_write(self):
        volume = self.volume('256M').mount()
        chosen = random.Random(SEED)
        for mode in MODES * ROUNDS:
            path = volume.path / mode
            if not path.exists():
                self.make(path, mode)
            base = sqlite3.connect(path)
            base.execute('DELETE FROM done')
            base.commit()
            base.close()
            workers = self.start(path, mode, 1 << 30)
            time.sleep(chosen.uniform(0.2, 1.0))
            early = [worker.poll() for worker in workers]
            volume.kill()
            promised, errors = self.finish(workers)
            self.assertEqual(early, [None] * WRITERS, errors)
            volume.fsck()
            volume.mount(*volume.options)
            print(mode, promised, flush=True)
            self.check(path, promised)
        volume.check_everything_stays()


def work(path, mode, writer, count):
    chosen = random.Random(f'{SEED} {mode} {writer}')
    base = open_database(path, mode)
    print(0, flush=True)
    for number in range(1, count + 1):
        base.execute('BEGIN IMMEDIATE')
        for _ in range(3):
            source, target, money = chosen.randrange(ACCOUNTS), chosen.randrange(ACCOUNTS), chosen.randrange(100)
            base.execute('UPDATE account SET money = money - ?, note = ? WHERE id = ?',
                         (money, chosen.randbytes(chosen.randrange(2000)), source))
            base.execute('UPDATE account SET money = money + ? WHERE id = ?', (money, target))
        base.execute('INSERT INTO done VALUES(?, ?, ?)', (writer, number, f'{chosen.random()}'))
        base.execute('COMMIT')
        print(number, flush=True)


if __name__ == '__main__':
    if len(sys.argv) == 5:
        work(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
