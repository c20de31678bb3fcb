#!/usr/bin/env python3
"""Holds scalefs-bench's dbench to the dbench program on one directory, and prints tables in Markdown.

usage: dbench_pairs.py --folder DIR [--pairs N] [--seconds S] [--clients N] [--binaries build/release] [--load-file FILE]
                       [--no-pass]

  pass   the operations of one pass of the load file, as each of both counts them, and what processor time the pass takes: that
         tells something of them also on a machine that is busy (unless --no-pass; about a minute)
  pairs  throughput of both, in turns, and the median of the pairs' ratios. A fifth of the seconds is warm-up, as dbench
         has it, and both have processes that are bound to no processor

Exit status: 0 the passes are the same and the median is within 0.9 to 1.1; 1 they are not; 2 usage; 77 dbench is not installed.
"""
import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

LOAD_FILE = '/usr/share/dbench/client.txt'
PASS_SECONDS = 30
# dbench's warm-up lasts a fifth of the time, and until bytes have been transferred: what is counted begins behind it.
PRELUDE = f"""\
Sleep {(PASS_SECONDS // 5 + 1) * 1000000} NT_STATUS_OK
Mkdir "\\clients" NT_STATUS_OK
NTCreateX "\\clients\\client1" 0x1 0x2 1 NT_STATUS_OK
Close 1 NT_STATUS_OK
NTCreateX "\\clients\\client1\\prelude" 0x40 0x2 1 NT_STATUS_OK
WriteX 1 0 1 1 NT_STATUS_OK
Close 1 NT_STATUS_OK
Unlink "\\clients\\client1\\prelude" 0x6 NT_STATUS_OK
Sleep 3000000 NT_STATUS_OK
"""


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def dbench(folder, load, seconds, clients):
    """(MB a second, {operation: count}) behind the warm-up."""
    done = subprocess.run(['dbench', '-c', load, '-t', str(seconds), '-D', folder, str(clients)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    shutil.rmtree(os.path.join(folder, 'clients'), ignore_errors=True)
    rate = re.search(r'^Throughput ([\d.]+) MB/sec', done.stdout, re.MULTILINE)
    if not rate:
        raise RuntimeError(f'dbench ended with {done.returncode}: {done.stdout[-1000:]}')
    counts = re.findall(r'^ (\w+) +(\d+) +[\d.]+ +[\d.]+$', done.stdout, re.MULTILINE)
    return float(rate.group(1)), {name: int(count) for name, count in counts}


def worker(binaries, folder, load, clients, *how):
    place = tempfile.mkdtemp(prefix='pairs-', dir=folder)
    try:
        done = subprocess.run([str(binaries / 'scalefs-bench-worker'), 'run', 'workload=dbench', 'target=dir', f'path={place}',
                               f'load_file={load}', f'threads={clients}', 'processes=1', 'pin=0', *how],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    told = json.loads(done.stdout)
    return told['bytes'] / told['seconds'] / 1e6, {name: one['count'] for name, one in told['operations'].items()}


def compare_pass(args, folder):
    """One pass, and nothing else, behind dbench's warm-up: dbench sleeps before and behind it."""
    slept = os.path.join(folder, 'load.txt')
    with open(args.load_file, encoding='utf-8') as file, open(slept, 'w', encoding='utf-8') as to:
        to.write(PRELUDE)
        shutil.copyfileobj(file, to)
        to.write(f'Sleep {PASS_SECONDS * 1000000} NT_STATUS_OK\n')
    before = children_seconds()
    _, theirs = dbench(folder, slept, PASS_SECONDS, 1)
    between = children_seconds()
    _, ours = worker(args.binaries, folder, args.load_file, 1, 'count=1')
    seconds = (between - before, children_seconds() - between)
    names = [name for name in dict.fromkeys([*ours, *theirs]) if name != 'Sleep']
    print('| a pass | dbench | scalefs-bench |\n| --- | ---: | ---: |')
    for name in names:
        print(f'| {name} | {theirs.get(name, 0)} | {ours.get(name, 0)} |')
    print(f'| processor time | {seconds[0]:.2f} s | {seconds[1]:.2f} s |', flush=True)
    return all(theirs.get(name) == ours.get(name) for name in names)


def compare_rates(args, folder):
    print(f'\n| pair ({args.clients} clients, {args.seconds} s) | dbench MB/s | scalefs-bench MB/s | ratio |\n| --- | ---: | ---: | ---: |')
    ratios = []
    warmup = args.seconds // 5
    how = [f'seconds={args.seconds - warmup}', f'warmup={warmup}']
    for number in range(args.pairs):
        sides = {}
        for side in ('theirs', 'ours') if number % 2 == 0 else ('ours', 'theirs'):
            sides[side] = (dbench(folder, args.load_file, args.seconds, args.clients) if side == 'theirs' else
                           worker(args.binaries, folder, args.load_file, args.clients, *how))[0]
        ratios.append(sides['ours'] / sides['theirs'])
        print(f'| {number + 1} | {sides["theirs"]:.0f} | {sides["ours"]:.0f} | {ratios[-1]:.3f} |', flush=True)
    print(f'\nmedian ratio {statistics.median(ratios):.3f} (from {min(ratios):.3f} to {max(ratios):.3f})')
    return 0.9 <= statistics.median(ratios) <= 1.1


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('--folder', required=True)
    parser.add_argument('--pairs', type=int, default=9)
    parser.add_argument('--seconds', type=int, default=20)
    parser.add_argument('--clients', type=int, default=1)
    parser.add_argument('--binaries', type=pathlib.Path, default=pathlib.Path('build/release'))
    parser.add_argument('--load-file', default=LOAD_FILE)
    parser.add_argument('--no-pass', action='store_true')
    args = parser.parse_args()
    if args.seconds < 5 or args.pairs < 1 or args.clients < 1:
        parser.error('--seconds: at least 5; --pairs and --clients: at least 1')
    if not shutil.which('dbench'):
        print('dbench is not installed', file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory(prefix='dbench-pairs-', dir=args.folder) as folder:
        same = args.no_pass or compare_pass(args, folder)
        close = compare_rates(args, folder)
    return 0 if same and close else 1


if __name__ == '__main__':
    sys.exit(main())
