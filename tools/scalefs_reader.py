#!/usr/bin/env python3
"""Lists what a scalefs volume holds, without writing to it.

usage: scalefs_reader.py [--full] IMAGE

The newest valid superblock is chosen, the journal is checked and applied in memory, every node,
item, map and data block is checked, and every path is printed as a line of JSON, sorted by the bytes
of the paths. Bytes of paths, targets and attributes' names are printed as the characters of
these numbers. --full also prints the rest of each inode, and first a line about the volume.

Exit status: 0 all is well; 1 the volume is damaged, or not one; 2 usage, or the image cannot be read.
"""
import sys

from reader import maps
from reader.content import Loader
from reader.device import Device
from reader.fields import Damage
from reader.journal import Journal
from reader.superblock import choose
from reader.tree import Tree
from reader.walk import Walk, to_json


def check_used_once(used):
    end = 0
    for first, count in sorted(used):
        if first < end:
            raise Damage(f"block {first}: it is referenced twice")
        end = first + count


def read_volume(device):
    """(superblock, batches of the journal, content after them)."""
    superblock = choose(device)
    tree = Tree(device, superblock)
    loader = Loader(superblock)
    content = loader.load(tree)
    used = loader.used_blocks + [(block, 1) for block in tree.blocks]
    check_used_once(used)
    maps.check(device, superblock, used)
    batches = Journal(device, superblock).batches()
    for batch in batches:
        for operation in batch.operations:
            operation.apply(content)
    return superblock, batches, content


def about(superblock, batches, content):
    uuid = superblock.uuid.hex()
    return {
        "uuid": "-".join((uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:])),
        "label": superblock.label.partition(b"\0")[0].decode("utf-8"),
        "block_count": superblock.block_count, "generation": superblock.generation,
        "mount_epoch": superblock.mount_epoch, "version_minor": superblock.version_minor,
        "feature_compat": superblock.feature_compat,
        "feature_ro_compat": superblock.feature_ro_compat,
        "created_ns": superblock.created_ns, "state": superblock.state,
        "covered_seq": superblock.covered_seq, "batches": len(batches),
        "orphans": sorted(content.orphans), "recycled": sorted(content.recycled),
        "mnode_marks": sorted(content.marks.items()),
    }


def main(arguments):
    if arguments in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    full = arguments[:1] == ["--full"]
    paths = arguments[1:] if full else arguments
    if len(paths) != 1 or paths[0].startswith("-"):
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    try:
        device = Device(paths[0])
    except OSError as error:
        print(f"{paths[0]}: {error.strerror}", file=sys.stderr)
        return 2
    try:
        superblock, batches, content = read_volume(device)
        walk = Walk(device, content, full)
        lines = walk.listing()
    except (Damage, OSError) as error:
        print(f"{paths[0]}: {error}", file=sys.stderr)
        return 1
    finally:
        device.close()
    if full:
        lines.insert(0, about(superblock, batches, content))
    sys.stdout.write("".join(to_json(line) + "\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
