"""The rules of the source tree. Each takes a Tree and yields Findings; check() runs all of them."""
import collections
import fnmatch
import os
import re
import subprocess

from source_text import code_only

Finding = collections.namedtuple("Finding", "rule path line text")

LINES_MAX = 500
# What each room may include besides itself.
ARROWS = {
    "base": set(),
    "oplog": {"base"},
    "memfs": {"oplog", "base"},
    "diskfs": {"base"},
    "volume": {"memfs", "oplog", "diskfs", "base"},
    "fuse": {"volume", "memfs", "base"},
    "bench": {"volume", "memfs", "oplog", "diskfs", "base"},
    "tools": {"diskfs", "base"},
}
CODE = (".h", ".cc")
LIMITED = (".h", ".cc", ".py", ".sh", ".cmake")
FUSE_HEADER = re.compile(r"""[<"](?:fuse3/|fuse\.h|fuse_\w+\.h|linux/fuse\.h)""")

# (pattern in code, what to use instead); they hold outside base/ and the tests of base.
BANNED = [
    (r"\bstd::(?:recursive_|timed_|recursive_timed_)?mutex\b", "Mutex of base/mutex.h"),
    (r"\bstd::shared(?:_timed)?_mutex\b", "SharedMutex of base/mutex.h"),
    (r"\bstd::(?:lock_guard|unique_lock|scoped_lock|shared_lock)\b", "MutexLock of base/mutex.h"),
    (r"\bstd::condition_variable", "CondVar of base/mutex.h"),
    (r"\bpthread_(?:mutex|rwlock|spin|cond)", "base/mutex.h"),
    (r"\bstd::atomic", "Atomic of base/atomic.h"),
    (r"\bstd::memory_order", "the short orders of base/atomic.h"),
    (r"\b__(?:atomic|sync)_\w+\s*\(", "Atomic of base/atomic.h"),
    (r"(?<![\w.>])s?rand\s*\(", "Random of base/random.h"),
    (r"\bstd::(?:random_device|mt19937)", "Random or system_random of base/random.h"),
    (r"\bgetrandom\s*\(", "system_random of base/random.h"),
    (r"\b(?:system|steady|high_resolution)_clock\b", "base/clock.h"),
    (r"\b(?:clock_gettime|gettimeofday)\s*\(", "base/clock.h"),
    (r"\bsched_getcpu\b", "current_core of base/core.h"),
    (r"\b__rdtscp?\b|\b_rdtsc\b", "cycle_now of base/clock.h"),
    (r"(?<!\w)assert\s*\(", "SCALEFS_CHECK of base/check.h"),
    (r"\bvolatile\b", "Atomic of base/atomic.h"),
    (r"\b(?:sleep_for|sleep_until|usleep|nanosleep)\s*\(", "CondVar, or a latch in tests"),
]
# Headers that cost too much, or have a better one, in libraries (tests may use them).
BANNED_HEADERS = {
    "iostream": "base/log.h or fmt",
    "regex": "a loop",
    "cassert": "base/check.h",
    "assert.h": "base/check.h",
}
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:wo" r"rk|ho" r"me|ro" r"ot)/")
FOREIGN_DOCUMENT = re.compile(r"\b(?:ARCHI" r"TECTURE|PROTO" r"COLS)\.md\b")


class Tree:
    """The text files of a source tree, by path relative to its root."""

    def __init__(self, root):
        self.root = root
        self._texts = {}
        self.paths = sorted(p for p in _list_files(root) if self._readable(p))

    def _readable(self, path):
        full = os.path.join(self.root, path)
        if not os.path.isfile(full) or os.path.islink(full):
            return False
        with open(full, "rb") as file:
            data = file.read()
        if b"\0" in data:
            return False
        try:
            self._texts[path] = data.decode("utf-8")
        except UnicodeDecodeError:
            return False
        return True

    def text(self, path):
        return self._texts[path]

    def code_files(self):
        return [p for p in self.paths if p.endswith(CODE)]


def _list_files(root):
    if os.path.exists(os.path.join(root, ".git")):
        listed = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "--cached", "--others",
             "--exclude-standard"],
            check=True, stdout=subprocess.PIPE).stdout
        return {p for p in listed.decode().split("\0") if p}
    found = set()
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in ("build", ".git", "__pycache__")]
        found.update(os.path.relpath(os.path.join(folder, f), root) for f in files)
    return found


def _room(path):
    return path.split("/", 1)[0]


def _of_base(path):
    return _room(path) == "base" or fnmatch.fnmatch(path, "tests/*/base/*")


def _matches(pattern, text):
    """(line number, matched text) of each match, one a line."""
    for number, line in enumerate(text.split("\n"), 1):
        match = re.search(pattern, line)
        if match:
            yield number, match.group(0)


def _includes(code):
    for number, line in enumerate(code.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1), match.group(2)


def check_includes(tree):
    for path in tree.code_files():
        room = _room(path)
        code = code_only(tree.text(path))
        may_fuse = room == "fuse" or fnmatch.fnmatch(path, "tests/*/fuse/*")
        for number, quote, header in _includes(code):
            if FUSE_HEADER.match(quote + header) and not may_fuse:
                yield Finding("fuse-header", path, number, f"{header}: only fuse/ includes libfuse")
            if room not in ARROWS or quote == "<":
                continue
            target = _room(header)
            if header.startswith(".") or "/" not in header:
                yield Finding("include-path", path, number, f'{header}: write "room/file.h"')
            elif target != room and target not in ARROWS[room]:
                yield Finding("arrow", path, number, f"{room} must not include {header}")


def check_banned_names(tree):
    for path in tree.code_files():
        if _of_base(path):
            continue
        code = code_only(tree.text(path))
        for pattern, instead in BANNED:
            for number, name in _matches(pattern, code):
                yield Finding("banned", path, number, f"{name.strip()}: use {instead}")


def check_banned_headers(tree):
    for path in tree.code_files():
        if _room(path) not in ARROWS:
            continue
        for number, _, header in _includes(code_only(tree.text(path))):
            if header in BANNED_HEADERS:
                text = f"<{header}>: use {BANNED_HEADERS[header]}"
                yield Finding("banned-header", path, number, text)


def check_texts(tree):
    for path in tree.paths:
        text = tree.text(path)
        for rule, pattern in (("unfinished", UNFINISHED), ("machine-path", MACHINE_PATH),
                              ("foreign-document", FOREIGN_DOCUMENT)):
            for number, found in _matches(pattern, text):
                yield Finding(rule, path, number, found)
        if path.endswith(LIMITED) and text.count("\n") > LINES_MAX:
            yield Finding("too-long", path, LINES_MAX, f"{text.count(chr(10))} lines")


def check_headers(tree):
    for path in tree.paths:
        if not path.endswith(".h"):
            continue
        text = tree.text(path)
        first = code_only(text).strip().split("\n", 1)[0].rstrip()
        if first != "#pragma once":
            yield Finding("pragma-once", path, 1, "#pragma once comes first, behind the comment")
        if _room(path) in ARROWS and not text.startswith(("//", "/*")):
            yield Finding("header-comment", path, 1, "a header begins with what it is for")


def _cmake_list(tree, name):
    text = tree.text("cmake/tests.cmake") if "cmake/tests.cmake" in tree.paths else ""
    match = re.search(r"set\(" + name + r"\s+([^)]*)\)", text)
    return match.group(1).split() if match else []


def check_built(tree):
    """Every source and test is one that the build's globs pick up."""
    labels = _cmake_list(tree, "SCALEFS_TEST_LABELS")
    rooms = _cmake_list(tree, "SCALEFS_TEST_ROOMS")
    if not labels or not rooms:
        yield Finding("not-built", "cmake/tests.cmake", 1, "no list of labels or rooms found")
        return
    for path in tree.paths:
        folder, name = os.path.split(path)
        parts = folder.split("/")
        in_label = len(parts) in (2, 3) and parts[0] == "tests" and parts[1] in labels
        in_room = in_label and len(parts) == 3 and parts[2] in rooms
        if name.endswith(".cc"):
            built = (parts[0] in ARROWS and len(parts) == 1) or folder == "tests/support"
            built = built or folder in ("base/program", "diskfs/check", "tests/commute/matrix", "tests/commute/simulation",
                                         "tests/commute/recorder", "tests/crash/explorer", "tests/mount/cut")
            if folder == "examples/embed":  # built by tests/bench/test_installed.py
                built = True
            if parts[0] == "bench":
                built = folder == "bench" and name.endswith(("_bench.cc", "_main.cc"))
                built = built or folder == "bench/structures" and name.endswith("_bench.cc")
                built = built or folder == "bench/worker"
            if in_room and name.endswith("_test.cc"):
                built = True
            if folder == "tests/fuzz" and name == "replay_main.cc":
                built = True
            if parts[:2] == ["tests", "fuzz"] and (in_room or folder == "tests/fuzz/support"):
                built = True
        elif re.fullmatch(r"test_.*\.(?:sh|py)", name) and parts[0] == "tests":
            built = in_room or (in_label and len(parts) == 2)
        else:
            continue
        if not built:
            yield Finding("not-built", path, 1, "no glob of the build takes this file")


RULES = (check_includes, check_banned_names, check_banned_headers, check_texts, check_headers,
         check_built)


def check(root):
    tree = Tree(root)
    return [finding for rule in RULES for finding in rule(tree)], tree


def read_exceptions(path):
    """Lines `rule path-pattern text # reason`; `text` is a part of the finding's, without blanks."""
    exceptions = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            entry, _, reason = line.partition("#")
            words = entry.split()
            if len(words) != 3 or not reason.strip():
                raise ValueError(f"{path}:{number}: want `rule path text # reason`")
            exceptions.append(tuple(words))
    return exceptions


def apply_exceptions(findings, exceptions):
    """(findings that no exception covers, exceptions that cover nothing)."""
    used, left = set(), []
    for finding in findings:
        covering = [e for e in exceptions if e[0] == finding.rule and
                    fnmatch.fnmatch(finding.path, e[1]) and e[2] in finding.text]
        used.update(covering)
        if not covering:
            left.append(finding)
    return left, [e for e in exceptions if e not in used]
