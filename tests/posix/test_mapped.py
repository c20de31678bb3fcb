"""Memory that is mapped to files: what writes, truncations and holes do to it, and it to them."""

import errno
import mmap
import os
import signal
import subprocess
import sys

from group import Group, main
from verbs import Verbs, State

PAGE = 4096


class Mapped(Group):
    def file(self, data, name='f'):
        path = self.top / name
        path.write_bytes(data)
        fd = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, fd)
        return path, fd

    def faults(self, path, offset, prepare=''):
        """Whether a read of this byte of a mapping is answered by SIGBUS, in a process of its own."""
        code = ('import mmap,os,sys\nfd=os.open(sys.argv[1],os.O_RDWR)\nm=mmap.mmap(fd,int(sys.argv[2]))\n'
                f'{prepare}\nprint(m[int(sys.argv[3])])')
        size = max(os.stat(path).st_size, 1)
        done = subprocess.run([sys.executable, '-c', code, path, str(size), str(offset)],
                              capture_output=True, check=False)
        return done.returncode == -signal.SIGBUS

    def test_a_mapping_and_the_file_are_one(self):
        _, fd = self.file(b'a' * 3 * PAGE)
        with mmap.mmap(fd, 3 * PAGE) as m:
            for offset in (0, 1, PAGE - 1, PAGE, 2 * PAGE + 17, 3 * PAGE - 1):
                m[offset] = ord('m')
                self.check(os.pread(fd, 1, offset), b'm')
                os.pwrite(fd, b'w', offset)
                self.check(m[offset], ord('w'))
            os.pwrite(fd, b'z' * PAGE, PAGE // 2)
            self.check(m[PAGE // 2:PAGE // 2 + PAGE], b'z' * PAGE)

    def test_two_mappings_of_two_names_are_one(self):
        path, fd = self.file(b'a' * PAGE)
        os.link(path, self.top / 'g')
        other = os.open(self.top / 'g', os.O_RDWR)
        with mmap.mmap(fd, PAGE) as first, mmap.mmap(other, PAGE) as second:
            first[10:15] = b'hello'
            self.check(second[10:15], b'hello')
            second[0:2] = b'yo'
            self.check(first[0:2], b'yo')
        os.close(other)
        self.check(path.read_bytes()[:16], b'yo' + b'a' * 8 + b'hello' + b'a')

    def test_what_was_written_through_memory_is_there_after_everything_is_closed(self):
        for how in ('msync', 'unmap', 'fsync', 'close'):
            path, fd = self.file(b'a' * 2 * PAGE, how)
            m = mmap.mmap(fd, 2 * PAGE)
            m[PAGE:PAGE + 4] = how[:4].encode().ljust(4)
            if how == 'msync':
                m.flush()
            elif how == 'fsync':
                os.fsync(fd)
            m.close()
            direct = os.open(path, os.O_RDONLY | os.O_DIRECT)
            buffer = mmap.mmap(-1, 2 * PAGE)
            self.check(os.preadv(direct, [buffer], 0), 2 * PAGE)
            self.check(buffer[PAGE:PAGE + 4], how[:4].encode().ljust(4))
            os.close(direct)

    def test_a_private_mapping_changes_nothing(self):
        path, fd = self.file(b'a' * PAGE)
        with mmap.mmap(fd, PAGE, flags=mmap.MAP_PRIVATE) as m:
            m[0:5] = b'hello'
            self.check(m[0:5], b'hello')
            self.check(os.pread(fd, 5, 0), b'aaaaa')
        self.check(path.read_bytes(), b'a' * PAGE)

    def test_what_can_be_mapped(self):
        path, fd = self.file(b'a' * PAGE)
        reading = os.open(path, os.O_RDONLY)
        writing = os.open(path, os.O_WRONLY)
        folder = os.open(self.top, os.O_RDONLY)
        state = State()
        state.fds = {'r': reading, 'w': writing, 'd': folder}
        verbs = Verbs(state)
        self.check_errno(errno.EACCES, verbs.map, 'm', '@r', '4096', 'rw')
        self.check_errno(errno.EACCES, verbs.map, 'm', '@w', '4096', 'rw')
        self.check_errno(errno.EACCES, verbs.map, 'm', '@w', '4096', 'r')
        self.check_errno(errno.ENODEV, verbs.map, 'm', '@d', '1', 'r')
        verbs.map('m', '@r', '4096', 'r')
        verbs.map('p', '@r', '4096', 'rw', 'private')
        self.check(verbs.peek('m', '0', '3'), 'aaa')
        state.close()

    def test_behind_the_end(self):
        path, fd = self.file(b'a' * 100)
        with mmap.mmap(fd, 100) as m:
            self.check(m[99], ord('a'))
            os.ftruncate(fd, PAGE)
        with mmap.mmap(fd, PAGE) as m:
            self.check(m[100:], b'\0' * (PAGE - 100))
        os.ftruncate(fd, 3 * PAGE)
        self.check(self.faults(path, 2 * PAGE), False)
        self.check(self.faults(path, 2 * PAGE, f'os.ftruncate(fd,{PAGE})'), True)
        os.ftruncate(fd, 3 * PAGE)
        self.check(self.faults(path, PAGE + 1, f'os.ftruncate(fd,{PAGE + 1})'), False)

    def test_bytes_behind_the_end_are_not_kept(self):
        # The rest of the last page can be written through a mapping, and is zero when the file grows over it.
        # tmpfs keeps what was written there, and so does the kernel's part of FUSE.
        kept = b'xyz' if self.kind in ('tmpfs', 'scalefs') else b'\0\0\0'
        path, fd = self.file(b'a' * 100)
        with mmap.mmap(fd, 100) as m:
            whole = mmap.mmap(fd, 0)
            self.check(len(whole), 100)
            whole.close()
            m[50] = ord('b')
        os.ftruncate(fd, PAGE)
        self.check(path.read_bytes(), b'a' * 50 + b'b' + b'a' * 49 + b'\0' * (PAGE - 100))
        with mmap.mmap(fd, PAGE) as m:
            os.ftruncate(fd, 10)
            m[200:203] = b'xyz'
            os.ftruncate(fd, PAGE)
            self.check(m[:PAGE], b'a' * 10 + b'\0' * 190 + kept + b'\0' * (PAGE - 203))

    def test_truncation_in_every_direction_under_a_mapping(self):
        path, fd = self.file(bytes(range(256)) * 64)  # 4 pages
        content = bytearray(path.read_bytes())
        sizes = (4 * PAGE, PAGE + 1, 4 * PAGE, PAGE, 2 * PAGE, PAGE - 1, 4 * PAGE, 0, 4 * PAGE, 5, PAGE, 3 * PAGE + 7, 4 * PAGE)
        with mmap.mmap(fd, 4 * PAGE) as m:
            for step, size in enumerate(sizes):
                os.ftruncate(fd, size)
                del content[size:]
                content += b'\0' * (size - len(content))
                self.check(os.fstat(fd).st_size, size)
                self.check(m[:size], bytes(content), f'mapping, step {step}')
                for place in range(step, size, 1500):
                    m[place] = content[place] = (place + step) % 256
                self.check(os.pread(fd, 5 * PAGE, 0), bytes(content), f'read, step {step}')
                if step % 3 == 2:
                    m.flush()
                    os.fsync(fd)
        self.check(path.read_bytes(), bytes(content))

    def test_holes_and_allocation_under_a_mapping(self):
        if self.kind == 'tmpfs':
            return
        path, fd = self.file(b'a' * 4 * PAGE)
        verbs = Verbs(State())
        verbs.state.fds['f'] = os.dup(fd)
        with mmap.mmap(fd, 4 * PAGE) as m:
            m[PAGE:PAGE + 3] = b'xyz'
            verbs.fallocate('@f', 'keep,punch', '4096', '4096')
            self.check(m[PAGE:2 * PAGE], b'\0' * PAGE)
            self.check(m[:PAGE], b'a' * PAGE)
            m[PAGE + 5] = ord('n')
            verbs.fallocate('@f', 'zero', '8192', '100')
            self.check(m[2 * PAGE:2 * PAGE + 101], b'\0' * 100 + b'a')
            verbs.fallocate('@f', 'keep,punch', str(3 * PAGE + 10), '5')
            self.check(m[3 * PAGE:3 * PAGE + 20], b'a' * 10 + b'\0' * 5 + b'a' * 5)
            expected = m[:]
        verbs.state.close()
        self.check(path.read_bytes(), expected)
        self.check(expected[PAGE + 5], ord('n'))

    def test_copies_and_direct_writes_are_seen_in_a_mapping(self):
        _, fd = self.file(b'a' * 2 * PAGE)
        _, source = self.file(b'S' * PAGE, 'source')
        with mmap.mmap(fd, 2 * PAGE) as m:
            self.check(m[PAGE], ord('a'))
            self.check(os.copy_file_range(source, fd, PAGE, 0, PAGE), PAGE)
            self.check(m[PAGE:], b'S' * PAGE)
            direct = os.open(self.top / 'f', os.O_RDWR | os.O_DIRECT)
            buffer = mmap.mmap(-1, PAGE)
            buffer.write(b'D' * PAGE)
            self.check(os.pwritev(direct, [buffer], 0), PAGE)
            self.check(m[:PAGE], b'D' * PAGE)
            m[7] = ord('m')
            self.check(os.preadv(direct, [buffer], 0), PAGE)
            self.check(buffer[6:9], b'DmD')
            os.close(direct)

    def test_a_mapping_of_a_file_without_a_name(self):
        path, fd = self.file(b'a' * PAGE)
        with mmap.mmap(fd, PAGE) as m:
            os.unlink(path)
            m[:3] = b'new'
            m.flush()
            self.check(os.pread(fd, 4, 0), b'newa')
            path.write_bytes(b'another')
            self.check(m[:4], b'newa')
        self.check(path.read_bytes(), b'another')

    def test_holes_are_filled_through_a_mapping(self):
        path, fd = self.file(b'')
        os.ftruncate(fd, 1 << 20)
        with mmap.mmap(fd, 1 << 20) as m:
            self.check(m[500_000], 0)
            m[500_000] = 5
            m.flush()
        self.check(os.lseek(fd, 0, os.SEEK_DATA), 500_000 // PAGE * PAGE)
        self.check(os.stat(path).st_blocks <= 64, True)
        self.check(path.read_bytes(), b'\0' * 500_000 + b'\5' + b'\0' * ((1 << 20) - 500_001))

    def test_beyond_four_gibibytes(self):
        _, fd = self.file(b'')
        place = (1 << 32) + 3 * PAGE
        os.ftruncate(fd, place + PAGE)
        with mmap.mmap(fd, PAGE, offset=place) as m:
            m[10:15] = b'there'
            self.check(os.pread(fd, 5, place + 10), b'there')
            self.check(os.pread(fd, 5, 3 * PAGE + 10), b'\0' * 5)
            os.pwrite(fd, b'T', place + 10)
            self.check(m[10:15], b'There')
        os.ftruncate(fd, 0)

    def test_mtime_follows_what_is_written_through_memory(self):
        if self.kind == 'tmpfs':
            return  # takes no notice
        path, fd = self.file(b'a' * PAGE)
        os.utime(path, ns=(10**18, 10**18))
        with mmap.mmap(fd, PAGE) as m:
            self.check(m[0], ord('a'))
            self.check(os.stat(path).st_mtime_ns, 10**18)
            m[0] = ord('b')
            m.flush()
            self.check_true(os.stat(path).st_mtime_ns > 10**18)


if __name__ == '__main__':
    main(Mapped)
