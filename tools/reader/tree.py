"""The B+tree: every node checked, every item given out in the order of the keys."""
from . import layout as L
from .checksum import crc32c
from .fields import require, u8, u16, u32, u64

KEY_MIN = (0, 0, 0)


def read_key(data, at):
    return (u64(data, at + L.KEY_INO), u8(data, at + L.KEY_TYPE), u64(data, at + L.KEY_OFFSET))


class Tree:
    """Iterating gives (key, value) of every item; `blocks` are then those of all nodes."""

    def __init__(self, device, superblock):
        self._device = device
        self._superblock = superblock
        self.blocks = []

    def __iter__(self):
        superblock = self._superblock
        if superblock.root_height == 0:
            return
        yield from self._node(superblock.root_block, superblock.root_generation,
                              superblock.root_crc, superblock.root_height - 1, KEY_MIN, None)

    def _node(self, block, generation, crc, level, low, high):
        """Items of the node whose keys go from `low` to below `high` (None: no bound)."""
        where = f"block {block} (tree node)"
        require(self._superblock.in_data_area(block), where, "outside the data area")
        self.blocks.append(block)
        node = self._device.read(block)
        require(u32(node, L.NODE_CRC) == crc, where, "not the checksum that its parent names")
        require(crc32c(node[L.NODE_CRC_FROM:]) == crc, where, "wrong checksum")
        require(u32(node, L.NODE_MAGIC) == L.NODE_MAGIC_VALUE, where, "wrong magic")
        require(u8(node, L.NODE_LEVEL) == level, where, "wrong level")
        require(u8(node, L.NODE_RESERVED_8) == 0 and u32(node, L.NODE_RESERVED_32) == 0, where,
                "reserved fields are not 0")
        require(node[L.NODE_UUID:L.NODE_UUID + 16] == self._superblock.uuid, where, "wrong uuid")
        require(u64(node, L.NODE_BLOCK) == block, where, "wrong address")
        require(u64(node, L.NODE_GENERATION) == generation, where, "wrong generation")
        require(0 < generation <= self._superblock.generation, where, "impossible generation")
        count = u16(node, L.NODE_COUNT)
        require(count >= 1, where, "no entries")
        if level == 0:
            yield from self._leaf(node, count, where, low, high)
        else:
            yield from self._internal(node, count, level, where, low, high)

    def _internal(self, node, count, level, where, low, high):
        require(count <= L.CHILDREN_MAX, where, "too many entries")
        entries = range(L.NODE_ENTRIES, L.NODE_ENTRIES + count * L.CHILD_ENTRY_BYTES,
                        L.CHILD_ENTRY_BYTES)
        keys = [read_key(node, at) for at in entries]
        _check_keys(keys, where, low, high)
        require(not any(node[L.NODE_ENTRIES + count * L.CHILD_ENTRY_BYTES:]), where,
                "bytes behind the entries are not 0")
        for index, at in enumerate(entries):
            child_low = keys[index] if index else low
            child_high = keys[index + 1] if index + 1 < count else high
            yield from self._node(u64(node, at + L.CHILD_BLOCK), u64(node, at + L.CHILD_GENERATION),
                                  u32(node, at + L.CHILD_CRC), level - 1, child_low, child_high)

    def _leaf(self, node, count, where, low, high):
        slots_end = L.NODE_ENTRIES + count * L.SLOT_BYTES
        require(slots_end <= L.BLOCK_BYTES, where, "too many items")
        slots = range(L.NODE_ENTRIES, slots_end, L.SLOT_BYTES)
        keys = [read_key(node, at) for at in slots]
        _check_keys(keys, where, low, high)
        value_end = L.BLOCK_BYTES
        for key, at in zip(keys, slots):
            value_at = u16(node, at + L.SLOT_VALUE_OFFSET)
            length = u16(node, at + L.SLOT_VALUE_LENGTH)
            require(length <= L.VALUE_MAX, where, "a value is too long")
            require(value_at + length == value_end and value_at >= slots_end, where,
                    "a value is out of place")
            yield key, node[value_at:value_end]
            value_end = value_at
        require(not any(node[slots_end:value_end]), where, "free bytes are not 0")


def _check_keys(keys, where, low, high):
    require(all(a < b for a, b in zip(keys, keys[1:])), where, "keys are not in order")
    require(keys[0] >= low and (high is None or keys[-1] < high), where,
            "keys that belong to another node")
