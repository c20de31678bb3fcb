"""System calls on attributes: modes, owners, times, extended attributes, access lists, flags."""

import ctypes
import errno
import fcntl
import os
import stat
import struct
import subprocess
import time

from calls import Calls
from mount import libc, run

AT_FDCWD = -100
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
FS_NODUMP_FL, FS_IMMUTABLE_FL = 0x40, 0x10


def statx_birth(path):
    """Seconds of birth, or None."""
    buffer = ctypes.create_string_buffer(256)
    libc('statx', AT_FDCWD, os.fsencode(path), 0, 0xfff, buffer)
    mask, = struct.unpack_from('I', buffer, 0)
    seconds, = struct.unpack_from('q', buffer, 80)
    return seconds if mask & 0x800 else None


class Attributes(Calls):
    def test_chmod_chown_and_times(self):
        path = self.top / 'file'
        path.touch()
        for mode in (0o000, 0o7777, 0o644):
            os.chmod(path, mode)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), mode)
        os.chown(path, 12345, 54321)
        self.assertEqual((os.stat(path).st_uid, os.stat(path).st_gid), (12345, 54321))
        os.chown(path, -1, 7)
        self.assertEqual((os.stat(path).st_uid, os.stat(path).st_gid), (12345, 7))
        os.utime(path, ns=(1_000_000_001, 2_000_000_002))
        info = os.stat(path)
        self.assertEqual((info.st_atime_ns, info.st_mtime_ns), (1_000_000_001, 2_000_000_002))
        os.utime(path, ns=(-5_500_000_000, 4_102_444_800_000_000_009))  # 1969, 2100
        info = os.stat(path)
        self.assertEqual((info.st_atime_ns, info.st_mtime_ns),
                         (-5_500_000_000, 4_102_444_800_000_000_009))
        before = time.time() - 2
        os.utime(path)
        self.assertGreater(os.stat(path).st_mtime, before)
        self.assertGreater(os.stat(path).st_ctime, before)

    def test_changes_move_the_times_that_they_should(self):
        folder, path = self.top / 'dir', self.top / 'dir' / 'file'
        folder.mkdir()
        path.write_bytes(b'x')
        old = 1_000_000_000_000_000_000

        def settle():
            os.utime(folder, ns=(old, old))
            os.utime(path, ns=(old, old))

        settle()
        with open(path, 'r+b') as file:
            file.write(b'y')
        self.assertGreater(os.stat(path).st_mtime_ns, old)
        self.assertEqual(os.stat(folder).st_mtime_ns, old)
        settle()
        os.truncate(path, 100)
        self.assertGreater(os.stat(path).st_mtime_ns, old)
        settle()
        (folder / 'other').touch()
        self.assertGreater(os.stat(folder).st_mtime_ns, old)
        settle()
        os.unlink(folder / 'other')
        self.assertGreater(os.stat(folder).st_mtime_ns, old)
        settle()
        os.rename(path, folder / 'renamed')
        self.assertGreater(os.stat(folder).st_mtime_ns, old)
        self.assertEqual(os.stat(folder / 'renamed').st_mtime_ns, old)
        os.rename(folder / 'renamed', path)
        settle()
        changed = os.stat(path).st_ctime_ns
        os.chmod(path, 0o600)
        self.assertEqual(os.stat(path).st_mtime_ns, old)
        self.assertGreaterEqual(os.stat(path).st_ctime_ns, changed)

    def test_statx_tells_the_time_of_birth(self):
        path = self.top / 'file'
        before = int(time.time()) - 1
        path.touch()
        os.utime(path, (0, 0))
        birth = statx_birth(path)
        if birth is not None:  # kernels before 6.6 do not ask
            self.assertGreaterEqual(birth, before)
            self.assertLessEqual(birth, time.time() + 1)

    def test_the_umask_applies_and_set_gid_directories_give_their_group(self):
        before = os.umask(0o027)
        try:
            os.close(os.open(self.top / 'file', os.O_CREAT | os.O_WRONLY, 0o666))
            os.mkdir(self.top / 'dir', 0o777)
        finally:
            os.umask(before)
        self.assertEqual(stat.S_IMODE(os.stat(self.top / 'file').st_mode), 0o640)
        self.assertEqual(stat.S_IMODE(os.stat(self.top / 'dir').st_mode), 0o750)
        os.chown(self.top / 'dir', 0, 4242)
        os.chmod(self.top / 'dir', 0o2775)
        (self.top / 'dir' / 'file').touch()
        (self.top / 'dir' / 'sub').mkdir()
        self.assertEqual(os.stat(self.top / 'dir' / 'file').st_gid, 4242)
        self.assertEqual(os.stat(self.top / 'dir' / 'sub').st_gid, 4242)
        self.assertTrue(os.stat(self.top / 'dir' / 'sub').st_mode & stat.S_ISGID)

    def test_set_id_bits_go_when_another_writes(self):
        path = self.top / 'tool'
        path.write_bytes(b'#!')
        for change in ('open(p,"ab").write(b"x")', 'os.truncate(p, 1)', 'open(p,"wb")'):
            os.chmod(path, 0o6777)
            done = subprocess.run(['python3', '-c', f'import os\np={str(path)!r}\n{change}'],
                                  user=1234, group=1234, check=False, capture_output=True,
                                  text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(oct(stat.S_IMODE(os.stat(path).st_mode)), oct(0o777), change)
        os.chmod(path, 0o6755)
        os.chown(path, 5, 5)
        self.assertEqual(oct(stat.S_IMODE(os.stat(path).st_mode)), oct(0o755))

    def test_permissions_are_enforced(self):
        secret = self.top / 'secret'
        secret.write_bytes(b'x')
        os.chmod(secret, 0o600)
        os.chmod(self.top, 0o755)
        for command in (f'cat {secret}', f'touch {self.top}/new', f'rm -f {secret}'):
            done = subprocess.run(['sh', '-c', command], user=1234, group=1234, check=False,
                                  capture_output=True)
            self.assertNotEqual(done.returncode, 0, command)
        self.assertTrue(secret.exists())

    def test_extended_attributes(self):
        path = self.top / 'file'
        path.touch()
        for name in ('user.a', 'trusted.b', 'security.c'):
            os.setxattr(path, name, b'value of ' + name.encode())
        self.assertEqual(sorted(os.listxattr(path)), ['security.c', 'trusted.b', 'user.a'])
        self.assertEqual(os.getxattr(path, 'trusted.b'), b'value of trusted.b')
        self.assert_errno(errno.EEXIST, os.setxattr, path, 'user.a', b'', os.XATTR_CREATE)
        self.assert_errno(errno.ENODATA, os.setxattr, path, 'user.z', b'', os.XATTR_REPLACE)
        self.assert_errno(errno.ENODATA, os.getxattr, path, 'user.z')
        self.assert_errno(errno.ENODATA, os.removexattr, path, 'user.z')
        os.setxattr(path, 'user.a', b'', os.XATTR_REPLACE)
        self.assertEqual(os.getxattr(path, 'user.a'), b'')
        os.setxattr(path, 'user.large', b'v' * 65536)
        self.assertEqual(os.getxattr(path, 'user.large'), b'v' * 65536)
        os.setxattr(path, 'user.' + 'n' * 250, b'long name')
        os.removexattr(path, 'user.large')
        os.setxattr(self.top, 'user.on-a-directory', b'yes')
        self.assertEqual(os.getxattr(self.top, 'user.on-a-directory'), b'yes')
        os.removexattr(self.top, 'user.on-a-directory')
        for i in range(200):
            os.setxattr(path, f'user.many-{i}', str(i).encode())
        self.assertEqual(len(os.listxattr(path)), 204)

    def test_access_lists(self):
        folder = self.top / 'dir'
        folder.mkdir()
        os.chmod(folder, 0o755)
        run('setfacl', '-m', 'u:1234:rwx,g:99:r', self.top)
        run('setfacl', '-d', '-m', 'u:1234:rwx', folder)
        (folder / 'file').touch()
        (folder / 'sub').mkdir()
        self.assertIn('user:1234:rwx\t#effective:rw-', run('getfacl', '-n', folder / 'file').stdout)
        self.assertIn('default:user:1234:rwx', run('getfacl', '-n', folder / 'sub').stdout)
        path = self.top / 'file'
        path.touch()
        os.chmod(path, 0o600)
        run('setfacl', '-m', 'u:1234:rw', path)
        self.assertEqual(oct(stat.S_IMODE(os.stat(path).st_mode)), oct(0o660))
        os.chmod(path, 0o640)
        self.assertIn('user:1234:rw-\t#effective:r--', run('getfacl', '-n', path).stdout)
        done = subprocess.run(['cat', path], user=1234, group=1234, check=False,
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        run('setfacl', '-b', path)
        self.assertEqual(os.listxattr(path), [])

    def test_file_flags(self):
        path = self.top / 'file'
        path.touch()
        fd = os.open(path, os.O_RDONLY)
        flags = struct.unpack('i', fcntl.ioctl(fd, FS_IOC_GETFLAGS, b'\0' * 4))[0]
        self.assertEqual(flags, 0)
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack('i', FS_NODUMP_FL))
        flags = struct.unpack('i', fcntl.ioctl(fd, FS_IOC_GETFLAGS, b'\0' * 4))[0]
        self.assertEqual(flags, FS_NODUMP_FL)
        with self.assertRaises(OSError) as caught:
            fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack('i', FS_IMMUTABLE_FL))
        # EOPNOTSUPP from us; kernels since 6.17 make ENOTTY of it.
        self.assertIn(caught.exception.errno, (errno.EOPNOTSUPP, errno.ENOTTY))
        self.assert_errno(errno.ENOTTY, fcntl.ioctl, fd, 0x12345678, b'\0' * 16)
        os.close(fd)

    def test_statfs(self):
        info = os.statvfs(self.top)
        self.assertEqual(info.f_frsize, info.f_bsize)
        self.assertEqual(info.f_namemax, 255)
        self.assertLessEqual(info.f_bavail, info.f_bfree)
        self.assertLess(info.f_bfree, info.f_blocks)
        self.assertGreater(info.f_bavail, 0)
        if info.f_files != 0:  # 0 says that there is no fixed number
            self.assertGreater(info.f_ffree, 0)
