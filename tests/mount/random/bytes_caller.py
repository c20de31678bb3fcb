"""Random calls on files with a model (bytes_file.py), in an order that a seed decides: which kinds of calls, on which
ranges. Failed is raised with all that one needs to see what went wrong."""

import collections
import os
import random

from bytes_file import KEEP, PAGE, PUNCH, SIZE_MOST, ZERO, Differs, File

RWF_DSYNC = 2
# Where the used part of a file begins: at the start, around 2 and 4 GiB, beyond 2^31 pages.
BASES = (0, 0, 0, (1 << 31) - 16 * PAGE, (1 << 32) - 16 * PAGE, ((1 << 31) + 5) * PAGE)
CHANGES = {'write': 9, 'write_sync': 1, 'write_mapped': 6, 'write_direct': 5, 'append': 4, 'truncate': 4, 'truncate_path': 2,
           'allocate': 2, 'allocate_keep': 2, 'punch': 4, 'zero': 2, 'zero_keep': 2, 'copy': 4, 'copy_within': 2, 'sendfile': 2}
CHECKS = {'read': 8, 'read_mapped': 5, 'read_direct': 5, 'map': 3, 'blocks': 3, 'whole': 1}
OTHERS = {'fsync': 1, 'fdatasync': 1, 'msync': 1, 'write_pages': 1, 'drop': 2, 'reopen': 1, 'unmap': 1}
ALWAYS = ('write', 'read', 'whole')
TAIL = 12


class Failed(AssertionError):
    pass


class Caller:
    """Works on two files of its own in `folder`. `local` is what ext4 and the like want: direct I/O of whole pages, no
    word on which pages have blocks. `forget` is a kind of change that the model does not see, for tests of the test."""

    def __init__(self, seed, folder, name, local=False, forget=None):
        self.random = random.Random(f'{seed} {name}')
        self.name, self.local, self.forget = name, local, forget
        self.pool = random.Random(0).randbytes(SIZE_MOST * 2)
        self.files = self.make_files(folder)
        self.count = 0
        self.past = collections.deque(maxlen=4000)  # (file, first, last, text) of each call
        # Each run leaves out some kinds of calls, so that the others come in longer rows.
        self.weights = {kind: weight for kind, weight in {**CHANGES, **CHECKS, **OTHERS}.items()
                        if kind in ALWAYS or kind == forget or self.random.random() > 0.25}

    def make_files(self, folder):
        return [File(os.path.join(folder, f'{self.name}-{i}'), self.random.choice(BASES), not self.local) for i in range(2)]

    def run(self, calls):
        kinds = self.random.choices(list(self.weights), self.weights.values(), k=calls)
        for kind in kinds:
            self.one(kind)
        self.check()

    def check(self):
        for file in self.files:
            self.guarded(file, file.check_all)

    def one(self, kind):
        self.count += 1
        file = self.random.choice(self.files)
        self.guarded(file, getattr(self, kind), file)
        if kind in CHANGES:
            self.guarded(file, file.check_size)

    def guarded(self, file, call, *arguments):
        try:
            call(*arguments)
        except (Differs, OSError) as error:
            raise Failed(f'{self.name} call {self.count}: {error} in {os.path.basename(file.path)} (from byte {file.base}) after\n' +
                         self.tail(file, error)) from error

    def tail(self, file, error):
        """The last calls that had to do with the bytes that are wrong, and the last ones of all."""
        first, last = getattr(error, 'first', 0), getattr(error, 'last', 1 << 62)
        past = list(self.past)
        chosen = [i for i, call in enumerate(past) if call[0] is file and call[1] < last and call[2] > first][-TAIL:]
        chosen += range(max(0, len(past) - 3), len(past))
        return '\n'.join(f'  {past[i][3]}' for i in sorted(set(chosen)))

    def note(self, file, first, last, text):
        self.past.append((file, first, last, f'{self.count} {os.path.basename(file.path)} {text} [{first}, {last})'))

    def change(self, kind, model, *arguments):
        if kind != self.forget:
            model(*arguments)

    # --- what is drawn

    def place(self, most):
        at = self.random.randrange(most + 1)
        pick = self.random.random()
        if pick < 0.3:
            at -= at % PAGE
        elif pick < 0.5:
            at = max(0, min(most, at - at % PAGE + self.random.choice((-1, 1))))
        return at

    def span(self, file, inside=False, aligned=False):
        """A range, not empty; inside the file or anywhere that a file may reach. None when there is none."""
        most = len(file.bytes) if inside else SIZE_MOST
        # Mostly where something is.
        at = self.place(min(most, len(file.bytes) if self.random.random() < 0.8 else SIZE_MOST))
        count = self.random.choice((1, 10, 100, PAGE, PAGE, 3 * PAGE, 10 * PAGE, 40 * PAGE))
        last = self.place(min(most, at + count))
        if aligned:
            at, last = at - at % PAGE, last - last % PAGE
        if last <= at:
            at, last = (last, at) if last < at else (at, at + PAGE if aligned else at + 1)
        return (at, last) if last <= most else None

    def data(self, count):
        at = self.random.randrange(SIZE_MOST)
        return self.pool[at:at + count]

    # --- calls that change

    def put(self, kind, file, call, span, *more):
        if span is None:
            return
        data = self.data(span[1] - span[0])
        self.note(file, *span, kind)
        call(span[0], data, *more)
        self.change(kind, file.put, span[0], data)

    def write(self, file):
        self.put('write', file, file.write, self.span(file))

    def write_sync(self, file):
        self.put('write_sync', file, file.write, self.span(file), RWF_DSYNC)

    def write_mapped(self, file):
        self.put('write_mapped', file, file.write_mapped, self.span(file, inside=True))

    def write_direct(self, file):
        aligned = self.local or self.random.random() < 0.6
        self.put('write_direct', file, file.write_direct, self.span(file, aligned=aligned))

    def append(self, file):
        at = len(file.bytes)
        count = min(SIZE_MOST - at, self.random.choice((1, 100, PAGE, 5 * PAGE)))
        if count > 0:
            self.put('append', file, lambda _, data: file.append(data), (at, at + count))

    def truncate(self, file):
        self.to_size('truncate', file, lambda size: os.ftruncate(file.fd, size))

    def truncate_path(self, file):
        self.to_size('truncate_path', file, lambda size: os.truncate(file.path, size))

    def to_size(self, kind, file, call):
        size = self.place(SIZE_MOST)
        if self.random.random() < 0.5:
            size = min(size, self.place(len(file.bytes)))
        self.note(file, min(size, len(file.bytes)), SIZE_MOST, f'{kind} from {len(file.bytes)} to {size}')
        call(file.base + size)
        self.change(kind, file.resize, size)

    def allocate(self, file):
        span = self.span(file)
        if span:
            self.note(file, *span, 'allocate')
            file.allocate(0, *span)
            self.change('allocate', self.allocated, file, span)

    def allocated(self, file, span):
        file.touched.update(range(span[0] // PAGE, -(-span[1] // PAGE)))
        if span[1] > len(file.bytes):
            file.resize(span[1])

    def allocate_keep(self, file):
        span = self.span(file)
        if span:
            self.note(file, *span, 'allocate_keep')
            file.allocate(KEEP, *span)
            self.change('allocate_keep', file.touched.update, range(span[0] // PAGE, -(-span[1] // PAGE)))

    def punch(self, file):
        self.to_zeros('punch', file, PUNCH | KEEP)

    def zero(self, file):
        self.to_zeros('zero', file, ZERO)

    def zero_keep(self, file):
        self.to_zeros('zero_keep', file, ZERO | KEEP)

    def to_zeros(self, kind, file, mode):
        span = self.span(file)
        if span:
            self.note(file, *span, kind)
            file.allocate(mode, *span)
            self.change(kind, file.clear, *span, not mode & KEEP, bool(mode & PUNCH))

    def copy(self, file):
        self.copied('copy', file, self.files[1 - self.files.index(file)])

    def sendfile(self, file):
        self.copied('sendfile', file, self.files[1 - self.files.index(file)])

    def copy_within(self, file):
        self.copied('copy_within', file, file)

    def copied(self, kind, file, source):
        span = self.span(source, inside=True)
        if span is None:
            return
        count = span[1] - span[0]
        to = min(self.place(max(len(file.bytes), 1)), SIZE_MOST - count)
        if source is file and to < span[1] and span[0] < to + count:
            return
        self.note(file, to, to + count, f'{kind} from {os.path.basename(source.path)} {span}')
        data = bytes(source.bytes[slice(*span)])
        file.copy_from(source, span[0], count, to, kind == 'sendfile')
        self.change(kind, file.put, to, data)

    # --- calls that look

    def looked(self, file, check, aligned=False):
        span = self.span(file, aligned=aligned)
        if span:
            check(span[0], span[1] - span[0])

    def read(self, file):
        self.looked(file, file.check_read)

    def read_mapped(self, file):
        self.looked(file, file.check_mapped)

    def read_direct(self, file):
        self.looked(file, file.check_direct, self.local)

    def map(self, file):
        file.check_map()

    def blocks(self, file):
        file.check_size_and_blocks()

    def whole(self, file):
        file.check_all()

    # --- calls that should change nothing

    def fsync(self, file):
        self.note(file, 0, SIZE_MOST, 'fsync')
        os.fsync(self.random.choice((file.fd, file.direct)))

    def fdatasync(self, file):
        self.note(file, 0, SIZE_MOST, 'fdatasync')
        os.fdatasync(file.fd)

    def msync(self, file):
        if file.mapping is not None:
            self.note(file, 0, SIZE_MOST, 'msync')
            file.mapping.flush()

    def write_pages(self, file):
        self.note(file, 0, SIZE_MOST, 'write_pages')
        file.write_pages()

    def drop(self, file):
        """The kernel's pages, so that the next ones come from the daemon."""
        self.note(file, 0, SIZE_MOST, 'drop')
        file.write_pages()
        os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def reopen(self, file):
        self.note(file, 0, SIZE_MOST, 'reopen')
        file.close()
        file.open()

    def unmap(self, file):
        file.unmap()

    def close(self):
        for file in self.files:
            file.close()

    def open(self):
        for file in self.files:
            file.open()
