"""Damage, and reading of numbers."""


class Damage(Exception):
    """The volume breaks a rule of FORMAT.md; the text says where and which."""


def require(condition, where, what):
    if not condition:
        raise Damage(f"{where}: {what}")


def u8(data, at):
    return data[at]


def u16(data, at):
    return int.from_bytes(data[at:at + 2], "little")


def u32(data, at):
    return int.from_bytes(data[at:at + 4], "little")


def u64(data, at):
    return int.from_bytes(data[at:at + 8], "little")


def s64(data, at):
    return int.from_bytes(data[at:at + 8], "little", signed=True)


def printable(name):
    """Bytes as text: each byte is the character of that number."""
    return name.decode("latin-1")
