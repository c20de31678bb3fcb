"""scalefs-bench compare: whether a run is slower than an older one, for people and for CI."""
import argparse
import collections
import math
import sys

from . import results, statistics

_NS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
# What can be compared: the key of an operation, or None for the whole; whether more is better; what it is called.
METRICS = {
    "throughput": (None, True, "operations/s"),
    "cpu": (None, False, "CPU ns/operation"),
    "p50": ("p50_ns", False, "p50 ns"),
    "p99": ("p99_ns", False, "p99 ns"),
    "p999": ("p999_ns", False, "p99.9 ns"),
}
# What stands in env.json that two runs should have in common.
_SAME = ("cpu.model", "cpu.online", "cpu.governor", "memory_mib", "kernel.release", "libfuse")

# ratio: NEW / OLD, the median of the pairs, above 1 where there is more of it; low, high: its 95 % interval; p: one-sided, for a
# change to the side that the median lies on.
Row = collections.namedtuple("Row", "name pairs old new ratio low high p verdict")

EPILOG = """\
OLD and NEW are directories that `scalefs-bench run` wrote, or JSON files of Google Benchmark. What has the same name is
compared, round by round: the ratio NEW/OLD is the median of the rounds' ratios, its interval (95 %) is that of bootstrapping, p is that of
Wilcoxon's exact signed-rank test, one-sided. It speaks of one row: of 20 rows in which nothing changed, one will have p below 0.05.

verdicts:
  worse    the median is worse by more than --fail-above, and p is below --alpha
  better   the same for the better
  same     the whole interval lies within --fail-above
  unclear  none of these: more rounds, or a quieter machine, would tell

exit status:
  0  nothing is worse
  1  something is worse
  2  nothing could be compared: bad arguments or files, no name in common, or too few rounds everywhere
"""


def _percent(text):
    try:
        value = float(text[:-1] if text.endswith("%") else text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage such as 5%, from 0 to below 100")
    return value / 100


def _probability(text):
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no probability between 0 and 1, such as 0.05")
    return value


def add_parser(subparsers):
    parser = subparsers.add_parser(
        "compare", help="compare two runs, with a significance test", epilog=EPILOG,
        description="Says what is slower in NEW than in OLD.", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", metavar="OLD", help="results before")
    parser.add_argument("new", metavar="NEW", help="results after")
    parser.add_argument("--fail-above", type=_percent, default=0.05, metavar="PERCENT",
                        help="how much worse is too much (default: 5%%)")
    parser.add_argument("--metric", choices=METRICS, default="throughput",
                        help="throughput and cpu: of each workload; p50, p99, p999: of each kind of operation in it "
                             "(default: throughput)")
    parser.add_argument("--alpha", type=_probability, default=0.05, metavar="P",
                        help="how probable a change by chance may be that is called one (default: 0.05)")
    return parser


def _values(entry, metric):
    """(name, value) of each figure that an entry has."""
    key = METRICS[metric][0]
    if key is not None:
        for kind, operation in entry.get("operations", {}).items():
            if operation["count"]:
                yield f"{entry['name']} {kind}", operation[key]
    elif metric == "cpu":
        yield entry["name"], entry["cpu_time"] * _NS[entry["time_unit"]]
    elif "items_per_second" in entry:
        yield entry["name"], entry["items_per_second"]
    elif entry["real_time"]:
        yield entry["name"], 1e9 / (entry["real_time"] * _NS[entry["time_unit"]])


def _figures(run, metric):
    """{name: {round: value}}"""
    figures = {}
    for entry in run["benchmarks"]:
        if entry["run_type"] != "iteration" or entry.get("error_occurred"):
            continue
        for name, value in _values(entry, metric):
            rounds = figures.setdefault(name, {})
            rounds[entry.get("round", entry.get("repetition_index", len(rounds)))] = value
    return figures


def _ratio(old, new):
    if old == new:
        return 1.0
    return new / old if old else math.inf


def compare_pairs(name, pairs, more_is_better, limit, alpha):
    """The Row of one name from its (old, new) pairs. limit: the change that matters, 0.05 for 5 %."""
    ratios = [_ratio(old, new) for old, new in pairs]
    ratio = statistics.median(ratios)
    low, high = statistics.bootstrap_interval(ratios)
    # Positive where NEW is better; of logarithms, so that twice and half weigh the same.
    gains = [(1 if more_is_better else -1) * (math.log(r) if r else -math.inf) for r in ratios]
    gain = statistics.median(gains)
    p = statistics.signed_rank_test(gains if gain < 0 else [-g for g in gains])
    beyond = ratio < 1 - limit or ratio > 1 + limit
    if beyond and p < alpha:
        verdict = "worse" if gain < 0 else "better"
    elif 1 - limit <= low and high <= 1 + limit:
        verdict = "same"
    else:
        verdict = "unclear"
    old, new = (statistics.median(side) for side in zip(*pairs))
    return Row(name, len(pairs), old, new, ratio, low, high, p, verdict)


def compare(old, new, metric, limit, alpha):
    """(rows of what both have, names that only OLD has, names that only NEW has); a name without a common round is in neither's."""
    before, after = _figures(old, metric), _figures(new, metric)
    rows = []
    for name in before:
        rounds = [r for r in before[name] if r in after.get(name, ())]
        if rounds:
            pairs = [(before[name][r], after[name][r]) for r in rounds]
            rows.append(compare_pairs(name, pairs, METRICS[metric][1], limit, alpha))
    return rows, [n for n in before if n not in after], [n for n in after if n not in before]


def _number(value):
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.4g} {prefix}"
    return f"{value:.4g}"


def table(rows, metric):
    """The rows as lines of text, with a heading."""
    heading = ["name", "pairs", f"old {METRICS[metric][2]}", "new", "new/old", "95 % interval", "p", "verdict"]
    lines = [heading] + [
        [row.name, str(row.pairs), _number(row.old), _number(row.new), f"{row.ratio:.3f}", f"{row.low:.3f}..{row.high:.3f}",
         f"{row.p:.4f}", row.verdict] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    left = (0, len(heading) - 1)
    return ["  ".join(cell.ljust(width) if column in left else cell.rjust(width)
                      for column, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in lines]


def _lookup(env, path):
    for key in path.split("."):
        env = env.get(key) if isinstance(env, dict) else None
    return env


def _differences(old, new):
    for path in _SAME:
        before, after = _lookup(old, path), _lookup(new, path)
        if old and new and before != after:
            yield f"warning: {path} was {before}, is {after}: the difference may be the machine's"


def _report(args, rows, only_old, only_new):
    for line in table(rows, args.metric):
        print(line)
    for name in only_old:
        print(f"only in OLD: {name}")
    for name in only_new:
        print(f"only in NEW: {name}")
    counts = collections.Counter(row.verdict for row in rows)
    print(", ".join(f"{counts[verdict]} {verdict}" for verdict in ("worse", "better", "same", "unclear")) +
          f"; more than {100 * args.fail_above:g} % counts")


def main(args):
    try:
        (old, old_env), (new, new_env) = results.read(args.old), results.read(args.new)
    except results.InvalidResults as error:
        print(f"scalefs-bench compare: {error}", file=sys.stderr)
        return 2
    for line in _differences(old_env, new_env):
        print(line, file=sys.stderr)
    rows, only_old, only_new = compare(old, new, args.metric, args.fail_above, args.alpha)
    if not rows:
        print(f"scalefs-bench compare: {args.old} and {args.new} have no {args.metric} of the same name and round",
              file=sys.stderr)
        for where, names in (("OLD", only_old), ("NEW", only_new)):
            print(f"{where} has {', '.join(names) or 'none'}", file=sys.stderr)
        return 2
    _report(args, rows, only_old, only_new)
    needed = statistics.least_pairs(args.alpha)
    if all(row.pairs < needed for row in rows):
        print(f"scalefs-bench compare: no name has {needed} rounds in both, fewer cannot tell a change from chance at --alpha "
              f"{args.alpha:g}; run with --repeat {needed} or more", file=sys.stderr)
        return 2
    return 1 if any(row.verdict == "worse" for row in rows) else 0
