"""Rows of real programs: scalefs beside other daemons, in processor time of the programs and the daemon. The kernel's
own threads are not counted (loop devices, ext4 below bindfs), which favours the others."""

import contextlib
import io
import os
import pathlib
import random
import re
import subprocess
import sys
import tarfile

from speed.mounts import Absent, cpu_ns, need, run

PEERS = ('fuse2fs', 'ntfs_3g', 'bindfs', 'passthrough_ll')
LOADFILE = '/usr/share/dbench/client.txt'
CLIENTS = (1, 2, 4, 8)
DBENCH_MB_PER_CPU_SECOND = 200  # with 4 clients
EXECUTE = re.compile(r'([\d.]+) MB/sec\s+execute\s+(\d+) sec')
STEPS = ('untar', 'cp -a', 'find', 'grep -r', 'git add', 'git commit', 'rm -rf')


def make_tar(path, files):
    """Text files of some 11 KiB on average, in some hundred folders; the same every time."""
    draw = random.Random(5)
    line = b''.join(bytes(draw.choices(b'abcdefghijklmnopqrstuvwxyz    ', k=63)) + b'\n' for _ in range(1024))
    with tarfile.open(path, 'w') as tar:
        for i in range(files):
            size = min(int(draw.expovariate(1 / 11000)), 200_000)
            start = draw.randrange(len(line) // 2)
            data = (b'needle ' * (i % 100 == 0) + line[start:] + line * (size // len(line) + 1))[:size]
            info = tarfile.TarInfo(f'tree/{i // 1000}/{i // 50 % 20}/file{i}.txt')
            info.size = size
            tar.addfile(info, io.BytesIO(data))


def one_line(error):
    return str(error).strip().split('\n', maxsplit=1)[0][:120]


class Cost:
    def __init__(self, cpu_s, wall_s):
        self.cpu_s = cpu_s
        self.wall_s = wall_s


def make_durable(mounted):
    """What a program left the daemon to write."""
    root = os.open(mounted.path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(root)
    except OSError:
        pass  # not everybody knows how
    finally:
        os.close(root)


def timed(mounted, words, **more):
    """Processor time of a program with all its children, and of the daemon, what writing the changes takes it included."""
    daemon = mounted.cpu_ns()
    before = os.times()
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, errors='replace', check=False, **more)
    after = os.times()
    if done.returncode != 0:
        raise RuntimeError(f'{words[0]} ended with {done.returncode}: {done.stderr[-200:].strip()}')
    make_durable(mounted)
    client = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(client + (mounted.cpu_ns() - daemon) / 1e9, after.elapsed - before.elapsed)


def steps(mounted, archive, files):
    """The costs of the steps, in order; what fails ends them."""
    top = mounted.path / f'steps-{mounted.next_run()}'
    found = {}
    environment = {**os.environ, 'GIT_CONFIG_NOSYSTEM': '1', 'HOME': str(archive.parent),
                   'GIT_AUTHOR_NAME': 'a', 'GIT_AUTHOR_EMAIL': 'a', 'GIT_COMMITTER_NAME': 'a', 'GIT_COMMITTER_EMAIL': 'a'}

    def step(name, words, **more):
        found[name] = timed(mounted, words, env=environment, **more)

    try:
        top.mkdir()
        step('untar', ['tar', '-xf', archive, '-C', top])
        step('cp -a', ['cp', '-a', top / 'tree', top / 'copy'])
        step('find', ['find', top, '-type', 'f', '-size', '+1'])
        step('grep -r', ['grep', '-r', 'needle', top / 'tree'])
        # A quarter of the files.
        repository = top / 'git'
        run('git', 'init', '-q', repository, env=environment)
        for i in range(max(1, files // 4 // 1000)):
            run('cp', '-r', top / 'tree' / str(i), repository)
        step('git add', ['git', '-C', repository, 'add', '-A'])
        step('git commit', ['git', '-C', repository, 'commit', '-qm', 'all'])
        step('rm -rf', ['rm', '-rf', top])
    except (RuntimeError, OSError) as error:
        return found, one_line(error)
    return found, ''


def group_ns(group):
    """Processor time of the processes of a group that are there."""
    total = 0
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = pathlib.Path('/proc', entry, 'stat').read_text().rpartition(')')[2].split()
            if int(fields[2]) == group:
                total += cpu_ns(int(entry))
    return total


def dbench(mounted, clients, seconds):
    """(MB per second of processor time, MB per second): between the first and the last second of its run."""
    folder = mounted.path / f'dbench-{mounted.next_run()}'
    folder.mkdir()
    marks = []
    process = subprocess.Popen(['stdbuf', '-oL', need('dbench'), '-c', LOADFILE, '-D', folder, '-t', str(seconds + 2),
                                str(clients)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        lines = []
        for text in process.stdout:
            lines.append(text)
            if match := EXECUTE.search(text):
                rate, at = float(match[1]), int(match[2])
                marks.append((rate * at, at, mounted.cpu_ns() + group_ns(process.pid)))
        if process.wait() != 0 or len(marks) < 2:
            raise RuntimeError('dbench: ' + ''.join(lines[-3:]).strip())
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()
    run('rm', '-rf', folder)
    (mb0, at0, cpu0), (mb1, at1, cpu1) = marks[0], marks[-1]
    return (mb1 - mb0) / ((cpu1 - cpu0) / 1e9), (mb1 - mb0) / (at1 - at0)


def print_steps(table, costs, failures, peers):
    table.head('Programs: processor time of the best other daemon by that of scalefs', 's scalefs (wall)',
               *(f'{peer} (wall)' for peer in peers))
    for name in STEPS:
        ours = costs['scalefs'].get(name)
        if ours is None:
            table.row(name, '> 1', f'failed: {failures["scalefs"]}', False, *[''] * (len(peers) + 1))
            continue
        others = {peer: costs[peer][name] for peer in peers if name in costs.get(peer, {})}
        cells = [f'{others[p].cpu_s:.2f} ({others[p].wall_s:.2f})' if p in others
                 else failures.get(p, '') or 'absent' for p in peers]
        if not others:
            table.row(name, '> 1', 'no peer', None, f'{ours.cpu_s:.2f} ({ours.wall_s:.2f})', *cells)
            continue
        ratio = min(other.cpu_s for other in others.values()) / ours.cpu_s
        table.row(name, '> 1', f'{ratio:.2f}', ratio > 1, f'{ours.cpu_s:.2f} ({ours.wall_s:.2f})', *cells)


def start(bench, name, settings):
    if name == 'scalefs':
        return bench.scalefs('rings', settings.peer_mib)
    return getattr(bench, name)(settings.peer_mib)


def tell(text):
    """What was found, as it comes: the rows stand when all file systems have been through."""
    print(text, file=sys.stderr, flush=True)


def measure(bench, settings, step_rows, client_rows):
    """Each file system in turn, and all again: the least of each step's costs, the most of dbench's figures. dbench finds
    a fresh one: some keep a descriptor for each file that they have seen."""
    archive = bench.folder / 'tree.tar'
    if step_rows:
        make_tar(archive, settings.files)
    costs, failures, rates = {}, {}, {}

    def run_steps(name):
        with bench.part():
            found, failure = steps(start(bench, name, settings), archive, settings.files)
        tell(f'{name}: ' + ', '.join(f'{step} {cost.cpu_s:.2f} s' for step, cost in found.items()) + f' {failure}')
        if failure:
            failures[name] = failure
        for step, cost in found.items():
            best = costs.setdefault(name, {}).setdefault(step, cost)
            if cost.cpu_s < best.cpu_s:
                costs[name][step] = cost

    def run_dbench(name):
        with bench.part():
            mounted = start(bench, name, settings)
            for clients in client_rows:
                got = dbench(mounted, clients, settings.dbench_seconds)
                tell(f'{name}: dbench {clients}: {got[0]:.0f} MB per second of processor time, {got[1]:.0f} MB/s')
                rates[name, clients] = max(got, rates.get((name, clients), (0, 0)))

    for _ in range(settings.repetitions):
        for name in ('scalefs', *settings.peers):
            for call, rows in ((run_steps, step_rows), (run_dbench, client_rows)):
                try:
                    if rows:
                        call(name)
                except (Absent, RuntimeError, OSError) as error:
                    failures[name] = one_line(error)
                    print(f'{name}: {failures[name]}', flush=True)
    return costs, failures, rates


def print_dbench(table, rates, client_rows, peers):
    table.head('dbench: MB per second of processor time, by that of the best other daemon', 'scalefs (MB/s)',
               *(f'{peer} (MB/s)' for peer in peers))
    for clients in client_rows:
        ours = rates.get(('scalefs', clients))
        others = [rates[peer, clients][0] for peer in peers if (peer, clients) in rates]
        cells = [f'{rates[p, clients][0]:.0f} ({rates[p, clients][1]:.0f})' if (p, clients) in rates else 'failed'
                 for p in ('scalefs', *peers)]
        name = f'dbench, {clients} client{"s" * (clients > 1)}'
        if ours is None or not others:
            table.row(name, '> 1', 'not measured', None if ours else False, *cells)
            continue
        table.row(name, '> 1', f'{ours[0] / max(others):.2f}', ours[0] > max(others), *cells)
        if clients == 4:
            table.row(f'{name}, MB per CPU second', f'{DBENCH_MB_PER_CPU_SECOND}', f'{ours[0]:.0f}',
                      ours[0] >= DBENCH_MB_PER_CPU_SECOND, *cells)


def print_rows(bench, table, wanted, settings):
    step_rows = any(wanted(f'programs {name}') for name in STEPS)
    client_rows = [clients for clients in CLIENTS if wanted(f'dbench {clients}')]
    if not step_rows and not client_rows:
        return
    with bench.part():
        costs, failures, rates = measure(bench, settings, step_rows, client_rows)
    if step_rows and 'scalefs' in costs:
        print_steps(table, costs, failures, settings.peers)
    if client_rows:
        print_dbench(table, rates, client_rows, settings.peers)
