"""CRC32C and SipHash-2-4 in plain Python.

CRC32C runs over many lanes of 64 bytes at once. The four bytes of all registers stand in four planes, one
behind the other in one long integer; a step looks up one byte of every lane with bytes.translate. At the
end neighbouring lanes are joined: the left one's register is moved past the right one's bytes, which is
linear in its bits, so that it too is a look-up a byte.
"""
import functools
import struct

LANE = 64
BLOCK = 4096
_REFLECTED = 0x82F63B78  # 0x1edc6f41 with its bits in the other order


def _table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_REFLECTED if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()
# _PLANES[k][i] is byte k of _TABLE[i].
_PLANES = [bytes(entry >> 8 * k & 255 for entry in _TABLE) for k in range(4)]


@functools.lru_cache(maxsize=None)
def _basis_after_zeros(size):
    """What becomes of each of a register's 32 bits after `size` zero bytes, a power of two."""
    if size == 1:
        return [(1 << bit) >> 8 ^ _TABLE[(1 << bit) & 255] for bit in range(32)]
    half = _basis_after_zeros(size // 2)
    return [_apply(half, word) for word in half]


def _apply(basis, word):
    result = 0
    for bit in range(32):
        if word >> bit & 1:
            result ^= basis[bit]
    return result


@functools.lru_cache(maxsize=None)
def _join_tables(size):
    """[j][k]: what byte j of a register adds to its byte k after `size` zero bytes, as 256 bytes."""
    basis = _basis_after_zeros(size)
    tables = []
    for j in range(4):
        words = [_apply(basis, value << 8 * j) for value in range(256)]
        tables.append([bytes(word >> 8 * k & 255 for word in words) for k in range(4)])
    return tables


def _lane_registers(data):
    """The four planes of the registers, from 0, of all lanes; len(data) is a multiple of LANE."""
    lanes = len(data) // LANE
    low = (1 << 8 * lanes) - 1
    state = 0
    for step in range(LANE):
        column = int.from_bytes(data[step::LANE], "little")
        index = (state & low ^ column).to_bytes(lanes, "little")
        looked_up = b"".join([index.translate(plane) for plane in _PLANES])
        state = state >> 8 * lanes ^ int.from_bytes(looked_up, "little")
    packed = state.to_bytes(4 * lanes, "little")
    return [packed[k * lanes:(k + 1) * lanes] for k in range(4)]


def _xor(pieces):
    total = 0
    for piece in pieces:
        total ^= int.from_bytes(piece, "little")
    return total.to_bytes(len(pieces[0]), "little")


def _registers(data, unit):
    """The registers, from 0, of each `unit` bytes: LANE times a power of two."""
    planes = _lane_registers(data)
    size = LANE
    while size < unit:
        tables = _join_tables(size)
        left = [plane[0::2] for plane in planes]
        right = [plane[1::2] for plane in planes]
        planes = [_xor([right[k]] + [left[j].translate(tables[j][k]) for j in range(4)])
                  for k in range(4)]
        size *= 2
    return [a | b << 8 | c << 16 | d << 24 for a, b, c, d in zip(*planes)]


def crc32c(data):
    if len(data) < LANE:
        crc = 0xFFFFFFFF
        for byte in data:
            crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 255]
        return crc ^ 0xFFFFFFFF
    # Zeros in front do not move a register of 0, and the initial value is one flip of four bytes.
    unit = LANE
    while unit < len(data):
        unit *= 2
    start = bytes(byte ^ 255 for byte in data[:4])
    padded = bytes(unit - len(data)) + start + bytes(data[4:])
    return _registers(padded, unit)[0] ^ 0xFFFFFFFF


_ZERO_BLOCK_CRC = crc32c(bytes(BLOCK))


def crc32c_of_blocks(data):
    """The CRC32C of each 4096 bytes."""
    # The register is linear: from 0 over the data, and the initial value's over as many zeros.
    return [register ^ _ZERO_BLOCK_CRC for register in _registers(data, BLOCK)]


_MASK = (1 << 64) - 1


def _rotate(word, by):
    return (word << by | word >> 64 - by) & _MASK


def _sip_round(v0, v1, v2, v3):
    v0 = v0 + v1 & _MASK
    v2 = v2 + v3 & _MASK
    v1 = _rotate(v1, 13) ^ v0
    v3 = _rotate(v3, 16) ^ v2
    v0 = _rotate(v0, 32)
    v2 = v2 + v1 & _MASK
    v0 = v0 + v3 & _MASK
    v1 = _rotate(v1, 17) ^ v2
    v3 = _rotate(v3, 21) ^ v0
    v2 = _rotate(v2, 32)
    return v0, v1, v2, v3


def siphash24(key, data):
    """64 bits; the key is 16 bytes."""
    k0, k1 = struct.unpack("<QQ", key)
    v = (k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D,
         k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573)
    tail = data[len(data) & ~7:]
    padded = data + bytes(7 - len(tail)) + bytes([len(data) & 255])
    for (word,) in struct.iter_unpack("<Q", padded):
        v = (v[0], v[1], v[2], v[3] ^ word)
        v = _sip_round(*_sip_round(*v))
        v = (v[0] ^ word, v[1], v[2], v[3])
    v = (v[0], v[1], v[2] ^ 255, v[3])
    for _ in range(4):
        v = _sip_round(*v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]
