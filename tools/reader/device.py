"""The image or block device, read only, in blocks."""
import os

from .fields import Damage
from .layout import BLOCK_BYTES


class Device:
    def __init__(self, path):
        self._file = open(path, "rb", buffering=0)
        self.block_count = self._file.seek(0, os.SEEK_END) // BLOCK_BYTES

    def read(self, block, count=1):
        if block < 0 or block + count > self.block_count:
            raise Damage(f"block {block}: {count} blocks from there reach beyond the device's end")
        return self._pread(block * BLOCK_BYTES, count * BLOCK_BYTES)

    def _pread(self, offset, size):
        pieces = []
        while size:
            piece = os.pread(self._file.fileno(), size, offset)
            if not piece:
                raise Damage(f"byte {offset}: the device ends here")
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return b"".join(pieces)

    def close(self):
        self._file.close()
