"""Superblocks: what makes a copy valid, and which copy counts."""
from . import layout as L
from .checksum import crc32c
from .fields import Damage, s64, u16, u32, u64


class Superblock:
    """The fields of one copy, and the geometry that follows from them."""

    def __init__(self, data):
        self.magic = data[L.SB_MAGIC:L.SB_MAGIC + 8]
        self.version_major = u16(data, L.SB_VERSION_MAJOR)
        self.version_minor = u16(data, L.SB_VERSION_MINOR)
        self.block_bytes = u32(data, L.SB_BLOCK_BYTES)
        self.uuid = data[L.SB_UUID:L.SB_UUID + 16]
        self.label = data[L.SB_LABEL:L.SB_LABEL + L.SB_LABEL_BYTES]
        self.block_count = u64(data, L.SB_BLOCK_COUNT)
        self.own_block = u64(data, L.SB_OWN_BLOCK)
        self.generation = u64(data, L.SB_GENERATION)
        self.mount_epoch = u64(data, L.SB_MOUNT_EPOCH)
        self.feature_compat = u64(data, L.SB_FEATURE_COMPAT)
        self.feature_ro_compat = u64(data, L.SB_FEATURE_RO_COMPAT)
        self.feature_incompat = u64(data, L.SB_FEATURE_INCOMPAT)
        self.created_ns = s64(data, L.SB_CREATED_NS)
        self.state = u32(data, L.SB_STATE)
        self.hash_key = data[L.SB_HASH_KEY:L.SB_HASH_KEY + 16]
        self.group_blocks = u64(data, L.SB_GROUP_BLOCKS)
        self.group_count = u64(data, L.SB_GROUP_COUNT)
        self.journal_first = u64(data, L.SB_JOURNAL_FIRST)
        self.journal_blocks = u64(data, L.SB_JOURNAL_BLOCKS)
        self.table_first = (u64(data, L.SB_TABLE_FIRST_0), u64(data, L.SB_TABLE_FIRST_1))
        self.table_blocks = u64(data, L.SB_TABLE_BLOCKS)
        self.table_copy = u32(data, L.SB_TABLE_COPY)
        self.table_crc = u32(data, L.SB_TABLE_CRC)
        self.table_generation = u64(data, L.SB_TABLE_GENERATION)
        self.root_block = u64(data, L.SB_ROOT_BLOCK)
        self.root_crc = u32(data, L.SB_ROOT_CRC)
        self.root_height = u32(data, L.SB_ROOT_HEIGHT)
        self.root_generation = u64(data, L.SB_ROOT_GENERATION)
        self.covered_seq = u64(data, L.SB_COVERED_SEQ)
        self.covered_crc = u32(data, L.SB_COVERED_CRC)
        self.journal_scan = u64(data, L.SB_JOURNAL_SCAN)
        self.next_ino = u64(data, L.SB_NEXT_INO)
        self.free_ino_count = u64(data, L.SB_FREE_INO_COUNT)
        self.inode_count = u64(data, L.SB_INODE_COUNT)
        self.free_blocks = u64(data, L.SB_FREE_BLOCKS)
        self.intact = (self.magic == L.SB_MAGIC_VALUE and
                       u32(data, L.SB_CRC) == crc32c(data[:L.SB_CRC]))

    def must_not_be_touched(self):
        """Why nobody who knows version 1.0 may use the volume, or None."""
        if self.version_major != L.SB_MAJOR_VALUE:
            return f"format version {self.version_major} is not supported"
        if self.feature_incompat:
            return f"unknown incompatible features {self.feature_incompat:#x}"
        return None

    def geometry(self):
        return (self.uuid, self.block_count, self.group_blocks, self.journal_blocks)

    def problem(self, block):
        """What makes the copy that stands in `block` invalid, or None."""
        if not self.intact:
            return "no magic, or a wrong checksum"
        if self.own_block != block:
            return f"it is the copy of block {self.own_block}"
        return (self.must_not_be_touched() or self._bad_geometry() or self._bad_state() or
                self._bad_root())

    def _bad_geometry(self):
        size, journal = self.group_blocks, self.journal_blocks
        if self.block_bytes != L.BLOCK_BYTES:
            return "block_bytes"
        if not L.BLOCKS_MIN <= self.block_count <= L.BLOCKS_MAX:
            return "block_count"
        if not L.GROUP_BLOCKS_MIN <= size <= L.GROUP_BLOCKS_MAX or size & (size - 1):
            return "group_blocks"
        if not L.JOURNAL_BLOCKS_MIN <= journal <= L.JOURNAL_BLOCKS_MAX:
            return "journal_blocks"
        if self.journal_first != L.JOURNAL_FIRST:
            return "journal_first"
        if self.group_count != -(-self.block_count // size) or self.group_count > L.GROUPS_MAX:
            return "group_count"
        if self.table_blocks != -(-self.group_count // L.TABLE_ENTRIES):
            return "table_blocks"
        table = L.JOURNAL_FIRST + journal
        if self.table_first != (table, table + self.table_blocks):
            return "table_first"
        if self.data_end - self.data_first < L.DATA_BLOCKS_MIN:
            return "no room for data"
        return None

    def _bad_state(self):
        if not 1 <= self.generation < L.COUNTER_LIMIT:
            return "generation"
        if self.mount_epoch >= L.COUNTER_LIMIT:
            return "mount_epoch"
        if self.covered_seq >= L.COUNTER_LIMIT:
            return "covered_seq"
        if self.state & ~(L.SB_FLAG_CLEAN | L.SB_FLAG_DAMAGED):
            return "state"
        if self.table_copy > 1:
            return "table_copy"
        if self.table_generation > self.generation:
            return "table_generation"
        if self.covered_seq == 0 and self.covered_crc:
            return "covered_crc"
        if self.journal_scan >= self.journal_blocks:
            return "journal_scan"
        if not 2 <= self.next_ino <= L.INO_LIMIT:
            return "next_ino"
        if self.inode_count + self.free_ino_count >= self.next_ino:
            return "inode_count"
        if self.free_blocks > self.data_end - self.data_first:
            return "free_blocks"
        text, _, rest = self.label.partition(b"\0")
        try:
            text.decode("utf-8")
        except UnicodeDecodeError:
            return "label"
        return "label" if rest.strip(b"\0") else None

    def _bad_root(self):
        if self.root_height == 0:
            empty = self.root_block == self.root_crc == self.root_generation == 0
            return None if empty else "root of an empty tree"
        if self.root_height > L.HEIGHT_MAX:
            return "root_height"
        if not self.in_data_area(self.root_block):
            return "root_block"
        if not 1 <= self.root_generation <= self.generation:
            return "root_generation"
        return None

    @property
    def map_blocks(self):
        return -(-self.group_blocks // L.MAP_BITS_PER_BLOCK)

    @property
    def maps_first(self):
        return L.JOURNAL_FIRST + self.journal_blocks + 2 * self.table_blocks

    @property
    def data_first(self):
        return self.maps_first + self.group_count * 2 * self.map_blocks

    @property
    def data_end(self):
        return self.block_count - L.END_COPIES

    def in_data_area(self, block, count=1):
        return self.data_first <= block and block + count <= self.data_end

    def unmounted_in_order(self):
        return bool(self.state & L.SB_FLAG_CLEAN)


def choose(device):
    """The superblock that counts."""
    ring, end, problems = [], [], []

    def look(block, into):
        if not 0 < block < device.block_count:
            return
        copy = Superblock(device.read(block))
        if copy.intact and copy.must_not_be_touched():
            raise Damage(f"superblock in block {block}: {copy.must_not_be_touched()}")
        problem = copy.problem(block)
        if problem:
            problems.append(f"block {block}: {problem}")
        else:
            into.append(copy)

    for block in L.SB_RING:
        look(block, ring)
    for block in range(device.block_count - L.END_COPIES, device.block_count):
        look(block, end)
    if not ring and not end:
        raise Damage("no valid superblock (" + "; ".join(problems) + ")")
    volume = max(ring or end, key=lambda copy: copy.generation)
    if device.block_count < volume.block_count:
        raise Damage(f"the device has {device.block_count} blocks, the volume "
                     f"{volume.block_count}: it is truncated")
    if device.block_count > volume.block_count:
        for block in range(volume.data_end, volume.block_count):
            look(block, end)
    same = [copy for copy in ring + end if copy.geometry() == volume.geometry()]
    return max(same, key=lambda copy: copy.generation)
