#!/usr/bin/env python3
"""scalefs-bench plot: which panels, lines, points and labels figures have, compared with a stored structure; that no text covers
another; what is written. `test_plot.py --store` stores the structure anew, to be read before it is committed."""
import itertools
import json
import os
import sys
import tempfile
import unittest
import xml.etree.ElementTree

import bench_modules
import synthetic
from scalefs_bench import axes, chart, figures, plot_command, report, results

_STORED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plot_structure.json")
ENV = {"cpu": {"model": "Test", "online": 2, "cores": 2, "sockets": 1, "caches": []}, "targets": [{"name": "engine"}]}
LARGE = {"engine": 4e6, "scalefs-io_uring": 1.2e5, "scalefs-fuse": 8e4, "null-io_uring": 2e5, "null-fuse": 9e4, "ext4": 3e5,
         "xfs": 2.6e5, "btrfs": 1.5e5, "tmpfs": 9e5, "fuse2fs": 1e4, "ntfs-3g": 8e3, "bindfs-over-ext4-with-a-long-name": 3e4}


def small():
    """Four targets, two workloads, of which one syncs; more threads than cores; five rounds of known rates."""
    run = synthetic.run({"engine": 1e6, "scalefs": 1e4, "null": 2e4, "ext4": 4e4}, 5, 0, threads=(1, 2, 4),
                        workloads=("MWCL", "DWSL"))
    for entry in run["benchmarks"]:
        entry["items_per_second"] *= (1, 0.9, 1.1, 1.05, 0.95)[entry["round"]]
        if entry["workload"] == "DWSL":
            entry["operations"] = {"write": synthetic.operation(1000, 1000), "fsync": synthetic.operation(
                1e5 * entry["threads"], 1000)}
        if entry["target"] == "scalefs":
            entry["transport"] = "io_uring"
    return figures.Run(run, ENV)


def large():
    run = synthetic.run(LARGE, 2, 0.3, threads=(1, 2, 3, 4, 8, 16, 32, 48, 64, 96, 128),
                        workloads=("DRBL", "mailbench with a name that is far too long for the width of a panel", "DWSL"))
    for entry in run["benchmarks"]:
        entry["unit"] = "create, write, fsync, rename and unlink of a file of 16 KiB in a directory of its own"
        entry["operations"]["fsync"] = synthetic.operation(1e6, 1000)
    return figures.Run(run, {"cpu": {"online": 64}})


def rounded(value):
    """For comparison: what other processors' last bits could change is not there."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, (list, tuple)):
        return [rounded(one) for one in value]
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return value


def structure():
    return [rounded(figure.structure()) for figure in figures.figures(small())]


class Structure(unittest.TestCase):
    def setUp(self):
        self.figures = {figure.name: figure for figure in figures.figures(small())}

    def test_is_the_stored_one(self):
        with open(_STORED, encoding="utf-8") as file:
            stored = json.load(file)
        found = structure()
        self.assertEqual([figure["name"] for figure in found], [figure["name"] for figure in stored])
        for figure, wanted in zip(found, stored):
            for panel, other in itertools.zip_longest(figure["panels"], wanted["panels"]):
                self.assertEqual(panel, other, figure["name"])
            self.assertEqual(figure, wanted)

    def panel(self, figure, title):
        return next(panel for panel in self.figures[figure].panels if panel.title == title)

    def line(self, panel, label):
        return next(series for series in panel.series if series.label == label)

    def near(self, point, wanted):
        for value, other in itertools.zip_longest(point, wanted):
            self.assertAlmostEqual(value, other)

    def test_points_are_medians_with_minimum_and_maximum(self):
        series = self.line(self.panel("throughput", "MWCL"), "engine")
        self.near(series.points[0], (1, 1e6, 0.9e6, 1.1e6))
        self.near(series.points[2], (4, 3.24e6, 2.916e6, 3.564e6))

    def test_the_ideal_starts_at_the_best_first_point(self):
        ideal = self.panel("throughput", "MWCL").series[-1]
        self.assertIsNone(ideal.style)
        self.assertEqual([point[:2] for point in ideal.points], [(1, 1e6), (2, 2e6), (4, 4e6)])

    def test_per_core_divides_by_cores_at_most(self):
        series = self.line(self.panel("per-core", "MWCL"), "engine")
        self.assertEqual([round(point[1]) for point in series.points], [1000000, 900000, 1620000])

    def test_peers_are_ratios_of_a_round(self):
        series = self.line(self.panel("peers", "MWCL"), "ext4")
        for point in series.points:
            self.near(point[1:], (0.25, 0.25, 0.25))
        self.assertEqual(self.panel("peers", "MWCL").y[0], "scalefs (io_uring) / peer")

    def test_distributions_rise_to_the_end_of_the_axis(self):
        for panel in self.figures["latency"].panels:
            for series in panel.series:
                shares = [point[1] for point in series.points]
                self.assertEqual(shares, sorted(shares))
                self.assertGreaterEqual(shares[-1], 0.9999)

    def test_more_threads_than_cores_are_marked(self):
        self.assertEqual(self.panel("throughput", "MWCL").marks, [2])
        self.assertIn("2 cores", self.panel("throughput", "MWCL").x[0])

    def test_a_label_has_one_style_everywhere(self):
        for run in (small(), large()):
            styles = {}
            for figure in figures.figures(run):
                for panel in figure.panels:
                    for series in panel.series:
                        self.assertEqual(styles.setdefault(series.label, series.style), series.style)
            drawn = [(look["dash"], look["mark"], look["filled"]) for look in map(chart.style_of, styles.values())]
            self.assertEqual(len(set(drawn)), len(drawn), "two lines look alike in black and white")

    def test_many_targets_are_drawn_apart(self):
        found = {figure.name: figure for figure in figures.figures(large())}
        labels = {series.label for series in found["throughput"].panels[0].series if series.style is not None}
        self.assertEqual(labels, {label for label in LARGE if label.startswith(figures.OWN)})
        labels = {series.label for series in found["throughput-peers"].panels[0].series if series.style is not None}
        self.assertEqual(labels, {label for label in LARGE if not label.startswith(figures.OWN)} | {"scalefs-io_uring"})

    def test_one_target_once(self):
        run = synthetic.run({"dir": 1000}, 1, threads=(1,))
        for entry in run["benchmarks"]:
            entry["operations"] = {}
        found = figures.figures(figures.Run(run, {}))
        self.assertEqual([figure.name for figure in found], ["throughput", "per-core"])
        for figure in found:
            self.assertIn("dir", chart.draw(figure).source("x"))


class Drawn(unittest.TestCase):
    def test_no_text_covers_another_or_leaves_the_picture(self):
        for run in (small(), large()):
            for figure in figures.figures(run):
                drawing = chart.draw(figure)
                for left, top, right, bottom, text in drawing.boxes:
                    self.assertTrue(left >= 0 and top >= 0 and right <= drawing.width and bottom <= drawing.height,
                                    f"{figure.name}: {text!r} leaves the picture")
                for one, other in itertools.combinations(drawing.boxes, 2):
                    apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
                    self.assertTrue(apart, f"{figure.name}: {one[4]!r} and {other[4]!r} overlap")

    def test_overlaps_would_be_seen(self):
        drawing = chart.Drawing(100, 100, "x")
        drawing.text(10, 50, "one")
        drawing.text(20, 52, "other")
        one, other = drawing.boxes
        self.assertLess(other[0], one[2])
        self.assertLess(other[1], one[3])

    def test_is_well_formed(self):
        run = small()
        for figure in figures.figures(run):
            xml.etree.ElementTree.fromstring(chart.draw(figure).source("a < b & c"))


class Axes(unittest.TestCase):
    def test_ticks(self):
        self.assertEqual(axes.Linear(0, 10).ticks(), [0, 2, 4, 6, 8, 10])
        self.assertEqual([round(t, 9) for t in axes.Linear(0, 0.35).ticks()], [0, 0.1, 0.2, 0.3])
        self.assertEqual(axes.Log(1, 10000).ticks(), [1, 10, 100, 1000, 10000])
        self.assertEqual(axes.Log(1, 20).ticks(), [1, 2, 5, 10, 20])
        self.assertEqual(axes.Log(5, 600).ticks(), [10, 30, 100, 300])

    def test_places(self):
        self.assertEqual(axes.Linear(0, 8).place(2), 0.25)
        self.assertAlmostEqual(axes.Log(1, 10000).place(100), 0.5)
        self.assertAlmostEqual(axes.Nines(4).place(0.99), 0.5)
        self.assertEqual(axes.Nines(4).place(1), 1)

    def test_texts(self):
        for text, value, wanted in (("number", 1.5e6, "1.5 M"), ("number", 0, "0"), ("number", 999, "999"), ("time", 1500, "1.5 µs"),
                                    ("time", 2e9, "2 s"), ("ratio", 0.5, "0.5×"), ("share", 0.999, "99.9 %"), ("count", 128, "128")):
            self.assertEqual(axes.TEXTS[text](value), wanted)

    def test_round_out(self):
        self.assertEqual(axes.round_out(3, 400), (2, 500))
        self.assertEqual(axes.round_out(1, 100), (1, 100))
        for low in (0.013, 7, 99, 12345):
            found = axes.round_out(low, low)
            self.assertTrue(found[0] <= low <= found[1])


class Report(unittest.TestCase):
    def test_warnings(self):
        run = small()
        run.settings = {"warnings": ["caches were warm"], "failures": 3, "interrupted": True}
        text = "\n".join(report.warnings(run))
        for words in ("caches were warm", "Failed, and not here: 3 repetitions", "was interrupted", "4 threads ran on 2 cores", "rows vary by more than 5 %", "has 2 cores"):
            self.assertIn(words, text)

    def test_page_needs_no_other_file(self):
        run = small()
        page = report.html(run, figures.figures(run))
        for words in ("src=", "href=", "@import", "<script", "url(http"):
            self.assertNotIn(words, page)
        self.assertEqual(page.count("<svg "), len(figures.figures(run)))
        self.assertIn("<td>MWCL</td><td>1</td><td>1 M</td>", page)

    def test_names_are_escaped(self):
        run = synthetic.run({"<i>": 10}, 1)
        page = report.html(figures.Run(run, {}), figures.figures(figures.Run(run, {})))
        self.assertNotIn("<i>", page)

    def test_markdown_has_the_main_table(self):
        run = small()
        lines = report.markdown(run, figures.figures(run)).split("\n")
        self.assertIn("| workload | threads | engine | scalefs (io_uring) | null | ext4 |", lines)
        self.assertIn("| MWCL | 1 | 1 M | 10 k | 20 k | 40 k |", lines)
        self.assertIn("![Throughput](throughput.svg)", lines)


class Command(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_writes(self):
        run = synthetic.run({"engine": 1000, "ext4": 500}, 2)
        results.write(self.folder, run["context"], run["benchmarks"], ENV)
        status, out, err = bench_modules.call(plot_command, self.folder)
        self.assertEqual((status, err if "no PNG" not in err else ""), (0, ""))
        names = set(os.listdir(self.folder))
        self.assertLessEqual({"report.html", "report.md", "throughput.svg", "per-core.svg", "latency.svg"}, names)
        self.assertEqual({line for line in out.split()},
                         {os.path.join(self.folder, name) for name in names - {"results.json", "results.csv", "env.json"}})
        if plot_command._converter():
            with open(os.path.join(self.folder, "throughput.png"), "rb") as file:
                self.assertEqual(file.read(4), b"\x89PNG")

    def test_elsewhere_without_png(self):
        run = synthetic.run({"engine": 1000}, 2)
        results.write(self.folder, run["context"], run["benchmarks"], ENV)
        out = os.path.join(self.folder, "a", "b")
        self.assertEqual(bench_modules.call(plot_command, self.folder, "--out", out, "--no-png")[0], 0)
        self.assertFalse([name for name in os.listdir(out) if name.endswith(".png")])

    def test_bad_input(self):
        self.assertEqual(bench_modules.call(plot_command, self.folder)[0], 2)
        self.assertIn("nowhere: No such file", bench_modules.call(plot_command, "nowhere")[2])
        results.write(self.folder, {}, [], {})
        status, _, err = bench_modules.call(plot_command, self.folder)
        self.assertEqual(status, 2)
        self.assertIn("benchmarks: is empty", err)
        run = synthetic.run({"engine": 1000}, 2)
        results.write(self.folder, run["context"], run["benchmarks"], ENV)
        status, _, err = bench_modules.call(plot_command, self.folder, "--out", "/proc/nowhere")
        self.assertEqual(status, 1)
        self.assertIn("/proc/nowhere", err)


if __name__ == "__main__":
    if sys.argv[1:] == ["--store"]:
        with open(_STORED, "w", encoding="utf-8") as stored_file:
            json.dump(structure(), stored_file, indent=1)
            stored_file.write("\n")
    else:
        unittest.main()
