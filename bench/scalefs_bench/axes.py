"""Scales of axes: where a value stands between 0 and 1, which values bear ticks, and how they are written."""
import math


def number_text(value):
    """With the prefixes of SI: 1500000 is 1.5 M."""
    if value == 0:
        return "0"
    for factor, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k"), (1, "")):
        if abs(value) >= factor * 0.9999:
            return f"{value / factor:.3g}{prefix}"
    return f"{value:.2g}"


def time_text(ns):
    if ns == 0:
        return "0"
    for factor, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns")):
        if ns >= factor * 0.9999:
            return f"{ns / factor:.3g} {unit}"
    return f"{ns:.2g} ns"


def ratio_text(value):
    return f"{value:.3g}×"


def share_text(value):
    return f"{100 * value:.6g} %"


TEXTS = {"number": number_text, "time": time_text, "ratio": ratio_text, "share": share_text, "count": lambda v: f"{v:g}"}


def nice_step(length, ticks):
    """The smallest of 1, 2, 5 times a power of ten of which no more than `ticks` fit into the length."""
    power = 10.0 ** math.floor(math.log10(length / ticks))
    for factor in (1, 2, 5, 10):
        if factor * power * ticks >= length * 0.9999:
            return factor * power
    raise AssertionError("10 times the power below is above")


class Linear:
    def __init__(self, low, high, ticks=None):
        self.low, self.high = low, high if high > low else low + 1
        self._ticks = ticks

    def place(self, value):
        return (value - self.low) / (self.high - self.low)

    def ticks(self):
        if self._ticks is not None:
            return self._ticks
        step = nice_step(self.high - self.low, 5)
        first = math.ceil(self.low / step - 1e-9)
        return [step * k for k in range(first, int(self.high / step + 1e-9) + 1)]


class Log:
    """Of a base; values must be above 0. What is at or below 0 stands at the bottom."""

    def __init__(self, low, high, base=10, ticks=None):
        self.base = base
        self.low, self.high = low, high if high > low else low * base
        self._ticks = ticks

    def place(self, value):
        if value <= self.low:
            return 0.0 if value == self.low or value <= 0 else self._share(value)
        return self._share(value)

    def _share(self, value):
        return math.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self):
        if self._ticks is not None:
            return self._ticks
        decades = math.log10(self.high / self.low)
        factors = (1, 2, 5) if decades <= 1.8 else (1, 3) if decades <= 2.5 else (1,)
        step = max(1, math.ceil(decades / 6))
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found = [f * 10.0 ** p for p in powers if p % step == 0 for f in factors]
        return [v for v in found if self.low * 0.999 <= v <= self.high * 1.001]


class Nines:
    """A share of 1, by how many nines it has: 90 %, 99 % and 99.9 % stand at equal distances."""

    _TICKS = (0.5, 0.9, 0.99, 0.999, 0.9999)

    def __init__(self, nines=4):
        self._nines = nines

    def place(self, value):
        return min(1.0, -math.log10(max(1 - value, 10.0 ** -self._nines)) / self._nines)

    def ticks(self):
        return [v for v in self._TICKS if -math.log10(1 - v) <= self._nines + 0.001]


def round_out(low, high):
    """The nearest of 1, 2, 5 times a power of ten below and above."""
    def neighbours(value):
        power = 10.0 ** math.floor(math.log10(value))
        return [factor * power for factor in (0.5, 1, 2, 5, 10, 20)]
    return (max(v for v in neighbours(low) if v <= low * 1.0001),
            min(v for v in neighbours(high) if v >= high * 0.9999))
