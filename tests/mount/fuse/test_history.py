"""The judge of the kill test on a plain folder: content with what really happened and with a legal crash,
and not with planted losses."""

import os
import pathlib
import random
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from history import BLOCK, SYNCS, History, Writer  # noqa: E402


class Judge(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='scalefs-test-'))
        self.addCleanup(shutil.rmtree, self.folder)
        self.root = self.folder / 'root'
        (self.root / 'own').mkdir(parents=True)
        self.journal = self.folder / 'journal'

    def work(self, steps, seed=1):
        self.writer = Writer(str(self.root), ['own'], self.journal, seed)
        for _ in range(steps):
            self.writer.step()

    def check(self):
        return History(self.journal, ['own']).check(str(self.root))

    def synced_file(self):
        """A file with data that a sync call covers."""
        node = self.writer.count
        self.writer.call('create', 'own/kept', 0o600)
        self.writer.call('write', 'own/kept', node, 0, 3, self.writer.count)
        self.writer.call('fsync', 'own/kept', node, False)
        return self.root / 'own' / 'kept', node

    def test_what_happened_is_allowed(self):
        for seed in range(5):
            with self.subTest(seed):
                self.setUp()
                self.work(300, seed)
                made, least, match = self.check()
                self.assertGreaterEqual(match, least)
                self.assertGreaterEqual(made, match)

    def test_a_state_from_before_the_last_sync_is_refused(self):
        self.work(50)
        path, _ = self.synced_file()
        path.unlink()
        self.assertRaises(AssertionError, self.check)

    def test_unsynced_calls_may_be_lost_from_the_end(self):
        path, _ = self.synced_file_after_some_work()
        self.writer.call('create', 'own/a', 0o600)
        self.writer.call('create', 'own/b', 0o600)
        (self.root / 'own' / 'b').unlink()
        self.check()
        self.writer.call('create', 'own/c', 0o600)
        # c is there but b, made before it, is not.
        self.assertRaises(AssertionError, self.check)
        self.assertTrue(path.exists())

    def synced_file_after_some_work(self):
        self.work(50)
        return self.synced_file()

    def test_lost_and_foreign_and_torn_data_are_refused(self):
        path, node = self.synced_file_after_some_work()
        self.check()
        good = path.read_bytes()
        for bad in (good[:BLOCK], b'\0' * len(good), good[:-1], good + b'\0' * BLOCK,
                    good[:BLOCK + 100] + random.randbytes(2 * BLOCK - 100)):
            path.write_bytes(bad)
            self.assertRaises(AssertionError, self.check)
        path.write_bytes(good)
        self.check()
        # Not yet synced: old and new are both allowed, but block by block.
        self.writer.call('write', 'own/kept', node, 1, 1, self.writer.count)
        new = path.read_bytes()
        self.check()
        path.write_bytes(good)
        self.check()
        path.write_bytes(new[:BLOCK + 2000] + good[BLOCK + 2000:])
        self.assertRaises(AssertionError, self.check)

    def test_a_file_that_replaced_another_must_have_its_data(self):
        path, _ = self.synced_file_after_some_work()
        node = self.writer.count
        self.writer.call('create', 'own/new', 0o600)
        self.writer.call('write', 'own/new', node, 0, 2, self.writer.count)
        self.writer.call('rename', 'own/new', 'own/kept')
        self.check()
        os.truncate(path, BLOCK)
        self.assertRaises(AssertionError, self.check)

    def test_a_changed_mode_or_link_is_refused(self):
        path, _ = self.synced_file_after_some_work()
        os.chmod(path, 0o777)
        self.assertRaises(AssertionError, self.check)
        os.chmod(path, 0o600)
        self.check()
        os.link(path, self.root / 'own' / 'extra')
        self.assertRaises(AssertionError, self.check)

    def test_all_kinds_of_calls_are_made(self):
        self.work(2000)
        kinds = {kind for kind, _ in History(self.journal, ['own']).calls}
        self.assertGreaterEqual(kinds, {'create', 'write', 'link', 'unlink', 'rename', 'chmod',
                                        'symlink', 'mkdir', 'rmdir', *SYNCS})


if __name__ == '__main__':
    unittest.main(verbosity=2)
