"""Handles of objects: name_to_handle_at(2) and open_by_handle_at(2)."""

import ctypes
import errno
import os
import struct

from mount import LIBC, libc

AT_FDCWD, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH = -100, 0x400, 0x1000
HEAD = struct.Struct('Ii')  # bytes that follow, type
BYTES_MAX = 128


def handle_of(path, flags=0, room=BYTES_MAX):
    """The handle of what `path` (or an open file, with AT_EMPTY_PATH) names."""
    buffer = ctypes.create_string_buffer(HEAD.pack(room, 0), HEAD.size + max(room, BYTES_MAX))
    where, name = (path, b'') if isinstance(path, int) else (AT_FDCWD, os.fsencode(path))
    libc('name_to_handle_at', where, name, buffer, ctypes.byref(ctypes.c_int()), flags)
    size, _ = HEAD.unpack_from(buffer)
    return buffer.raw[:HEAD.size + size]


def room_of(path):
    """What a handle needs, as the kernel tells who has too little room."""
    buffer = ctypes.create_string_buffer(HEAD.pack(0, 0), HEAD.size + BYTES_MAX)
    if LIBC.name_to_handle_at(AT_FDCWD, os.fsencode(path), buffer, ctypes.byref(ctypes.c_int()), 0) == 0:
        raise AssertionError('no room is enough')
    if ctypes.get_errno() != errno.EOVERFLOW:
        raise OSError(ctypes.get_errno(), 'name_to_handle_at')
    return HEAD.unpack_from(buffer)[0]


def open_handle(mount_fd, handle, flags=os.O_RDONLY):
    return libc('open_by_handle_at', mount_fd, ctypes.create_string_buffer(handle, max(len(handle), HEAD.size)), flags)
