"""One file and the bytes that it must hold: every call is made on the file and on the model, and what differs is told
(Differs, with the range of bytes that is wrong). The model also knows which pages can have blocks: all others must be
holes to SEEK_DATA, and no page with a byte in it may be one. Offsets are relative to `base`, below which the file is a
hole; a file is never shorter than that."""

import ctypes
import mmap
import os
import struct

PAGE = 4096
SIZE_MOST = 256 << 10  # bytes beyond `base`
KEEP, PUNCH, ZERO = 1, 2, 16  # FALLOC_FL_*
_AT_EMPTY_PATH, _AT_STATX_FORCE_SYNC = 0x1000, 0x2000
_STATX_SIZE_AND_BLOCKS = 0x600
_WRITE_AND_WAIT = 7  # SYNC_FILE_RANGE_*

LIBC = ctypes.CDLL(None, use_errno=True)


def libc(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f'{name}: {os.strerror(code)}')


class Differs(AssertionError):
    def __init__(self, text, first=0, last=1 << 62):
        super().__init__(text)
        self.first, self.last = first, last


def pages(first, last):
    return range(first // PAGE, (last + PAGE - 1) // PAGE)


def whole_pages(first, last):
    return range((first + PAGE - 1) // PAGE, last // PAGE)


class File:
    """Not closed by itself: close() before an unmount, open() behind it. Without `exact_blocks` the file system may give a page
    blocks because of its neighbours, as ext4 does."""

    def __init__(self, path, base=0, exact_blocks=True, make=True):
        self.path, self.base, self.exact_blocks = str(path), base, exact_blocks
        self.bytes = bytearray()
        self.touched = set()
        self.buffer = mmap.mmap(-1, SIZE_MOST + PAGE)  # aligned, for direct I/O
        self.mapping = None
        if make:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644))
            os.truncate(path, base)
        self.open()

    def open(self):
        self.fd = os.open(self.path, os.O_RDWR)
        self.appending = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        self.direct = os.open(self.path, os.O_RDWR | os.O_DIRECT)

    def close(self):
        self.unmap()
        for fd in (self.fd, self.appending, self.direct):
            os.close(fd)

    def unmap(self):
        if self.mapping is not None:
            self.mapping.close()
            self.mapping = None

    def mapped(self, last):
        """A mapping that reaches to `last`, which is in the file. It stays over truncations."""
        if self.mapping is None or len(self.mapping) < last:
            self.unmap()
            self.mapping = mmap.mmap(self.fd, len(self.bytes), offset=self.base)
        return self.mapping

    # --- the model

    def put(self, at, data):
        if at > len(self.bytes):
            self.bytes.extend(bytes(at - len(self.bytes)))
        self.bytes[at:at + len(data)] = data
        self.touched.update(pages(at, at + len(data)))

    def resize(self, size):
        if size < len(self.bytes):
            del self.bytes[size:]
            self.touched = {page for page in self.touched if page * PAGE < size}
        else:
            self.bytes.extend(bytes(size - len(self.bytes)))

    def clear(self, first, last, grow, punched):
        end = min(last, len(self.bytes))
        if first < end:
            self.bytes[first:end] = bytes(end - first)
        if punched:
            self.touched.difference_update(whole_pages(first, last))
        else:
            self.touched.update(pages(first, last))
        if grow and last > len(self.bytes):
            self.resize(last)

    # --- calls

    def write(self, at, data, flags=0):
        half = len(data) // 2
        done = os.pwritev(self.fd, [data[:half], data[half:]], self.base + at, flags)
        self.all_of(done, len(data))

    def write_mapped(self, at, data):
        self.mapped(at + len(data))[at:at + len(data)] = data

    def write_direct(self, at, data):
        self.buffer[:len(data)] = data
        with memoryview(self.buffer) as view:
            self.all_of(os.pwritev(self.direct, [view[:len(data)]], self.base + at), len(data))

    def append(self, data):
        self.all_of(os.write(self.appending, data), len(data))

    def allocate(self, mode, first, last):
        libc('fallocate', self.fd, mode, ctypes.c_long(self.base + first), ctypes.c_long(last - first))

    def copy_from(self, source, at, count, to, by_sendfile):
        """As much as there is."""
        while count > 0:
            if by_sendfile:
                os.lseek(self.fd, self.base + to, os.SEEK_SET)
                done = os.sendfile(self.fd, source.fd, source.base + at, count)
            else:
                done = os.copy_file_range(source.fd, self.fd, count, source.base + at, self.base + to)
            if not 0 < done <= count:
                raise Differs(f'{done} of {count} bytes copied from {at} of {len(source.bytes)}')
            at, to, count = at + done, to + done, count - done

    def all_of(self, done, wanted):
        if done != wanted:
            raise Differs(f'{done} of {wanted} bytes written')

    # --- checks

    def compare(self, at, found, how):
        wanted = self.bytes[at:at + len(found)]
        if found == wanted:
            return
        wrong = [i for i in range(len(found)) if i >= len(wanted) or found[i] != wanted[i]]
        first, last = wrong[0], wrong[-1] + 1
        raise Differs(f'{len(wrong)} bytes from {at + first} to {at + last} are wrong ({how}): '
                      f'{bytes(found[first:first + 8]).hex()} instead of {bytes(wanted[first:first + 8]).hex()}',
                      at + first, at + last)

    def expect(self, found, at, count, how):
        """`found` is what a read of `count` bytes at `at` brought."""
        wanted = max(0, min(count, len(self.bytes) - at))
        if len(found) != wanted:
            raise Differs(f'{len(found)} bytes at {at} instead of {wanted} ({how})', at, at + count)
        self.compare(at, found, how)

    def check_read(self, at, count):
        self.expect(os.pread(self.fd, count, self.base + at), at, count, 'read')

    def check_direct(self, at, count):
        with memoryview(self.buffer) as view:
            done = os.preadv(self.direct, [view[:count]], self.base + at)
            self.expect(bytes(view[:done]), at, count, 'direct read')

    def check_mapped(self, at, count):
        last = min(at + count, len(self.bytes))
        if at < last:
            self.expect(self.mapped(last)[at:last], at, last - at, 'mapped')

    def check_size(self):
        found = os.fstat(self.fd).st_size
        if found != self.base + len(self.bytes):
            raise Differs(f'size {found - self.base} instead of {len(self.bytes)} (fstat)')

    def check_size_and_blocks(self):
        """As the daemon has them."""
        self.write_pages()
        answer = ctypes.create_string_buffer(256)
        libc('statx', self.fd, b'', _AT_EMPTY_PATH | _AT_STATX_FORCE_SYNC, _STATX_SIZE_AND_BLOCKS, answer)
        size, blocks = struct.unpack_from('<QQ', answer, 40)
        if size != self.base + len(self.bytes):
            raise Differs(f'size {size - self.base} instead of {len(self.bytes)} (statx)')
        # In blocks of 512 bytes.
        least, most = 8 * len(self.filled_pages()), 8 * len(self.touched)
        if self.exact_blocks and not least <= blocks <= most:
            raise Differs(f'{blocks} blocks, which should be {least} to {most}')

    def write_pages(self):
        """Writes what mappings changed: until then only the kernel knows of it."""
        libc('sync_file_range', self.fd, ctypes.c_long(0), ctypes.c_long(0), _WRITE_AND_WAIT)

    def filled_pages(self):
        zeros = bytes(PAGE)
        return [page for page in sorted(self.touched)
                if self.bytes[page * PAGE:(page + 1) * PAGE].strip(b'\0') and
                self.bytes[page * PAGE:(page + 1) * PAGE] != zeros]

    def check_map(self):
        """SEEK_DATA and SEEK_HOLE from the start to the end."""
        self.write_pages()
        end = self.base + len(self.bytes)
        found, at = set(), 0
        while at < end:
            try:
                data = os.lseek(self.fd, at, os.SEEK_DATA)
            except OSError as error:
                if error.errno != 6:  # ENXIO: no more
                    raise
                break
            hole = os.lseek(self.fd, data, os.SEEK_HOLE)
            if not at <= data < hole <= end:
                raise Differs(f'from {at - self.base} on data from {data - self.base} to {hole - self.base}')
            found.update(pages(data - self.base, hole - self.base))
            at = hole
        missing = [page for page in self.filled_pages() if page not in found]
        extra = sorted(found - self.touched) if self.exact_blocks else []
        if missing or extra:
            page = (missing or extra)[0]
            raise Differs(f'pages {missing[:5]} with data are told as holes, pages {extra[:5]} were never written',
                          page * PAGE, (page + 1) * PAGE)

    def check_all(self):
        self.check_size()
        for check in (self.check_read, self.check_direct, self.check_mapped):
            check(0, SIZE_MOST)
        self.check_size_and_blocks()
        self.check_map()
