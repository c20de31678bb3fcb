"""How far a run is: one line that changes on a terminal, one a repetition elsewhere; and the table at its end."""
import collections
import math
import shutil
import sys
import time

_BAR = 24
_NAME_LEAST = len("p99, first kind")


def duration(seconds):
    seconds = int(round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"


def rate(value):
    """Three digits that count: 1.23M."""
    for limit, divisor, suffix in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= limit:
            value, unit = value / divisor, suffix
            break
    else:
        unit = ""
    digits = 0 if value <= 0 else max(0, 2 - int(math.floor(math.log10(value))))
    return f"{value:.{min(digits, 2)}f}{unit}"


def time_of(ns):
    for limit, divisor, suffix in ((1e9, 1e9, "s"), (1e6, 1e6, "ms"), (1e3, 1e3, "us")):
        if ns >= limit:
            return f"{ns / divisor:.3g}{suffix}"
    return f"{ns:.0f}ns"


class Progress:
    """`total`: repetitions; `expected`: seconds that one takes, until some are known."""

    def __init__(self, total, expected, quiet, stream=None):
        self._total, self._expected, self._quiet = total, expected, quiet
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty() and not quiet
        self._begin = self._latest = time.monotonic()
        self._done = 0
        self._shown = 0
        self._now = ""

    def _left(self):
        each = (self._latest - self._begin) / self._done if self._done else self._expected
        now = min(each, time.monotonic() - self._latest)
        return each * (self._total - self._done) - now

    def elapsed(self):
        return time.monotonic() - self._begin

    def begin(self, what):
        self._now = what
        self.tick()

    def tick(self):
        if not self._terminal:
            return
        full = _BAR * self._done // self._total
        line = (f"[{'#' * full}{'.' * (_BAR - full)}] {self._done + 1}/{self._total}  {duration(self._left())} left  "
                f"{self._now}")
        line = line[:shutil.get_terminal_size((100, 24)).columns - 1]
        self._stream.write("\r" + line + " " * max(0, self._shown - len(line)))
        self._stream.flush()
        self._shown = len(line)

    def end(self, outcome):
        self._done += 1
        self._latest = time.monotonic()
        if not self._quiet and not self._terminal:
            print(f"{self._done}/{self._total} {self._now}: {outcome}", file=self._stream, flush=True)

    def say(self, text):
        """A line that stays."""
        self.wipe()
        print(text, file=self._stream, flush=True)

    def wipe(self):
        if self._terminal and self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0


def _median(values):
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _main_latency(entry, key):
    kind = next(iter(entry["operations"].values()), None)
    return kind[key] if kind else 0


def _lines(groups, names, threads, labels, cell, head):
    wide = max([len(name) for name, _ in names] + [_NAME_LEAST])
    yield f"{head:<{wide}} {'threads':>7}  " + "  ".join(f"{label:>{max(8, len(label))}}" for label in labels)
    for name, _ in names:
        for count in threads:
            cells = [groups.get((name, count, label)) for label in labels]
            if any(cells):
                words = [cell(found) if found else "-" for found in cells]
                yield f"{name:<{wide}} {count:>7}  " + "  ".join(
                    f"{word:>{max(8, len(label))}}" for word, label in zip(words, labels))


def table(entries, width=None):
    """Medians of the rounds: operations a second, and the latency that 99 % stay below of each workload's first kind."""
    width = width or shutil.get_terminal_size((120, 24)).columns
    groups = collections.defaultdict(list)
    for entry in entries:
        groups[entry["workload"], entry["threads"], entry["target"]].append(entry)
    names = list(dict.fromkeys((entry["workload"], entry["unit"]) for entry in entries))
    threads = sorted({entry["threads"] for entry in entries})
    labels = list(dict.fromkeys(entry["target"] for entry in entries))
    wide = max([len(name) for name, _ in names] + [_NAME_LEAST]) + 10
    pieces, piece, used = [], [], wide
    for label in labels:
        need = max(8, len(label)) + 2
        if piece and used + need > width:
            pieces.append(piece)
            piece, used = [], wide
        piece.append(label)
        used += need
    pieces.append(piece)
    lines = []
    for piece in pieces:
        lines += _lines(groups, names, threads, piece,
                        lambda found: rate(_median([entry["items_per_second"] for entry in found])), "ops/s")
        lines.append("")
    for piece in pieces:
        lines += _lines(groups, names, threads, piece,
                        lambda found: time_of(_median([_main_latency(entry, "p99_ns") for entry in found])), "p99, first kind")
        lines.append("")
    return "\n".join(lines[:-1])
