// States and calls of the matrix, at random from a bounded space: six slots (two directories, three
// names each), three files with one to three links or none (open but unlinked) and zero to three
// pages with or without a hole or a partial last page, a symbolic link, an empty and a full
// directory; access times fresh or stale, xattrs there or not; every aliasing of names and objects
// between two calls.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/commute/matrix/world.h"

namespace scalefs::matrix {

struct State {
  std::vector<Call> script;   // how to make it
  std::string made;           // the label of what each call of it makes
  std::vector<Call> freshen;  // reads at the end, by the builder
  std::string warmed;         // objects that both cores know
  World world;
  std::string text() const;  // what stands where
};

State make_state(Random& random);
// None when the state has nothing that the call could be made with.
std::optional<Call> make_call(Random& random, Op op, const State& state);

}  // namespace scalefs::matrix
