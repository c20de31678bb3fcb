// The scripts that are walked in order: calls, and what follows them.
#include <fmt/format.h>

#include "tests/crash/explorer/explorer.h"

namespace scalefs::testing {
namespace {

struct Call {
  const char* text;
  std::vector<const char*> files;  // what an fsync may name afterwards
};

const std::vector<Call>& calls() {
  static const std::vector<Call> all = {
      {"create /n", {"/n", "/"}},
      {"create /d/n", {"/d/n", "/d"}},
      {"mkdir /m", {"/m", "/"}},
      {"mkdir /d/m", {"/d/m", "/d"}},
      {"write /f 4096 4096", {"/f"}},
      {"write /f 100 6000", {"/f"}},
      {"write /f 30000 100", {"/f"}},
      {"write /d/g 0 5000", {"/d/g"}},
      {"append /f 5000", {"/f"}},
      {"append /d/g 200", {"/d/g"}},
      {"truncate /f 0", {"/f"}},
      {"truncate /f 5000", {"/f"}},
      {"truncate /f 20000", {"/f"}},
      {"fallocate /f 8192 16384", {"/f"}},
      {"punch /f 0 4096", {"/f"}},
      {"punch /f 1000 5000", {"/f"}},
      {"link /f /d/l", {"/f", "/d"}},
      {"unlink /f", {"/"}},
      {"unlink /d/g", {"/d"}},
      {"rename /f /n2", {"/n2", "/"}},
      {"rename /f /d/g", {"/d/g", "/", "/d"}},
      {"rename /d/g /f", {"/f", "/", "/d"}},
      {"rename /d /e", {"/e", "/"}},
      {"rename /d/s /e", {"/e", "/", "/d"}},
      {"rename /e /d/e2", {"/d/e2", "/", "/d"}},
      {"symlink /y", {"/"}},
      {"symlink /d/y", {"/d"}},
      {"rmdir /e", {"/"}},
      {"setxattr /f", {"/f"}},
      {"setxattr /d", {"/d"}},
  };
  return all;
}

}  // namespace

std::vector<std::string> crash_scripts_of_one() {
  std::vector<std::string> scripts;
  for (const Call& call : calls()) {
    scripts.emplace_back(call.text);
    scripts.push_back(fmt::format("{}; sync", call.text));
    for (const char* file : call.files) {
      scripts.push_back(fmt::format("{}; fsync {}", call.text, file));
      scripts.push_back(fmt::format("{}; fdatasync {}", call.text, file));
    }
  }
  return scripts;
}

std::vector<std::string> crash_scripts_of_directories() {
  struct Pair {
    const char* made;  // before, durable
    const char* first;
    const char* second;
    std::vector<const char*> between, after;  // the directories at each moment
  };
  const std::vector<Pair> pairs = {
      // The loop: b leaves a, a goes below b.
      {"mkdir /a; mkdir /a/b", "rename /a/b /b", "rename /a /b/a", {"/", "/a", "/b"}, {"/", "/b", "/b/a"}},
      // The same a level deeper, and across two parents.
      {"mkdir /a; mkdir /a/b; mkdir /a/b/c; mkdir /x", "rename /a/b/c /x/c", "rename /a /x/c/a",
       {"/", "/a/b", "/x", "/x/c"}, {"/", "/x/c", "/x/c/a", "/x/c/a/b"}},
      // The cut subtree takes the place of an empty directory.
      {"mkdir /a; mkdir /a/b; mkdir /x", "rename /a/b /x", "rename /a /x/a", {"/", "/a", "/x"}, {"/", "/x", "/x/a"}},
      // Two siblings, one into the other and back out with it inside.
      {"mkdir /a; mkdir /b; mkdir /b/c", "rename /a /b/c/a", "rename /b/c /c", {"/", "/b", "/b/c"}, {"/", "/b", "/c", "/c/a"}},
      // What a directory held moves up, and the emptied one is replaced by it.
      {"mkdir /a; mkdir /a/b; mkdir /a/b/c", "rename /a/b/c /c", "rename /c /a/b", {"/", "/a", "/a/b", "/c"}, {"/", "/a", "/a/b"}},
      // A chain turned over: a/b/c becomes c/b, then a goes to its end.
      {"mkdir /a; mkdir /a/b; mkdir /a/b/c", "rename /a/b /b", "rename /a /b/c/a", {"/", "/a", "/b", "/b/c"}, {"/", "/b", "/b/c", "/b/c/a"}},
  };
  auto fsyncs = [](const std::vector<const char*>& of, unsigned subset) {
    std::string text;
    for (size_t i = 0; i < of.size(); i++) {
      if (subset >> i & 1) text += fmt::format("; fsync {}", of[i]);
    }
    return text;
  };
  std::vector<std::string> scripts;
  for (const Pair& pair : pairs) {
    for (unsigned one = 0; one < 1u << pair.between.size(); one++) {
      for (unsigned two = 0; two < 1u << pair.after.size(); two++) {
        scripts.push_back(fmt::format("{}; sync; {}{}; {}{}", pair.made, pair.first,
                                      fsyncs(pair.between, one), pair.second,
                                      fsyncs(pair.after, two)));
      }
    }
  }
  return scripts;
}

}  // namespace scalefs::testing
