"""Lets tests import the modules of scalefs-bench, and run its commands as the program does."""
import argparse
import contextlib
import io
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))


def call(command, *arguments):
    """(exit status, standard output, standard error) of a command's module with these arguments."""
    parser = argparse.ArgumentParser(prog="scalefs-bench")
    command.add_parser(parser.add_subparsers(dest="command"))
    name = command.__name__.rpartition(".")[2].removesuffix("_command")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = command.main(parser.parse_args([name, *map(str, arguments)]))
        except SystemExit as end:
            status = end.code
    return status, out.getvalue(), err.getvalue()
