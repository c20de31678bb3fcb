"""System calls that read, write and arrange the content of files."""

import ctypes
import errno
import fcntl
import mmap
import os
import subprocess

from calls import Calls
from mount import libc, run

FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2
FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_ZERO_RANGE = 8, 16


def fallocate(fd, mode, offset, length):
    libc('fallocate', fd, mode, ctypes.c_long(offset), ctypes.c_long(length))


class Data(Calls):
    def test_reads_and_writes_at_any_offset(self):
        path = self.top / 'file'
        fd = os.open(path, os.O_CREAT | os.O_RDWR)
        expected = bytearray()
        for offset, length in ((0, 10), (4090, 20), (100_000, 5000), (3, 8000), (1 << 20, 3_000_001)):
            data = os.urandom(length)
            self.assertEqual(os.pwrite(fd, data, offset), length)
            expected.extend(b'\0' * (offset + length - len(expected)))
            expected[offset:offset + length] = data
        self.assertEqual(os.fstat(fd).st_size, len(expected))
        run('sysctl', '-q', 'vm.drop_caches=1', check=False)
        for offset, length in ((0, 4096), (4095, 2), (99_999, 7000), (len(expected) - 5, 100)):
            self.assertEqual(os.pread(fd, length, offset), expected[offset:offset + length])
        self.assertEqual(os.pread(fd, 10, len(expected)), b'')
        os.close(fd)
        self.assertEqual(path.read_bytes(), expected)

    def test_truncate_cuts_and_extends_with_zeros(self):
        path = self.top / 'file'
        path.write_bytes(b'a' * 10_000)
        os.truncate(path, 5000)
        os.truncate(path, 12_000)
        self.assertEqual(path.read_bytes(), b'a' * 5000 + b'\0' * 7000)
        os.truncate(path, 0)
        os.truncate(path, 1 << 40)
        self.assertEqual(os.stat(path).st_size, 1 << 40)
        self.assertLess(os.stat(path).st_blocks, 100)
        self.assert_errno(errno.EINVAL, os.truncate, path, -1)
        path.unlink()  # nobody is to read all of it

    def test_files_end_at_16_tebibytes(self):
        path = self.top / 'file'
        fd = os.open(path, os.O_CREAT | os.O_RDWR)
        limit = 16 << 40
        self.assertEqual(os.pwrite(fd, b'end', limit - 3), 3)
        self.assertEqual(os.pread(fd, 10, limit - 4), b'\0end')
        self.assert_errno(errno.EFBIG, os.pwrite, fd, b'x', limit)
        self.assert_errno(errno.EFBIG, os.ftruncate, fd, limit + 1)
        self.assert_errno(errno.EFBIG, fallocate, fd, 0, limit - 4096, 8192)
        os.close(fd)
        path.unlink()

    def test_appends_of_several_processes_do_not_overwrite_each_other(self):
        path = self.top / 'log'
        path.touch()
        code = ('import os,sys\nfd=os.open(sys.argv[1],os.O_WRONLY|os.O_APPEND)\n'
                'for i in range(300): os.write(fd,(sys.argv[2]*99+"\\n").encode())')
        writers = [subprocess.Popen(['python3', '-c', code, path, letter]) for letter in 'abcd']
        self.assertEqual([writer.wait() for writer in writers], [0] * 4)
        lines = path.read_text().splitlines()
        self.assertEqual(sorted(set(lines)), [letter * 99 for letter in 'abcd'])
        self.assertEqual(len(lines), 1200)

    def test_holes_are_found(self):
        path = self.top / 'sparse'
        fd = os.open(path, os.O_CREAT | os.O_RDWR)
        self.assert_errno(errno.ENXIO, os.lseek, fd, 0, os.SEEK_DATA)
        os.pwrite(fd, b'x' * 4096, 1 << 20)
        os.pwrite(fd, b'y' * 4096, 4 << 20)
        os.ftruncate(fd, 8 << 20)
        for _ in range(2):
            self.assertEqual(os.lseek(fd, 0, os.SEEK_DATA), 1 << 20)
            self.assertEqual(os.lseek(fd, 1 << 20, os.SEEK_HOLE), (1 << 20) + 4096)
            self.assertEqual(os.lseek(fd, (1 << 20) + 4096, os.SEEK_DATA), 4 << 20)
            self.assertEqual(os.lseek(fd, 0, os.SEEK_HOLE), 0)
            self.assertEqual(os.lseek(fd, 4 << 20, os.SEEK_HOLE), (4 << 20) + 4096)
            self.assert_errno(errno.ENXIO, os.lseek, fd, 5 << 20, os.SEEK_DATA)
            self.assert_errno(errno.ENXIO, os.lseek, fd, 8 << 20, os.SEEK_HOLE)
            os.fsync(fd)
        self.assertLess(os.fstat(fd).st_blocks * 512, 64 << 10)
        os.close(fd)
        run('cp', '--sparse=always', path, self.top / 'copy')
        self.assertEqual((self.top / 'copy').read_bytes(), path.read_bytes())

    def test_fallocate(self):
        path = self.top / 'file'
        fd = os.open(path, os.O_CREAT | os.O_RDWR)
        fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20)
        self.assertEqual(os.fstat(fd).st_size, 0)
        fallocate(fd, 0, 0, 100_000)
        self.assertEqual(os.fstat(fd).st_size, 100_000)
        self.assertEqual(os.pread(fd, 100_000, 0), b'\0' * 100_000)
        os.pwrite(fd, b'z' * 100_000, 0)
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 20_000)
        expected = b'z' * 5000 + b'\0' * 20_000 + b'z' * 75_000
        self.assertEqual(os.pread(fd, 100_000, 0), expected)
        fallocate(fd, FALLOC_FL_ZERO_RANGE, 90_000, 20_000)
        self.assertEqual(os.fstat(fd).st_size, 110_000)
        expected = expected[:90_000] + b'\0' * 20_000
        self.assertEqual(os.pread(fd, 200_000, 0), expected)
        fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 100_000, 50_000)
        self.assertEqual(os.fstat(fd).st_size, 110_000)
        self.assert_errno(errno.EOPNOTSUPP, fallocate, fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096)
        os.close(fd)

    def test_copy_file_range(self):
        data = os.urandom(3_000_000)
        (self.top / 'source').write_bytes(data)
        source = os.open(self.top / 'source', os.O_RDONLY)
        target = os.open(self.top / 'target', os.O_CREAT | os.O_RDWR)
        copied = 0
        while copied < len(data):
            part = os.copy_file_range(source, target, len(data) - copied, copied, copied)
            self.assertGreater(part, 0)
            copied += part
        self.assertEqual(os.copy_file_range(source, target, 10, len(data), 0), 0)
        self.assertEqual((self.top / 'target').read_bytes(), data)
        os.close(source)
        os.close(target)

    def test_shared_mappings(self):
        path = self.top / 'mapped'
        path.write_bytes(b'\0' * 100_000)
        with open(path, 'r+b') as file:
            with mmap.mmap(file.fileno(), 100_000) as first, \
                    mmap.mmap(file.fileno(), 100_000, access=mmap.ACCESS_READ) as second:
                first[70_000:70_005] = b'hello'
                self.assertEqual(second[70_000:70_005], b'hello')
                self.assertEqual(os.pread(file.fileno(), 5, 70_000), b'hello')
                os.pwrite(file.fileno(), b'world', 10)
                self.assertEqual(first[10:15], b'world')
                first.flush()
        data = path.read_bytes()
        self.assertEqual((data[10:15], data[70_000:70_005]), (b'world', b'hello'))

    def test_direct_io(self):
        path = self.top / 'direct'
        fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_DIRECT)
        buffer = mmap.mmap(-1, 1 << 20)
        buffer.write(os.urandom(1 << 20))
        self.assertEqual(os.pwritev(fd, [buffer], 4096), 1 << 20)
        again = mmap.mmap(-1, 1 << 20)
        self.assertEqual(os.preadv(fd, [again], 4096), 1 << 20)
        self.assertEqual(again[:], buffer[:])
        os.close(fd)
        self.assertEqual(path.read_bytes()[4096:], buffer[:])

    def test_synchronous_files_and_fsync(self):
        for flags in (os.O_SYNC, os.O_DSYNC):
            fd = os.open(self.top / 'sync', os.O_CREAT | os.O_WRONLY | flags)
            os.write(fd, b'at once')
            os.close(fd)
        fd = os.open(self.top / 'sync', os.O_RDONLY)
        os.fsync(fd)
        os.fdatasync(fd)
        os.close(fd)
        fd = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(fd)
        os.close(fd)

    def test_locks(self):
        path = self.top / 'lock'
        path.touch()
        first, second = open(path, 'r+b'), open(path, 'r+b')
        fcntl.flock(first, fcntl.LOCK_EX)
        self.assert_errno(errno.EWOULDBLOCK, fcntl.flock, second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(first, fcntl.LOCK_UN)
        fcntl.flock(second, fcntl.LOCK_EX)
        fcntl.lockf(first, fcntl.LOCK_EX, 10, 0)
        code = f'import fcntl\nf=open({str(path)!r},"r+b")\nfcntl.lockf(f,6,10,0)'
        done = subprocess.run(['python3', '-c', code], check=False, capture_output=True)
        self.assertNotEqual(done.returncode, 0)
        first.close()
        second.close()
