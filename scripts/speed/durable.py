"""Rows of small files made durable: scalefs beside ext4 and xfs on loop devices, images on one disk, by rates; and what
the journal takes."""

import os
import re
import signal
import statistics
import time

from speed.calls import sample
from speed.mounts import Absent
from speed.rows import interval, orders

# So many of each that a sample lasts about half a second: each has its share of what is put off (a checkpoint every
# five thousand files here, writeback there).
CALLS = {'mail': ('create + write 4 KiB + fsync + close', 1600), 'append': ('append 4 KiB + fsync', 2400)}
THREADS = (1, 4, 16)
PEERS = ('ext4', 'xfs')
TARGET = {1: 1, 4: 2, 16: 2}
JOURNAL_BYTES = 8192
STATISTICS = re.compile(r'fsyncs (\d+) .*batches (\d+) of (\d+) bytes')


def statistics_of(mounted):
    """(fsyncs, bytes of batches), which the daemon logs when told to."""
    before = len(STATISTICS.findall(mounted.log.read_text()))
    os.kill(mounted.pids[0], signal.SIGUSR1)
    for _ in range(200):
        found = STATISTICS.findall(mounted.log.read_text())
        if len(found) > before:
            return int(found[-1][0]), int(found[-1][2])
        time.sleep(0.01)
    raise RuntimeError('the daemon logs no statistics')


def pair(bench, mounts, call, threads, count, turn):
    """Rates of one pair, scalefs' first."""
    rates = {}
    for which in (0, 1) if turn == 0 else (1, 0):
        rates[which] = sample(bench, mounts[which], call, threads, count)
    return rates[0], rates[1]


def print_rows(bench, table, wanted, settings):
    rows = [(call, threads, peer) for call in CALLS for threads in THREADS for peer in PEERS
            if wanted(f'durable {call} {threads} {peer}')]
    journal = wanted('durable journal')
    if not rows and not journal:
        return
    with bench.part():
        scalefs = bench.scalefs('rings', settings.image_mib)
        peers = {}
        for peer in dict.fromkeys(peer for *_, peer in rows):
            try:
                peers[peer] = bench.local(peer, settings.image_mib)
            except (Absent, RuntimeError) as error:
                print(f'{peer}: {error}', flush=True)
        table.head(f'Made durable: rate of scalefs by that of ext4 and xfs, {settings.pairs} pairs in both orders', '95 %',
                   'calls/s scalefs', 'peer', 'p50 µs scalefs', 'peer', 'µs CPU scalefs', 'peer')
        for call, threads, peer in rows:
            if peer not in peers:
                continue
            what, count = CALLS[call]
            count = max(1, int(count * settings.scale / threads ** 0.5))
            pair(bench, (scalefs, peers[peer]), call, threads, count, 0)
            pairs = [pair(bench, (scalefs, peers[peer]), call, threads, count, turn) for turn in orders(settings.pairs)]
            ratios = [ours.rate / theirs.rate for ours, theirs in pairs]
            low, high = interval(ratios)
            middle = statistics.median(ratios)
            cells = [f'{statistics.median(getattr(side[i], field) for side in pairs):.0f}'
                     for field in ('rate', 'p50_us', 'cpu_us') for i in (0, 1)]
            table.row(f'{what}, {threads} thread{"s" * (threads > 1)}, {peer}', TARGET[threads], f'{middle:.2f}',
                      middle >= TARGET[threads], f'{low:.2f} to {high:.2f}', *cells)
        if journal:
            print_journal(bench, table, scalefs, settings)


def print_journal(bench, table, scalefs, settings):
    table.head('Bytes of the journal for each call that was made durable, 16 threads', 'calls', 'bytes')
    for call, (what, count) in CALLS.items():
        before = statistics_of(scalefs)
        sample(bench, scalefs, call, 16, max(1, int(count * settings.scale)))
        after = statistics_of(scalefs)
        calls, written = (now - then for now, then in zip(after, before))
        each = written / calls
        table.row(what, f'< {JOURNAL_BYTES}', f'{each:.0f}', each < JOURNAL_BYTES, str(calls), str(written))
