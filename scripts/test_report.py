#!/usr/bin/env python3
"""Reads what ctest reported (JUnit XML, one file a stage), prints the table and the verdict.

usage: test_report.py FLOOR_FILE RESULTS_FOLDER "STAGE STAGE ..." [BROKEN_STAGE ...]

A test's label is the part of its name before the first dot. The exit status is 0 only when nothing
failed, was skipped or disabled, no stage was broken, every label of the release stage has as many
tests as FLOOR_FILE asks for, and the sanitizers ran the same tests, seeds aside, as release did.
"""
import collections
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

SANITIZED_STAGES = ("asan", "tsan")
SANITIZED_LABELS = ("unit", "model", "schedule", "stress")


class Row:
    def __init__(self):
        self.passed, self.failed, self.skipped, self.seconds = 0, 0, 0, 0.0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.seconds += other.seconds

    def tests(self):
        return self.passed + self.failed + self.skipped


def read_floor(path):
    floor = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            words = line.split("#", 1)[0].split()
            if words:
                floor[words[0]] = int(words[1])
    return floor


def outcome(case):
    """'passed', 'failed' or 'skipped'; what is none of the known is a failure."""
    status = case.get("status")
    if status == "run" and case.find("failure") is None:
        return "passed"
    if status == "disabled" or (status == "notrun" and case.find("skipped") is not None and
                                case.find("skipped").get("message", "").startswith("SKIP_")):
        return "skipped"
    return "failed"


def read_stage(path):
    """({label: Row}, {test: outcome}) of one report."""
    rows, outcomes = collections.defaultdict(Row), {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name, result = case.get("name"), outcome(case)
        row = rows[name.split(".", 1)[0]]
        setattr(row, result, getattr(row, result) + 1)
        row.seconds += float(case.get("time") or 0)
        outcomes[name] = result
    return rows, outcomes


def sanitized_tests(outcomes):
    """Names without the parameter of a test: the sanitizers try fewer seeds and sizes."""
    return {re.sub(r"(\.[^./]+)/[^./]+$", r"\1", name) for name in outcomes
            if name.split(".", 1)[0] in SANITIZED_LABELS}


def main(floor_path, folder, stages, broken):
    complaints = [f"stage broken: {what}" for what in broken]
    rows, outcomes = {}, {}
    for stage in stages:
        path = os.path.join(folder, stage + ".xml")
        if os.path.exists(path):
            rows[stage], outcomes[stage] = read_stage(path)

    if "release" in outcomes:
        for label, least in read_floor(floor_path).items():
            have = rows["release"][label].tests() if label in rows["release"] else 0
            if have < least:
                complaints.append(f"label {label}: {have} tests, the floor is {least}")
        for stage in SANITIZED_STAGES:
            if stage not in outcomes:
                continue
            expected, have = sanitized_tests(outcomes["release"]), sanitized_tests(outcomes[stage])
            for name in sorted(expected ^ have)[:20]:
                where = "only in release" if name in expected else "not in release"
                complaints.append(f"stage {stage}: {name} is {where}")

    total = Row()
    print(f"\n{'stage':<10} {'label':<10} {'tests':>7} {'skipped':>8} {'failed':>7} {'seconds':>9}")
    for stage, labels in rows.items():
        for label, row in sorted(labels.items()):
            print(f"{stage:<10} {label:<10} {row.tests():>7} {row.skipped:>8} {row.failed:>7}"
                  f" {row.seconds:>9.1f}")
            total.add(row)
    print()
    for stage, tests in outcomes.items():
        for name, result in sorted(tests.items()):
            if result != "passed":
                print(f"{result}: {stage} {name}")
    for complaint in complaints:
        print(f"error: {complaint}")
    if total.tests() == 0:
        print("error: no test was run")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    bad = complaints or total.failed or total.skipped or total.tests() == 0
    return 1 if bad else 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3].split(), sys.argv[4:]))
