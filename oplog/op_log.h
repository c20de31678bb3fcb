// Per-core operation logs with stamps, the cut and the merge (OpLog: Boyd-Wickizer et al., "OpLog: a
// library for scaling update-heavy data structures", 2014; ScaleFS, SOSP'17). Generic: an entry is
// anything that derives from LogEntry.
//
// Protocol (P1). An operation has reserved its room, allocated its entries, and locked its objects.
// Then:
//   OpLog::Slot slot(log);                    // the core's slot, or another when that one is busy
//   Stamp s = slot.stamp(last stamps of the locked objects);
//   ... publish the effects; remember s in the locked objects ...
//   slot.append(entry);                       // one entry or several, all with stamp s
// and the slot is released by the destructor. Between stamp and the end nothing fails, allocates,
// faults or waits. s > every stamp given before on this slot, > every stamp passed in, > the floor.
//
// cut(): T = max(cycle_now, floor, every slot's last stamp); floor = T; then each slot is locked once
// and its entries with stamp <= T are moved out. Who held a slot has appended by then, who takes it
// later reads the floor: no entry with a stamp <= T can appear afterwards (I3). The result is in
// order of (stamp, slot, sequence): a k-way merge, since each slot's list is in stamp order.
//
// A waiter is covered only by a cut that began after it arrived; ticket numbers for that are
// volume's business.
//
// Slot locks sleep (a holder may be preempted). `floor` is written once a cut, read by each stamp.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/core.h"
#include "base/mutex.h"

namespace scalefs::oplog {

using Stamp = uint64_t;  // 0: before everything

struct LogEntry {
  virtual ~LogEntry() = default;
  Stamp stamp = 0;
  uint64_t sequence = 0;      // within the slot
  uint32_t slot = 0;
  uint32_t cost_bytes = 0;    // what was reserved for it; given back when it is consumed
  uint32_t cost_places = 0;   // a second cost, of a unit that the entries' consumer knows
  LogEntry* next = nullptr;   // within the slot
};

class OpLog {
 public:
  OpLog();
  ~OpLog();  // frees entries that no cut took
  OpLog(const OpLog&) = delete;
  OpLog& operator=(const OpLog&) = delete;

  // A slot held exclusively.
  class Slot {
   public:
    explicit Slot(OpLog& log);
    ~Slot();
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    // Once a slot. `at_least`: the largest last stamp of the locked objects.
    Stamp stamp(Stamp at_least);
    // Takes ownership.
    void append(std::unique_ptr<LogEntry> entry);

   private:
    struct State;
    friend class OpLog;
    OpLog& log_;
    uint32_t index_;
    Stamp stamp_ = 0;
  };

  struct Cut {
    Stamp upto = 0;
    std::vector<std::unique_ptr<LogEntry>> entries;  // in order
  };
  // One caller at a time (the committer). Throws std::bad_alloc before it has taken anything.
  Cut cut();

  // Largest stamp that any slot or cut has given. For new objects without a creator.
  Stamp floor() const;
  // Entries and cost waiting for a cut; statistics, not exact under concurrency.
  uint64_t depth() const;
  uint64_t depth_of(uint32_t slot) const;
  uint64_t cost_bytes() const;
  uint64_t cost_places() const;

 private:
  struct SlotState;
  std::unique_ptr<PerCore<SlotState>> slots_;
  struct alignas(kFalseSharingBytes) Floor {
    Atomic<Stamp> value{0};
  } floor_;
};

}  // namespace scalefs::oplog
