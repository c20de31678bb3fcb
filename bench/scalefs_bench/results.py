"""What a run leaves: results.json in Google Benchmark's form, results.csv with the same rows, env.json.

One entry of "benchmarks" is one repetition of one workload on one target with one number of threads; SCHEMA says
which keys it has. Keys that are not named there are kept as they are. Nothing in these files says where the machine's
files lie or whose they are: a target is named by a word, never by a path.
"""
import csv
import json
import math
import numbers
import os
import tempfile

RESULTS = "results.json"
TABLE = "results.csv"
ENVIRONMENT = "env.json"


class InvalidResults(ValueError):
    """`problems`: one line each, beginning with the key."""

    def __init__(self, problems, source=None):
        self.problems = list(problems)
        more = len(self.problems) - 10
        lines = self.problems[:10] + ([f"and {more} more"] if more > 0 else [])
        super().__init__("\n".join(([f"{source}:"] if source else []) + lines))


def _number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _text(value):
    return None if isinstance(value, str) and value else "must be a text that is not empty"


def _word(value):
    if _text(value):
        return _text(value)
    return "must be a word, without / (results name no paths)" if "/" in value else None


def _optional_text(value):
    return None if value is None or isinstance(value, str) else "must be a text or null"


def _positive(value):
    return None if _number(value) and value > 0 else "must be a number above 0"


def _amount(value):
    return None if _number(value) and value >= 0 else "must be a number, 0 or more"


def _count(value):
    return None if _number(value) and value >= 0 and value == int(value) else "must be a whole number, 0 or more"


def _count_from_1(value):
    return None if _number(value) and value >= 1 and value == int(value) else "must be a whole number, 1 or more"


def _one_of(*words):
    return lambda value: None if value in words else f"must be one of {', '.join(map(repr, words))}"


def _histogram(value):
    """Pairs of a bucket's upper bound in ns and the number of operations in it, by rising bounds."""
    if not isinstance(value, list):
        return "must be a list of [upper bound in ns, count]"
    last = -1
    for pair in value:
        if not (isinstance(pair, list) and len(pair) == 2 and _number(pair[0]) and not _count(pair[1])):
            return f"must be a list of [upper bound in ns, count], has {pair!r}"
        if pair[0] <= last:
            return f"bounds must rise, {pair[0]!r} comes behind {last!r}"
        last = pair[0]
    return None


# The keys of one kind of operation: what is wrong with a value, and whether the key must be there. Times in ns.
OPERATION = {
    "count": (_count, True),
    "mean_ns": (_amount, True),
    "p50_ns": (_amount, True),
    "p90_ns": (_amount, True),
    "p99_ns": (_amount, True),
    "p999_ns": (_amount, True),
    "max_ns": (_amount, True),
    "histogram": (_histogram, True),
}


def _operations(value):
    if not isinstance(value, dict):
        return "must be an object of operations by their kind"
    for kind, operation in value.items():
        if not isinstance(operation, dict):
            return f"{kind}: must be an object"
        for problem in _check(operation, OPERATION, kind):
            return problem
        counted = sum(count for _, count in operation["histogram"])
        if operation["histogram"] and counted != operation["count"]:
            return f"{kind}: count is {operation['count']}, the histogram holds {counted}"
    return None


# What Google Benchmark writes of each repetition, and its compare.py reads.
GOOGLE = {
    "name": (_text, True),
    "run_name": (_text, True),
    "run_type": (_one_of("iteration", "aggregate"), True),
    "repetitions": (_count, True),
    "repetition_index": (_count, False),
    "threads": (_count_from_1, True),
    "iterations": (_count, False),
    "real_time": (_amount, True),
    "cpu_time": (_amount, True),
    "time_unit": (_one_of("ns", "us", "ms", "s"), True),
    "items_per_second": (_amount, False),
    "bytes_per_second": (_amount, False),
}

# The same of our own repetitions. "iterations" counts operations, `unit` says what one of them is; real_time and
# cpu_time are ns an operation, over all threads; "round" numbers the turns in which targets alternate.
SCHEMA = {
    **GOOGLE,
    "run_type": (_one_of("iteration"), True),
    "repetitions": (_count_from_1, True),
    "repetition_index": (_count, True),
    "iterations": (_count, True),
    "time_unit": (_one_of("ns"), True),
    "items_per_second": (_amount, True),
    "workload": (_word, True),
    "target": (_word, True),
    "transport": (_optional_text, True),
    "sharing": (_optional_text, True),
    "unit": (_text, True),
    "seconds": (_positive, True),
    "round": (_count, True),
    "operations": (_operations, True),
}


def _check(entry, schema, where):
    for key, (check, needed) in schema.items():
        if key not in entry:
            if needed:
                yield f"{where}.{key}: is missing"
            continue
        wrong = check(entry[key])
        if wrong:
            shown = json.dumps(entry[key], default=repr)
            shown = shown if len(shown) <= 60 else shown[:57] + "..."
            yield f"{where}.{key}: {wrong}" + ("" if key == "operations" else f", is {shown}")


def _problems(results, own):
    if not isinstance(results, dict):
        yield "results: must be an object with the keys context and benchmarks"
        return
    if not isinstance(results.get("context"), dict):
        yield "context: " + ("is missing" if "context" not in results else "must be an object")
    entries = results.get("benchmarks")
    if not isinstance(entries, list):
        yield "benchmarks: " + ("is missing" if "benchmarks" not in results else "must be a list")
        return
    seen = set()
    for index, entry in enumerate(entries):
        where = f"benchmarks[{index}]"
        if not isinstance(entry, dict):
            yield f"{where}: must be an object"
            continue
        wrong = list(_check(entry, SCHEMA if own else GOOGLE, where))
        yield from wrong
        if wrong or not own:
            continue
        name = f"{entry['workload']}/target:{entry['target']}/threads:{entry['threads']}"
        if entry["name"] != name:
            yield f"{where}.name: is {entry['name']!r}, workload, target and threads say {name!r}"
        if (name, entry["round"]) in seen:
            yield f"{where}.round: {name} has round {entry['round']} twice"
        seen.add((name, entry["round"]))


def validate(results, own=True):
    """Raises InvalidResults, with each key that is wrong. own: not False where Google Benchmark's own files will do."""
    problems = list(_problems(results, own))
    if problems:
        raise InvalidResults(problems)


# The columns of results.csv; those of operations come behind them as KIND.KEY.
COLUMNS = ("name", "workload", "target", "transport", "sharing", "threads", "round", "repetition_index", "iterations",
           "unit", "seconds", "real_time", "cpu_time", "time_unit", "items_per_second", "bytes_per_second")


def _table(file, benchmarks):
    kinds = []
    for entry in benchmarks:
        kinds += [kind for kind in entry["operations"] if kind not in kinds]
    details = [(kind, key) for kind in kinds for key in OPERATION if key != "histogram"]
    table = csv.writer(file, lineterminator="\n")
    table.writerow(list(COLUMNS) + [f"{kind}.{key}" for kind, key in details])
    for entry in benchmarks:
        row = [entry.get(column) for column in COLUMNS]
        row += [entry["operations"].get(kind, {}).get(key) for kind, key in details]
        table.writerow(["" if value is None else value for value in row])


def _replace(directory, name, write_to):
    """The file is there whole or, as before, not at all."""
    handle, path = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:
            write_to(file)
        os.chmod(path, 0o644)
        os.replace(path, os.path.join(directory, name))
    except BaseException:
        os.unlink(path)
        raise


def _write_json(file, value):
    json.dump(value, file, indent=1, allow_nan=False)
    file.write("\n")


def _write_results(file, results):
    """A line a repetition."""
    file.write('{"context": ' + json.dumps(results["context"], indent=1, allow_nan=False) + ',\n"benchmarks": [')
    for number, entry in enumerate(results["benchmarks"]):
        file.write((",\n" if number else "\n") + json.dumps(entry, allow_nan=False))
    file.write("\n]}\n")


def write(directory, context, benchmarks, env):
    """Writes the three files into `directory`, which is made if need be. The entries are those of SCHEMA."""
    results = {"context": context, "benchmarks": benchmarks}
    validate(results)
    os.makedirs(directory, exist_ok=True)
    _replace(directory, ENVIRONMENT, lambda file: _write_json(file, env))
    _replace(directory, TABLE, lambda file: _table(file, benchmarks))
    _replace(directory, RESULTS, lambda file: _write_results(file, results))


def _load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise InvalidResults([f"{path}: {error.strerror}"]) from error
    except (ValueError, UnicodeDecodeError) as error:
        raise InvalidResults([f"{path}: is no JSON: {error}"]) from error


def read(path):
    """The results of a run, as (results, env). `path`: the run's directory; or a JSON file of Google Benchmark's, for which
    env is {}. Raises InvalidResults."""
    directory = os.path.isdir(path)
    file = os.path.join(path, RESULTS) if directory else path
    if directory and not os.path.exists(file):
        raise InvalidResults([f"{path}: has no {RESULTS}; `scalefs-bench run --out {path}` writes one"])
    results = _load(file)
    try:
        validate(results, own=directory)
    except InvalidResults as error:
        raise InvalidResults(error.problems, file) from error
    env = {}
    if directory and os.path.exists(os.path.join(path, ENVIRONMENT)):
        env = _load(os.path.join(path, ENVIRONMENT))
        if not isinstance(env, dict):
            raise InvalidResults([f"{os.path.join(path, ENVIRONMENT)}: must be an object"])
    return results, env
