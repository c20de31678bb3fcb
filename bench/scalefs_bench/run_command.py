"""scalefs-bench run: measures workloads on targets, rounds interleaved over the targets, and writes what it measured."""
import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys

from . import cautions, env, progress, results, targets, workloads
from .programs import Absent, Failed, Programs
from .workplace import Workplace, end_with_parent

EPILOG = """\
writes DIR/results.json (Google Benchmark's form), results.csv, env.json; scalefs-bench plot DIR draws them

exit status: 0 all was measured; 1 a workload failed on a target; 2 bad arguments, or a bad load file; 3 a target that was
asked for by its name cannot be used here, or the programs are not there; 130 interrupted. Whatever was mounted, attached or
made is gone afterwards, also after Ctrl-C or a kill.
"""
LOAD_FILE = "/usr/share/dbench/client.txt"
SYNCS = {"open": "sync_open", "dir": "sync_dir", "fsync": "fsync"}
_SHORT = {"warmup": 0.1, "repeat": 3, "size": 16 << 20, "image_size": 512 << 20, "branch": 4}
_LONG = {"warmup": 1.0, "repeat": 5, "size": 64 << 20, "image_size": 2 << 30, "branch": 8}
_SHORT_TARGETS = "engine,scalefs,null,peers"
_SHORT_SECONDS = 560  # that a short suite takes, about, where more threads, targets or slower ones would make it longer
_OVERHEAD_SECONDS = 0.4  # of a repetition, until some have been seen: it mounts, prepares, and unmounts
_GRACE_SECONDS = 60


def _size(text):
    match = re.fullmatch(r"(\d+)([KMGT]?)", text.strip(), re.IGNORECASE)
    if not match or int(match.group(1)) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no size: a number with K, M, G or T is needed")
    return int(match.group(1)) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[match.group(2).upper()]


def _positive(text):
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"'{text}' is no number above 0")
    return value


def _amount(text):
    return 0.0 if text.strip() in ("0", "0.0") else _positive(text)


def _whole(text):
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number above 0")
    return int(text)


def _threads(text):
    counts = [_whole(part.strip()) for part in text.split(",") if part.strip()]
    if not counts or max(counts) > 1024:
        raise argparse.ArgumentTypeError(f"'{text}': numbers from 1 to 1024 with commas are needed")
    return sorted(set(counts))


def _syncs(text):
    words = [part.strip() for part in text.split(",") if part.strip()]
    for word in words:
        if word not in SYNCS:
            raise argparse.ArgumentTypeError(f"'{word}' is none of {', '.join(SYNCS)}")
    return words


def add_parser(subparsers):
    parser = subparsers.add_parser(
        "run", help="measure workloads on targets", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures workloads on targets. scalefs-bench list tells which there are.")
    add = parser.add_argument
    add("--target", metavar="T[,T]", help="what is measured: engine, scalefs, null, peers, dir:PATH, ... (see list targets)")
    add("--workload", metavar="W[,W]", help="workloads or groups of them (see list workloads)")
    add("--out", metavar="DIR", required=True, help="where the results go")
    add("--threads", metavar="N[,N]", type=_threads, help="numbers of workers (default: 1, 2, 4, ... to the processors)")
    add("--processes", action="store_true", help="workers are processes, not threads")
    add("--no-pin", action="store_true", help="workers are not bound to processors")
    add("--seconds", metavar="S", type=_positive, help="how long each repetition measures (5)")
    add("--count", metavar="N", type=_whole, help="instead of --seconds: operations of each worker; passes, for dbench")
    add("--warmup", metavar="S", type=_amount, help="before that, not counted (1)")
    add("--repeat", metavar="R", type=_whole, help="rounds: in each all targets take their turn (5)")
    add("--short", action="store_true",
        help="a suite of some minutes: at most half a second each, three rounds, fewer workloads, and targets " + _SHORT_TARGETS)
    add("--size", metavar="BYTES", type=_size, help="of files, of each worker, at the most (64M)")
    add("--files", metavar="N", type=_whole, default=1000, help="of a directory, tree or mailbox (1000)")
    add("--branch", metavar="N", type=_whole, help="of the tree that MRPM and MRPH look up (8)")
    add("--seed", metavar="N", type=int, default=1, help="of what is random (1)")
    add("--load-file", metavar="FILE", default=LOAD_FILE, help=f"for dbench ({LOAD_FILE})")
    add("--sync-options", metavar="O[,O]", type=_syncs, default=[],
        help="open: O_SYNC, as dbench -s; dir: directories made durable after changes, -S; fsync: files after writes, -F")
    add("--xattr", action="store_true", help="dbench: the attributes that Samba keeps, as dbench -x")
    add("--no-resolve", action="store_true", help="dbench: names are not looked for in directories, as dbench --no-resolve")
    add("--direct", action="store_true", help="O_DIRECT for DRB*, DWO*, DWAL and largefile")
    add("--dir-for-images", metavar="DIR", help="where images and mount points are made (default: that for temporary files)")
    add("--image-size", metavar="BYTES", type=_size, help="of the image that targets use in turn (2G)")
    add("--binaries", metavar="DIR", help="where programs of scalefs are looked for first")
    add("-q", "--quiet", action="store_true", help="no progress, no table")
    return parser


class _Usage(Exception):
    pass


def _complete(args):
    """Fills in what was not said."""
    for key, value in (_SHORT if args.short else _LONG).items():
        if getattr(args, key) is None:
            setattr(args, key, value)
    args.target = args.target or (_SHORT_TARGETS if args.short else None)
    args.workload = args.workload or ("short" if args.short else None)
    for key in ("target", "workload"):
        if not getattr(args, key):
            raise _Usage(f"--{key} is needed (or --short); scalefs-bench list {key}s tells which there are")
    if args.branch > 10:
        raise _Usage("--branch: at most 10")
    if args.image_size < 64 << 20:
        raise _Usage("--image-size: at least 64M")
    if args.threads is None:
        cpus = len(os.sched_getaffinity(0))
        powers = {1 << power for power in range(11) if 1 << power < cpus}
        args.threads = sorted(({1, round(cpus ** 0.5)} if args.short else powers) | {cpus})
    if os.path.exists(args.out) and not os.path.isdir(args.out):
        raise _Usage(f"--out {args.out}: is no directory")
    if args.dir_for_images and not os.path.isdir(args.dir_for_images):
        raise _Usage(f"--dir-for-images {args.dir_for_images}: is no directory")


class _Run:
    def __init__(self, args, programs):
        self.args, self.programs = args, programs
        self.entries, self.failures, self.places = [], [], {}
        self.interrupted = self.paced = False

    def _usable(self, work):
        """The targets without those that are not here; what of those was asked for by name ends the run."""
        usable = []
        for target, asked in self.targets:
            try:
                if self.args.processes and target.in_process:
                    raise Absent("a volume in the worker's process has threads, not --processes")
                target.check(self.programs, work)
                usable.append(target)
            except Absent as error:
                if asked:
                    raise Absent(f"{target.name}: {error}") from error
                print(f"scalefs-bench run: {target.name} is left out: {error}", file=sys.stderr)
        if not usable:
            raise Absent("none of the targets can be used here")
        return usable

    def choose(self):
        known = self.programs.worker_says("list")
        self.build = self.programs.worker_says("about")
        try:
            self.targets = targets.parse(self.args.target)
            self.workloads = workloads.choose(known, self.args.workload)
        except ValueError as error:
            raise _Usage(str(error)) from error
        if any(workload["name"] == "dbench" for workload in self.workloads):
            try:
                self.programs.worker_says("load", self.args.load_file)
            except Failed as error:
                raise _Usage(f"{error}\n(--load-file; Debian's package dbench has {LOAD_FILE})") from error

    def _settings(self, workload, count):
        args = self.args
        made = [f"workload={workload['name']}", f"threads={count}", f"processes={int(args.processes)}",
                f"pin={int(not args.no_pin)}", f"warmup={args.warmup}", f"seed={args.seed}", f"files={args.files}",
                f"branch={args.branch}", f"size={args.size}", f"direct={int(args.direct)}", f"xattr={int(args.xattr)}",
                f"no_resolve={int(args.no_resolve)}", f"count={args.count}" if args.count else f"seconds={args.seconds}"]
        made += [f"{SYNCS[word]}=1" for word in args.sync_options]
        return made + ([f"load_file={args.load_file}"] if workload["name"] == "dbench" else [])

    def _work(self, words, bar):
        """Runs the worker; its words as JSON."""
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=end_with_parent)
        try:
            while True:
                try:
                    out, error = process.communicate(timeout=0.25)
                    break
                except subprocess.TimeoutExpired:
                    bar.tick()
        except BaseException:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is on the way
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
            raise
        if process.returncode == 130:
            raise KeyboardInterrupt
        if process.returncode != 0:
            raise Failed(error.strip() or f"the worker ended with status {process.returncode}")
        return results.json.loads(out)

    def _entry(self, told, workload, target, count, number):
        args = self.args
        name = f"{workload['name']}/target:{target.name}/threads:{count}"
        items, seconds = told["items"], told["seconds"]
        entry = {
            "name": name, "run_name": name, "run_type": "iteration", "repetitions": args.repeat, "repetition_index": number,
            "threads": count, "iterations": items, "real_time": seconds * 1e9 / items, "cpu_time": told["cpu_ns"] / items,
            "time_unit": "ns", "items_per_second": items / seconds, "workload": workload["name"], "target": target.name,
            "transport": target.transport, "sharing": workload["sharing"], "unit": workload["unit"], "seconds": seconds,
            "round": number, "server_cpu_time": told["server_cpu_ns"] / items, "unexpected": told["unexpected"],
            "items_of_workers": told["items_of_workers"], "operations": told["operations"],
        }
        if told["bytes"]:
            entry["bytes_per_second"] = told["bytes"] / seconds
        return entry

    def _measure(self, workload, target, count, number, bar):
        what = f"{workload['name']} on {target.name}, {count} thread{'s' if count > 1 else ''}, round {number + 1}"
        bar.begin(what)
        try:
            with target.ready(self.programs, self.disk) as place:
                self.places.setdefault(target.name, targets.describe(place))
                told = self._work([self.programs.own("scalefs-bench-worker"), "run"] + self._settings(workload, count) +
                                  place.settings, bar)
            entry = self._entry(told, workload, target, count, number)
            self.entries.append(entry)
            bar.end(f"{progress.rate(entry['items_per_second'])} ops/s")
        except (Failed, OSError) as error:
            text = f"{what}: {error}"
            self.failures.append(text)
            bar.say(f"scalefs-bench run: {text}")
            bar.end("failed")

    def _plan(self, usable):
        """Targets take turns within each round; every other round goes the other way."""
        for workload in self.workloads:
            for count in self.args.threads:
                for number in range(self.args.repeat):
                    for target in usable if number % 2 == 0 else reversed(usable):
                        if target.stores or workload["on_null"]:
                            yield workload, target, count, number

    def _pace(self, done, total):
        """Seconds to measure in each repetition that is left, so that all end in time. Asked once for each workload and number of threads."""
        spent = self.bar.elapsed()
        measured = sum(entry["seconds"] for entry in self.entries) + done * self.args.warmup
        overhead = (spent - measured) / done if done else _OVERHEAD_SECONDS
        each = (_SHORT_SECONDS - spent) / (total - done) - self.args.warmup - overhead
        return round(min(0.5, max(0.1, each)), 2)

    def measure(self):
        args = self.args
        with Workplace(args.dir_for_images, args.image_size) as work:
            self.work = work
            for line in work.swept:
                print(f"scalefs-bench run: cleared what a killed run had left: {line}", file=sys.stderr)
            usable = self._usable(work)
            root = work.root()
            self.disk = targets.Disk(work, root, args.image_size)
            if any(target.uses_disk for target in usable) and cautions.free_bytes(root) < args.image_size * 1.05:
                raise Absent(f"there is no room for an image of {args.image_size >> 20} MiB; --dir-for-images or --image-size helps")
            self.environment = env.collect([target.name for target in usable])
            self.warnings = cautions.before(self.environment, args, self.workloads, usable, self.build,
                                            env.describe_folder(root)["type"])
            for line in self.warnings if not args.quiet else []:
                print(f"caution: {line}", file=sys.stderr)
            plan = list(self._plan(usable))
            if not plan:
                raise Absent("none of these workloads can be run on a target that stores nothing")
            self.paced = args.short and args.seconds is None and not args.count
            args.seconds = args.seconds or (0.5 if args.short else 5.0)
            self.bar = progress.Progress(len(plan), (args.seconds if not args.count else 1) + args.warmup + 0.5, args.quiet)
            watch = env.Watch()
            try:
                group = None
                for done, (workload, target, count, number) in enumerate(plan):
                    if self.paced and group != (workload["name"], count):
                        group = (workload["name"], count)
                        args.seconds = self._pace(done, len(plan))
                    self._measure(workload, target, count, number, self.bar)
            except KeyboardInterrupt:
                self.interrupted = True
            self.bar.wipe()
            late = list(cautions.after(self.entries, watch.report()))
            self.warnings += late
            for line in late if not args.quiet else []:
                print(f"caution: {line}", file=sys.stderr)
        for path in work.left:
            print(f"scalefs-bench run: {path} could not be removed", file=sys.stderr)

    def write(self):
        args, environment = self.args, self.environment
        for target in environment["targets"]:
            target.update(self.places.get(target["name"], {}))
        context = env.google_context(environment)
        context["library_build_type"] = "release" if self.build["build"] == "release" else "debug"
        context["scalefs_bench"] = {
            "interrupted": self.interrupted, "warnings": self.warnings, "failures": len(self.failures),
            "processes": args.processes, "pinned": not args.no_pin, "seconds": None if args.count or self.paced else args.seconds,
            "count": args.count, "warmup": args.warmup, "repeat": args.repeat, "size": args.size, "files": args.files,
            "branch": args.branch, "seed": args.seed, "sync_options": args.sync_options, "direct": args.direct,
            "xattr": args.xattr, "resolve": not args.no_resolve, "image_size": args.image_size,
            "load_file": os.path.basename(args.load_file),
        }
        results.write(args.out, context, self.entries, environment)


def _run(args):
    _complete(args)
    run = _Run(args, Programs(args.binaries))
    run.choose()
    created = not os.path.isdir(args.out)
    os.makedirs(args.out, exist_ok=True)
    if not os.access(args.out, os.W_OK):
        raise _Usage(f"--out {args.out}: cannot be written to")
    try:
        run.measure()
    finally:
        if created and not run.entries:
            with contextlib.suppress(OSError):
                os.rmdir(args.out)
    if run.entries:
        run.write()
        if not args.quiet:
            print(progress.table(run.entries))
            print(f"\nresults are in {args.out}; scalefs-bench plot {args.out} draws them")
    if run.interrupted:
        print(f"scalefs-bench run: interrupted; mounts, images and files of the run are gone, "
              f"{len(run.entries)} results are kept" + (f" in {args.out}" if run.entries else ""), file=sys.stderr)
        return 130
    if run.failures:
        print(f"scalefs-bench run: {len(run.failures)} of {len(run.failures) + len(run.entries)} repetitions failed",
              file=sys.stderr)
        return 1
    return 0


def main(args):
    targets.ends_quietly()
    try:
        return _run(args)
    except _Usage as error:
        print(f"scalefs-bench run: {error}", file=sys.stderr)
        return 2
    except (Absent, Failed) as error:
        print(f"scalefs-bench run: {error}", file=sys.stderr)
        return 3
    except OSError as error:
        print(f"scalefs-bench run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("scalefs-bench run: interrupted before anything was measured; nothing is left behind", file=sys.stderr)
        return 130
