"""What stands behind the pages of one file: a sorted list of ranges that do not overlap."""
import bisect

from . import layout as L


class Extent:
    """`count` pages in as many blocks from `block` on."""

    def __init__(self, block, crcs):
        self.block = block
        self.crcs = crcs

    def part(self, skip, count):
        return Extent(self.block + skip, self.crcs[skip:skip + count])


class Unwritten:
    """Allocated pages that read as zeros."""

    def part(self, skip, count):
        return self


class Inline:
    """One page's content, without the zeros at its end."""

    def __init__(self, content):
        self.content = content

    def part(self, skip, count):
        return self


class Mapping:
    def __init__(self):
        self._starts = []
        self._ranges = []  # (page, count, kind), by page

    def __iter__(self):
        return iter(self._ranges)

    def __bool__(self):
        return bool(self._ranges)

    def pages(self):
        return sum(count for _, count, _ in self._ranges)

    def append(self, page, count, kind):
        """Adds a range behind all others. False when it overlaps the last one."""
        if self._ranges and sum(self._ranges[-1][:2]) > page:
            return False
        self._starts.append(page)
        self._ranges.append((page, count, kind))
        return True

    def _overlapping(self, page, end):
        first = bisect.bisect_right(self._starts, page)
        if first and sum(self._ranges[first - 1][:2]) > page:
            first -= 1
        return first, bisect.bisect_left(self._starts, end)

    def _splice(self, first, last, ranges):
        self._ranges[first:last] = ranges
        self._starts[first:last] = [start for start, _, _ in ranges]

    def replace(self, page, count, kind):
        """The pages are `kind` now; None makes them a hole."""
        end = page + count
        first, last = self._overlapping(page, end)
        ranges = []
        for start, size, old in self._ranges[first:last]:
            if start < page:
                ranges.append((start, page - start, old.part(0, page - start)))
        if kind is not None:
            ranges.append((page, count, kind))
        for start, size, old in self._ranges[first:last]:
            if start + size > end:
                ranges.append((end, start + size - end, old.part(end - start, start + size - end)))
        self._splice(first, last, ranges)

    def punch_from(self, page):
        if page < L.PAGES_MAX:
            self.replace(page, L.PAGES_MAX - page, None)

    def fill_holes(self, page, count, kind):
        """Those pages that have nothing are `kind` now."""
        end = page + count
        first, last = self._overlapping(page, end)
        ranges = []
        for start, size, old in self._ranges[first:last]:
            if page < start:
                ranges.append((page, start - page, kind))
            ranges.append((start, size, old))
            page = start + size
        if page < end:
            ranges.append((page, end - page, kind))
        self._splice(first, last, ranges)
