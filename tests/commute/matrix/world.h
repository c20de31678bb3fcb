// What the reference file system says of a case: the answers of both calls in both orders, and
// whether the pair commutes in a state.
//
// A pair commutes when both orders give both calls the same answers and leave the same state, the
// clock standing still: every field of every answer counts (an entry or attributes that a call
// returns with their times, counts and sizes), and every field of the state. So getattr and write
// of one file do not commute, nor do two links of one file, since each returns the count of links.
#pragma once

#include <map>
#include <string>

#include "tests/commute/matrix/call.h"
#include "tests/support/model_fs.h"

namespace scalefs::matrix {

inline constexpr int64_t kNow = 2'000'000'000'000;   // while a pair runs (the reference's clock)
inline constexpr int64_t kExplicit = 1'500'000'000;  // what utimes sets

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
  bool undecided_ = false;
};

// The name of a slot as the reference file system has it; the engine's differ from volume to
// volume.
std::string slot_name(int name);

struct Verdict {
  bool commutes = false;
  bool changes = false;  // at least one of the calls changes the state
  bool undecided = false;
  Answer first[2], second[2];  // answers of the calls a, b when a comes first; when b comes first
};
Verdict judge(const World& world, const Call& a, const Call& b);

}  // namespace scalefs::matrix
