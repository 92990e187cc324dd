"""Whether a file lies on a disk of this machine, which answers fast enough to be written from an event loop."""

from __future__ import annotations

import os
import re

# fmt: off
_LOCAL = frozenset({
    "ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "ramfs", "overlay", "zfs", "f2fs",
    "bcachefs", "jfs", "reiserfs", "nilfs2", "vfat", "exfat", "ntfs3",
})
# fmt: on
"""File systems that are local whatever they are mounted from; FUSE, 9p and every network one are not among them."""

_MOUNTS = "/proc/self/mountinfo"


def is_local(path: str, device: int, mounts: str = _MOUNTS) -> bool:
    """Return whether the file *path* on *device* is on a local file system; False where that is not known.

    Parameters:
        path: absolute.
        device: its ``st_dev``.
        mounts: the table to look in, in the form of Linux's ``mountinfo``.
    """
    try:
        with open(mounts, "rb") as table:
            lines = table.read().splitlines()
    except OSError:
        return False
    number = f"{os.major(device)}:{os.minor(device)}".encode()
    directory = os.fsencode(os.path.realpath(os.path.dirname(path)))
    by_device = by_place = ""
    longest = -1
    for line in lines:
        before, _, after = line.partition(b" - ")
        columns = before.split(b" ")
        if len(columns) < 5 or not after:
            continue
        kind = after.split(b" ", 1)[0].decode("ascii", "replace")
        if columns[2] == number:
            by_device = kind
        place = re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8) & 255]), columns[4])
        # Btrfs gives its subvolumes device numbers that are not in the table; the place finds those.
        if len(place) >= longest and (directory == place or directory.startswith(place.rstrip(b"/") + b"/")):
            longest, by_place = len(place), kind
    return (by_device or by_place) in _LOCAL
