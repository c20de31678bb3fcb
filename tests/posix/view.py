"""What can be seen of a row's folder before and after its call, and whether all ways of looking agree."""

import ctypes
import mmap
import os
import stat
import struct

from mount import libc
from verbs import AT_FDCWD, AT_SYMLINK_NOFOLLOW

FORCE_SYNC = 0x2000
TYPES = {stat.S_IFREG: 'file', stat.S_IFDIR: 'dir', stat.S_IFIFO: 'fifo', stat.S_IFSOCK: 'sock',
         stat.S_IFCHR: 'chr', stat.S_IFBLK: 'blk', stat.S_IFLNK: 'symlink'}
CONTENT_MAX = 1 << 16


def statx(path, flags=AT_SYMLINK_NOFOLLOW, folder=AT_FDCWD):
    """Of a path, asked from the file system itself rather than from what the kernel keeps."""
    buffer = ctypes.create_string_buffer(256)
    libc('statx', folder, os.fsencode(path), flags | FORCE_SYNC, 0xfff, buffer)
    mask, = struct.unpack_from('I', buffer, 0)
    nlink, uid, gid, mode = struct.unpack_from('IIIH', buffer, 16)
    ino, size, blocks = struct.unpack_from('QQQ', buffer, 32)

    def time(offset):
        seconds, nanoseconds = struct.unpack_from('qI', buffer, offset)
        return seconds * 1_000_000_000 + nanoseconds

    found = {'mode': mode, 'uid': uid, 'gid': gid, 'nlink': nlink, 'ino': ino, 'size': size, 'blocks': blocks,
             'atime': time(64), 'ctime': time(96), 'mtime': time(112),
             'rdev': os.makedev(*struct.unpack_from('II', buffer, 128))}
    if mask & 0x800:
        found['btime'] = time(80)
    return found


def of_stat(info):
    return {'mode': info.st_mode, 'uid': info.st_uid, 'gid': info.st_gid, 'nlink': info.st_nlink,
            'ino': info.st_ino, 'size': info.st_size, 'blocks': info.st_blocks, 'atime': info.st_atime_ns,
            'ctime': info.st_ctime_ns, 'mtime': info.st_mtime_ns, 'rdev': info.st_rdev}


def content(path, direct=False):
    flags = os.O_RDONLY | os.O_NOATIME | (os.O_DIRECT if direct else 0)
    fd = os.open(path, flags)
    try:
        if not direct:
            return os.read(fd, CONTENT_MAX)
        buffer = mmap.mmap(-1, CONTENT_MAX)
        return buffer[:os.preadv(fd, [buffer], 0)]
    finally:
        os.close(fd)


def names_of(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOATIME)
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)


def look(path):
    found = of_stat(os.lstat(path))
    kind = TYPES[stat.S_IFMT(found['mode'])]
    found['type'] = kind
    found['mode'] = stat.S_IMODE(found['mode'])
    if kind == 'file' and found['size'] <= CONTENT_MAX:
        found['data'] = content(path)
    if kind == 'symlink':
        found['target'] = os.readlink(path)
    if kind != 'symlink':  # those of links are the xattr table's
        found['xattrs'] = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    if kind == 'dir':
        del found['size']
    del found['blocks']
    return found


def view(top='.'):
    """path -> attributes, of all under the current folder; '.' is itself."""
    seen = {}

    def take(path):
        found = look(path)
        seen[path] = found
        if found['type'] == 'dir':
            for name in names_of(path):
                take(name if path == '.' else f'{path}/{name}')

    take(top)
    return seen


def disagreements(seen, dirs, objects, direct):
    """What other ways of looking say against `seen`: the file system asked anew, folders and objects that were opened before
    the call, listings, and with `direct` data past the kernel's cache. Returns (how many were asked, findings)."""
    asked, wrong = 0, []

    def expect(what, path, first, second):
        nonlocal asked
        asked += 1
        if first != second:
            wrong.append(f'{path}: {what}: {first} by its path, {second} otherwise')

    by_number = {found['ino']: path for path, found in seen.items()}
    for path, found in seen.items():
        plain = of_stat(os.lstat(path))
        fresh = statx(path)
        fresh.pop('btime', None)
        expect('asked anew', path, plain, fresh)
        if direct and found.get('data'):
            expect('data past the cache', path, found['data'], content(path, direct=True))
        if found['type'] == 'dir':
            with os.scandir(path) as entries:
                for entry in entries:
                    child = entry.name if path == '.' else f'{path}/{entry.name}'
                    there = seen.get(child)
                    expect('number in the listing', child, there and there['ino'], entry.inode())
                    expect('type in the listing', child, there and there['type'], type_of(entry))
    for path, fd in dirs.items():
        found = seen.get(path)
        if found is not None and found['ino'] == os.fstat(fd).st_ino:
            inside = sorted(p.rpartition('/')[2] for p in seen if p != '.' and (p.rpartition('/')[0] or '.') == path)
            expect('listing of the open folder', path, inside, sorted(os.listdir(fd)))
    for path, fd in objects.items():
        info = of_stat(os.fstat(fd))
        now = by_number.get(info['ino'])
        if now is None:
            expect('links of what has no name', path, True, info['nlink'] == 0)
        else:
            expect(f'through what was opened as {path}', now, of_stat(os.lstat(now)), info)
    return asked, wrong


def type_of(entry):
    if entry.is_symlink():
        return 'symlink'
    if entry.is_dir(follow_symlinks=False):
        return 'dir'
    if entry.is_file(follow_symlinks=False):
        return 'file'
    return TYPES[stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)]
