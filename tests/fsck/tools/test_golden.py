#!/usr/bin/env python3
"""The images of tests/golden stay readable: the reader finds what their listings say, and the checker nothing."""
import os
import subprocess
import tempfile
import unittest

import golden_images

FSCK = os.path.join(golden_images.BUILD, "fsck.scalefs")


class Golden(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def images(self):
        self.assertTrue(golden_images.names())
        for name in golden_images.names():
            path = os.path.join(self.folder.name, name)
            yield name, golden_images.write_sparse(path, golden_images.image(name))

    def test_reader(self):
        for name, path in self.images():
            with self.subTest(image=name):
                status, out, error = golden_images.read(path)
                self.assertEqual((status, error), (0, ""))
                self.assertEqual(out.splitlines(), golden_images.listing(name).splitlines())

    def test_checker(self):
        for name, path in self.images():
            with self.subTest(image=name):
                done = subprocess.run([FSCK, "-n", path], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, check=False)
                self.assertEqual(done.returncode, 0, done.stdout.decode(errors="replace"))


if __name__ == "__main__":
    unittest.main()
