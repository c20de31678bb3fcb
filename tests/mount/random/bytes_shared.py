"""Random calls of several processes on one file, each in blocks of its own, whose edges are in the middle of pages: what one
process does to its part of a page must leave the others' alone."""

import os

from bytes_caller import Caller
from bytes_file import KEEP, PAGE, PUNCH, File, whole_pages

BLOCK = 5000
BLOCKS = 40
KINDS = {'write': 9, 'write_sync': 1, 'punch': 4, 'zero_keep': 2, 'allocate_keep': 1, 'copy_within': 3, 'read': 8, 'whole': 1,
         'blocks': 2, 'fsync': 1, 'fdatasync': 1, 'write_pages': 1, 'drop': 1, 'unmap': 1}
# One process's direct I/O and another's mapping of the same page know nothing of each other, on any file system. Over FUSE the
# kernel may also write a page back, as a mapping has it, behind a punch of a part of it, which is gone then: with mappings
# whole pages are punched.
EITHER = ({'write_mapped': 8, 'read_mapped': 6, 'msync': 1}, {'write_direct': 6, 'read_direct': 6})


def make_shared_file(path):
    with open(path, 'xb') as file:
        file.truncate(BLOCK * BLOCKS)


class SharedFile(File):
    """Of the model only the blocks of `mine` mean anything."""

    def __init__(self, path, mine, mapped):
        super().__init__(path, make=False)
        self.bytes = bytearray(BLOCK * BLOCKS)
        self.mine, self.by_mapping = mine, mapped

    def check_all(self):
        self.check_size()
        for block in self.mine:
            self.check_read(block * BLOCK, BLOCK)
            if self.by_mapping:
                self.check_mapped(block * BLOCK, BLOCK)
            else:
                self.check_direct(block * BLOCK, BLOCK)

    def check_size_and_blocks(self):
        """Blocks are everybody's; a byte of mine is no hole."""
        self.check_size()
        self.write_pages()
        for block in self.mine:
            at = block * BLOCK
            if self.bytes[at] != 0 and os.lseek(self.fd, at, os.SEEK_DATA) != at:
                self.compare(at, b'\0', 'SEEK_DATA')


class SharedCaller(Caller):
    """Number `number` of `count` on one file. `seed` decides for all how they look at it."""

    def __init__(self, seed, path, number, count, mapped):
        self.path, self.mapped = path, mapped
        self.mine = range(number, BLOCKS, count)
        super().__init__(seed, None, f'shared-{number}')
        self.weights = {**KINDS, **EITHER[0 if mapped else 1]}

    def make_files(self, folder):
        return [SharedFile(self.path, self.mine, self.mapped)]

    def span(self, file, inside=False, aligned=False):
        block = self.random.choice(self.mine)
        first, last = sorted((self.random.randrange(BLOCK + 1), self.random.randrange(BLOCK + 1)))
        if self.random.random() < 0.3:
            first = 0
        if self.random.random() < 0.3:
            last = BLOCK
        return (block * BLOCK + first, block * BLOCK + last) if first < last else None

    def to_zeros(self, kind, file, mode):
        if not self.mapped:
            return super().to_zeros(kind, file, mode)
        block = self.random.choice(self.mine)
        inside = whole_pages(block * BLOCK, (block + 1) * BLOCK)
        if not inside:
            return
        first, last = inside[0] * PAGE, (inside[-1] + 1) * PAGE
        self.note(file, first, last, kind)
        file.allocate(mode, first, last)
        self.change(kind, file.clear, first, last, not mode & KEEP, bool(mode & PUNCH))

    def copied(self, kind, file, source):
        span, to = self.span(source), self.span(file)
        if span is None or to is None or span[0] // BLOCK == to[0] // BLOCK:
            return
        count = min(span[1] - span[0], to[1] - to[0])
        self.note(file, to[0], to[0] + count, f'{kind} from {span[0]}')
        data = bytes(source.bytes[span[0]:span[0] + count])
        file.copy_from(source, span[0], count, to[0], False)
        self.change(kind, file.put, to[0], data)
