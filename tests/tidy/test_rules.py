#!/usr/bin/env python3
"""The rules of the source tree hold, but for the reviewed exceptions."""
import os
import sys

import rules


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.dirname(os.path.dirname(here))
    findings, tree = rules.check(root)
    left, unused = rules.apply_exceptions(
        findings, rules.read_exceptions(os.path.join(here, "exceptions.txt")))
    for finding in left:
        print(f"{finding.path}:{finding.line}: {finding.rule}: {finding.text}")
    for exception in unused:
        print(f"tests/tidy/exceptions.txt: covers nothing: {' '.join(exception)}")
    code_files = len(tree.code_files())
    print(f"{len(tree.paths)} files, {code_files} of code, {len(left)} findings")
    if code_files < 20 or "base/mutex.h" not in tree.paths:
        print("that is not the whole tree")
        return 1
    return 1 if left or unused else 0


if __name__ == "__main__":
    sys.exit(main())
