"""Group table and maps against the blocks that the tree references."""
from . import layout as L
from .checksum import crc32c
from .fields import require, u32, u64


def check(device, superblock, used):
    """`used`: (first block, count) of every node and extent of the superblock's tree, none twice."""
    by_group = {}
    for first, count in used:
        while count:
            group, bit = divmod(first, superblock.group_blocks)
            here = min(count, superblock.group_blocks - bit)
            by_group.setdefault(group, []).append((bit, here))
            first += here
            count -= here
    free_total = 0
    for group, entry in enumerate(_read_table(device, superblock)):
        free_total += _check_group(device, superblock, group, entry, by_group.get(group, []))
    require(free_total == superblock.free_blocks, "group table",
            f"{free_total} blocks are free, the superblock says {superblock.free_blocks}")


def _read_table(device, superblock):
    """The entries of all groups."""
    first = superblock.table_first[superblock.table_copy]
    table = device.read(first, superblock.table_blocks)
    require(crc32c(table) == superblock.table_crc, f"group table at block {first}",
            "wrong checksum")
    entries = []
    for index in range(superblock.table_blocks):
        block = table[index * L.BLOCK_BYTES:(index + 1) * L.BLOCK_BYTES]
        where = f"block {first + index} (group table)"
        require(u32(block, L.TABLE_MAGIC) == L.TABLE_MAGIC_VALUE, where, "wrong magic")
        require(u32(block, L.TABLE_INDEX) == index, where, "wrong index")
        require(block[L.TABLE_UUID:L.TABLE_UUID + 16] == superblock.uuid, where, "wrong uuid")
        require(u64(block, L.TABLE_OWN_BLOCK) == first + index, where, "wrong own_block")
        require(u64(block, L.TABLE_GENERATION) == superblock.table_generation, where,
                "wrong generation")
        require(u64(block, L.TABLE_GROUP_COUNT) == superblock.group_count, where,
                "wrong group_count")
        for number in range(L.TABLE_ENTRIES):
            at = L.TABLE_FIRST_ENTRY + number * L.GROUP_ENTRY_BYTES
            entry = block[at:at + L.GROUP_ENTRY_BYTES]
            if len(entries) < superblock.group_count:
                entries.append(entry)
            else:
                require(not any(entry), where, "an entry of a group that does not exist")
    return entries


def _check_group(device, superblock, group, entry, used):
    """Compares the group's map with `used`, (bit, count) pairs. Returns the group's free blocks."""
    where = f"group {group}"
    base = group * superblock.group_blocks
    generation = u64(entry, L.GROUP_GENERATION)
    crc = u32(entry, L.GROUP_CRC)
    copy = u32(entry, L.GROUP_COPY_AND_FREE) >> 31
    free = u32(entry, L.GROUP_COPY_AND_FREE) & 0x7FFFFFFF
    require(generation <= superblock.table_generation, where, "generation above the table's")

    first = max(base, superblock.data_first)
    end = min(base + superblock.group_blocks, superblock.data_end)
    bits = superblock.map_blocks * L.BLOCK_BYTES * 8
    expected = (1 << bits) - 1
    if first < end:
        expected ^= _bits(first - base, end - first)
    for bit, count in used:
        expected |= _bits(bit, count)
    require(free == bits - bin(expected).count("1"), where, f"wrong number of free blocks, {free}")

    if generation == 0:
        require(not used and crc == 0 and copy == 0, where, "a blank group that is in use")
        return free
    at = superblock.maps_first + (2 * group + copy) * superblock.map_blocks
    data = device.read(at, superblock.map_blocks)
    require(crc32c(data) == crc, f"block {at} (map of {where})", "wrong checksum")
    wrong = int.from_bytes(data, "little") ^ expected
    if wrong:
        bit = (wrong & -wrong).bit_length() - 1
        state = "free" if expected >> bit & 1 else "in use"
        require(False, f"block {at} (map of {where})", f"it wrongly calls block {base + bit} {state}")
    return free


def _bits(first, count):
    return ((1 << count) - 1) << first
