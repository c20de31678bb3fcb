#!/usr/bin/env python3
"""The reader depends on every number of the format: with any one of them altered it must fail.

Each constant of tools/reader/layout.py is altered in a temporary copy of the reader, one at a time. On one of the golden
images the copy must then report damage or print something else.
"""
import contextlib
import importlib
import io
import os
import re
import shutil
import sys
import tempfile
import unittest

import golden_images

CONSTANT = re.compile(r"^([A-Z][A-Z0-9_]*) = (.+)$", re.MULTILINE)
# Bounds, which only damaged images exceed.
BOUNDS = re.compile(r"(?:_MAX|_MIN|_LIMIT)$")
# Other numbers that make no difference to a sound volume of version 1.0, each with the reason.
HARMLESS = {
    "SB_RING": "one copy fewer is enough",
    "SB_VERSION_MINOR": "its high byte is 0 too",
    "SB_FEATURE_COMPAT": "0, between other fields that are 0",
    "SB_FEATURE_RO_COMPAT": "0, between other fields that are 0",
    "SB_FEATURE_INCOMPAT": "0, behind other fields that are 0",
    "SB_FLAG_DAMAGED": "no image has it set",
}


class Mutant:
    """A copy of the reader, imported and run in this process."""

    def __init__(self, folder):
        self._folder = folder
        shutil.copytree(os.path.join(golden_images.TOOLS, "reader"), os.path.join(folder, "reader"),
                        ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(os.path.join(golden_images.TOOLS, "scalefs_reader.py"), folder)
        self._layout = os.path.join(folder, "reader", "layout.py")
        with open(self._layout, encoding="utf-8") as file:
            self.original = file.read()

    def run(self, layout, path):
        """(exit status, output); a crash is status 3."""
        with open(self._layout, "w", encoding="utf-8") as file:
            file.write(layout)
        for name in list(sys.modules):
            # The checksums know nothing of the layout; their tables cost time.
            if name.startswith(("reader", "scalefs_reader")) and name != "reader.checksum":
                del sys.modules[name]
        importlib.invalidate_caches()
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
                status = importlib.import_module("scalefs_reader").main(["--full", path])
        except Exception:  # whatever a wrong number leads to
            return 3, ""
        return status, out.getvalue()


class Offsets(unittest.TestCase):
    def test_each_constant_counts(self):
        with tempfile.TemporaryDirectory() as folder:
            sys.path.insert(0, folder)
            sys.dont_write_bytecode = True
            mutant = Mutant(folder)
            images = [golden_images.write_sparse(os.path.join(folder, name),
                                                 golden_images.image(name))
                      for name in reversed(golden_images.names())]
            expected = [mutant.run(mutant.original, path) for path in images]
            for status, out in expected:
                self.assertEqual(status, 0, out)
            tried = 0
            for match in CONSTANT.finditer(mutant.original):
                name, value = match.groups()
                if name in HARMLESS or BOUNDS.search(name):
                    continue
                tried += 1
                with self.subTest(constant=name):
                    self.assertTrue(self.fails(mutant, match, value, images, expected),
                                    "altering it makes no difference")
            self.assertGreater(tried, 100)

    @staticmethod
    def fails(mutant, match, value, images, expected):
        text = mutant.original
        for change in (["[1:]"] if value[0] in "rb(\"" else [" + 1", " - 1"]):
            layout = f"{text[:match.start(2)]}({value}){change}{text[match.end(2):]}"
            if any(mutant.run(layout, path) != want for path, want in zip(images, expected)):
                return True
        return False


if __name__ == "__main__":
    unittest.main()
