// What the reference file system says of a case: the answers of both calls in both orders, and
// whether the pair commutes in a state.
//
// A pair commutes when both orders give both calls the same answers and leave the same state, the
// clock standing still: every field of every answer counts (an entry or attributes that a call
// returns with their times, counts and sizes), and every field of the state. So getattr and write
// of one file do not commute, nor do two links of one file, since each returns the count of links.
//
// On a disk the state has one thing more: what a crash must leave. A rename over a name, and an exchange, promise the
// content that the files had when it was called (the contract, DESIGN.md, "Durability"; P2). A write before it is promised, one
// behind it is not, and a crash and a read tell the two apart; so a call that changes what such a file
// contains does not commute with it there. And a page that is durable is written anew elsewhere before the old one is free
// (I7), so statfs tells whether a call has begun to.
#pragma once

#include <map>
#include <set>
#include <string>

#include "tests/commute/matrix/call.h"
#include "tests/support/model_fs.h"

namespace scalefs::matrix {

inline constexpr int64_t kNow = 2'000'000'000'000;   // while a pair runs (the reference's clock)
inline constexpr int64_t kExplicit = 1'500'000'000;  // what utimes sets, plus the call's content

// An answer as text. `full` decides, `checked` is compared with the engine's: it leaves out what
// the reference file system leaves open.
struct Answer {
  int error = 0;
  std::string full, checked;
};

class World {
 public:
  World();
  // `made`: the label that a new object gets.
  Answer run(const Call& call, char made);
  // Everything that can be asked, as text.
  std::string state() const;

  // For building states. warm: what Rig::warm does to times.
  void warm(const std::string& files);
  void set_time(int64_t ns) { fs_.set_time(ns); }
  // As on a disk.
  void keep_promises() { keeps_promises_ = true; }
  // All that is there is durable.
  void sync();
  testing::ModelId id_of(char label) const;
  bool has(char label) const { return labels_.count(label) != 0; }
  std::string label_of(testing::ModelId id) const;
  std::string attr_text(testing::ModelId id, bool full) const;
  // What stands in the slot; 0 when nothing does.
  testing::ModelId at(const Slot& slot) const;
  bool is_directory(const Slot& slot) const { return at(slot) != 0 && fs_.node(at(slot)).is_dir(); }
  const testing::ModelFs& fs() const { return fs_; }
  const std::map<char, testing::ModelId>& labels() const { return labels_; }
  // A file whose mapping the reference file system does not know any more.
  bool undecided() const { return undecided_; }

 private:
  testing::ModelId directory(const Slot& slot) const;
  Answer make(const Call& call, char made, uint32_t mode, const std::string& target);
  Answer rename(const Call& call);
  void promise(testing::ModelId id);
  void rewrite(testing::ModelId id, uint64_t offset, uint64_t length);
  Answer setattr(const Call& call);
  Answer data(const Call& call);
  Answer xattr(const Call& call);
  Answer entry(testing::ModelId id) const;
  Answer readdir(testing::ModelId id);
  Answer seek(const Call& call);
  void touch_atime(testing::ModelId id);

  testing::ModelFs fs_;
  std::map<testing::ModelId, int64_t> atime_;
  std::map<char, testing::ModelId> labels_;
  std::map<testing::ModelId, std::string> promised_;  // content
  std::map<testing::ModelId, std::set<uint64_t>> durable_;  // pages
  uint64_t rewritten_ = 0;
  bool keeps_promises_ = false;
  bool undecided_ = false;
};

// The name of a slot as the reference file system has it; the engine's differ from volume to
// volume.
std::string slot_name(int name);
// What setxattr sets.
std::string xattr_value(const Call& call);
// "now", what utimes set, or "old".
std::string time_text(int64_t ns, int64_t now);

struct Verdict {
  bool commutes = false;
  bool changes = false;  // at least one of the calls changes the state
  bool undecided = false;
  Answer first[2], second[2];  // answers of the calls a, b when a comes first; when b comes first
};
Verdict judge(const World& world, const Call& a, const Call& b);

}  // namespace scalefs::matrix
