"""The operations of a batch: decoding them, and what each does to the content."""
from . import layout as L
from .content import Inode, Name, check_inode, check_name
from .fields import Damage, require, u8, u32, u64
from .mapping import Extent, Inline, Unwritten

SIGNED = {"btime", "mtime", "atime", "ctime"}
U32 = {"nlink", "flags", "uid", "gid", "generation"}


class Cursor:
    """Takes fields from a payload, one behind the other."""

    def __init__(self, data, where):
        self._data = data
        self._at = 0
        self.where = where

    def done(self):
        return self._at == len(self._data)

    def bytes(self, count):
        piece = self._data[self._at:self._at + count]
        require(len(piece) == count, self.where, "an operation is cut off")
        self._at += count
        return piece

    def varint(self, limit=1 << 64):
        """A number below `limit`."""
        value = shift = 0
        while True:
            byte = self.bytes(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
            require(shift < 70, self.where, "a varint is too long")
        require((byte or shift == 7) and value < 1 << 64, self.where, "an impossible varint")
        require(value < limit, self.where, f"{value} is out of bounds")
        return value

    def zigzag(self):
        value = self.varint()
        return -(value >> 1) - 1 if value & 1 else value >> 1

    def ino(self):
        ino = self.varint(L.INO_LIMIT)
        require(ino, self.where, "inode number 0")
        return ino

    def u8(self):
        return u8(self.bytes(1), 0)

    def u32(self):
        return u32(self.bytes(4), 0)

    def u64(self):
        return u64(self.bytes(8), 0)

    def name(self):
        name = self.bytes(self.u8())
        require(name, self.where, "an empty name")
        return name

    def pages(self, count_max=L.PAGES_MAX):
        page = self.varint(L.PAGES_MAX)
        count = self.varint(count_max + 1)
        require(count >= 1 and page + count <= L.PAGES_MAX, self.where, "impossible pages")
        return page, count


def _present(content, ino, where):
    require(ino in content.inodes, where, f"something is put into inode {ino}, which is not there")


class PutInode:
    def __init__(self, cursor):
        self.ino = cursor.ino()
        mask = cursor.varint(1 << len(L.INODE_MASK))
        inode = self.inode = Inode()
        inode.mnode = cursor.varint(L.MNODE_LIMIT)
        inode.mode = cursor.varint(1 << 32)
        values = dict.fromkeys(L.INODE_MASK, 0)
        for bit, name in enumerate(L.INODE_MASK):
            if mask >> bit & 1:
                limit = 1 << 32 if name in U32 else 1 << 64
                values[name] = cursor.zigzag() if name in SIGNED else cursor.varint(limit)
                require(values[name], cursor.where, f"{name} is named and 0")
        values["mtime"] = _wrap(values["mtime"] + values["btime"])
        values["atime"] = _wrap(values["atime"] + values["mtime"])
        values["ctime"] = _wrap(values["ctime"] + values["mtime"])
        inode.__dict__.update(values)
        check_inode(inode, cursor.where)

    def apply(self, content):
        content.inodes[self.ino] = self.inode
        content.recycled.discard(self.ino)


def _wrap(value):
    """Modulo 2^64, signed."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


class DeleteInode:
    def __init__(self, cursor):
        self.ino = cursor.ino()

    def apply(self, content):
        if self.ino not in content.inodes:
            return
        for items in (content.inodes, content.names, content.mappings, content.xattrs):
            items.pop(self.ino, None)
        content.orphans.discard(self.ino)
        content.recycled.add(self.ino)


class PutDirent:
    def __init__(self, cursor):
        self.where = cursor.where
        self.dir = cursor.ino()
        self.hash = cursor.u64()
        self.name = cursor.name()
        check_name(self.name, cursor.where)
        ino = cursor.ino()
        mnode = cursor.varint(L.MNODE_LIMIT)
        type_ = cursor.u8()
        require(type_ <= L.TYPE_MAX, cursor.where, "impossible type")
        self.target = Name(ino, mnode, type_)

    def apply(self, content):
        _present(content, self.dir, self.where)
        require(content.hash(self.name) == self.hash, self.where, "a name with a wrong hash")
        content.names.setdefault(self.dir, {})[self.name] = self.target


class DelDirent:
    def __init__(self, cursor):
        self.where = cursor.where
        self.dir = cursor.ino()
        self.hash = cursor.u64()
        self.name = cursor.name()
        check_name(self.name, cursor.where)

    def apply(self, content):
        require(content.hash(self.name) == self.hash, self.where, "a name with a wrong hash")
        content.names.get(self.dir, {}).pop(self.name, None)


class PutExtent:
    def __init__(self, cursor):
        self.where = cursor.where
        self.ino = cursor.ino()
        self.page, self.count = cursor.pages(L.EXTENT_PAGES_MAX)
        self.block = cursor.varint()
        require(self.block and self.block + self.count <= L.BLOCKS_MAX, cursor.where,
                "impossible blocks")
        self.crcs = [cursor.u32() for _ in range(self.count)]

    def apply(self, content):
        _present(content, self.ino, self.where)
        content.mapping(self.ino).replace(self.page, self.count, Extent(self.block, self.crcs))


class PutUnwritten:
    def __init__(self, cursor):
        self.where = cursor.where
        self.ino = cursor.ino()
        self.page, self.count = cursor.pages()

    def apply(self, content):
        _present(content, self.ino, self.where)
        content.mapping(self.ino).fill_holes(self.page, self.count, Unwritten())


class PutInline:
    def __init__(self, cursor):
        self.where = cursor.where
        self.ino = cursor.ino()
        self.page = cursor.varint(L.PAGES_MAX)
        self.content = cursor.bytes(cursor.varint(L.OP_INLINE_MAX + 1))

    def apply(self, content):
        _present(content, self.ino, self.where)
        content.mapping(self.ino).replace(self.page, 1, Inline(self.content))


class Punch:
    def __init__(self, cursor):
        self.ino = cursor.ino()
        self.page = cursor.varint(L.PAGES_MAX + 1)
        self.count = cursor.varint(L.PAGES_MAX + 1)
        require(self.page + self.count <= L.PAGES_MAX, cursor.where, "impossible pages")

    def apply(self, content):
        if self.count:
            content.mapping(self.ino).replace(self.page, self.count, None)
        else:
            content.mapping(self.ino).punch_from(self.page)


class PutXattr:
    def __init__(self, cursor):
        self.where = cursor.where
        self.ino = cursor.ino()
        self.name = cursor.name()
        require(b"\0" not in self.name, cursor.where, "an impossible attribute's name")
        self.value = cursor.bytes(cursor.varint(L.XATTR_VALUE_MAX + 1))

    def apply(self, content):
        _present(content, self.ino, self.where)
        content.xattrs.setdefault(self.ino, {})[self.name] = self.value


class DelXattr:
    def __init__(self, cursor):
        self.ino = cursor.ino()
        self.name = cursor.name()
        require(b"\0" not in self.name, cursor.where, "an impossible attribute's name")

    def apply(self, content):
        content.xattrs.get(self.ino, {}).pop(self.name, None)


class PutOrphan:
    def __init__(self, cursor):
        self.ino = cursor.ino()

    def apply(self, content):
        content.orphans.add(self.ino)


class DelOrphan:
    def __init__(self, cursor):
        self.ino = cursor.ino()

    def apply(self, content):
        content.orphans.discard(self.ino)


class SetMnodeMark:
    def __init__(self, cursor):
        self.slot = cursor.varint(L.CORE_SLOT_LIMIT)
        self.counter = cursor.varint(L.MARK_MAX + 1)

    def apply(self, content):
        content.marks[self.slot] = max(self.counter, content.marks.get(self.slot, 0))


BY_CODE = {
    L.OP_PUT_INODE: PutInode, L.OP_DELETE_INODE: DeleteInode, L.OP_PUT_DIRENT: PutDirent,
    L.OP_DEL_DIRENT: DelDirent, L.OP_PUT_EXTENT: PutExtent, L.OP_PUT_UNWRITTEN: PutUnwritten,
    L.OP_PUT_INLINE: PutInline, L.OP_PUNCH: Punch, L.OP_PUT_XATTR: PutXattr,
    L.OP_DEL_XATTR: DelXattr, L.OP_PUT_ORPHAN: PutOrphan, L.OP_DEL_ORPHAN: DelOrphan,
    L.OP_SET_MNODE_MARK: SetMnodeMark,
}


def decode(payload, where):
    cursor = Cursor(payload, where)
    operations = []
    while not cursor.done():
        code = cursor.u8()
        if code not in BY_CODE:
            raise Damage(f"{where}: unknown operation {code}")
        operations.append(BY_CODE[code](cursor))
    return operations
