"""Listings: complete and without repetition while names come and go, positions that stay valid, folders of any size."""

import ctypes
import errno
import os
import stat
import struct
import threading

from group import Group, main
from mount import libc

SYS_GETDENTS64 = 217 if os.uname().machine == 'x86_64' else 61
MANY = int(os.environ.get('SCALEFS_POSIX_NAMES', 20_000))  # SCALEFS_POSIX_NAMES=1000000 for more than in CI


def getdents(fd, size=4096):
    """(inode, position behind it, type, name) of what one call of getdents64 gives."""
    buffer = ctypes.create_string_buffer(size)
    got = libc('syscall', SYS_GETDENTS64, fd, buffer, size)
    entries, at = [], 0
    while at < got:
        ino, position, length, kind = struct.unpack_from('QqHB', buffer, at)
        name = buffer.raw[at + 19:at + length].split(b'\0', 1)[0]
        entries.append((ino, position, kind, os.fsdecode(name)))
        at += length
    return entries


def read_all(fd, size=4096):
    found = []
    while part := getdents(fd, size):
        found += part
    return found


class Directories(Group):
    limit = max(Group.limit, MANY // 500)

    def make(self, count, prefix='f'):
        for i in range(count):
            os.close(os.open(self.top / f'{prefix}{i:05}', os.O_CREAT | os.O_WRONLY, 0o644))
        return {f'{prefix}{i:05}' for i in range(count)}

    def open(self):
        fd = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, fd)
        return fd

    def names(self, entries):
        return sorted(name for _, _, _, name in entries if name not in ('.', '..'))

    def test_an_empty_folder_has_itself_and_its_parent(self):
        entries = {name: (ino, kind) for ino, _, kind, name in read_all(self.open())}
        self.check(set(entries), {'.', '..'})
        self.check(entries['.'], (os.stat(self.top).st_ino, 4))
        if self.kind != 'scalefs' or self.top.parent.stat().st_ino != 1:
            self.check(entries['..'], (os.stat(self.top.parent).st_ino, 4))

    def test_types_and_numbers_are_those_of_stat(self):
        os.mkdir(self.top / 'dir')
        os.mkfifo(self.top / 'fifo')
        os.symlink('x', self.top / 'link')
        os.mknod(self.top / 'chr', stat.S_IFCHR | 0o600, os.makedev(1, 3))
        os.mknod(self.top / 'blk', stat.S_IFBLK | 0o600, os.makedev(1, 3))
        os.mknod(self.top / 'sock', stat.S_IFSOCK | 0o600)
        os.mknod(self.top / 'file', stat.S_IFREG | 0o600)
        for _ in range(2):  # the second time from what the kernel keeps
            for ino, _, kind, name in read_all(self.open()):
                if name in ('.', '..'):
                    continue
                info = os.lstat(self.top / name)
                self.check((name, ino, kind), (name, info.st_ino, stat.S_IFMT(info.st_mode) >> 12))

    def test_names_come_in_parts_of_any_size(self):
        expected = sorted(self.make(300))
        for size in (280, 512, 1000, 4096, 1 << 16, 1 << 20):
            self.check(self.names(read_all(self.open(), size)), expected, f'{size} bytes')
        fd = self.open()
        self.check_errno(errno.EINVAL, getdents, fd, 20)

    def test_positions_lead_back(self):
        expected = sorted(self.make(500))
        fd = self.open()
        entries = read_all(fd, 1000)
        self.check(self.names(entries), expected)
        self.check(getdents(fd), [])
        for at in (0, 1, 2, 3, 50, 250, 498, 499, 500):
            os.lseek(fd, entries[at][1], os.SEEK_SET)
            self.check([e[3] for e in read_all(fd, 700)], [e[3] for e in entries[at + 1:]], f'behind entry {at}')
        os.lseek(fd, 0, os.SEEK_SET)
        self.check(read_all(fd), entries)
        self.check(len({e[1] for e in entries}), len(entries), 'each position is one entry\'s')

    def test_positions_hold_for_another_descriptor_and_after_changes(self):
        names = self.make(400)
        fd = self.open()
        entries = read_all(fd, 1000)
        for name in sorted(names)[::2]:
            os.unlink(self.top / name)
        self.make(200, 'g')
        other = self.open()
        # Over FUSE the kernel looks whether the listing that it keeps is still right only where one begins.
        read_all(other, 1000)
        for at in (2, 100, 200, 300, 399):
            os.lseek(other, entries[at][1], os.SEEK_SET)
            found = [e[3] for e in read_all(other, 700)]
            stayed = [e[3] for e in entries[at + 1:] if e[3] in set(sorted(names)[1::2])]
            self.check([name for name in found if name in names], stayed, f'behind entry {at}')

    def test_each_name_that_stays_is_listed_once_whatever_comes_and_goes(self):
        stays = self.make(1000, 's')
        goes = sorted(self.make(500, 'g'))
        fd = self.open()
        seen = []
        count = 0
        while part := getdents(fd, 600):
            seen += [e[3] for e in part]
            for _ in range(6):
                if goes:
                    os.unlink(self.top / goes.pop())
                os.close(os.open(self.top / f'n{count}', os.O_CREAT | os.O_WRONLY))
                count += 1
        kept = [name for name in seen if name in stays]
        self.check(len(kept), len(stays))
        self.check(set(kept), stays)
        self.check(len(set(seen)), len(seen), 'nothing comes twice')

    def test_a_name_that_is_removed_while_its_listing_is_open(self):
        names = sorted(self.make(100))
        fd = self.open()
        first = [e[3] for e in getdents(fd, 400) if e[3] in names]
        gone = [name for name in names if name not in first][:40]
        for name in gone:
            os.unlink(self.top / name)
        rest = [e[3] for e in read_all(fd, 400)]
        self.check(sorted(set(first + rest) - set(gone) - {'.', '..'}), [n for n in names if n not in gone])
        self.check(len(rest), len(set(rest)))
        os.lseek(fd, 0, os.SEEK_SET)
        self.check(self.names(read_all(fd)), [n for n in names if n not in gone], 'anew')

    def test_removing_what_was_just_listed_empties_the_folder(self):
        self.make(2000)
        fd = self.open()
        while part := getdents(fd, 2000):
            for _, _, _, name in part:
                if name not in ('.', '..'):
                    os.unlink(name, dir_fd=fd)
        self.check(os.listdir(self.top), [])

    def test_renames_during_a_listing(self):
        names = self.make(600)
        fd = self.open()
        seen, moved = [], 0
        while part := getdents(fd, 600):
            seen += [e[3] for e in part]
            for name in [e[3] for e in part][:3]:
                if name in names:
                    os.rename(self.top / name, self.top / f'moved{moved}')
                    moved += 1
        original = [name for name in seen if name in names]
        self.check(len(original), len(set(original)))
        self.check(len(os.listdir(self.top)), 600)

    def test_others_change_the_folder_meanwhile(self):
        stays = self.make(500, 's')
        stop = threading.Event()
        errors = []

        def work(number):
            try:
                while not stop.is_set():
                    for i in range(50):
                        os.close(os.open(self.top / f'w{number}-{i}', os.O_CREAT | os.O_WRONLY))
                    for i in range(50):
                        os.rename(self.top / f'w{number}-{i}', self.top / f'x{number}-{i}')
                    for i in range(50):
                        os.unlink(self.top / f'x{number}-{i}')
            except OSError as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                found = [e[3] for e in read_all(self.open(), 2000)]
                kept = [name for name in found if name in stays]
                self.check(sorted(kept), sorted(stays))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.check(errors, [])

    def test_two_listings_of_one_folder_do_not_meet(self):
        self.make(200)
        first, second = self.open(), self.open()
        a, b = [], []
        while True:
            one, two = getdents(first, 300), getdents(second, 900)
            a += one
            b += two
            if not one and not two:
                break
        self.check(a, b)

    def test_a_removed_folder_lists_nothing(self):
        os.mkdir(self.top / 'd')
        os.mkdir(self.top / 'd' / 'e')
        fd = os.open(self.top / 'd' / 'e', os.O_RDONLY | os.O_DIRECTORY)
        os.rmdir(self.top / 'd' / 'e')
        self.check_errno(errno.ENOENT, getdents, fd)
        self.check(os.listdir(fd), [])
        self.check(os.fstat(fd).st_nlink, 0)
        for call in (lambda: os.mkdir('x', dir_fd=fd), lambda: os.symlink('t', 'x', dir_fd=fd),
                     lambda: os.open('x', os.O_CREAT | os.O_WRONLY, dir_fd=fd), lambda: os.mkfifo('x', dir_fd=fd),
                     lambda: os.stat('x', dir_fd=fd)):
            self.check_errno(errno.ENOENT, call)
        os.close(fd)

    def test_a_folder_of_many_names(self):
        for i in range(MANY):
            os.mknod(self.top / f'{i}', stat.S_IFREG | 0o600)
        self.check(len({e[3] for e in read_all(self.open(), 1 << 16)}), MANY + 2)
        names = os.listdir(self.top)
        self.check(len(names), MANY)
        self.check(len(set(names)), MANY)
        for i in range(0, MANY, MANY // 500):
            self.check(stat.S_ISREG(os.lstat(self.top / f'{i}').st_mode), True)
        self.check_errno(errno.ENOENT, os.lstat, self.top / f'{MANY}')
        self.check_errno(errno.EEXIST, os.mknod, self.top / f'{MANY // 2}', stat.S_IFREG | 0o600)
        self.check_errno(errno.ENOTEMPTY, os.rmdir, self.top)
        for i in range(MANY):
            os.unlink(self.top / f'{i}')
        self.check(os.listdir(self.top), [])


if __name__ == '__main__':
    main(Directories)
