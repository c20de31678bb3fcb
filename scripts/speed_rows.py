#!/usr/bin/env python3
"""Measures what calls and programs cost on a mount, beside what they cost elsewhere, and prints tables in Markdown:
each row with its target, what was measured, and whether it holds.

usage: speed_rows.py [--rows PATTERN]... [--pairs N] [--quick] [--transport rings|fallback|both]
                     [--peer NAME]... [--binaries build/release] [--folder DIR] [--list]

  calls      scalefs beside scalefs-null, the daemon that stores nothing, in the same transport: processor time of the
             client (scalefs-calls) and the daemon for each call, the lower quartile of the pairs; rates and medians of latencies
             beside it. On an image an fsync of everything behind the changes counts too. In memory also what the second thread brings
  programs   tar, cp, find, grep, git, rm beside fuse2fs, ntfs-3g, bindfs and passthrough_ll over ext4; dbench also
  durable    fsync of small files beside ext4 and xfs on loop devices, by rates, and the journal's bytes

--rows takes a shell pattern of the names that --list shows, with * added at both ends. --peer: with which of the daemons
(fuse2fs, ntfs_3g, bindfs, passthrough_ll) the programs' rows compare, else with all. Needs root and /dev/fuse; runs for
some forty minutes, on 3 GiB of disk below --folder (default: the system's place for temporary files).
Whatever it mounts, attaches or makes is gone afterwards, also after Ctrl-C.
Exit status: 0 all rows hold, 1 one does not, 2 usage, 77 not possible here.
"""
import argparse
import fnmatch
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from speed import calls, durable, programs  # noqa: E402
from speed.mounts import Absent, Bench  # noqa: E402
from speed.rows import Table  # noqa: E402


def row_names(transports):
    names = [f'calls {transport} {where} {call}' for transport in transports for where in ('memory', 'image')
             for call in calls.CALLS]
    names += [f'programs {step}' for step in programs.STEPS]
    names += [f'dbench {clients}' for clients in programs.CLIENTS]
    names += [f'durable {call} {threads} {peer}' for call in durable.CALLS for threads in durable.THREADS
              for peer in durable.PEERS]
    return names + ['durable journal']


def read_arguments():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=True)
    parser.add_argument('--rows', action='append', default=[])
    parser.add_argument('--pairs', type=int, default=21)
    parser.add_argument('--quick', action='store_true')
    parser.add_argument('--transport', choices=('rings', 'fallback', 'both'), default='rings')
    parser.add_argument('--peer', action='append', choices=programs.PEERS)
    parser.add_argument('--binaries', default='build/release')
    parser.add_argument('--folder')
    parser.add_argument('--list', action='store_true')
    settings = parser.parse_args()
    if settings.pairs < 1:
        parser.error('--pairs: at least one')
    settings.peers = tuple(peer for peer in programs.PEERS if not settings.peer or peer in settings.peer)
    settings.transports = ('rings', 'fallback') if settings.transport == 'both' else (settings.transport,)
    # Quick: whether everything works, not how fast it is.
    settings.scale = 0.02 if settings.quick else 1
    settings.pairs = min(settings.pairs, 2) if settings.quick else settings.pairs
    settings.image_mib = 300 if settings.quick else 1024
    settings.peer_mib = 300 if settings.quick else 1536
    settings.files = 1000 if settings.quick else 20000
    settings.repetitions = 1 if settings.quick else 2
    settings.dbench_seconds = 1 if settings.quick else 4
    return settings


def main():
    settings = read_arguments()
    names = row_names(settings.transports)
    patterns = [f'*{pattern}*' for pattern in settings.rows] or ['*']

    def wanted(name):
        return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)

    if not any(wanted(name) for name in names):
        print(f'no row is called {" or ".join(settings.rows)}; --list shows their names', file=sys.stderr)
        return 2
    if settings.list:
        print('\n'.join(name for name in names if wanted(name)))
        return 0
    if os.geteuid() != 0 or not os.path.exists('/dev/fuse'):
        print('needs root and /dev/fuse', file=sys.stderr)
        return 77
    table = Table()
    try:
        with Bench(settings.binaries, settings.folder) as bench:
            for part in (calls, programs, durable):
                part.print_rows(bench, table, wanted, settings)
    except KeyboardInterrupt:
        print('broken off', file=sys.stderr)
        return 130
    except Absent as error:
        print(error, file=sys.stderr)
        return 77
    print(f'\n{table.judged - table.missed} of {table.judged} rows hold')
    return 1 if table.missed else 0


if __name__ == '__main__':
    sys.exit(main())
