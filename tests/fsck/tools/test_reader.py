#!/usr/bin/env python3
"""scalefs_reader.py as a command: what it refuses, what it calls damaged, what it reads around."""
import os
import random
import subprocess
import sys
import tempfile
import unittest

import golden_images
from golden_images import BLOCK, read

sys.dont_write_bytecode = True
sys.path.insert(0, golden_images.TOOLS)
from reader import layout as L  # noqa: E402
from reader.checksum import crc32c  # noqa: E402
from reader.content import Loader  # noqa: E402
from reader.device import Device  # noqa: E402
from reader.journal import Journal  # noqa: E402
from reader.operations import PutExtent  # noqa: E402
from reader.superblock import choose  # noqa: E402
from reader.tree import Tree  # noqa: E402


class Image:
    """A copy of a golden image that a test may damage."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name)
        self.data = bytearray(golden_images.image(name))
        golden_images.write_sparse(self.path, self.data)
        device = Device(self.path)
        self.superblock = choose(device)
        self.tree = Tree(device, self.superblock)
        loader = Loader(self.superblock)
        self.content = loader.load(self.tree)
        self.extents = loader.used_blocks
        self.batches = Journal(device, self.superblock).batches()
        device.close()

    def write(self, at, data):
        self.data[at:at + len(data)] = data
        with open(self.path, "r+b") as file:
            file.seek(at)
            file.write(data)

    def flip(self, at, bit=0):
        self.write(at, bytes([self.data[at] ^ 1 << bit]))


class Command(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "image")

    def test_usage(self):
        status, out, error = read("--help")
        self.assertEqual((status, error), (0, ""))
        self.assertIn("usage", out)
        for arguments in (("--wrong",), ("a", "b"), (self.path,), (self.folder.name,)):
            status, out, error = read(*arguments)
            self.assertEqual((status, out), (2, ""), arguments)
            self.assertTrue(error)

    def test_no_volume(self):
        golden_images.write_sparse(self.path, bytes(1 << 20))
        status, out, error = read(self.path)
        self.assertEqual((status, out), (1, ""))
        self.assertIn("no valid superblock", error)
        golden_images.write_sparse(self.path, b"")
        self.assertEqual(read(self.path)[0], 1)

    def test_fresh_volume(self):
        mkfs = os.path.join(golden_images.BUILD, "mkfs.scalefs")
        subprocess.run([mkfs, "-q", "-L", "fresh one", self.path, "300M"], check=True)
        status, out, error = read(self.path, "--full")
        self.assertEqual((status, error), (0, ""))
        volume, root = out.splitlines()
        self.assertIn('"label":"fresh one"', volume)
        self.assertIn('{"path":"/","type":"dir","mode":"0755","uid":0,"gid":0,"nlink":2,', root)


class Damaged(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def image(self, name):
        return Image(self.folder.name, name)

    def expect_damage(self, image, *words):
        status, out, error = read(image.path)
        self.assertEqual((status, out), (1, ""))
        for word in words:
            self.assertIn(word, error)

    def expect_listing(self, image, name):
        status, out, error = read(image.path)
        self.assertEqual((status, error), (0, ""))
        self.assertEqual(out.splitlines(), golden_images.listing(name).splitlines())


class Blocks(Damaged):
    def test_any_superblock_copy_will_do(self):
        image = self.image("clean")
        for block in (1, 2, 3, 4, 5, 6, 7, 8):
            image.write(block * BLOCK, bytes(BLOCK))
        self.expect_listing(image, "clean")
        image.write(len(image.data) - 2 * BLOCK, bytes(2 * BLOCK))
        self.expect_damage(image, "no valid superblock")

    def test_lost_superblock(self):
        image = self.image("journal")
        generation = image.superblock.generation
        for at in range(0, len(image.data), BLOCK):
            if at < 9 * BLOCK or at >= len(image.data) - 2 * BLOCK:
                found = int.from_bytes(image.data[at + L.SB_GENERATION:][:8], "little")
                if found == generation:
                    image.write(at, bytes(BLOCK))
        self.expect_damage(image, "newer superblock")

    def test_newer_format(self):
        image = self.image("clean")
        block = image.data[BLOCK:2 * BLOCK]
        block[L.SB_FEATURE_INCOMPAT] = 4
        block[L.SB_CRC:] = crc32c(bytes(block[:L.SB_CRC])).to_bytes(4, "little")
        image.write(BLOCK, bytes(block))
        self.expect_damage(image, "incompatible features 0x4")

    def test_truncated(self):
        image = self.image("clean")
        os.truncate(image.path, len(image.data) // 2)
        self.expect_damage(image, "truncated")

    def test_device_larger_than_the_volume(self):
        image = self.image("clean")
        os.truncate(image.path, len(image.data) + 12345)
        for block in (1, 2, 3, 4):
            image.write(block * BLOCK, bytes(BLOCK))
        self.expect_listing(image, "clean")

    def test_blocks(self):
        image = self.image("clean")
        superblock = image.superblock
        table = superblock.table_first[superblock.table_copy]
        blocks = {table: "group table", superblock.maps_first: None,
                  superblock.maps_first + 1: None}
        blocks.update((block, "tree node") for block in image.tree.blocks[:3])
        blocks.update((first + count - 1, "checksum") for first, count in image.extents[:3])
        damaged = 0
        for block, words in blocks.items():
            image.flip(block * BLOCK + 99)
            if words:
                self.expect_damage(image, f"block {block}", words)
            else:
                damaged += read(image.path)[0]
            image.flip(block * BLOCK + 99)
        self.assertEqual(damaged, 1, "one of the two copies of a map counts")
        self.expect_listing(image, "clean")

    def test_any_flipped_bit_is_found_or_harmless(self):
        seed = 7
        image = self.image("clean")
        used = [at for at in range(0, len(image.data), BLOCK)
                if any(image.data[at:at + BLOCK])]
        rng = random.Random(seed)
        for _ in range(12):
            at = rng.choice(used) + rng.randrange(BLOCK)
            image.flip(at, bit := rng.randrange(8))
            with self.subTest(seed=seed, byte=at, bit=bit):
                status, out, error = read(image.path)
                if status or error:
                    self.assertEqual((status, out), (1, ""))
                else:
                    self.assertEqual(out, golden_images.listing("clean"))
            image.flip(at, bit)


class JournalEnd(Damaged):
    """Which damage of the journal is an end that a power cut may leave, and which is not."""

    def setUp(self):
        super().setUp()
        self.golden = self.image("journal")
        self.assertGreaterEqual(len(self.golden.batches), 3)

    def batch_at(self, index):
        superblock = self.golden.superblock
        header = self.golden.batches[index].header
        return (superblock.journal_first + header.block) * BLOCK

    def batches_read(self):
        status, out, error = read(self.golden.path, "--full")
        self.assertEqual((status, error), (0, ""))
        return int(out.split('"batches":')[1].split(",")[0])

    def extent_of(self, index):
        operations = self.golden.batches[index].operations
        return next(op.block for op in operations if isinstance(op, PutExtent))

    def test_last_batch(self):
        self.golden.flip(self.batch_at(-1) + L.BATCH_PAYLOAD)
        self.assertEqual(self.batches_read(), len(self.golden.batches) - 1)

    def test_data_of_the_last_batch(self):
        self.golden.flip(self.extent_of(-1) * BLOCK + 1000)
        self.assertEqual(self.batches_read(), len(self.golden.batches) - 1)

    def test_batch_that_was_durable(self):
        self.golden.flip(self.batch_at(-2) + L.BATCH_PAYLOAD)
        self.expect_damage(self.golden, "was once durable")

    def test_header_that_was_durable(self):
        self.golden.flip(self.batch_at(0) + L.BATCH_SEQUENCE)
        self.expect_damage(self.golden, "was once durable")

    def test_data_that_was_durable(self):
        block = self.extent_of(0)
        self.golden.flip(block * BLOCK + 1000)
        self.expect_damage(self.golden, f"block {block}:")


if __name__ == "__main__":
    unittest.main()
