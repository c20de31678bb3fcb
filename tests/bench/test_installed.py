#!/usr/bin/env python3
"""What is installed works where it is installed: the example that embeds a volume is built with the installed headers and
library, by CMake and by pkg-config, and run; what mount(8) and others look for is there; words are completed in bash."""
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = os.environ.get("SCALEFS_BIN_DIR", "build/release")
SOURCE = os.environ.get("SCALEFS_SOURCE_DIR", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def run(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(map(str, command))}: status {done.returncode}\n{text}")
    return text


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="scalefs-installed-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.prefix = os.path.join(folder.name, "usr")
        for component in ("scalefs", "bench", "development"):
            run("cmake", "--install", BUILD, "--component", component, "--prefix", cls.prefix)

    def embed(self, program):
        image = os.path.join(self.folder, "a.img")
        self.assertEqual(run(program, image), "kept\n")
        self.assertIn("a.img: clean, 2 inodes", run(os.path.join(self.prefix, "sbin", "fsck.scalefs"), "-n", image))

    def test_the_example_is_built_by_cmake(self):
        build = os.path.join(self.folder, "build")
        example = os.path.join(self.prefix, "share", "doc", "libscalefs-dev", "examples", "embed")
        run("cmake", "-S", example, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", build)
        self.embed(os.path.join(build, "embed"))

    def test_the_example_is_built_by_pkg_config(self):
        libraries = [folder for folder, _, files in os.walk(self.prefix) if "scalefs.pc" in files]
        self.assertEqual(len(libraries), 1)
        env = dict(os.environ, PKG_CONFIG_PATH=libraries[0])
        flags = run("pkg-config", "--cflags", "--libs", "scalefs", env=env).split()
        program = os.path.join(self.folder, "embed")
        run("g++", "-std=c++20", os.path.join(SOURCE, "examples", "embed", "embed.cc"), *flags, "-o", program)
        self.embed(program)

    def test_no_header_needs_the_source_tree(self):
        # All that one installed header includes of ours is installed.
        headers = os.path.join(self.prefix, "include", "scalefs")
        found = 0
        for folder, _, names in os.walk(headers):
            for name in names:
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    for line in file:
                        if line.startswith('#include "'):
                            found += 1
                            included = line.split('"')[1]
                            self.assertTrue(os.path.exists(os.path.join(headers, included)), f"{name} includes {included}")
        self.assertGreater(found, 50)

    def test_links_for_mount(self):
        for name in ("mount.scalefs", "mount.fuse.scalefs", "mount.fuseblk.scalefs", "umount.scalefs", "umount.fuse.scalefs",
                     "umount.fuseblk.scalefs"):
            link = os.path.join(self.prefix, "sbin", name)
            self.assertEqual(os.path.realpath(link), os.path.join(self.prefix, "bin", "scalefs"), name)
            self.assertTrue(os.access(link, os.X_OK), name)

    def test_names_of_programs_are_whole(self):
        with open(os.path.join(self.prefix, "lib", "systemd", "system", "scalefs@.service"), encoding="utf-8") as file:
            self.assertIn(f"ExecStart={self.prefix}/bin/scalefs ", file.read())
        with open(os.path.join(self.prefix, "lib", "udev", "rules.d", "61-scalefs.rules"), encoding="utf-8") as file:
            self.assertIn(f'"{self.prefix}/sbin/scalefs-dump probe', file.read())

    def test_the_commit_is_noted(self):
        with open(os.path.join(self.prefix, "share", "scalefs", "scalefs_bench", "build.json"), encoding="utf-8") as file:
            note = json.load(file)
        self.assertEqual(set(note), {"version", "commit", "changed"})
        self.assertRegex(note["version"], r"^\d+\.\d+\.\d+$")
        if os.path.exists(os.path.join(SOURCE, ".git")):
            self.assertRegex(note["commit"], "^[0-9a-f]{40}$")

    def complete(self, *words):
        """What bash offers for the last word."""
        completions = os.path.join(self.prefix, "share", "bash-completion", "completions")
        script = f"""
          compopt() {{ :; }}
          source {shlex.quote(os.path.join(completions, words[0]))}
          COMP_WORDS=({' '.join(map(shlex.quote, words))})
          COMP_CWORD={len(words) - 1}
          COMP_LINE="${{COMP_WORDS[*]}}" COMP_POINT=${{#COMP_LINE}}
          _scalefs {shlex.quote(words[0])} {shlex.quote(words[-1])} {shlex.quote(words[-2])}
          printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        path = ":".join([os.path.join(self.prefix, "bin"), os.path.join(self.prefix, "sbin"), os.environ["PATH"]])
        return run("bash", "-c", script, cwd=self.folder, env=dict(os.environ, PATH=path)).split()

    def test_completion(self):
        with open(os.path.join(self.folder, "disk.img"), "w", encoding="utf-8"):
            pass
        for words, wanted in (
                (("scalefs", "s"), ["sync", "stat"]),
                (("scalefs", "di"), ["disk.img"]),
                (("scalefs", "-o", "comm"), ["commit="]),
                (("scalefs", "-o", "ro,stri"), ["ro,strict_open", "ro,strictatime"]),
                (("mount.scalefs", "disk.img", "/mnt", "-o", "fuseb"), ["fuseblk"]),
                (("scalefs", "stat", "--j"), ["--json"]),
                (("mkfs.scalefs", "--pre"), ["--preallocate"]),
                (("mkfs.scalefs", "di"), ["disk.img"]),
                (("fsck.scalefs", "--au"), ["--automatic"]),
                (("scalefs-dump", "jo"), ["journal"]),
                (("scalefs-dump", "inode", "di"), ["disk.img"]),
                (("scalefs-image", "--v"), ["--version"]),
                (("scalefs-bench", "com"), ["compare"]),
                (("scalefs-bench", "compare", "--fa"), ["--fail-above"]),
                (("scalefs-bench", "run", "--target", "engine,nul"),
                 ["engine,null", "engine,null:io_uring", "engine,null:dev_fuse"]),
                (("scalefs-bench", "run", "--workload", "DWS"), ["DWSL"])):
            with self.subTest(words=words):
                self.assertEqual(self.complete(*words), wanted)

    def test_each_program_is_completed(self):
        completions = os.path.join(self.prefix, "share", "bash-completion", "completions")
        programs = [name for folder in ("bin", "sbin") for name in os.listdir(os.path.join(self.prefix, folder))
                    if ".fuse" not in name]
        self.assertGreater(len(programs), 5)
        for name in programs:
            self.assertTrue(os.path.exists(os.path.join(completions, name)), name)


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for program in ("cpack", "dpkg-deb", "dpkg-shlibdeps"):
            if shutil.which(program) is None:
                raise unittest.SkipTest(f"{program} is not installed")
        folder = tempfile.TemporaryDirectory(prefix="scalefs-packages-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        run("cpack", "--config", os.path.join(BUILD, "CPackConfig.cmake"), "-B", cls.folder)
        cls.files = {name.split("_")[0]: os.path.join(cls.folder, name) for name in os.listdir(cls.folder) if name.endswith(".deb")}

    def field(self, package, field):
        return run("dpkg-deb", "-f", self.files[package], field).strip()

    def test_fields(self):
        self.assertEqual(sorted(self.files), ["libscalefs-dev", "scalefs", "scalefs-bench"])
        summaries = set()
        architecture = run("dpkg", "--print-architecture").strip()
        for package, section in (("scalefs", "admin"), ("scalefs-bench", "utils"), ("libscalefs-dev", "libdevel")):
            self.assertEqual(self.field(package, "Section"), section)
            self.assertEqual(self.field(package, "Architecture"), architecture)
            summaries.add(self.field(package, "Description").split("\n")[0])
        self.assertEqual(len(summaries), 3)
        self.assertLess(max(map(len, summaries)), 80)
        for library in ("fuse3", "mount", "libfuse3-3 (", "libc6 (", "liburing2", "libblkid1"):
            self.assertIn(library, self.field("scalefs", "Depends"))
        self.assertIn("libfmt-dev", self.field("libscalefs-dev", "Depends"))

    def test_what_is_unpacked_runs(self):
        root = os.path.join(self.folder, "root")
        run("dpkg-deb", "-x", self.files["scalefs"], root)
        image = os.path.join(self.folder, "a.img")
        run(os.path.join(root, "usr", "sbin", "mkfs.scalefs"), "-q", image, "64M")
        self.assertIn("clean", run(os.path.join(root, "usr", "sbin", "fsck.scalefs"), "-n", image))
        self.assertIn("usage: scalefs", run(os.path.join(root, "usr", "bin", "scalefs"), "--help"))
        run("dpkg-deb", "-x", self.files["scalefs-bench"], root)
        results = os.path.join(self.folder, "results")
        bench = os.path.join(root, "usr", "bin", "scalefs-bench")
        run(bench, "run", "--target", "engine", "--workload", "MWCL", "--threads", "1", "--count", "100", "--repeat", "1", "-q",
            "--out", results)
        run(bench, "plot", results, "--no-png")
        self.assertTrue(os.path.exists(os.path.join(results, "report.html")))
        self.assertEqual(os.readlink(os.path.join(root, "usr", "sbin", "mount.scalefs")), "../bin/scalefs")
        with open(os.path.join(root, "usr", "lib", "systemd", "system", "scalefs@.service"), encoding="utf-8") as file:
            self.assertIn("ExecStart=/usr/bin/scalefs ", file.read())

    def test_nothing_is_conffile_and_nothing_names_the_build(self):
        for package, path in self.files.items():
            self.assertNotIn(" ./etc", run("dpkg-deb", "-c", path), package)
            root = os.path.join(self.folder, f"{package}.root")
            run("dpkg-deb", "-x", path, root)
            for folder, _, names in os.walk(root):
                for name in names:
                    with open(os.path.join(folder, name), "rb") as file:
                        content = file.read() if not os.path.islink(file.name) else b""
                    if not content.startswith((b"\x7fELF", b"!<arch>")):
                        self.assertNotIn(self.folder.encode(), content, name)


if __name__ == "__main__":
    if not os.path.exists(os.path.join(BUILD, "libscalefs.a")):
        print(f"skipped: {BUILD}/libscalefs.a is not built")
        sys.exit(77)
    unittest.main()
