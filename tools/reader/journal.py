"""The journal: which batches count, and where their chain ends."""
from . import layout as L
from .checksum import crc32c, crc32c_of_blocks, siphash24
from .fields import require, u32, u64
from .operations import PutExtent, decode


class Header:
    """The header of a batch at `block` of the journal, sealed or not."""

    def __init__(self, superblock, block, data):
        self.block = block
        self.mount_epoch = u64(data, L.BATCH_MOUNT_EPOCH)
        self.sequence = u64(data, L.BATCH_SEQUENCE)
        self.checkpoint_generation = u64(data, L.BATCH_CHECKPOINT_GENERATION)
        self.flushed_seq = u64(data, L.BATCH_FLUSHED_SEQ)
        self.previous_crc = u32(data, L.BATCH_PREVIOUS_CRC)
        self.payload_bytes = u32(data, L.BATCH_PAYLOAD_BYTES)
        self.crc = u32(data, L.BATCH_CRC)
        self.blocks = -(-(L.BATCH_PAYLOAD + self.payload_bytes) // L.BLOCK_BYTES)
        self.sealed = (
            data[L.BATCH_MAGIC:L.BATCH_MAGIC + 8] == L.BATCH_MAGIC_VALUE and
            data[L.BATCH_UUID:L.BATCH_UUID + 16] == superblock.uuid and
            u64(data, L.BATCH_OWN_BLOCK) == block and
            self.payload_bytes <= L.BATCH_PAYLOAD_MAX and
            self.blocks <= superblock.journal_blocks and
            u32(data, L.BATCH_RESERVED_76) == 0 and u32(data, L.BATCH_RESERVED_88) == 0 and
            u64(data, L.BATCH_SEAL) == siphash24(superblock.hash_key, data[:L.BATCH_SEAL]))


class Batch:
    def __init__(self, header, operations):
        self.header = header
        self.operations = operations


class Journal:
    def __init__(self, device, superblock):
        self._device = device
        self._superblock = superblock

    def batches(self):
        """Those that count, in order. Damage when one is missing that was once durable."""
        superblock = self._superblock
        taken, end, expected = self._chain()
        only_one = superblock.unmounted_in_order() and not taken
        flushed = max((batch.header.flushed_seq for batch in taken), default=0)
        used = sum(batch.header.blocks for batch in taken)
        left = 1 if only_one else superblock.journal_blocks - used
        for step in range(left):
            header = self._header((end + step) % superblock.journal_blocks)
            if not header.sealed:
                continue
            where = self._name(header)
            require(header.mount_epoch <= superblock.mount_epoch and
                    header.checkpoint_generation <= superblock.generation, where,
                    "it follows a newer superblock, which is lost")
            if header.mount_epoch == superblock.mount_epoch and header.sequence >= expected:
                flushed = max(flushed, header.flushed_seq)
        require(flushed < expected, f"journal block {end}",
                f"batch {expected} was once durable and is not there")
        return self._with_intact_data(taken, flushed)

    def _chain(self):
        """(batches, block behind them, sequence expected there)."""
        superblock = self._superblock
        block = superblock.journal_scan
        expected = superblock.covered_seq + 1
        previous_crc = superblock.covered_crc
        left = superblock.journal_blocks
        taken = []
        while left:
            header = self._header(block)
            if not (header.sealed and header.mount_epoch == superblock.mount_epoch and
                    header.sequence == expected and header.previous_crc == previous_crc and
                    header.blocks <= left):
                break
            data = self._read(block, header.blocks)
            payload = data[L.BATCH_PAYLOAD:L.BATCH_PAYLOAD + header.payload_bytes]
            if crc32c(data[:L.BATCH_CRC] + payload) != header.crc:
                break
            taken.append(self._batch(header, payload))
            block = (block + header.blocks) % superblock.journal_blocks
            left -= header.blocks
            expected += 1
            previous_crc = header.crc
        return taken, block, expected

    def _batch(self, header, payload):
        where = self._name(header)
        require(header.checkpoint_generation <= self._superblock.generation, where,
                "it follows a newer superblock, which is lost")
        operations = decode(payload, where)
        for operation in operations:
            if isinstance(operation, PutExtent):
                require(self._superblock.in_data_area(operation.block, operation.count), where,
                        f"block {operation.block} is outside the data area")
        return Batch(header, operations)

    def _with_intact_data(self, taken, flushed):
        """The batches up to the first one whose data did not reach the device."""
        for index, batch in enumerate(taken):
            if batch.header.sequence <= flushed:
                continue
            for operation in batch.operations:
                if not isinstance(operation, PutExtent):
                    continue
                data = self._device.read(operation.block, operation.count)
                if crc32c_of_blocks(data) != operation.crcs:
                    return taken[:index]
        return taken

    def _header(self, block):
        return Header(self._superblock, block, self._read(block, 1))

    def _read(self, block, count):
        """`count` blocks, going on at the journal's begin behind its end."""
        size, first = self._superblock.journal_blocks, self._superblock.journal_first
        here = min(count, size - block)
        data = self._device.read(first + block, here)
        return data + self._device.read(first, count - here) if here < count else data

    @staticmethod
    def _name(header):
        return f"journal block {header.block} (batch {header.sequence})"
