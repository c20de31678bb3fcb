"""The words of the tables' calls: each function is a verb, its arguments are words of a row. A verb answers what the system call
answers (None stands for 0) and raises OSError where it fails."""

import ctypes
import fcntl
import mmap
import os
import re
import socket
import stat
import struct

from mount import libc

AT_FDCWD, AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH = -100, 0x100, 0x400, 0x1000
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
RENAME = {'none': 0, 'noreplace': 1, 'exchange': 2, 'whiteout': 4, 'unknown': 64}
FALLOCATE = {'none': 0, 'keep': 1, 'punch': 2, 'collapse': 8, 'zero': 16, 'insert': 32, 'unshare': 64}
# uid, gid, other groups. u2 is the second user, u12 is u1 in the group of u2.
USERS = {'root': (0, 0, []), 'u1': (61001, 61001, []), 'u2': (61002, 61002, []),
         'u12': (61001, 61001, [61002]), 'u3': (61003, 61003, [])}
IDS = {'u1': 61001, 'u2': 61002, 'u3': 61003, 'root': 0, '-': -1}
WHENCE = {'set': 0, 'cur': 1, 'end': 2, 'data': os.SEEK_DATA, 'hole': os.SEEK_HOLE}
KINDS = {'file': stat.S_IFREG, 'dir': stat.S_IFDIR, 'fifo': stat.S_IFIFO, 'sock': stat.S_IFSOCK,
         'chr': stat.S_IFCHR, 'blk': stat.S_IFBLK, 'symlink': stat.S_IFLNK, 'none': 0}
ACL_TAGS = {'u': (1, 2), 'g': (4, 8), 'm': (16, 16), 'o': (32, 32)}
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR = 0x801c581f, 0x401c5820


class State:
    """What a row's calls have beyond the file system: open files, and memory that they map."""

    def __init__(self):
        self.fds = {}
        self.maps = {}

    def close(self):
        for held in self.maps.values():
            held.close()
        for fd in self.fds.values():
            os.close(fd)
        self.fds, self.maps = {}, {}


def expand(word):
    """%255 is a name of 255 bytes, %P4095/f a path of 4095 bytes that means f, \\xNN a byte."""
    if word == '""':
        return ''
    word = re.sub(r'%P(\d+)/(\w+)', lambda m: padded(int(m[1]), m[2]), word)
    word = re.sub(r'%(\d+)', lambda m: 'n' * int(m[1]), word)
    return re.sub(r'\\x([0-9a-f]{2})', lambda m: os.fsdecode(bytes([int(m[1], 16)])), word)


def padded(size, name):
    fill = size - len(name)
    return './' * (fill // 2 - 1) + ('.//' if fill % 2 else './') + name


def number(word):
    """1000, 4k, 1M+3, 5G-1, 16T."""
    total, sign = 0, 1
    for part in re.findall(r'[-+]|[^-+]+', word):
        if part in '-+':
            sign = -1 if part == '-' else 1
        else:
            unit = {'k': 10, 'M': 20, 'G': 30, 'T': 40}.get(part[-1])
            total += sign * (int(part[:-1]) << unit if unit else int(part))
    return total


def identity(word):
    return IDS[word] if word in IDS else int(word)


def time_of(word):
    """(seconds, nanoseconds) of 12.000000005, now or omit."""
    if word in ('now', 'omit'):
        return 0, UTIME_NOW if word == 'now' else UTIME_OMIT
    seconds, _, rest = word.partition('.')
    if not rest.isdigit() and rest:
        return int(seconds), int(rest, 0)
    return int(seconds), int(rest.ljust(9, '0')) if rest and len(rest) <= 9 else int(rest or 0)


def flags_of(word, table=None):
    total = 0
    for name in word.split(','):
        total |= table[name] if table is not None else OPEN[name]
    return total


OPEN = {name[2:].lower(): getattr(os, name) for name in dir(os) if name.startswith('O_')}


def acl_of(text):
    """The extended attribute of an access list: u::rwx,u:61001:r,g::r,m::rx,o::-"""
    entries = []
    for entry in text.split(','):
        kind, who, rights = entry.split(':')
        bits = sum({'r': 4, 'w': 2, 'x': 1}.get(letter, 0) for letter in rights)
        entries.append((ACL_TAGS[kind][bool(who)], identity(who) & 0xffffffff if who else 0xffffffff, bits))
    entries.sort(key=lambda e: (e[0], e[1]))
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', tag, bits, who)
                                           for tag, who, bits in entries)


def acl_text(value):
    words = []
    letters = {tag: kind for kind, tags in ACL_TAGS.items() for tag in tags}
    for offset in range(4, len(value), 8):
        tag, bits, who = struct.unpack_from('<HHI', value, offset)
        rights = ''.join(letter for bit, letter in ((4, 'r'), (2, 'w'), (1, 'x')) if bits & bit)
        named = next((n for n, i in IDS.items() if i == who and n != 'root'), who) if tag in (2, 8) else ''
        words.append(f'{letters[tag]}:{named}:{rights or "-"}')
    return ','.join(words)


class Verbs:
    """One row's calls; paths are relative to the current folder."""

    def __init__(self, state):
        self.state = state

    def call(self, words):
        name, *arguments = words
        return getattr(self, name)(*[expand(word) for word in arguments])

    def at(self, word):
        """A path, or the open file @name."""
        return self.state.fds[word[1:]] if word.startswith('@') else os.fsencode(word)

    # --- files

    def file(self, path, mode='644', data=''):
        fd = os.open(self.at(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        os.write(fd, os.fsencode(data))
        os.fchmod(fd, int(mode, 8))
        os.close(fd)

    def hold(self, name, path, flags='rdonly', mode='644'):
        fd = os.open(self.at(path), flags_of(flags), int(mode, 8))
        if name in self.state.fds:
            os.close(self.state.fds[name])
        self.state.fds[name] = fd

    def open(self, path, flags='rdonly', mode='644'):
        os.close(os.open(self.at(path), flags_of(flags), int(mode, 8)))

    def openat(self, folder, path, flags='rdonly', mode='644'):
        os.close(os.open(self.at(path), flags_of(flags), int(mode, 8), dir_fd=self.at(folder)))

    def close(self, name):
        os.close(self.state.fds.pop(name))

    def dup(self, old, new):
        self.state.fds[new] = os.dup(self.state.fds[old])

    def read(self, where, size, offset='0'):
        if where.startswith('@'):
            data = os.pread(self.at(where), number(size), number(offset))
        else:
            fd = os.open(self.at(where), os.O_RDONLY)
            try:
                data = os.pread(fd, number(size), number(offset))
            finally:
                os.close(fd)
        return re.sub(r'(.)\1{7,}', lambda m: f'{m[1]}*{len(m[0])}', os.fsdecode(data).replace('\0', '0'))

    def write(self, where, data, offset=None):
        fd = self.at(where) if where.startswith('@') else os.open(self.at(where), os.O_WRONLY)
        times = re.fullmatch(r'(.)\*(\w+)', data)
        data = os.fsencode(times[1]) * number(times[2]) if times else os.fsencode(data)
        try:
            return os.write(fd, data) if offset is None else os.pwrite(fd, data, number(offset))
        finally:
            if not where.startswith('@'):
                os.close(fd)

    def writev(self, where, *parts):
        return os.writev(self.at(where), [os.fsencode(part) for part in parts])

    def forget(self, path):
        """The kernel keeps no pages of it."""
        fd = os.open(self.at(path), os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)

    def direct_write(self, where, size, offset, letter='d'):
        buffer = mmap.mmap(-1, max(number(size), 4096))
        buffer.write(letter.encode() * len(buffer))
        return os.pwritev(self.at(where), [memoryview(buffer)[:number(size)]], number(offset))

    def direct_read(self, where, size, offset):
        buffer = mmap.mmap(-1, max(number(size), 4096))
        return os.preadv(self.at(where), [memoryview(buffer)[:number(size)]], number(offset))

    def seek(self, where, offset, whence='set'):
        return os.lseek(self.at(where), number(offset), WHENCE[whence] if whence in WHENCE else int(whence))

    def truncate(self, where, size):
        os.truncate(self.at(where), number(size))

    def ftruncate(self, where, size):
        os.ftruncate(self.at(where), number(size))

    def fallocate(self, where, modes, offset, length):
        fd = self.at(where) if where.startswith('@') else os.open(self.at(where), os.O_WRONLY)
        try:
            libc('fallocate', fd, flags_of(modes, FALLOCATE), ctypes.c_long(number(offset)),
                 ctypes.c_long(number(length)))
        finally:
            if not where.startswith('@'):
                os.close(fd)

    def copy(self, source, target, size, source_offset='0', target_offset='0', flags='0'):
        from_, to = ctypes.c_long(number(source_offset)), ctypes.c_long(number(target_offset))
        function = ctypes.CDLL(None, use_errno=True).copy_file_range
        function.restype = ctypes.c_ssize_t
        done = function(self.at(source), ctypes.byref(from_), self.at(target), ctypes.byref(to),
                        ctypes.c_size_t(number(size)), int(flags))
        if done < 0:
            raise OSError(ctypes.get_errno(), 'copy_file_range')
        return done

    def fsync(self, where):
        os.fsync(self.at(where))

    def fdatasync(self, where):
        os.fdatasync(self.at(where))

    def map(self, name, where, size, protection='rw', kind='shared', offset='0'):
        bits = (mmap.PROT_READ if 'r' in protection else 0) | (mmap.PROT_WRITE if 'w' in protection else 0)
        self.state.maps[name] = mmap.mmap(self.at(where), number(size), prot=bits, offset=number(offset),
                                          flags=mmap.MAP_SHARED if kind == 'shared' else mmap.MAP_PRIVATE)

    def poke(self, name, offset, data):
        place = number(offset)
        self.state.maps[name][place:place + len(data)] = os.fsencode(data)

    def peek(self, name, offset, size):
        return os.fsdecode(self.state.maps[name][number(offset):number(offset) + number(size)]).replace('\0', '0')

    def msync(self, name):
        self.state.maps[name].flush()

    def unmap(self, name):
        self.state.maps.pop(name).close()

    # --- names

    def dir(self, path, mode='755'):
        os.mkdir(self.at(path), 0o700)
        os.chmod(self.at(path), int(mode, 8))

    def mkdir(self, path, mode='755'):
        os.mkdir(self.at(path), int(mode, 8))

    def mkdirat(self, folder, path, mode='755'):
        os.mkdir(self.at(path), int(mode, 8), dir_fd=self.at(folder))

    def mknod(self, kind, path, mode='644', major='0', minor='0'):
        os.mknod(self.at(path), KINDS[kind] | int(mode, 8), os.makedev(int(major), int(minor)))

    def mkfifo(self, path, mode='644'):
        os.mkfifo(self.at(path), int(mode, 8))

    def bind(self, path):
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.at(path))

    def connect(self, path):
        with socket.socket(socket.AF_UNIX) as calling:
            calling.connect(self.at(path))

    def symlink(self, target, path):
        os.symlink(os.fsencode(target), self.at(path))

    def readlink(self, path):
        return os.fsdecode(os.readlink(self.at(path)))

    def link(self, old, new, flags='0'):
        libc('linkat', AT_FDCWD, self.at(old), AT_FDCWD, self.at(new), int(flags, 0))

    def link_fd(self, where, new, flags='0x400'):
        libc('linkat', AT_FDCWD, b'/proc/self/fd/%d' % self.at(where), AT_FDCWD, self.at(new), int(flags, 0))

    def link_empty(self, where, new):
        libc('linkat', self.at(where), b'', AT_FDCWD, self.at(new), AT_EMPTY_PATH)

    def unlink(self, path):
        os.unlink(self.at(path))

    def unlinkat(self, folder, path, flags='0'):
        libc('unlinkat', self.at(folder), self.at(path), int(flags, 0))

    def rmdir(self, path):
        os.rmdir(self.at(path))

    def rename(self, old, new, flags='none'):
        libc('renameat2', AT_FDCWD, self.at(old), AT_FDCWD, self.at(new), flags_of(flags, RENAME))

    def rename_at(self, folder, old, other, new):
        os.rename(self.at(old), self.at(new), src_dir_fd=self.at(folder), dst_dir_fd=self.at(other))

    def list(self, where):
        return ','.join(sorted(os.fsdecode(name) for name in os.listdir(self.at(where)))) or '-'

    def chdir(self, path):
        here = os.open('.', os.O_PATH)
        try:
            os.chdir(self.at(path))
        finally:
            os.fchdir(here)
            os.close(here)

    def umask(self, mask):
        os.umask(int(mask, 8))

    # --- attributes

    def stat(self, path):
        os.stat(self.at(path))

    def lstat(self, path):
        os.lstat(self.at(path))

    def attribute(self, where, field):
        info = os.stat(self.at(where)) if where.startswith('@') else os.lstat(self.at(where))
        value = getattr(info, f'st_{field}')
        return f'{stat.S_IMODE(value):o}' if field == 'mode' else value

    def access(self, path, mode):
        bits = sum({'r': os.R_OK, 'w': os.W_OK, 'x': os.X_OK, 'f': os.F_OK}[letter] for letter in mode)
        libc('faccessat', AT_FDCWD, self.at(path), bits, 0x200)

    def chmod(self, where, mode):
        os.chmod(self.at(where), int(mode, 8))

    def chmod_link(self, path, mode):
        libc('syscall', 452, AT_FDCWD, self.at(path), int(mode, 8), AT_SYMLINK_NOFOLLOW)

    def chown(self, where, uid, gid):
        os.chown(self.at(where), identity(uid), identity(gid))

    def lchown(self, path, uid, gid):
        os.lchown(self.at(path), identity(uid), identity(gid))

    def utimens(self, where, atime, mtime, follow='follow'):
        times = struct.pack('qqqq', *time_of(atime), *time_of(mtime))
        flags = 0 if follow == 'follow' else AT_SYMLINK_NOFOLLOW
        if where.startswith('@'):
            libc('futimens', self.at(where), times)
        else:
            libc('utimensat', AT_FDCWD, self.at(where), times, flags)

    def utime_null(self, path):
        libc('utimensat', AT_FDCWD, self.at(path), None, 0)

    def setxattr(self, where, name, value='', flags='0'):
        times = re.fullmatch(r'(.)\*(\w+)', value)
        value = os.fsencode(times[1]) * number(times[2]) if times else os.fsencode(value)
        os.setxattr(self.at(where), name, value, int(flags))

    def lsetxattr(self, path, name, value=''):
        os.setxattr(self.at(path), name, os.fsencode(value), follow_symlinks=False)

    def getxattr(self, where, name):
        value = os.getxattr(self.at(where), name)
        return os.fsdecode(value) if len(value) < 100 else f'{len(value)}'

    def lgetxattr(self, path, name):
        return os.fsdecode(os.getxattr(self.at(path), name, follow_symlinks=False))

    def getxattr_into(self, path, name, size):
        buffer = ctypes.create_string_buffer(max(number(size), 1))
        return libc('getxattr', self.at(path), name.encode(), buffer, ctypes.c_size_t(number(size)))

    def listxattr_into(self, path, size):
        buffer = ctypes.create_string_buffer(max(number(size), 1))
        return libc('listxattr', self.at(path), buffer, ctypes.c_size_t(number(size)))

    def listxattr(self, where):
        return ','.join(sorted(os.listxattr(self.at(where)))) or '-'

    def removexattr(self, where, name):
        os.removexattr(self.at(where), name)

    def setacl(self, where, text, kind='access'):
        os.setxattr(self.at(where), f'system.posix_acl_{kind}', acl_of(text))

    def getacl(self, where, kind='access'):
        return acl_text(os.getxattr(self.at(where), f'system.posix_acl_{kind}'))

    def rmacl(self, where, kind='access'):
        os.removexattr(self.at(where), f'system.posix_acl_{kind}')

    def getflags(self, where):
        return struct.unpack('i', fcntl.ioctl(self.at(where), FS_IOC_GETFLAGS, b'\0' * 4))[0] & 0xf8

    def setflags(self, where, flags):
        fcntl.ioctl(self.at(where), FS_IOC_SETFLAGS, struct.pack('i', int(flags, 0)))

    def getxflags(self, where):
        return struct.unpack_from('I', fcntl.ioctl(self.at(where), FS_IOC_FSGETXATTR, b'\0' * 28))[0] & 0xf8

    def setxflags(self, where, flags):
        fcntl.ioctl(self.at(where), FS_IOC_FSSETXATTR, struct.pack('I24x', int(flags, 0)))

    def shutdown(self, where, mode):
        fcntl.ioctl(self.at(where), 0x8004587d, struct.pack('I', int(mode)))

    def ioctl(self, where, command, size='4'):
        fcntl.ioctl(self.at(where), int(command, 0), b'\0' * int(size))
