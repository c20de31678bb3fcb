"""What a volume holds, in memory: loaded from the tree's items, changed by the journal's operations."""
from . import layout as L
from .checksum import siphash24
from .fields import printable, require, s64, u8, u32, u64
from .mapping import Extent, Inline, Mapping, Unwritten


class Inode:
    """Attributes as they stand in the inode item; blocks and entries are only there for a check."""

    def __init__(self, value=None):
        if value is None:
            return
        self.mnode = u64(value, L.INODE_MNODE)
        self.mode = u32(value, L.INODE_MODE)
        self.flags = u32(value, L.INODE_FLAGS)
        self.uid = u32(value, L.INODE_UID)
        self.gid = u32(value, L.INODE_GID)
        self.nlink = u32(value, L.INODE_NLINK)
        self.generation = u32(value, L.INODE_GENERATION)
        self.rdev = u64(value, L.INODE_RDEV)
        self.size = u64(value, L.INODE_SIZE)
        self.blocks = u64(value, L.INODE_BLOCKS)
        self.entries = u64(value, L.INODE_ENTRIES)
        self.atime = s64(value, L.INODE_ATIME)
        self.mtime = s64(value, L.INODE_MTIME)
        self.ctime = s64(value, L.INODE_CTIME)
        self.btime = s64(value, L.INODE_BTIME)
        self.parent_mnode = u64(value, L.INODE_PARENT_MNODE)
        self.parent_ino = u64(value, L.INODE_PARENT_INO)


class Name:
    """What a name in a directory stands for."""

    def __init__(self, ino, mnode, type_):
        self.ino = ino
        self.mnode = mnode
        self.type = type_


def check_name(name, where):
    require(b"/" not in name and b"\0" not in name and name not in (b".", b".."), where,
            f"impossible name {printable(name)!r}")


def check_inode(inode, where):
    require(1 <= inode.mnode < L.MNODE_LIMIT, where, "impossible mnode number")
    require(inode.size <= L.SIZE_MAX, where, "impossible size")
    require(inode.parent_mnode < L.MNODE_LIMIT and inode.parent_ino < L.INO_LIMIT, where,
            "impossible parent")


class Content:
    def __init__(self, superblock):
        self.superblock = superblock
        self.inodes = {}    # ino -> Inode
        self.names = {}     # ino -> {name: Name}
        self.mappings = {}  # ino -> Mapping
        self.xattrs = {}    # ino -> {name: value}
        self.orphans = set()
        self.recycled = set()
        self.marks = {}     # core slot -> counter

    def hash(self, name):
        return siphash24(self.superblock.hash_key, name)

    def mapping(self, ino):
        return self.mappings.setdefault(ino, Mapping())


class Loader:
    """Takes the items of the tree in order. used_blocks: (first, count) of the extents."""

    def __init__(self, superblock):
        self.content = Content(superblock)
        self.used_blocks = []
        self._in_parts = {}  # (ino, chunk id) -> (name, value size)
        self._parts = {}     # (ino, chunk id) -> {index: bytes}
        self._taking = {L.ITEM_INODE: self._inode, L.ITEM_NAMES: self._names,
                        L.ITEM_MAPPING: self._mapping, L.ITEM_XATTR: self._xattrs,
                        L.ITEM_PART: self._part, L.ITEM_ORPHAN: self._orphan,
                        L.ITEM_RECYCLED: self._recycled, L.ITEM_MNODE_MARK: self._mark}

    def load(self, items):
        for (ino, type_, offset), value in items:
            where = f"item (inode {ino}, type {type_}, offset {offset})"
            require(type_ in self._taking and (ino == 0) == (type_ >= L.ITEM_ORPHAN), where,
                    "unknown type")
            require(ino < L.INO_LIMIT, where, "impossible inode number")
            require(ino == 0 or type_ == L.ITEM_INODE or ino in self.content.inodes, where,
                    "its inode is not there")
            self._taking[type_](ino, offset, value, where)
        self._join_parts()
        self._check_counts()
        return self.content

    def _inode(self, ino, offset, value, where):
        require(offset == 0 and len(value) == L.INODE_BYTES, where, "impossible inode item")
        inode = Inode(value)
        check_inode(inode, where)
        self.content.inodes[ino] = inode

    def _names(self, ino, hash_, value, where):
        names = self.content.names.setdefault(ino, {})
        at = 0
        previous = b""
        while at < len(value) or not previous:
            require(at + L.NAME_BYTES <= len(value), where, "cut off")
            start = at + L.NAME_BYTES
            at = start + u8(value, at + L.NAME_LENGTH)
            name = value[start:at]
            require(name and at <= len(value), where, "cut off")
            check_name(name, where)
            require(previous < name, where, "names are not in order")
            require(self.content.hash(name) == hash_, where, "a name that does not belong here")
            entry = start - L.NAME_BYTES
            names[name] = Name(u64(value, entry + L.NAME_INO), u64(value, entry + L.NAME_MNODE),
                               u8(value, entry + L.NAME_TYPE))
            require(0 < names[name].ino < L.INO_LIMIT and names[name].type <= L.TYPE_MAX, where,
                    f"impossible entry {printable(name)!r}")
            previous = name

    def _mapping(self, ino, page, value, where):
        require(len(value) >= 1, where, "empty")
        kind = u8(value, L.MAPPING_KIND)
        if kind == L.MAPPING_EXTENT:
            crcs, rest = divmod(len(value) - L.EXTENT_CRCS, 4)
            require(1 <= crcs <= L.EXTENT_PAGES_MAX and not rest, where, "impossible length")
            block = u64(value, L.EXTENT_BLOCK)
            require(self.content.superblock.in_data_area(block, crcs), where,
                    f"block {block} is outside the data area")
            self.used_blocks.append((block, crcs))
            count = crcs
            what = Extent(block, [u32(value, L.EXTENT_CRCS + 4 * i) for i in range(crcs)])
        elif kind == L.MAPPING_UNWRITTEN:
            require(len(value) == L.UNWRITTEN_BYTES, where, "impossible length")
            count = u64(value, L.UNWRITTEN_COUNT)
            what = Unwritten()
        else:
            require(kind == L.MAPPING_INLINE, where, "unknown kind")
            require(len(value) <= L.INLINE_BYTES + L.INLINE_MAX, where, "impossible length")
            count = 1
            what = Inline(value[L.INLINE_BYTES:])
        require(count >= 1 and page + count <= L.PAGES_MAX, where, "impossible pages")
        require(self.content.mapping(ino).append(page, count, what), where, "mappings overlap")

    def _xattrs(self, ino, hash_, value, where):
        xattrs = self.content.xattrs.setdefault(ino, {})
        at = 0
        previous = b""
        while at < len(value) or not previous:
            require(at + L.XATTR_NAME <= len(value), where, "cut off")
            kind = u8(value, at + L.XATTR_KIND)
            size = u32(value, at + L.XATTR_VALUE_SIZE)
            require(kind in (L.XATTR_HERE, L.XATTR_IN_PARTS), where, "unknown kind")
            start = at + L.XATTR_NAME
            end = start + u8(value, at + L.XATTR_NAME_LENGTH)
            at = end + (size if kind == L.XATTR_HERE else L.CHUNK_ID_BYTES)
            name = value[start:end]
            require(name and at <= len(value), where, "cut off")
            require(b"\0" not in name, where, "impossible name")
            require(previous < name, where, "names are not in order")
            require(self.content.hash(name) == hash_, where, "a name that does not belong here")
            xattrs[name] = value[end:at]
            if kind == L.XATTR_IN_PARTS:
                chunk_id = u64(value, end)
                require(chunk_id < L.CHUNK_ID_LIMIT and 1 <= size <= L.XATTR_VALUE_MAX, where,
                        "impossible parts")
                require((ino, chunk_id) not in self._in_parts, where, "parts named twice")
                self._in_parts[ino, chunk_id] = (name, size)
            previous = name

    def _part(self, ino, offset, value, where):
        chunk_id, index = divmod(offset, L.PARTS_PER_ID)
        self._parts.setdefault((ino, chunk_id), {})[index] = value

    def _orphan(self, _, ino, value, where):
        require(1 <= ino < L.INO_LIMIT and not value, where, "impossible item")
        self.content.orphans.add(ino)

    def _recycled(self, _, ino, value, where):
        require(1 <= ino < self.content.superblock.next_ino and not value, where,
                "impossible item")
        self.content.recycled.add(ino)

    def _mark(self, _, slot, value, where):
        require(slot < L.CORE_SLOT_LIMIT and len(value) == L.MARK_BYTES and u64(value, 0) <= L.MARK_MAX,
                where, "impossible item")
        self.content.marks[slot] = u64(value, 0)

    def _join_parts(self):
        for (ino, chunk_id), (name, size) in self._in_parts.items():
            where = f"attribute {printable(name)!r} of inode {ino}"
            parts = self._parts.pop((ino, chunk_id), {})
            require(sorted(parts) == list(range(-(-size // L.PART_BYTES))), where,
                    "parts are missing or too many")
            pieces = [parts[index] for index in range(len(parts))]
            require(all(len(piece) == L.PART_BYTES for piece in pieces[:-1]), where,
                    "a part has a wrong length")
            self.content.xattrs[ino][name] = b"".join(pieces)
            require(len(self.content.xattrs[ino][name]) == size, where, "a wrong length")
        for ino, chunk_id in self._parts:
            require(False, f"inode {ino}", f"parts {chunk_id} belong to no attribute")

    def _check_counts(self):
        content, superblock = self.content, self.content.superblock
        require(len(content.inodes) == superblock.inode_count, "superblock", "wrong inode_count")
        require(len(content.recycled) == superblock.free_ino_count, "superblock",
                "wrong free_ino_count")
        require(not content.recycled & content.inodes.keys(), "tree",
                "a recycled number has an inode")
        for ino, inode in content.inodes.items():
            where = f"inode {ino}"
            require(ino < superblock.next_ino, where, "its number was never given out")
            pages = content.mappings[ino].pages() if ino in content.mappings else 0
            require(inode.blocks == pages, where, f"blocks is {inode.blocks}, not {pages}")
            entries = len(content.names.get(ino, ()))
            require(inode.entries == entries, where, f"entries is {inode.entries}, not {entries}")
