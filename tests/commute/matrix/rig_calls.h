// What a call on a Rig is made with, and what it answers.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/commute/matrix/rig.h"

namespace scalefs::matrix {

// What a call is made with; prepared on the core's own memory before the recording begins.
struct Rig::Prepared {
  Op op;
  memfs::MemFs* fs;
  volume::Volume* volume;
  MnodeNo dir, to_dir, object, other;
  std::string name, to_name, xattr;
  uint64_t offset, target, length;
  uint32_t value;
  uint32_t content;
  std::vector<std::byte> buffer;
};

// What it answers, as the engine gives it.
struct alignas(128) Rig::Raw {
  int error = 0;
  bool has_attr = false;
  memfs::Attr attr;
  uint64_t number = 0;
  std::string text;
  std::vector<std::string> texts;
  std::vector<std::pair<std::string, MnodeNo>> entries;
  std::vector<std::byte> bytes;
};

}  // namespace scalefs::matrix
