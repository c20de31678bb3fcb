"""Copies of a tree with something of everything (links, holes, owners, lists of access, attributes, devices), from a tmpfs to a volume
and on to another tmpfs, by rsync, tar and cp: nothing is lost on the way, and a second run of rsync finds nothing to do."""

import os
import pathlib
import random
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from mount import MountTest, compare, fingerprint, main, run  # noqa: E402

RSYNC = ['rsync', '-aHAXS', '--modify-window=-1']  # which compares nanoseconds
TAR = ['tar', '--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner']


def make_tree(top):
    generator = random.Random(7)
    for folder in ('plain', 'plain/deeper/and deeper', 'access', 'many', 'attributes'):
        (top / folder).mkdir(parents=True)
    for i, size in enumerate((0, 1, 4095, 4096, 4097, 70_000, 3_000_000)):
        path = top / 'plain' / f'file {i}'
        path.write_bytes(generator.randbytes(size))
        path.chmod((0o644, 0o600, 0o4755, 0o2755, 0o6711, 0o000, 0o1644)[i])
        os.utime(path, ns=(10**18 + i, 10**18 + 123_456_789 * i))
    for i in range(300):
        (top / 'many' / f'{i}-{"é" * (i % 100)}').write_bytes(b'%d' % i)
    for name in ('line\nfeed', ' spaces ', '-dash', 'n' * 255, b'\xff\xfe'.decode(errors='surrogateescape')):
        (top / 'plain' / name).write_bytes(b'odd name')
    os.link(top / 'plain' / 'file 5', top / 'plain' / 'deeper' / 'link')
    os.link(top / 'plain' / 'file 5', top / 'many' / 'link')
    os.symlink('file 1', top / 'plain' / 'symlink')
    os.symlink('/none/' + 'x' * 3000, top / 'plain' / 'dangling')
    os.link(top / 'plain' / 'symlink', top / 'plain' / 'link of a symlink', follow_symlinks=False)
    os.mkfifo(top / 'plain' / 'pipe', 0o640)
    os.mknod(top / 'plain' / 'device', 0o20660, os.makedev(7, 300))
    os.mknod(top / 'plain' / 'disk', 0o60600, os.makedev(259, 70_000))
    for i, name in enumerate(('file 1', 'symlink', 'pipe', 'deeper')):
        os.chown(top / 'plain' / name, 1000 + i, 70_000 * i, follow_symlinks=False)
    with open(top / 'plain' / 'holes', 'wb') as file:
        for at in (0, 1 << 20, (40 << 20) + 100):
            file.seek(at)
            file.write(b'data' * 3000)
        file.truncate(64 << 20)
    file = top / 'attributes' / 'file'
    file.write_bytes(b'attributes')
    for name, value in (('user.small', b'v'), ('user.empty', b''), ('user.big', generator.randbytes(3000)), ('trusted.own', b'\0\1\2'),
                        ('security.own', b's')):
        os.setxattr(file, name, value)
    os.setxattr(top / 'attributes', 'user.of a folder', b'f')
    run('setfacl', '-m', 'u:1000:rwx,g:2000:r,u:1001:-', file)
    run('setfacl', '-m', 'u:1000:rx', top / 'access')
    run('setfacl', '-d', '-m', 'u:1000:rwx,g:2000:rx,o::-', top / 'access')
    (top / 'access' / 'inherits').write_bytes(b'')
    (top / 'access' / 'folder inherits').mkdir()
    (top / 'access').chmod(0o3771)
    for folder in ('plain', 'many', 'access', '.'):
        os.utime(top / folder, ns=(0, 987_654_321_000_000_123))


def seen(top):
    found = fingerprint(top)
    first = {}
    for name, facts in found.items():
        facts['same as'] = first.setdefault(facts.pop('ino'), name)
        if facts['mode'][0] == 'd':
            del facts['nlink']
    return found


class Copies(MountTest):
    limit = 240

    def setUp(self):
        super().setUp()
        self.source, self.back = self.tmpfs('source'), self.tmpfs('back')
        make_tree(self.source)
        self.there = self.volume('512M').mount('dev', 'suid')

    def tmpfs(self, name):
        path = self.folder / name
        path.mkdir()
        run('mount', '-t', 'tmpfs', '-o', 'size=300M', 'tmpfs', path)
        self.addCleanup(run, 'umount', '-l', path, check=False)
        return path

    def check_holes(self, top):
        info = os.stat(top / 'plain' / 'holes')
        self.assertLess(info.st_blocks * 512, 1 << 20, top)

    def check_both(self, copied):
        expected = seen(self.source)
        compare(expected, seen(copied), 'on the volume')
        compare(expected, seen(self.back), 'on the way back')
        self.check_holes(copied)
        self.check_holes(self.back)

    def test_rsync(self):
        with socket.socket(socket.AF_UNIX) as server:
            os.chdir(self.source)
            server.bind('socket')
            os.chdir('/')
        volume = self.there
        copied = volume.path / 'copied'
        run(*RSYNC, f'{self.source}/', copied)
        volume.remount()
        for more in ('-n', '-nc'):
            self.assertEqual(run(*RSYNC, '-i', more, '--delete', f'{self.source}/', copied).stdout, '')
        run(*RSYNC, f'{copied}/', self.back)
        self.check_both(copied)
        # What changes is found, and nothing else.
        os.setxattr(self.source / 'attributes' / 'file', 'user.small', b'w')
        (self.source / 'plain' / 'file 3').write_bytes(b'changed')
        os.unlink(self.source / 'plain' / 'pipe')
        told = run(*RSYNC, '-i', '--delete', f'{self.source}/', copied).stdout
        self.assertEqual(sorted(line.split(maxsplit=1)[1] for line in told.splitlines() if not line.endswith('/')),
                         ['attributes/file', 'plain/file 3', 'plain/pipe'])
        compare(seen(self.source), seen(copied), 'after a second run')
        volume.check_everything_stays()
        # In place, a block or a byte at a time.
        with open(self.source / 'plain' / 'file 6', 'r+b') as file:
            file.seek(1_000_001)
            file.write(b'in the middle')
        run(*RSYNC, '--no-sparse', '--inplace', '--no-whole-file', f'{self.source}/', copied)
        compare(seen(self.source), seen(copied), 'after a change in place')

    def test_tar(self):
        copied = self.there.path / 'copied'
        copied.mkdir()
        archive = self.there.path / 'archive.tar'
        run(*TAR, '--sparse', '-cf', archive, '-C', self.source, '.')
        run(*TAR, '-xpf', archive, '-C', copied)
        self.there.remount()
        run(*TAR, '--compare', '-f', archive, '-C', copied)
        run('bash', '-o', 'pipefail', '-c', '"${@:3}" -S -cf - -C "$1" . | "${@:3}" -xpf - -C "$2"', 'tar', copied, self.back, *TAR)
        self.check_both(copied)
        self.there.check_everything_stays()

    def test_cp(self):
        copied = self.there.path / 'copied'
        run('cp', '-a', '--sparse=always', self.source, copied)
        run('cp', '-a', copied, self.there.path / 'again')
        self.there.remount()
        run('cp', '-a', f'{self.there.path}/again/.', self.back)
        self.check_both(copied)
        self.check_holes(self.there.path / 'again')

    def test_what_is_lost_is_found(self):
        copied = self.there.path / 'copied'
        run(*RSYNC, f'{self.source}/', copied)
        expected = seen(self.source)
        for damage in (lambda: os.removexattr(copied / 'attributes' / 'file', 'trusted.own'),
                       lambda: run('setfacl', '-b', copied / 'access'),
                       lambda: os.utime(copied / 'plain' / 'file 2', ns=(0, 1)),
                       lambda: subprocess.run(['cp', '--remove-destination', copied / 'many' / 'link', copied / 'link'], check=True)):
            damage()
            with self.assertRaisesRegex(AssertionError, 'differs'):
                compare(expected, seen(copied), '')
            run(*RSYNC, '--delete', f'{self.source}/', copied)
            compare(expected, seen(copied), 'when it was mended')


if __name__ == '__main__':
    main()
