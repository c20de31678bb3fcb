"""scalefs-bench list: the workloads and targets there are."""
import argparse
import json
import shutil
import sys
import textwrap

from . import programs, targets, workloads

EPILOG = """\
a workload is told with the operation that is counted, and how much its workers share: low nothing, medium a directory or
a file in parts, high the same page or path

exit status: 0, 2 bad arguments, 3 the worker is not there
"""


def add_parser(subparsers):
    parser = subparsers.add_parser("list", help="list workloads and targets", description="Lists workloads and targets.",
                                   epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("workloads", "targets"), help="only these")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--binaries", metavar="DIR", help="where programs of scalefs are looked for first")
    return parser


def _rows(rows):
    """Words of a width, and what they mean beside them."""
    wide = max(len(word) for word, _ in rows) + 2
    columns = max(60, min(120, shutil.get_terminal_size((120, 24)).columns))
    for word, what in rows:
        lines = textwrap.wrap(what, columns - wide)
        print(f"{word:<{wide}}{lines[0]}")
        for line in lines[1:]:
            print(" " * wide + line)


def main(args):
    try:
        known = programs.Programs(args.binaries).worker_says("list") if args.what != "targets" else []
    except (programs.Absent, programs.Failed) as error:
        print(f"scalefs-bench list: {error}", file=sys.stderr)
        return 3
    told = {"workloads": known, "groups": [{"name": name, "what": what} for name, what in workloads.GROUPS.items()],
            "targets": [{"name": word, "what": what} for word, what in targets.WORDS]}
    if args.what:
        told = {args.what: told[args.what]}
    if args.json:
        print(json.dumps(told, indent=1))
        return 0
    if "workloads" in told:
        _rows([(one["name"], f"{one['what']}. Counted: {one['unit']}. Shared: {one['sharing']}.") for one in known] +
              [(name, f"(several) {what}") for name, what in workloads.GROUPS.items()])
    if "targets" in told:
        if not args.what:
            print()
        _rows(targets.WORDS)
    return 0
