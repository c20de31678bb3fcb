// A volume on which cases run, call by call on simulated cores, recorded.
//
// Steady state. Before a pair runs, cores 0 and 1 have made calls of every kind on objects of their
// own (warm_core), and, on the objects of the case, calls that leave the state as it was: each has made
// and removed a name of its own in each directory, has set every object's owner and every file's size to
// what it was, has made and removed a link of its own to each file, looked at its data and looked up what
// stands in each slot (touch), and has made the call of the pair once, on what the pair's call names, in a
// way that changes nothing but times (rig_warm.cc). So allocator arenas, ranges of numbers, log slots, and
// the core's deltas of these objects exist. Directories have grown to many buckets before. A round of
// maintenance has folded what the builder did, as it is when time passes; none runs after the cores began.
//
// What warming up must not do is take away what the pair's calls would share, so it is made of calls
// alone, each core's on its own, in the order core 0, core 1; nothing is flushed, freed or evicted behind
// it, and where a call cannot be made without a change (an append, a punch through data, a write into a
// hole), none is made.
//
// Of the directories each was made by another core. What is in them is made by core 2, or by one of the two that make
// the calls, whose objects then are of that core's number space and memory. Core 2 cleans up; the clock stands
// still while a pair runs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "diskfs/memory_device.h"
#include "tests/commute/matrix/world.h"
#include "tests/commute/recorder/recorder.h"
#include "volume/volume.h"

namespace scalefs::matrix {

enum class VolumeKind { memory, disk };
// Whether the names of a case stand in buckets of their own or all in one.
enum class Names { apart, together };

// The test of the tests: calls that touch a counter of all cores, each of them or the first in some.
enum class Canary { none, each_call, now_and_then };

class Rig {
 public:
  explicit Rig(VolumeKind kind, Names names = Names::apart);
  ~Rig();
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  // Builds the tree of `world` as `script` made it there (same calls, same labels), on the core `builder` (0 to
  // kBuilders - 1), and syncs the volume or does not.
  static constexpr int kBuilders = 3;
  void build(const std::vector<Call>& script, const std::string& made, bool synced, int builder);
  // The calls of `freshen` (reads, which set access times, later than all that follows here); then makes the
  // objects of a case known to both cores, the first of which will make the call `a`, the second `b`.
  void warm(const std::string& files, const std::vector<Call>& freshen, const Call& a,
            const Call& b);
  // The call on the simulated core, recorded there.
  Answer run_recorded(int core, const Call& call, char made);
  // The engine's attributes, content and names against the reference's; empty when they agree.
  std::string compare(const World& world);
  // Empties the directories and lets go of every lookup.
  void clean();

  volume::Volume& volume() { return *volume_; }
  void set_canary(Canary canary) { canary_ = canary; }

 private:
  struct Raw;
  struct Prepared;
  Prepared prepare(const Call& call);
  void perform(const Prepared& call, Raw* raw);
  void sing();
  Answer answer_of(const Call& call, const Raw& raw, char made);
  Answer run_plain(const Call& call, char made);
  std::string attr_text(const memfs::Attr& attr) const;
  std::string label_of(MnodeNo mnode) const;
  void choose_names(Names names);
  void grow(MnodeNo dir);
  void warm_core(int core);
  void touch(int core, const std::string& files);
  void rehearse(int core, const Call& call);
  void rehearse_name(int core, const Call& call);
  void rehearse_change_in_place(int core, const Call& call);
  void rehearse_attributes(const Call& call);
  void rehearse_data(const Call& call);
  bool is_mapped(MnodeNo file, uint64_t offset, uint64_t length);
  void keep_content(const Call& call);
  void rewrite(MnodeNo file, uint64_t offset, uint64_t length);
  MnodeNo dir(int index) const { return labels_.at("pqse"[index]); }
  std::string name_of(const Slot& slot) const;
  void empty(MnodeNo dir);
  void settle();

  std::unique_ptr<diskfs::MemoryDevice> device_;
  std::unique_ptr<volume::Volume> volume_;
  std::map<char, MnodeNo> labels_;
  std::map<uint64_t, uint64_t> lookups_;  // to forget at the end
  std::vector<std::string> names_;
  std::map<uint64_t, std::vector<std::byte>> content_;  // of files that the case's calls write into
  MnodeNo private_dir_[2];
  int64_t clock_ = 10'000'000'000;
  int64_t now_ = 0;  // the clock while a pair runs
  uint64_t cases_ = 0;
  Canary canary_ = Canary::none;
};

}  // namespace scalefs::matrix
