// States and calls of the matrix, at random from a bounded space: six slots (two directories, three
// names each), three files with one to three links or none (open but unlinked) and zero to three
// pages with or without a hole or a partial last page, a symbolic link, an empty and a full
// directory; access times fresh or stale, xattrs there or not; everything dirty or synced; every aliasing of names and objects
// between two calls. Calls on data begin where pages begin. What a call sets (mode, owner, times, bytes, an
// xattr's value) is one of kContents of its kind, a truncation's size one of nine: so two calls of one kind on
// one object mostly set two things, and seldom the same.
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
  bool synced = false;        // durable, nothing is dirty
  World world;
  std::string text() const;  // what stands where
};

State make_state(Random& random);
// None when the state has nothing that the call could be made with.
std::optional<Call> make_call(Random& random, Op op, const State& state);
// Calls that give something a value or a meaning which the caller names, so that the same can be done twice.
bool sets_something(Op op);
// Both calls ask for one and the same change (an exchange of two names has two ways of writing it; ranges to allocate or
// to punch are the same where they meet in a page).
bool same_change(const Call& a, const Call& b);

}  // namespace scalefs::matrix
