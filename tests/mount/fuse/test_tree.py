"""A tree of twenty thousand files through tar into a mounted image, and diff's word on it after a remount and
after a kill of the daemon."""

import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))

from mount import MountTest, main, run  # noqa: E402

TREE_FILES = 20_000
TREE_PART_BYTES = 40 << 20


def size_of(top):
    """Files and bytes."""
    files = total = 0
    for folder, _, names in os.walk(top):
        for name in names:
            files += 1
            total += os.lstat(os.path.join(folder, name)).st_size
    return files, total


def source_tree(folder):
    """Folders with TREE_FILES files in all and not much more: /usr/include, folders of /usr/share, and
    made-up files where these are too few."""
    parts = ['/usr/include']
    count, _ = size_of(parts[0])
    for name in sorted(os.listdir('/usr/share')):
        part = f'/usr/share/{name}'
        if count >= TREE_FILES or os.path.islink(part) or not os.path.isdir(part):
            continue
        files, total = size_of(part)
        if total <= TREE_PART_BYTES:
            parts.append(part)
            count += files
    made = folder / 'made'
    made.mkdir()
    for i in range(max(0, TREE_FILES - count)):
        path = made / f'{i % 97}' / f'{i % 31}'
        path.mkdir(parents=True, exist_ok=True)
        (path / f'file-{i}').write_bytes(b'%d\n' % i * (i % 400))
    return parts + [str(made)]


class Tree(MountTest):
    limit = 280

    def test_a_tree_of_twenty_thousand_files_comes_back(self):
        volume = self.volume('8G').mount()
        parts = source_tree(self.folder)
        print(sum(size_of(part)[0] for part in parts), 'files,',
              sum(size_of(part)[1] for part in parts) >> 20, 'MiB', flush=True)
        tar = f"tar -cf - {' '.join(parts)} 2>/dev/null | tar -xpf - -C {volume.path}"
        run('bash', '-o', 'pipefail', '-c', tar, timeout=200)
        volume.remount()
        self.compare_trees(parts, volume.path)
        gone = parts[-2]
        shutil.rmtree(f'{volume.path}{gone}')
        volume.fsync_root()
        volume.kill()
        volume.fsck()
        volume.mount()
        self.assertFalse(os.path.exists(f'{volume.path}{gone}'))
        self.compare_trees([part for part in parts if part != gone], volume.path)
        volume.unmount()
        volume.fsck()

    def compare_trees(self, parts, top):
        for part in parts:
            run('diff', '-r', '--no-dereference', part, f'{top}{part}', timeout=200)


if __name__ == '__main__':
    main()
