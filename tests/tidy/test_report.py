#!/usr/bin/env python3
"""scripts/test_report.py says no whenever it should: the verdict of the whole test run rests on it."""
import contextlib
import importlib.util
import io
import os
import sys
import tempfile
import unittest

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_SPEC = importlib.util.spec_from_file_location(
    "report_under_test", os.path.join(_ROOT, "scripts", "test_report.py"))
report = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(report)

PASSED = '<testcase name="{}" time="0.5" status="run"/>'
FAILED = '<testcase name="{}" time="1" status="fail"><failure message=""/></testcase>'
SKIPPED = ('<testcase name="{}" time="0" status="notrun">'
           '<skipped message="SKIP_RETURN_CODE=77"/></testcase>')
DISABLED = '<testcase name="{}" time="0" status="disabled"/>'
NOT_FOUND = ('<testcase name="{}" time="0" status="notrun">'
             '<skipped message="Unable to find executable: x"/></testcase>')
GOOD = [(PASSED, "unit.base.A"), (PASSED, "unit.base.B"), (PASSED, "mount.fuse.C")]


def verdict(stages, floor="unit 2\n", broken=()):
    """(exit status, what was printed) for {stage: [(template, name)]}."""
    with tempfile.TemporaryDirectory() as folder:
        for stage, cases in stages.items():
            with open(os.path.join(folder, stage + ".xml"), "w", encoding="utf-8") as file:
                body = "".join(template.format(name) for template, name in cases)
                file.write(f"<testsuite>{body}</testsuite>")
        floor_path = os.path.join(folder, "floor.txt")
        with open(floor_path, "w", encoding="utf-8") as file:
            file.write("# comment\n" + floor)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = report.main(floor_path, folder, list(stages), list(broken))
        return status, printed.getvalue()


class Report(unittest.TestCase):
    def test_all_passed(self):
        status, text = verdict({"release": GOOD, "asan": GOOD[:2]})
        self.assertEqual(status, 0, text)
        self.assertEqual(text.rstrip().split("\n")[-1], "5 passed, 0 failed, 0 skipped")

    def test_anything_else_than_passed_fails(self):
        cases = {FAILED: "3 passed, 1 failed, 0 skipped", SKIPPED: "3 passed, 0 failed, 1 skipped",
                 DISABLED: "3 passed, 0 failed, 1 skipped",
                 NOT_FOUND: "3 passed, 1 failed, 0 skipped"}
        for template, last in cases.items():
            with self.subTest(template=template):
                status, text = verdict({"release": GOOD + [(template, "unit.base.D")]})
                self.assertEqual(status, 1)
                self.assertEqual(text.rstrip().split("\n")[-1], last)
                self.assertIn("unit.base.D", text)

    def test_below_the_floor_fails(self):
        self.assertEqual(verdict({"release": GOOD}, floor="unit 3\n")[0], 1)
        self.assertEqual(verdict({"release": GOOD}, floor="crash 1\n")[0], 1)
        self.assertEqual(verdict({"release": GOOD}, floor="unit 2\nmount 1\n")[0], 0)

    def test_a_broken_stage_fails(self):
        status, text = verdict({"release": GOOD}, broken=["tsan: build"])
        self.assertEqual(status, 1)
        self.assertIn("tsan: build", text)

    def test_sanitizers_must_run_the_same_tests(self):
        status, text = verdict({"release": GOOD, "tsan": GOOD[:1]})
        self.assertEqual(status, 1)
        self.assertIn("unit.base.B is only in release", text)

    def test_no_test_at_all_fails(self):
        self.assertEqual(verdict({"release": []}, floor="")[0], 1)
        self.assertEqual(verdict({}, floor="")[0], 1)


if __name__ == "__main__":
    sys.exit(unittest.main())
