"""What the tests of the label posix share: tables of cases (cases.py) and tests, each on two mounts, a volume in memory (over
io_uring, where the kernel offers it) and one in an image over /dev/fuse, which is then compared over a remount and checked. With
`--on DIR` everything runs in a folder of another file system instead, which shows that the tables say what Linux does."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))

import mount  # noqa: E402
import cases  # noqa: E402

TABLES = pathlib.Path(__file__).with_name('tables')
# As mounts by root from fstab are; SCALEFS_POSIX_OPTIONS=o,o adds to it.
MOUNTED = ('dev', 'suid', *filter(None, os.environ.get('SCALEFS_POSIX_OPTIONS', '').split(',')))


class Group(unittest.TestCase):
    """A group of calls: its tables, and what tables cannot say. Subclasses are run once for each place."""

    tables = ()
    options = ()      # of each mount
    size = '512M'
    kind = 'scalefs'
    place = None      # the folder where everything happens
    assertions = 0
    rows = 0
    maxDiff = None
    limit = 280       # seconds of a mount
    longMessage = False

    def setUp(self):
        self.top = pathlib.Path(self.place) / self.id().rsplit('.', 1)[-1]
        self.top.mkdir()
        os.umask(0o022)

    def tearDown(self):
        os.chdir('/')

    @contextlib.contextmanager
    def mounted_with(self, *options, size=None, prepare=None):
        """Inside, self.top is on another volume, in memory or of a size, mounted with these options; what is tested on another file system is
        remounted with them. `prepare` gets the folder before, when it is mounted without them."""
        before = self.top
        if self.kind != 'scalefs':
            where = subprocess.run(['stat', '-c', '%m', self.top], check=True, capture_output=True,
                                   text=True).stdout.strip()
            if prepare:
                prepare(self.top)
            mount.run('mount', '-o', f'remount,{",".join(options)}', where)
            try:
                yield
            finally:
                for option in ('rw,exec,suid,dev,strictatime', 'relatime,diratime'):
                    mount.run('mount', '-o', f'remount,{option}', where)
            return
        holder = mount.MountTest()
        holder.setUp()
        try:
            volume = holder.volume(size, memory=size is None)
            if prepare:
                prepare(volume.mount(*MOUNTED).path)
                volume.unmount()
            self.top = volume.mount(*MOUNTED, *options).path
            yield
        finally:
            os.chdir('/')
            self.top = before
            holder.doCleanups()

    def check(self, found, expected, what=''):
        """One assertion, counted."""
        Group.assertions += 1
        self.assertEqual(found, expected, what)

    def check_true(self, found, what=''):
        Group.assertions += 1
        self.assertTrue(found, what)

    def check_errno(self, code, call, *arguments, **more):
        Group.assertions += 1
        with self.assertRaises(OSError) as caught:
            call(*arguments, **more)
        self.assertEqual(caught.exception.errno, code)

    def run_table(self, name):
        rows = cases.read_table(TABLES / f'{name}.txt', self.kind)
        self.run_rows(rows, name)

    def run_rows(self, rows, name):
        top = self.top / name
        top.mkdir()
        failures = []
        for row, asked, wrong in cases.run_rows(rows, top, direct=self.kind == 'scalefs'):
            Group.rows += 1
            Group.assertions += asked
            if wrong:
                failures.append('\n    '.join([f'{row.where}: {row.text}', *wrong]))
        with self.subTest(table=name):
            self.assertFalse(failures, '\n'.join([f'{len(failures)} cases failed', *failures]))

    def test_tables(self):
        for name in self.tables:
            self.run_table(name)


class Places:
    """Makes the places of a test file, one at a time."""

    def __init__(self, group):
        self.group = group
        self.holder = None

    def in_memory(self):
        self.mounted = self.holder.volume(memory=True).mount(*MOUNTED, *self.group.options)
        return self.mounted.path, 'scalefs'

    def on_an_image(self):
        self.mounted = self.holder.volume(self.group.size).mount('io_uring=off', *MOUNTED, *self.group.options)
        return self.mounted.path, 'scalefs'

    def run(self, result, pattern):
        for name, make in (('InMemory', self.in_memory), ('OnAnImage', self.on_an_image)):
            self.holder = mount.MountTest()
            self.holder.limit = self.group.limit
            self.holder.setUp()
            try:
                where, kind = make()
                run_at(self.group, name, where, kind, result, pattern)
                if name == 'OnAnImage' and result.wasSuccessful():
                    self.remains()
            finally:
                os.chdir('/')
                self.holder.doCleanups()

    def remains(self):
        """What the tests left is the same behind a remount, numbers of objects too; the checker is content."""
        before = mount.fingerprint(self.mounted.path)
        self.mounted.unmount()
        self.mounted.fsck()
        self.mounted.mount(*self.mounted.options)
        mount.compare(before, mount.fingerprint(self.mounted.path), 'after unmount and mount')
        Group.assertions += len(before)


def run_at(group, name, where, kind, result, pattern):
    here = type(f'{group.__name__}{name}', (group,), {'place': str(where), 'kind': kind, '__module__': '__main__'})
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f'*{pattern}*'] if pattern else None
    loader.loadTestsFromTestCase(here).run(result)


def main(group):
    words = sys.argv[1:]
    on = words[words.index('--on') + 1] if '--on' in words else None
    only = words[words.index('-k') + 1] if '-k' in words else None
    if os.geteuid() != 0 or not (on or os.path.exists('/dev/fuse')):
        print('skipped: needs root and /dev/fuse')
        sys.exit(77)
    if '-t' in words:
        group.tables = tuple(words[words.index('-t') + 1].split(','))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2)._makeResult()
    if on:
        kind = subprocess.run(['stat', '-f', '-c', '%T', on], check=True, capture_output=True, text=True).stdout
        kind = {'ext2/ext3': 'ext4'}.get(kind.strip(), kind.strip())
        where = tempfile.mkdtemp(dir=on)
        os.chmod(where, 0o755)
        try:
            run_at(group, 'There', where, kind, result, only)
        finally:
            os.chdir('/')
            shutil.rmtree(where, ignore_errors=True)
    else:
        Places(group).run(result, only)
    result.printErrors()
    print(f'{Group.rows} cases of tables, {Group.assertions} assertions, '
          f'{len(result.failures) + len(result.errors)} failures')
    sys.exit(1 if not result.wasSuccessful() else 77 if result.skipped else 0)
