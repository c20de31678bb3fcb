"""Random calls on the names and attributes of one tree that several processes share, as fsstress makes them. Nobody knows what the
others did meanwhile, so each call has a list of the errors that it may end with; any other is a Failed. check_tree() says
what must hold of any tree that nobody changes."""

import collections
import ctypes
import errno
import os
import random
import stat

from bytes_file import KEEP, LIBC, PUNCH, ZERO, libc

NAMES = [f'n{i}' for i in range(12)] + ['long-' + 'x' * 250, 'ünïcode']
DEPTH = 5
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
_AT_SYMLINK_FOLLOW = 0x400
XATTRS = ('user.a', 'user.b', 'trusted.c', 'security.d')
# What may have happened to a path meanwhile: it is gone, a part of it is a file, a link to itself, or too many links.
PATH = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
FULL = {errno.ENOSPC}
# What is opened may be a folder, a pipe or a device by now; EACCES: devices of a mount with nodev, and files of others in sticky folders.
OPEN = {errno.EISDIR, errno.ENXIO, errno.ENODEV, errno.EACCES}
TAIL = 15

KINDS = {  # weight, and errors beside those of PATH
    'create': (10, OPEN | {errno.EEXIST}), 'mkdir': (6, {errno.EEXIST}), 'mknod': (3, {errno.EEXIST}),
    'symlink': (4, {errno.EEXIST}), 'link': (5, {errno.EEXIST, errno.EPERM}), 'tmpfile': (2, {errno.EEXIST}),
    'unlink': (6, {errno.EISDIR}), 'rmdir': (3, {errno.ENOTEMPTY, errno.EINVAL, errno.EBUSY}),
    'rename': (6, {errno.EISDIR, errno.ENOTEMPTY, errno.EINVAL, errno.EBUSY, errno.EEXIST}),
    'rename_flag': (4, {errno.EISDIR, errno.ENOTEMPTY, errno.EINVAL, errno.EBUSY, errno.EEXIST}),
    'write': (10, OPEN), 'read': (5, OPEN),
    'truncate': (4, {errno.EISDIR, errno.EINVAL}), 'allocate': (4, OPEN),
    'copy': (3, OPEN | {errno.EINVAL}),  # two ranges of one file may overlap
    'chmod': (3, set()), 'chown': (3, set()), 'utime': (2, set()),
    'setxattr': (4, {errno.EPERM, errno.EEXIST, errno.ENODATA}), 'removexattr': (2, {errno.EPERM, errno.ENODATA}),
    'listxattr': (2, {errno.ENODATA}), 'list': (4, set()), 'stat': (6, set()), 'readlink': (2, {errno.EINVAL}),
    'fsync': (1, OPEN), 'fsync_folder': (1, set()),
    'held': (4, set()), 'whole': (1, set()),
}


class Failed(AssertionError):
    pass


class TreeCaller:
    """`full`: the volume may be full."""

    def __init__(self, seed, name, top, full=False):
        self.random = random.Random(f'{seed} {name}')
        self.name, self.full = name, full
        self.top = str(top)
        os.chdir(top)
        self.known = collections.deque(['.'], maxlen=60)
        self.folders = collections.deque(['.'], maxlen=20)
        self.past = collections.deque(maxlen=TAIL)
        self.held_fds = collections.deque()
        self.count = 0
        self.done = collections.Counter()
        self.pool = random.Random(0).randbytes(1 << 17)
        self.weights = {kind: weight for kind, (weight, _) in KINDS.items() if self.random.random() > 0.15}

    def run(self, calls):
        for kind in self.random.choices(list(self.weights), self.weights.values(), k=calls):
            self.one(kind)

    def one(self, kind):
        self.count += 1
        self.past.append(f'{self.count} {kind}')
        try:
            self.made = None
            getattr(self, kind)()
            self.done[kind] += 1
            if self.made is not None:
                self.known.append(self.made)
        except OSError as error:
            allowed = PATH | KINDS[kind][1] | (FULL if self.full else set())
            if error.errno not in allowed:
                raise Failed(f'{self.name} call {self.count}, {kind}, ended with {error}; the last calls:\n  ' +
                             '\n  '.join(self.past)) from error

    def note(self, *what):
        words = ' '.join(map(str, what)).replace(NAMES[-2], 'long').replace('t/' * 100, 't/..')
        self.past[-1] = f'{self.past[-1]} {words}'
        return what if len(what) > 1 else what[0]

    def new(self):
        folder = self.random.choice(self.folders)
        if folder.count('/') >= DEPTH:
            folder = '.'
        self.made = f'{folder}/{self.random.choice(NAMES)}'
        return self.made

    def old(self):
        return self.random.choice(self.known)

    def no_pipe(self, path):
        """Opening a pipe may wait for ever; a device is not ours to open."""
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(errno.EISDIR, 'no file')
        return path

    def opened(self, path, flags):
        """O_NONBLOCK in case it has become a pipe meanwhile."""
        fd = os.open(path, flags | os.O_NONBLOCK, 0o644)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EISDIR, 'no file')
        return fd

    def data(self):
        at = self.random.randrange(1 << 16)
        return self.pool[at:at + self.random.choice((1, 50, 1000, 4096, 5000, 20000, 60000))]

    # --- names

    def create(self):
        path = self.note(self.new())
        fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NONBLOCK | self.random.choice((0, os.O_EXCL, os.O_TRUNC)), 0o644)
        if self.random.random() < 0.2 and len(self.held_fds) < 20:
            self.held_fds.append(fd)  # used after its names are gone, perhaps
        else:
            os.close(fd)

    def mkdir(self):
        path = self.note(self.new())
        os.mkdir(path)
        self.folders.append(path)

    def mknod(self):
        kind = self.random.choice((stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK))
        os.mknod(self.note(self.new()), kind | 0o600, os.makedev(1, 3) if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0)

    def symlink(self):
        target, path = self.note(self.random.choice((self.old(), 't/' * self.random.choice((1, 100, 2000)))), self.new())
        os.symlink(target, path)

    def link(self):
        source, target = self.note(self.old(), self.new())
        os.link(source, target, follow_symlinks=False)

    def tmpfile(self):
        folder = self.note(self.random.choice(self.folders))
        fd = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
        try:
            os.write(fd, self.data())
            if self.random.random() < 0.5:
                libc('linkat', -100, b'/proc/self/fd/%d' % fd, -100, os.fsencode(self.new()), _AT_SYMLINK_FOLLOW)
        finally:
            os.close(fd)

    def unlink(self):
        os.unlink(self.note(self.old()))

    def rmdir(self):
        os.rmdir(self.note(self.random.choice((self.random.choice(self.folders), self.old()))))

    def rename(self):
        source, target = self.note(self.old(), self.random.choice((self.new(), self.old())))
        os.rename(source, target)
        if os.path.isdir(target):
            self.folders.append(target)

    def rename_flag(self):
        source, target, flag = self.note(self.old(), self.random.choice((self.new(), self.old())),
                                         self.random.choice((NOREPLACE, EXCHANGE, WHITEOUT, NOREPLACE | WHITEOUT)))
        libc('renameat2', -100, os.fsencode(source), -100, os.fsencode(target), flag)

    # --- data

    def with_file(self, flags, use):
        fd = self.opened(self.no_pipe(self.note(self.old())), flags)
        try:
            use(fd)
        finally:
            os.close(fd)

    def write(self):
        at = self.random.choice((0, 1, 4095, 4096, 30000, 1 << 20, 1 << 22))
        direct = os.O_DIRECT if self.random.random() < 0.1 else 0
        self.with_file(os.O_WRONLY | self.random.choice((0, os.O_APPEND, direct)), lambda fd: os.pwrite(fd, self.data(), at))

    def read(self):
        at = self.random.choice((0, 1, 4095, 30000, 1 << 33))
        self.with_file(os.O_RDONLY, lambda fd: os.pread(fd, 60000, at))

    def truncate(self):
        os.truncate(self.no_pipe(self.note(self.old())), self.random.choice((0, 1, 4096, 10000, 100000, 1 << 22)))

    def allocate(self):
        mode = self.random.choice((0, KEEP, PUNCH | KEEP, PUNCH | KEEP, ZERO, ZERO | KEEP))
        at, count = self.random.choice((0, 100, 8192, 1 << 20)), self.random.choice((1, 4096, 50000))
        self.with_file(os.O_RDWR, lambda fd: libc('fallocate', fd, mode, ctypes.c_long(at), ctypes.c_long(count)))

    def copy(self):
        source = self.opened(self.no_pipe(self.old()), os.O_RDONLY)
        try:
            self.with_file(os.O_RDWR, lambda fd: os.copy_file_range(source, fd, 50000, self.random.choice((0, 100)),
                                                                      self.random.choice((0, 4096, 99))))
        finally:
            os.close(source)

    def held(self):
        """A file that was opened earlier, whatever its names are by now."""
        if not self.held_fds:
            return
        fd = self.held_fds.popleft()
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                data = self.data()
                os.pwrite(fd, data, 0)
                if self.random.random() < 0.3:
                    os.fsync(fd)
                os.ftruncate(fd, self.random.choice((0, 10, 9000)))
                os.fchmod(fd, 0o640)
        finally:
            os.close(fd)

    # --- attributes

    def chmod(self):
        os.chmod(self.note(self.old()), self.random.randrange(0o10000))

    def chown(self):
        os.chown(self.note(self.old()), self.random.randrange(5), self.random.randrange(5), follow_symlinks=False)

    def utime(self):
        os.utime(self.note(self.old()), ns=(self.random.randrange(1 << 60), self.random.randrange(1 << 60)), follow_symlinks=False)

    def setxattr(self):
        value = self.pool[:self.random.choice((0, 1, 100, 4000, 60000))]
        os.setxattr(self.note(self.old()), self.random.choice(XATTRS), value, self.random.choice((0, 0, 1, 2)), follow_symlinks=False)

    def removexattr(self):
        os.removexattr(self.note(self.old()), self.random.choice(XATTRS), follow_symlinks=False)

    def listxattr(self):
        path = self.note(self.old())
        for name in os.listxattr(path, follow_symlinks=False):
            os.getxattr(path, name, follow_symlinks=False)

    # --- looks

    def list(self):
        folder = self.note(self.random.choice(self.folders))
        names = os.listdir(folder)
        if len(names) != len(set(names)):
            raise Failed(f'{self.name}: {folder} lists names twice: {sorted(names)}')
        for name in names[:5]:
            self.known.append(f'{folder}/{name}')

    def stat(self):
        os.lstat(self.note(self.old()))

    def readlink(self):
        os.readlink(self.note(self.old()))

    def fsync(self):
        self.with_file(os.O_RDONLY, os.fsync)

    def fsync_folder(self):
        fd = os.open(self.note(self.random.choice(self.folders)), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def whole(self):
        """syncfs: of all."""
        fd = os.open('.', os.O_RDONLY)
        try:
            LIBC.syncfs(fd)
        finally:
            os.close(fd)


def check_tree(top):
    """The links of objects are as many as there are names, of folders two and one for each folder inside; every name that is listed is
    there with the type that the listing tells, and all that it has can be read. The number of objects."""
    names, links = collections.Counter(), {}
    pending = [str(top)]
    while pending:
        folder = pending.pop()
        folders = 0
        for entry in os.scandir(folder):
            info = os.lstat(entry.path)
            if entry.inode() != info.st_ino or entry.is_dir(follow_symlinks=False) != stat.S_ISDIR(info.st_mode) or \
                    entry.is_file(follow_symlinks=False) != stat.S_ISREG(info.st_mode) or entry.is_symlink() != stat.S_ISLNK(info.st_mode):
                raise Failed(f'{entry.path} is listed as {entry} {entry.inode()}, and is {info}')
            for name in os.listxattr(entry.path, follow_symlinks=False):
                os.getxattr(entry.path, name, follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                folders += 1
                pending.append(entry.path)
                continue
            names[info.st_ino] += 1
            links[info.st_ino] = (info.st_nlink, entry.path)
            if stat.S_ISREG(info.st_mode):
                read_data(entry.path)
            elif stat.S_ISLNK(info.st_mode):
                os.readlink(entry.path)
        found = os.lstat(folder).st_nlink
        if found != 2 + folders:
            raise Failed(f'{folder} has {folders} folders and {found} links')
    for number, (found, path) in links.items():
        if found != names[number]:
            raise Failed(f'{path} has {names[number]} names and {found} links')
    return len(links)


def read_data(path):
    """What is no hole."""
    with open(path, 'rb', buffering=0) as file:
        at, end = 0, file.seek(0, os.SEEK_END)
        while at < end:
            try:
                at = file.seek(at, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                return
            if not file.read(1 << 20):
                raise Failed(f'{path}: nothing to read at {at} of {end}')
            at = file.tell()
