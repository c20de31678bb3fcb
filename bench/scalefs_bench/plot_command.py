"""scalefs-bench plot: draws a run."""
import argparse
import os
import shutil
import subprocess
import sys

from . import chart, figures, report, results

EPILOG = """\
writes into DIR, or --out: report.html, which needs no other file; report.md; NAME.svg for each figure, and NAME.png where
rsvg-convert or inkscape is installed.

exit status: 0 everything is written, 1 something could not be, 2 bad arguments, or no results in DIR
"""


def add_parser(subparsers):
    parser = subparsers.add_parser(
        "plot", help="draw a run's figures and its report", description="Draws the results in DIR.", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", metavar="DIR", help="what `scalefs-bench run --out` wrote")
    parser.add_argument("--out", metavar="DIR", help="where to write (default: the same directory)")
    parser.add_argument("--no-png", action="store_true", help="SVG and HTML alone")
    return parser


def _converter():
    """A function of (SVG file, PNG file) that gives the command; None where no converter is installed."""
    if shutil.which("rsvg-convert"):
        return lambda svg, png: ["rsvg-convert", "--zoom", "2", "--output", png, svg]
    if shutil.which("inkscape"):
        return lambda svg, png: ["inkscape", "--export-type=png", "--export-dpi=192", f"--export-filename={png}", svg]
    return None


def _write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _to_png(command):
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        print(f"scalefs-bench plot: {command[0]} failed: {words or f'status {done.returncode}'}", file=sys.stderr)
    return done.returncode == 0


def plot(directory, out, png=True):
    """Writes what EPILOG says; the files' names. Raises InvalidResults and OSError."""
    run = figures.Run(*results.read(directory))
    if not run.entries:
        raise results.InvalidResults([f"{directory}: benchmarks: is empty, there is nothing to draw"])
    found = figures.figures(run)
    os.makedirs(out, exist_ok=True)
    written, failed = [], False
    converter = _converter() if png else None
    for figure in found:
        svg = os.path.join(out, f"{figure.name}.svg")
        _write(svg, chart.draw(figure).source(figure.title))
        written.append(svg)
        if converter:
            picture = os.path.join(out, f"{figure.name}.png")
            if _to_png(converter(svg, picture)):
                written.append(picture)
            else:
                failed = True
    for name, text in (("report.html", report.html(run, found)), ("report.md", report.markdown(run, found))):
        _write(os.path.join(out, name), text)
        written.append(os.path.join(out, name))
    return written, failed, png and not converter


def main(args):
    try:
        written, failed, unconverted = plot(args.directory, args.out or args.directory, not args.no_png)
    except results.InvalidResults as error:
        print(f"scalefs-bench plot: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"scalefs-bench plot: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    for path in written:
        print(path)
    if unconverted:
        print("no PNG: neither rsvg-convert (package librsvg2-bin) nor inkscape is installed", file=sys.stderr)
    return 1 if failed else 0
