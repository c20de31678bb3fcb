"""An overlayfs whose upper and working folders are on a volume, as containers use it: files are copied up with all that they have,
removed names leave whiteouts, replaced folders are opaque, and another mount of the overlay, behind a remount and a kill of the volume,
shows the same."""

import errno
import os
import pathlib
import stat
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from mount import MountTest, compare, fingerprint, libc, main, run  # noqa: E402

EXCHANGE = 2


class Overlay(MountTest):
    space = 'trusted'

    def setUp(self):
        super().setUp()
        run('modprobe', 'overlay', check=False)
        if '\toverlay\n' not in pathlib.Path('/proc/filesystems').read_text():
            self.skipTest('the kernel has no overlayfs')

    def start(self, *options, lower_on_volume=True):
        self.there = self.volume('256M').mount('dev', 'suid', *options)
        self.lower = self.there.path / 'lower' if lower_on_volume else self.folder / 'lower'
        self.merged = self.folder / 'merged'
        for path in (self.lower, self.there.path / 'upper', self.there.path / 'work', self.merged):
            path.mkdir()
        self.fill_lower()
        self.addCleanup(run, 'umount', '-l', self.merged, check=False)
        self.mount_overlay()

    def mount_overlay(self, *options):
        words = ','.join((f'lowerdir={self.lower}', f'upperdir={self.there.path}/upper', f'workdir={self.there.path}/work', *options))
        run('mount', '-t', 'overlay', 'overlay', '-o', words, self.merged)

    def fill_lower(self):
        for folder in ('folder', 'folder/inner', 'replaced', 'removed'):
            (self.lower / folder).mkdir()
        for name in ('file', 'linked', 'gone', 'moved', 'folder/a', 'folder/b', 'folder/inner/c', 'replaced/old', 'removed/x'):
            (self.lower / name).write_bytes(name.encode() * 2000)
        os.link(self.lower / 'linked', self.lower / 'other name')
        os.symlink('file', self.lower / 'symlink')
        os.setxattr(self.lower / 'file', 'user.k', b'v')
        os.chmod(self.lower / 'file', 0o4751)
        os.chown(self.lower / 'folder/a', 1000, 2000)
        run('setfacl', '-m', 'u:1000:rw', self.lower / 'folder/b')
        os.utime(self.lower / 'folder/b', ns=(1, 1_234_567_890_123_456_789))

    def upper(self, name):
        return os.lstat(self.there.path / 'upper' / name)

    def is_whiteout(self, name):
        info = self.upper(name)
        return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0

    def change(self):
        """Everything that a container does to its image."""
        top = self.merged
        # Copied up: by a write, a mapping of a copy, chmod, an attribute, a link, a rename.
        with open(top / 'file', 'r+b') as file:
            file.seek(100)
            file.write(b'written')
        os.chmod(top / 'folder/a', 0o600)
        os.setxattr(top / 'folder/b', 'user.new', b'n')
        os.link(top / 'moved', top / 'second name')
        os.rename(top / 'moved', top / 'folder/moved here')
        os.truncate(top / 'linked', 10)
        # Whiteouts and opaque folders.
        os.unlink(top / 'gone')
        os.unlink(top / 'folder/inner/c')
        os.rmdir(top / 'folder/inner')
        for name in ('removed', 'replaced'):
            for inner in os.listdir(top / name):
                os.unlink(top / name / inner)
            os.rmdir(top / name)
        os.mkdir(top / 'replaced')
        (top / 'replaced/new').write_bytes(b'new')
        # New ones.
        (top / 'made').mkdir()
        os.rename(top / 'made', top / 'made and moved')
        os.mkfifo(top / 'made and moved/pipe')
        os.mknod(top / 'made and moved/device', 0o20600, os.makedev(1, 3))
        os.symlink('x', top / 'made and moved/symlink')
        (top / 'a').write_bytes(b'a')
        (top / 'b').write_bytes(b'b')
        libc('renameat2', -100, os.fsencode(top / 'a'), -100, os.fsencode(top / 'b'), EXCHANGE)
        fd = os.open(top, os.O_TMPFILE | os.O_RDWR, 0o600)
        try:
            os.write(fd, b'tmpfile')
            libc('linkat', -100, b'/proc/self/fd/%d' % fd, -100, os.fsencode(top / 'from a tmpfile'), 0x400)
        finally:
            os.close(fd)

    def check_changes(self):
        top = self.merged
        self.assertEqual(sorted(os.listdir(top)), sorted(
            ['file', 'folder', 'linked', 'other name', 'replaced', 'symlink', 'second name', 'made and moved', 'a', 'b', 'from a tmpfile']))
        self.assertEqual(sorted(os.listdir(top / 'folder')), ['a', 'b', 'moved here'])
        self.assertEqual(os.listdir(top / 'replaced'), ['new'])
        self.assertEqual((top / 'file').read_bytes(), (b'file' * 2000)[:100] + b'written' + (b'file' * 2000)[107:])
        self.assertEqual(os.getxattr(top / 'file', 'user.k'), b'v')
        info = os.stat(top / 'folder/a')
        self.assertEqual((info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)), (1000, 2000, 0o600))
        info = os.stat(top / 'folder/b')
        self.assertEqual(info.st_mtime_ns, 1_234_567_890_123_456_789)
        self.assertIn('user:1000:rw-', run('getfacl', '-n', '-p', top / 'folder/b').stdout)
        self.assertEqual((top / 'a').read_bytes() + (top / 'b').read_bytes(), b'ba')
        self.assertEqual((top / 'from a tmpfile').read_bytes(), b'tmpfile')
        for name in ('gone', 'removed', 'moved', 'folder/inner'):
            self.assertTrue(self.is_whiteout(name), name)
        self.assertEqual(os.getxattr(self.there.path / 'upper/replaced', f'{self.space}.overlay.opaque'), b'y')
        # The image below is as it was.
        self.assertEqual((self.lower / 'file').read_bytes(), b'file' * 2000)
        self.assertEqual((self.lower / 'gone').read_bytes(), b'gone' * 2000)

    def seen(self):
        found = fingerprint(self.merged)
        if self.lower.parent != self.there.path:
            for facts in found.values():
                del facts['ino']  # of layers on several file systems they are given out anew
        return found

    def everything(self, *options, redirect=False, lower_on_volume=True, volume_options=()):
        self.start(*volume_options, lower_on_volume=lower_on_volume)
        if options:
            run('umount', self.merged)
            self.mount_overlay(*options)
            shown = run('grep', '-F', self.merged, '/proc/self/mountinfo').stdout
            for option in options:
                # What the folders do not allow, the kernel leaves out; off is not shown.
                self.assertTrue(option in shown or option.endswith('=off'), shown)
        self.change()
        if redirect:
            os.rename(self.merged / 'folder', self.merged / 'renamed')
            os.rename(self.merged / 'renamed', self.merged / 'folder')
        else:
            # A folder of the image cannot be renamed without redirects: programs then copy it.
            with self.assertRaises(OSError) as caught:
                os.rename(self.merged / 'folder', self.merged / 'renamed')
            self.assertEqual(caught.exception.errno, errno.EXDEV)
        self.check_changes()
        before = self.seen()
        for end in (self.there.unmount, self.there.kill):
            run('umount', self.merged)
            self.there.fsync_root()
            end()
            self.there.fsck()
            self.there.mount(*self.there.options)
            self.mount_overlay(*options)
            self.check_changes()
            compare(before, self.seen(), f'behind {end.__name__}')
        run('umount', self.merged)
        self.there.unmount()
        self.there.fsck()

    def test_all_on_one_volume(self):
        self.everything('redirect_dir=off', volume_options=('io_uring=off', 'strict_open'))

    def test_with_all_features(self):
        self.everything('redirect_dir=on', 'index=on', 'metacopy=on', redirect=True)

    def test_as_rootless_containers_mount_it(self):
        self.space = 'user'
        self.everything('userxattr', lower_on_volume=False)

    def test_as_the_image_below(self):
        """Read through an overlay whose upper folder is elsewhere; nothing is written."""
        self.start()
        run('umount', self.merged)
        other = self.folder / 'tmpfs'
        other.mkdir()
        run('mount', '-t', 'tmpfs', 'tmpfs', other)
        self.addCleanup(run, 'umount', '-l', other, check=False)
        (other / 'upper').mkdir()
        (other / 'work').mkdir()
        before = fingerprint(self.lower)
        run('mount', '-t', 'overlay', 'overlay', '-o', f'lowerdir={self.lower},upperdir={other}/upper,workdir={other}/work', self.merged)
        os.chmod(self.merged / 'folder/b', 0o640)
        (self.merged / 'folder/a').write_bytes(b'')
        os.unlink(self.merged / 'gone')
        self.assertEqual((self.merged / 'linked').read_bytes(), b'linked' * 2000)
        run('umount', self.merged)
        compare(before, fingerprint(self.lower), 'below an overlay')


if __name__ == '__main__':
    main()
