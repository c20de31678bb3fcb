"""What `cmake --install` puts where, and that the manual pages say what the programs do."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from mount import BIN, SOURCE, run  # noqa: E402

PAGES = SOURCE / 'docs/man'
PROGRAMS = {'scalefs': 'bin', 'mkfs.scalefs': 'sbin', 'fsck.scalefs': 'sbin', 'scalefs-dump': 'sbin',
            'scalefs-image': 'sbin', 'mount.scalefs': 'sbin', 'mount.fuse.scalefs': 'sbin',
            'umount.scalefs': 'sbin', 'umount.fuse.scalefs': 'sbin',
            'mount.fuseblk.scalefs': 'sbin', 'umount.fuseblk.scalefs': 'sbin'}


def words_of(page):
    """A page's words, as they are shown: without the marks of mdoc(7)."""
    text = (PAGES / page).read_text(encoding='utf-8').replace('\\-', '-').replace('\\&', '')
    return text


def has_flag(text, flag):
    """Whether an mdoc page names an option such as -n or --json."""
    name = flag.lstrip('-')
    mark = re.escape('-' + name if flag.startswith('--') else name)
    return re.search(rf'(?m)^\.(?:It |Op |Nm )?.*(?:Fl|,) (?:\w , )*{mark}(?:\s|$)', text) is not None


class Installed(unittest.TestCase):
    def setUp(self):
        self.prefix = pathlib.Path(tempfile.mkdtemp(prefix='scalefs-installed-'))
        self.addCleanup(shutil.rmtree, self.prefix)

    def test_files_are_where_they_are_looked_for(self):
        text = run('cmake', '--install', BIN, '--prefix', self.prefix).stdout
        for name, folder in PROGRAMS.items():
            program = self.prefix / folder / name
            self.assertTrue(os.access(program, os.X_OK), program)
            shown = subprocess.run([program, '--help'] if 'umount' not in name else [program],
                                   capture_output=True, text=True, check=False)
            self.assertIn('usage' if 'umount' in name else '-h', (shown.stdout + shown.stderr).lower())
        for link in ('mount.scalefs', 'mount.fuse.scalefs', 'umount.scalefs', 'umount.fuse.scalefs',
                     'mount.fuseblk.scalefs', 'umount.fuseblk.scalefs', 'mkfs.scalefs', 'fsck.scalefs'):
            self.assertIn(f'ln -s {self.prefix}/sbin/{link} /sbin/{link}\n', text + '\n')
        for page in PAGES.iterdir():
            section = page.suffix[1:]
            self.assertTrue((self.prefix / 'share/man' / f'man{section}' / page.name).exists(), page)
        self.assertTrue((self.prefix / 'share/scalefs/scalefs.magic').exists())
        rule = (self.prefix / 'lib/udev/rules.d/61-scalefs.rules').read_text(encoding='utf-8')
        self.assertIn(f'IMPORT{{program}}="{self.prefix}/sbin/scalefs-dump probe $devnode"', rule)
        unit = self.prefix / 'lib/systemd/system/scalefs@.service'
        text = unit.read_text(encoding='utf-8')
        self.assertIn(f'ExecStart={self.prefix}/bin/scalefs -f', text)
        self.assertNotIn('@BINDIR@', text + rule)
        if shutil.which('systemd-analyze'):
            named = unit.with_name('scalefs@test.service')
            named.symlink_to(unit.name)
            found = subprocess.run(['systemd-analyze', 'verify', named], capture_output=True, text=True, check=False)
            # Pages of this prefix are not where man(1) looks; all else is a finding.
            lines = [line for line in found.stderr.splitlines()
                     if 'scalefs' in line and not re.search(r'[Dd]ocumentation|man ', line)]
            self.assertEqual(lines, [])


class Pages(unittest.TestCase):
    """A page of section 8 for each program, and nothing left out of it."""

    def test_each_program_has_a_page(self):
        for name in PROGRAMS:
            if '.fuse' in name:  # another name for the same
                continue
            text = words_of(f'{name}.8')
            self.assertRegex(text, rf'(?m)^\.Nm {re.escape(name)}$')
            for section in ('NAME', 'SYNOPSIS', 'DESCRIPTION', 'EXIT STATUS', 'SEE ALSO'):
                self.assertRegex(text, rf'(?m)^\.Sh {section}$', name)
        self.assertIn('.Sh DESCRIPTION', words_of('scalefs.5'))

    def test_each_option_of_a_help_is_in_the_page(self):
        for name in ('mkfs.scalefs', 'fsck.scalefs', 'scalefs-dump', 'scalefs-image'):
            shown = run(BIN / name, '--help').stdout
            flags = set(re.findall(r'(?m)^ +(-\w|--[\w-]+)', shown) +
                        re.findall(r'(?m)^ +-\w,(--[\w-]+)', shown))
            self.assertIn('--help', flags)
            missing = [flag for flag in sorted(flags) if not has_flag(words_of(f'{name}.8'), flag)]
            self.assertEqual((name, missing), (name, []))

    def test_each_mount_option_is_in_the_page(self):
        text = words_of('scalefs.8')
        shown = run(BIN / 'scalefs', '--help').stdout
        named = set(re.findall(r'(?m)^  (\w+)(?:=\w+)?  ', shown))
        # Those that the program takes, by the table in its source.
        table = (SOURCE / 'fuse/option_table.cc').read_text(encoding='utf-8')
        known = set(re.findall(r'(?m)^    \{"(\w+)", Takes::', table))
        self.assertLessEqual(named, known)
        self.assertGreater(len(known), 60)
        # What undoes an option, or says what holds anyway, or comes from the kernel's table, needs no line of its own.
        silent = {'nosuid', 'async', 'atime', 'diratime', 'norelatime', 'nostrictatime', 'nolazytime', 'noiversion',
                  'nomand', 'loud', 'fail', 'nouser', 'nousers', 'uhelper', 'user_id', 'group_id', 'rootmode',
                  'blksize', 'debug', 'max_idle_threads', 'nonempty', 'comment'}
        missing = [name for name in sorted(known - silent)
                   if not re.search(rf'(?m)^\.(?:It )?Cm .*\b{re.escape(name)}\b|^\.Cm (?:.* )?{re.escape(name)}\b', text)]
        self.assertEqual(missing, [])
        for flag in set(re.findall(r'(?m)^  (-\w)(?:,| )', shown)):
            self.assertTrue(has_flag(text, flag), flag)

    @unittest.skipUnless(shutil.which('groff'), 'formats the pages')
    def test_pages_are_well_formed(self):
        for page in sorted(PAGES.iterdir()):
            done = subprocess.run(['groff', '-mdoc', '-Tutf8', '-ww', page], capture_output=True, text=True, check=False)
            self.assertEqual((page.name, done.stderr), (page.name, ''))


if __name__ == '__main__':
    unittest.main(verbosity=2)
