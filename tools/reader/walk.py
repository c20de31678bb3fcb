"""From the root to every name: the rules that connect inodes and names, and the canonical listing."""
import hashlib
import json
import stat

from . import layout as L
from .checksum import crc32c_of_blocks
from .fields import printable, require
from .mapping import Extent, Inline

TYPES = {stat.S_IFIFO: "fifo", stat.S_IFCHR: "chr", stat.S_IFDIR: "dir", stat.S_IFBLK: "blk",
         stat.S_IFREG: "file", stat.S_IFLNK: "symlink", stat.S_IFSOCK: "sock"}
PAGE = L.BLOCK_BYTES
ZEROS = bytes(1 << 20)


class Walk:
    def __init__(self, device, content, full=False):
        self._device = device
        self._content = content
        self._full = full   # lines show all attributes
        self._found = {}    # ino -> how many names
        self._subdirs = {}  # ino -> how many directories in it
        self._digests = {}  # ino -> sha256 or symlink target

    def listing(self):
        """A dictionary for each path, sorted by the paths' bytes."""
        content = self._content
        require(L.ROOT_INO in content.inodes, "root", "it has no inode")
        root = content.inodes[L.ROOT_INO]
        require(stat.S_ISDIR(root.mode) and root.mnode == L.ROOT_MNODE, "root",
                "not a directory with mnode number 1")
        paths = {b"/": L.ROOT_INO}
        self._found[L.ROOT_INO] = 1
        pending = [(b"/", L.ROOT_INO)]
        while pending:
            path, dir_ino = pending.pop()
            for name, target in content.names.get(dir_ino, {}).items():
                child = path.rstrip(b"/") + b"/" + name
                paths[child] = target.ino
                if self._enter(dir_ino, target, printable(child)):
                    pending.append((child, target.ino))
        self._check_inodes()
        return [self._line(path, paths[path]) for path in sorted(paths)]

    def _enter(self, dir_ino, target, where):
        """Checks a name against its inode. True when that is a directory."""
        inode = self._content.inodes.get(target.ino)
        require(inode is not None, where, f"inode {target.ino} is not there")
        require(inode.mnode == target.mnode, where, "another mnode number than its inode's")
        require(stat.S_IFMT(inode.mode) >> 12 == target.type, where,
                "another type than its inode's")
        self._found[target.ino] = self._found.get(target.ino, 0) + 1
        if not stat.S_ISDIR(inode.mode):
            return False
        require(self._found[target.ino] == 1, where, "a directory with two names")
        self._subdirs[dir_ino] = self._subdirs.get(dir_ino, 0) + 1
        parent = self._content.inodes[dir_ino]
        require((inode.parent_ino, inode.parent_mnode) == (dir_ino, parent.mnode), where,
                "the directory says it is elsewhere")
        return True

    def _check_inodes(self):
        content = self._content
        for items in (content.names, content.mappings, content.xattrs):
            for ino in items:
                require(ino in content.inodes or not items[ino], f"inode {ino}",
                        "it has items, but no inode item")
        for ino in content.orphans:
            require(ino in content.inodes, f"inode {ino}", "an orphan that is not there")
        mnodes = set()
        for ino, inode in content.inodes.items():
            where = f"inode {ino}"
            require(stat.S_IFMT(inode.mode) in TYPES and inode.mode < 1 << 16, where,
                    "impossible mode")
            require(inode.mnode not in mnodes, where, "two inodes have its mnode number")
            mnodes.add(inode.mnode)
            names = self._found.get(ino, 0)
            require((names == 0) == (ino in content.orphans), where,
                    f"{names} names, but {'an' if ino in content.orphans else 'no'} orphan item")
            if stat.S_ISDIR(inode.mode):
                links = 2 + self._subdirs.get(ino, 0) if names else 0
            else:
                links = names
                require(not content.names.get(ino), where, "names in what is no directory")
                require(inode.parent_ino == inode.parent_mnode == 0, where,
                        "a parent of what is no directory")
            require(inode.nlink == links, where, f"link count {inode.nlink}, not {links}")
            self._digests[ino] = self._read_content(ino, inode, where)

    def _read_content(self, ino, inode, where):
        """Checks every block. The SHA-256 of a file's bytes, or a symlink's target."""
        digest = hashlib.sha256()
        target = []
        at = 0  # bytes given out

        def give(data):
            nonlocal at
            data = data[:max(0, inode.size - at)]
            at += len(data)
            digest.update(data)
            if stat.S_ISLNK(inode.mode):
                target.append(data)

        def zeros_to(end):
            end = min(end, inode.size)
            while at < end:
                give(ZEROS[:end - at])

        for page, count, what in self._content.mappings.get(ino, ()):
            zeros_to(page * PAGE)
            if isinstance(what, Extent):
                data = self._device.read(what.block, count)
                for index, crc in enumerate(crc32c_of_blocks(data)):
                    require(crc == what.crcs[index], f"block {what.block + index}",
                            f"wrong checksum of page {page + index} of {where}")
                give(data)
            elif isinstance(what, Inline):
                give(what.content.ljust(PAGE, b"\0"))
        zeros_to(inode.size)
        return b"".join(target) if stat.S_ISLNK(inode.mode) else digest.hexdigest()

    def _line(self, path, ino):
        inode = self._content.inodes[ino]
        xattrs = self._content.xattrs.get(ino, {})
        regular, link = stat.S_ISREG(inode.mode), stat.S_ISLNK(inode.mode)
        line = {
            "path": printable(path), "type": TYPES[stat.S_IFMT(inode.mode)],
            "mode": f"{inode.mode & 0o7777:04o}", "uid": inode.uid, "gid": inode.gid,
            "nlink": inode.nlink, "rdev": inode.rdev,
            "size": inode.size if regular or link else 0,
            "mtime_ns": inode.mtime, "ctime_ns": inode.ctime, "mnode": inode.mnode,
            "target": printable(self._digests[ino]) if link else None,
            "xattrs": {printable(name): xattrs[name].hex() for name in sorted(xattrs)},
            "sha256": self._digests[ino] if regular else None,
        }
        if self._full:
            line.update(ino=ino, flags=inode.flags, generation=inode.generation,
                        atime_ns=inode.atime, btime_ns=inode.btime)
        return line


def to_json(line):
    return json.dumps(line, separators=(",", ":"))
