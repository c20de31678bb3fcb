#!/usr/bin/env python3
"""The rules find what they are for: each planted violation is found, and nothing in a clean tree."""
import os
import sys
import tempfile
import unittest

import rules
from source_text import code_only

CLEAN = {
    "cmake/tests.cmake": "set(SCALEFS_TEST_LABELS\n    unit fuzz tidy)\n"
                         "set(SCALEFS_TEST_ROOMS base memfs fuse)\n",
    "base/mutex.h": "// Locks.\n#pragma once\n#include <mutex>\nextern std::mutex m;\n",
    "base/clock.cc": '#include "base/mutex.h"\nint t = sched_getcpu();\n',
    "memfs/file.h": '// Files.\n#pragma once\n#include "base/mutex.h"\n#include "memfs/page.h"\n',
    "memfs/file.cc": '// std::mutex is not used; nor rand()\n'
                     'const char* text = "std::atomic volatile assert(";\n'
                     "static_assert(1'000 == 1000, \"rand()\");\n"
                     'auto raw = R"x(volatile)x"; char q = \'"\'; int grand(int);\n',
    "volume/volume.cc": '#include "memfs/file.h"\n#include "diskfs/tree.h"\n',
    "fuse/main.cc": '#include <fuse3/fuse_lowlevel.h>\n#include "volume/volume.h"\n',
    "tools/mkfs_main.cc": '#include "diskfs/tree.h"\n',
    "bench/name_bench.cc": "",
    "tests/unit/base/mutex_test.cc": "std::atomic<int> i;\n",
    "tests/unit/memfs/file_test.cc": "#include <iostream>\n",
    "tests/unit/memfs/helper.h": "#pragma once\n",
    "tests/fuzz/memfs/name_fuzz.cc": "",
    "tests/tidy/test_rules.py": "",
    "tests/support/model.cc": "",
    "README.md": "A working homepage/work/dir.\n",
}

BAD_WORD = "TO" + "DO"
BAD_PATH = "/wo" + "rk/x"

# (rule, path, content)
PLANTED = [
    ("arrow", "base/core.cc", '#include "memfs/file.h"\n'),
    ("arrow", "oplog/log.cc", '#include "memfs/file.h"\n'),
    ("arrow", "memfs/a.cc", '#include "diskfs/tree.h"\n'),
    ("arrow", "memfs/a.cc", '#include "volume/volume.h"\n'),
    ("arrow", "diskfs/a.cc", '  #  include "memfs/file.h"\n'),
    ("arrow", "tools/a.cc", '#include "volume/volume.h"\n'),
    ("arrow", "fuse/a.cc", '#include "diskfs/tree.h"\n'),
    ("arrow", "volume/a.cc", '#include "fuse/a.h"\n'),
    ("arrow", "volume/a.cc", '#include "tests/support/model.h"\n'),
    ("include-path", "memfs/a.cc", '#include "file.h"\n'),
    ("include-path", "memfs/a.cc", '#include "../base/mutex.h"\n'),
    ("fuse-header", "volume/a.cc", "#include <fuse3/fuse.h>\n"),
    ("fuse-header", "tests/unit/memfs/a_test.cc", "#include <linux/fuse.h>\n"),
    ("fuse-header", "tools/a.cc", "#include <fuse_lowlevel.h>\n"),
    ("banned-header", "diskfs/a.cc", "#include <iostream>\n"),
    ("banned-header", "memfs/a.h", "// A.\n#pragma once\n#include <regex>\n"),
    ("unfinished", "memfs/a.cc", f"// {BAD_WORD}: later\n"),
    ("unfinished", "scripts/a.sh", "# FIX" + "ME\n"),
    ("machine-path", "README.md", f"see {BAD_PATH}\n"),
    ("machine-path", "tests/unit/memfs/a_test.cc", 'auto p = "/ro' + 'ot/x";\n'),
    ("foreign-document", "memfs/a.cc", "// see PROTO" + "COLS.md\n"),
    ("too-long", "memfs/a.cc", "int x;\n" * 501),
    ("pragma-once", "memfs/a.h", "// A.\n#ifndef A_H\n#define A_H\n#endif\n"),
    ("pragma-once", "tests/unit/memfs/a.h", "#include <vector>\n#pragma once\n"),
    ("header-comment", "memfs/a.h", "#pragma once\n// A.\n"),
    ("not-built", "tests/unit/a_test.cc", ""),
    ("not-built", "tests/unit/elsewhere/a_test.cc", ""),
    ("not-built", "tests/strange/memfs/a_test.cc", ""),
    ("not-built", "tests/unit/memfs/deeper/a_test.cc", ""),
    ("not-built", "tests/unit/memfs/forgotten.cc", ""),
    ("not-built", "tests/strange/test_a.py", ""),
    ("not-built", "tests/unit/memfs/a_fuzz.cc", ""),
    ("not-built", "tests/fuzz/elsewhere/a_fuzz.cc", ""),
    ("not-built", "memfs/inner/a.cc", ""),
    ("not-built", "bench/helper.cc", ""),
]

BANNED_CODE = [
    "std::mutex m;", "std::recursive_mutex m;", "std::shared_mutex m;", "pthread_mutex_t m;",
    "pthread_rwlock_t m;", "std::condition_variable c;", "std::atomic<int> a;",
    "std::atomic_ref<int> a(b);", "std::lock_guard l(m);", "int x = rand();", "std::srand(1);",
    "int x = std::rand ();", "std::random_device d;", "std::mt19937 g;",
    "auto t = std::chrono::steady_clock::now();", "auto t = std::chrono::system_clock::now();",
    "using std::chrono::high_resolution_clock;", "clock_gettime(CLOCK_REALTIME, &t);",
    "int c = sched_getcpu();", "auto t = __rdtsc();", "auto t = __rdtscp(&p);", "assert(x);",
    "volatile int x;", "__atomic_load_n(&x, 0);", "__sync_synchronize();",
    "usleep(1);", "std::this_thread::sleep_for(d);", "x.load(std::memory_order_relaxed);",
]


def findings_in(files):
    with tempfile.TemporaryDirectory() as root:
        for path, content in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(content)
        return rules.check(root)[0]


class Canaries(unittest.TestCase):
    def test_clean_tree_has_no_findings(self):
        self.assertEqual(findings_in(CLEAN), [])

    def test_each_planted_violation_is_found(self):
        for rule, path, content in PLANTED:
            with self.subTest(rule=rule, path=path, content=content[:60]):
                found = findings_in({**CLEAN, path: content})
                self.assertEqual([(f.rule, f.path) for f in found], [(rule, path)])

    def test_each_banned_name_is_found(self):
        for line in BANNED_CODE:
            for path in ("memfs/a.cc", "tests/unit/memfs/a_test.cc"):
                with self.subTest(line=line, path=path):
                    found = findings_in({**CLEAN, path: "int a;\n" + line + "\n"})
                    self.assertIn(("banned", path, 2), [f[:3] for f in found])

    def test_banned_names_are_free_in_base(self):
        for line in BANNED_CODE:
            self.assertEqual(findings_in({**CLEAN, "base/a.cc": line + "\n"}), [])

    def test_a_missing_list_of_labels_is_found(self):
        found = findings_in({**CLEAN, "cmake/tests.cmake": "\n"})
        self.assertEqual([f.rule for f in found], ["not-built"])

    def test_exceptions_cover_only_what_they_name(self):
        finding = rules.Finding("banned", "memfs/a.cc", 3, "volatile: use Atomic")
        exact = ("banned", "memfs/a.cc", "volatile")
        self.assertEqual(rules.apply_exceptions([finding], [exact]), ([], []))
        for other in (("arrow", "memfs/a.cc", "volatile"), ("banned", "memfs/b.cc", "volatile"),
                      ("banned", "memfs/a.cc", "assert")):
            self.assertEqual(rules.apply_exceptions([finding], [other]), ([finding], [other]))

    def test_exceptions_need_a_reason(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("banned memfs/a.cc volatile\n")
            file.flush()
            with self.assertRaises(ValueError):
                rules.read_exceptions(file.name)

    def test_code_only_keeps_line_numbers(self):
        text = 'a /* b\nc */ d // e\nf "g\\"h" \'"\' i 1\'0 R"(j\nk)" l\n'
        code = code_only(text)
        self.assertEqual(code.count("\n"), text.count("\n"))
        self.assertEqual(code.split(), ["a", "d", "f", '""', "'", "'", "i", "1'0", '""', "l"])


if __name__ == "__main__":
    sys.exit(unittest.main())
