"""Rows of single calls: scalefs beside scalefs-null in the same transport, in processor time of client and daemon."""

import json
import statistics
import subprocess

from speed.rows import interval, lower_quartile, orders

# call of scalefs-calls -> (what it is, calls of a run, whether it changes something, runs with two threads too)
CALLS = {
    'create': ('create+close', 4000, True, True),
    'unlink': ('unlink', 6000, True, True),
    'mkdir': ('mkdir', 4000, True, True),
    'rename': ('rename', 5000, True, True),
    'chmod': ('chmod', 12000, True, True),
    'missing': ('stat of a missing name', 12000, False, True),
    'open': ('open+close', 30000, False, True),
    'write4k': ('4 KiB random write', 12000, True, True),
    'read4k': ('4 KiB O_DIRECT read', 12000, False, True),
    'write1m': ('1 MiB write', 150, True, True),
    'direct1m': ('1 MiB O_DIRECT write', 250, True, True),
    'read1m': ('1 MiB O_DIRECT read', 250, False, True),
    'list3': ('readdir+stat of 1,000', 8, False, False),
    'list5': ('readdir+stat of 100,000', 1, False, False),
}
LARGE = {'write1m', 'direct1m', 'read1m'}
GAIN = 0.9
RATIO = 0.85
RATIO_IMAGE = 0.7


class Sample:
    def __init__(self, found):
        self.cpu_us = (found['client_ns'] + found['server_ns']) / found['calls'] / 1000
        self.rate = found['calls'] / found['wall_ns'] * 1e9
        self.p50_us = found['p50_ns'] / 1000


def sample(bench, mounted, call, threads, count, sync=False):
    """One run of scalefs-calls."""
    words = [bench.program('scalefs-calls'), call, mounted.path, mounted.path, threads, count, mounted.next_run(),
             int(sync), *mounted.pids]
    done = subprocess.run([str(word) for word in words], check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    if done.returncode != 0:
        raise RuntimeError(f'{call} on {mounted.name}: {done.stderr.strip()}')
    return Sample(json.loads(done.stdout))


class Row:
    """The samples of one call: {(file system, threads): [Sample]}."""

    def __init__(self, call, threads):
        self.call = call
        self.threads = threads
        self.samples = {(which, n): [] for which in 'sn' for n in threads}

    def cpu(self, which, threads):
        return lower_quartile([one.cpu_us for one in self.samples[which, threads]])

    def rate(self, which, threads):
        return statistics.median(one.rate for one in self.samples[which, threads])

    def p50(self, which, threads):
        return statistics.median(one.p50_us for one in self.samples[which, threads])

    def gains(self):
        """Of each pair: what the second thread brings, by what it brings the null daemon."""
        columns = [self.samples[key] for key in (('s', 2), ('s', 1), ('n', 2), ('n', 1))]
        return [(a.rate / b.rate) / (c.rate / d.rate) for a, b, c, d in zip(*columns)]


def measure(bench, scalefs, null, call, pairs, scale, image):
    _, count, changes, both = CALLS[call]
    row = Row(call, (1, 2) if both else (1,))
    count = max(1, int(count * scale))
    for warm, turn in [(True, 0)] + [(False, turn) for turn in orders(pairs)]:
        for which in 'sn' if turn == 0 else 'ns':
            for threads in row.threads:
                one = sample(bench, scalefs if which == 's' else null, call, threads, count, image and changes)
                if not warm:
                    row.samples[which, threads].append(one)
    return row


def print_row(table, row, image):
    what, _, changes, _ = CALLS[row.call]
    # On an image there is a target for small changes alone.
    target = RATIO if not image else RATIO_IMAGE if changes and row.call not in LARGE else None
    for threads in row.threads:
        ours, floor = row.cpu('s', threads), row.cpu('n', threads)
        table.row(f'{what}, {threads} thread{"s" * (threads > 1)}', target or '', f'{floor / ours:.2f}',
                  floor / ours >= target if target else None, f'{ours:.1f}', f'{floor:.1f}',
                  f'{row.rate("s", threads) / 1000:.1f}', f'{row.rate("n", threads) / 1000:.1f}',
                  f'{row.p50("s", threads):.1f}', f'{row.p50("n", threads):.1f}')


def print_gain(table, row, transport):
    gains = row.gains()
    low, high = interval(gains)
    middle = statistics.median(gains)
    own = row.rate('s', 2) / row.rate('s', 1)
    floor = row.rate('n', 2) / row.rate('n', 1)
    judged = middle >= GAIN if transport == 'rings' and row.call not in LARGE else None
    table.row(CALLS[row.call][0], f'{GAIN}', f'{middle:.2f}', judged, f'{low:.2f} to {high:.2f}', f'{own:.2f}',
              f'{floor:.2f}')


def print_rows(bench, table, wanted, settings):
    for transport in settings.transports:
        for where in ('memory', 'image'):
            calls = [call for call in CALLS if wanted(f'calls {transport} {where} {call}')]
            if not calls:
                continue
            with bench.part():
                scalefs = bench.scalefs(transport, None if where == 'memory' else settings.image_mib)
                null = bench.null(transport)
                table.head(f'Calls {"in memory" if where == "memory" else "on an image"}, {transport}: processor time '
                           f'of null by that of scalefs, {settings.pairs} pairs',
                           'µs scalefs', 'µs null', 'thousand/s', 'null', 'p50 µs', 'null')
                rows = []
                for call in calls:
                    rows.append(measure(bench, scalefs, null, call, settings.pairs, settings.scale, where == 'image'))
                    print_row(table, rows[-1], where == 'image')
                if where == 'memory' and settings.pairs > 1:
                    table.head(f'What the second thread brings, by what it brings null, {transport}, median of '
                               f'{settings.pairs} pairs', '95 %', 'scalefs', 'null')
                    for row in rows:
                        if 2 in row.threads:
                            print_gain(table, row, transport)
