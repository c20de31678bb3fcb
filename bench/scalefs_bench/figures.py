"""The figures of a run: throughput, throughput per core, peers as ratios, distributions of latencies, fsync by writers."""
import collections

from . import statistics
from .chart import Figure, Panel, Series

OWN = ("engine", "scalefs", "null")
# Of so many targets the lines of one panel can still be told apart.
_TOGETHER_MAX = 6
_SYNCS = ("fsync", "fdatasync", "sync")
_BAND = "Below each name: what one operation is. Lines: medians of the rounds. Bands: their minimum to maximum."


def label_of(entry):
    """A target, with its transport where the name does not tell it."""
    transport = entry["transport"]
    if not transport or transport in entry["target"]:
        return entry["target"]
    return f"{entry['target']} ({transport})"


def is_own(label):
    return label.startswith(OWN)


class Run:
    """The entries of results.json by what they are of. `labels` and `workloads` in the order in which they appear."""

    def __init__(self, run, env):
        self.entries = run["benchmarks"]
        self.context = run["context"]
        self.settings = run["context"].get("scalefs_bench") or {}  # of the run, with what it warned of
        self.env = env
        self.labels = sorted(dict.fromkeys(map(label_of, self.entries)), key=lambda label: not is_own(label))
        self.styles = {label: number for number, label in enumerate(self.labels)}
        self.workloads = list(dict.fromkeys(entry["workload"] for entry in self.entries))
        self._groups = collections.defaultdict(lambda: collections.defaultdict(list))
        for entry in self.entries:
            self._groups[entry["workload"], label_of(entry)][entry["threads"]].append(entry)
        cpu = env.get("cpu") or {}
        self.cores = cpu.get("online") or self.context.get("num_cpus")

    def repetitions(self, workload, label):
        """{threads: entries}, by rising threads; empty where that was not run."""
        groups = self._groups.get((workload, label), {})
        return {threads: groups[threads] for threads in sorted(groups)}

    def first(self, workload):
        return next(entry for entry in self.entries if entry["workload"] == workload)

    def threads(self):
        return sorted({entry["threads"] for entry in self.entries})

    def reference(self):
        """The mount of scalefs that peers are compared with: over io_uring, where that was run."""
        mounts = [label for label in self.labels if label.startswith("scalefs")]
        rings = [label for label in mounts if "ring" in label]
        return (rings or mounts or [None])[0]


def band(values):
    """What stands behind x in a point: median, minimum, maximum."""
    return (statistics.median(values), min(values), max(values))


def _threads_axis(run):
    threads = run.threads()
    words = f"threads (upright line: {run.cores} cores)" if _core_marks(run) else "threads"
    return (words, "log2" if threads[-1] > 16 else "linear", "count")


def _core_marks(run):
    return [run.cores] if run.cores and run.threads()[-1] > run.cores else []


def _scale(series):
    values = [y for one in series if one.style is not None for point in one.points for y in point[1:]]
    return "log10" if min(values) > 0 and max(values) > 20 * min(values) else "linear"


def _subtitle(run, workload):
    entry = run.first(workload)
    return entry["unit"] + (f"; sharing: {entry['sharing']}" if entry["sharing"] else "")


def _ideal(series, label):
    """From the highest beginning: what so many threads would do if none hindered another."""
    start = max(series, key=lambda one: one.points[0][1])
    threads, value = start.points[0][:2]
    last = max(point[0] for one in series for point in one.points)
    steps = [threads * 2 ** k for k in range(12) if threads * 2 ** k < last] + [last]
    return Series(label, None, [(n, value * n / threads, value * n / threads, value * n / threads) for n in steps])


def _rates(run, name, title, labels, per_core):
    panels = []
    for workload in run.workloads:
        series = []
        for label in labels:
            points = []
            for threads, entries in run.repetitions(workload, label).items():
                divisor = min(threads, run.cores or threads) if per_core else 1
                points.append((threads, *band([entry["items_per_second"] / divisor for entry in entries])))
            if points:
                series.append(Series(label, run.styles[label], points))
        if not series:
            continue
        y = ("operations/s per core" if per_core else "operations/s", _scale(series), "number")
        if not per_core and run.threads()[-1] > run.threads()[0]:
            series.append(_ideal(series, "ideal: the best first point × threads"))
        panels.append(Panel(workload, _subtitle(run, workload), _threads_axis(run), y, series, _core_marks(run)))
    note = _BAND + (" A line that stays level scales; from as many threads as cores on, the rate is divided by the cores."
                    if per_core else "")
    return [Figure(name, title, note, panels)] if panels else []


def _parts(run):
    """(suffix, words, labels): all targets together, or, if these are too many, ours and the others."""
    own = [label for label in run.labels if is_own(label)]
    peers = [label for label in run.labels if not is_own(label)]
    if len(run.labels) <= _TOGETHER_MAX or not own or not peers:
        return [("", "", run.labels)]
    reference = run.reference()
    return [("", ": scalefs and its floors", own), ("-peers", ": peers", ([reference] if reference else []) + peers)]


def _by_round(entries):
    return {entry["round"]: entry["items_per_second"] for entry in entries}


def _peers(run):
    reference = run.reference()
    peers = [label for label in run.labels if not is_own(label)]
    panels = []
    for workload in run.workloads if reference else []:
        ours = run.repetitions(workload, reference)
        series = []
        for label in peers:
            points = []
            for threads, entries in run.repetitions(workload, label).items():
                mine = _by_round(ours.get(threads, []))
                ratios = [mine[r] / theirs for r, theirs in _by_round(entries).items() if r in mine and theirs]
                if ratios and min(ratios) > 0:
                    points.append((threads, *band(ratios)))
            if points:
                series.append(Series(label, run.styles[label], points))
        if series:
            panels.append(Panel(workload, _subtitle(run, workload), _threads_axis(run),
                                (f"{reference} / peer", "log10", "ratio"), series, _core_marks(run), level=1))
    note = (f"How many times as many operations {reference} does as each peer, round by round. Above 1× it is faster. "
            "Lines: medians. Bands: minimum to maximum.")
    return [Figure("peers", "scalefs beside its peers", note, panels)] if panels else []


def _threads_shown(run):
    """Where distributions are looked at: the most threads that have a core each."""
    fitting = [threads for threads in run.threads() if not run.cores or threads <= run.cores]
    return (fitting or run.threads())[-1]


def _main_kinds(run, workload):
    """Up to two kinds of operations, those on which most time is spent."""
    spent = collections.Counter()
    for entry in run.entries:
        if entry["workload"] == workload:
            for kind, operation in entry["operations"].items():
                if operation["histogram"]:
                    spent[kind] += operation["count"] * operation["mean_ns"]
    return [kind for kind, _ in spent.most_common(2)]


# Where the axis of shares ends.
_SHARE_MAX = 0.9999


def _distribution(histogram):
    total = sum(count for _, count in histogram)
    points, reached = [], 0
    for bound, count in histogram:
        if count and reached < _SHARE_MAX * total:
            reached += count
            points.append((max(bound, 1), *(3 * (reached / total,))))
    return points


def _latencies(run, suffix, words, labels):
    threads = _threads_shown(run)
    panels = []
    for workload in run.workloads:
        for kind in _main_kinds(run, workload):
            series = []
            for label in labels:
                entries = run.repetitions(workload, label).get(threads, [])
                merged = statistics.merge_histograms(
                    entry["operations"][kind]["histogram"] for entry in entries if kind in entry["operations"])
                points = _distribution(merged)
                if points:
                    series.append(Series(label, run.styles[label], points, steps=True))
            if series:
                panels.append(Panel(workload, kind, ("latency", "log10", "time"),
                                    ("operations no slower", "nines", "share"), series))
    note = (f"{threads} thread{'s' * (threads > 1)}, all rounds together: the share of operations that took no longer. "
            "Each further nine is as far as the one before. Of each workload the kinds of operations on which most time is spent.")
    return [Figure(f"latency{suffix}", f"Latency{words}", note, panels)] if panels else []


def _syncs(run, suffix, words, labels):
    panels = []
    for workload in run.workloads:
        for kind in _SYNCS:
            for key, text in (("p50_ns", "p50"), ("p99_ns", "p99")):
                series = []
                for label in labels:
                    points = []
                    for threads, entries in run.repetitions(workload, label).items():
                        values = [entry["operations"][kind][key] for entry in entries
                                  if entry["operations"].get(kind, {}).get("count")]
                        if values:
                            points.append((threads, *band(values)))
                    if points:
                        series.append(Series(label, run.styles[label], points))
                if series:
                    label, *scale = _threads_axis(run)
                    x = (label.replace("threads", "writers"), *scale)
                    panels.append(Panel(f"{workload}, {text}", kind, x, (f"{text} of {kind}", _scale(series), "time"), series,
                                        _core_marks(run)))
    note = "Lines: medians of the rounds. Bands: their minimum to maximum."
    return [Figure(f"fsync{suffix}", f"fsync by the number of writers{words}", note, panels)] if panels else []


def figures(run):
    """All Figures that the Run has values for."""
    found = []
    for suffix, words, labels in _parts(run):
        found += _rates(run, f"throughput{suffix}", f"Throughput{words}", labels, False)
        found += _rates(run, f"per-core{suffix}", f"Throughput per core{words}", labels, True)
    found += _peers(run)
    for suffix, words, labels in _parts(run):
        found += _latencies(run, suffix, words, labels)
        found += _syncs(run, suffix, words, labels)
    return found
