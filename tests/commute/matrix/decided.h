// Cases decided by hand (decided.txt), read into states and calls.
//
// A call is its name (op_name) and what it takes, in this order: names `p0` to `s2` and `e0`; an object's
// letter; offsets and lengths, with K for 1024; a value: a mode in octal, an owner, an xattr's number, the
// byte to write (a number or a file's letter), hole or data.
#pragma once

#include <string>
#include <vector>

#include "tests/commute/matrix/world.h"

namespace scalefs::matrix {

struct Decided {
  std::string text;  // state and both calls
  World world;
  Call first, second;
  bool commutes = false;
  bool on_disk = false;  // commutes there too, where names promise content
  bool changes = false;
  std::string why;
};

// `*error` tells what could not be read.
std::vector<Decided> read_decided(const std::string& path, std::string* error);

}  // namespace scalefs::matrix
