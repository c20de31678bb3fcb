// Which states a crash may leave, by the durability contract alone (DESIGN.md, section 4). It watches a
// history on the reference file system and the number of device events at each call; it knows
// nothing of journals, batches or trees.
//
//   Names, links, explicitly set attributes, xattrs: those after some prefix of the calls that holds
//   every call before the last fsync or sync that had returned.
//   Data: each block, whole, a content that it had at or after the last fsync of its file (or a sync);
//   a size, one that the file had since then, and no byte below it that was not there at that time.
//   A rename over a name: the file that has the name afterwards is at least as new as when rename
//   was called.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/history.h"

namespace scalefs::testing {

class CrashOracle {
 public:
  // A part of the tree that others do not change. Before the first call.
  struct View {
    std::function<bool(const std::string& path)> looked_at;  // of each name; none: all
    std::set<std::string> shared;  // directories in which others make directories: their link count is theirs too
  };
  void look_only_at(View view) { view_ = std::move(view); }
  // After every call of the history. `events_before` and `events_after`: device events when the call
  // began and when it returned.
  void observe(const History& history, uint64_t events_before, uint64_t events_after);
  // The same of any reference file system; `known` are the numbers of its objects in the volume.
  void observe(const ModelFs& model, const std::map<ModelId, MnodeNo>& known,
               uint64_t events_before, uint64_t events_after);
  // An fsync of `id` (0: a sync) was part of the call that is observed next.
  void durable(ModelId id) { durable_now_.push_back(id); }
  // Somebody else's fsync or sync, which began when the first `calls` of our calls had returned and had itself returned
  // after `events` events: it promised the names that they had made, a sync their data, too.
  void durable_elsewhere(size_t calls, uint64_t events, bool data) {
    elsewhere_.push_back({calls - 1, events, data});
  }
  // The call that is observed next was refused: it made nothing durable and renamed nothing.
  void withdraw();
  // The call that is observed next renames over a name; `moved` gets it.
  void renamed_over(ModelId moved) { renamed_now_ = moved; }

  // Compares a recovered volume with the states allowed after `events` events. Empty when it is one
  // of them, else what is wrong.
  // `*seen`: all that was looked at, to be compared with another recovery. `*matches`: all calls, in order, after which
  // the names were these.
  std::string check(volume::Volume& recovered, uint64_t events, std::string* seen = nullptr,
                    std::vector<size_t>* matches = nullptr) const;
  // The same without a promise kept: any state that the calls went through will do.
  std::string check_unpromised(volume::Volume& recovered) const;
  // The calls that had returned and those that had begun after `events` events: two equal images with
  // equal numbers are allowed the same states.
  std::pair<size_t, size_t> calls_at(uint64_t events) const;
  size_t calls() const { return calls_.size(); }
  // The calls that made durable, all of them or one object's data.
  struct Promise {
    size_t call = 0;
    uint64_t events = 0;  // when it had returned
    bool all = false;
  };
  std::vector<Promise> promises() const;

 private:
  struct CallInfo {
    uint64_t events_before = 0;
    uint64_t events_after = 0;
    std::string names;  // canonical description of the tree, without data
    std::vector<ModelId> durable;
    ModelId renamed_over = 0;
  };
  struct Elsewhere {
    size_t call = 0;  // the last one that had returned
    uint64_t events = 0;
    bool data = false;
  };
  struct Version {
    size_t call = 0;  // after this call
    std::string data;
  };
  struct Found {  // a file of the recovered tree
    std::string path;
    std::string data;
  };
  // The states after calls lower..upper are allowed; `promised` tells whether a call's fsync counts.
  struct Limits {
    size_t lower = 0, upper = 0;  // the states after these calls are allowed
    size_t data_since = 0;        // and no older data
    std::function<bool(const CallInfo&)> promised;  // whether a call's fsync counts
  };
  std::string check_between(volume::Volume& recovered, const Limits& limits, std::string* seen,
                            std::vector<size_t>* matches) const;
  bool looked_at(const std::string& path) const { return !view_.looked_at || view_.looked_at(path); }
  std::string describe(const ModelFs& model) const;
  void describe(const ModelFs& model, const std::string& path, ModelId id, std::string* text) const;
  std::string describe(volume::Volume& volume, std::map<ModelId, Found>* files,
                       std::string* error) const;
  std::string describe_object(volume::Volume& volume, const std::string& path,
                              const memfs::Attr& attr, std::map<ModelId, Found>* files,
                              std::string* error) const;
  std::string check_file(ModelId id, const Found& found, size_t since, size_t upto) const;
  bool block_allowed(const std::vector<Version>& versions, const std::string& data, size_t block,
                     size_t since, size_t upto) const;

  View view_;
  std::vector<CallInfo> calls_;
  std::vector<Elsewhere> elsewhere_;
  std::map<ModelId, std::vector<Version>> versions_;
  std::map<uint64_t, ModelId> ids_;  // by mnode number
  std::vector<ModelId> durable_now_;
  ModelId renamed_now_ = 0;
};

}  // namespace scalefs::testing
