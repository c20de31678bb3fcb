// The matrix: cases by pairs of calls, run and counted, and what was found, as a table and a heat
// map.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/commute/matrix/exceptions.h"
#include "tests/commute/matrix/generate.h"
#include "tests/commute/matrix/rig.h"

namespace scalefs::matrix {

// Counts of a pair of calls, each in one way of making it, or of several. A case conflicts when it shared a written line each time it
// was run; one that did so now and then (refills, epochs, colliding ways) is transient.
struct Cell {
  uint64_t judged = 0;       // pairs that the reference file system ruled on
  uint64_t commuting = 0;    // that commute, all of which were run
  uint64_t changing = 0;     // of those, with a change of state
  uint64_t conflicting = 0;
  uint64_t changing_conflicting = 0;
  uint64_t excused = 0;    // conflicting cases all of whose lines are exceptions; by review()
  uint64_t transient = 0;

  Cell& operator+=(const Cell& other);
  uint64_t open() const { return conflicting - excused; }
};

// One way of sharing, over all cases.
struct Sharing {
  SharedLine line;
  uint64_t cases = 0;
  uint64_t transient = 0;
  std::map<std::string, uint64_t> cells;  // cases of each pair of calls
  std::string example;                    // the case, and both places with callers
};

struct MatrixOptions {
  uint64_t seed = 1;
  // Distinct cases wanted of each pair of calls that commute and change the state; of those that change
  // nothing half as many are run at most.
  uint64_t cases_a_cell = 10;
  uint64_t attempts_a_cell = 400;
  std::string only;  // "create,unlink": this cell alone
  bool names = false;  // the calls that take names alone
  bool twice = false;  // one change made by both calls (same_change), which else is left out
  bool durable = false;  // judged as on a disk (World::keep_promises)
};

std::string cell_name(Op a, Op b);

class Matrix {
 public:
  Matrix(Rig& rig, const MatrixOptions& options) : rig_(rig), options_(options) {}
  void run();
  // Counts as excused what the list names.
  void review(Exceptions& exceptions);

  // Those that were wanted, in order of the table.
  std::vector<std::pair<std::string, Cell>> cells() const;
  // The same, a cell a pair of calls whatever their ways (call_name).
  std::map<std::string, Cell> calls() const;
  Cell total() const;
  // Most cases first.
  std::vector<Sharing> sharings();
  // Answers or states that differ from the reference's; a text each.
  const std::vector<std::string>& differences() const { return differences_; }
  std::string totals() const;
  std::string table();
  std::string heat_map() const;

 private:
  struct Raw {  // a sharing by addresses, before names are looked up
    uintptr_t pc[2];
    uintptr_t object_pc;
    friend auto operator<=>(const Raw&, const Raw&) = default;
  };
  // A conflict, and the block it is in, as they were when it happened: blocks are used again.
  struct Seen {
    record::Conflict conflict;
    record::BlockInfo block;
    bool in_block = false;
    Raw raw() const;
  };
  struct Found {
    Seen seen;
    uint64_t cases = 0, transient = 0;
    std::map<std::string, uint64_t> cells;
    std::string example;
  };
  struct Conflicting {  // a case
    Op a, b;
    bool excusable = false;
    std::set<Raw> lines;
  };
  bool wanted(Op a, Op b) const;
  void run_cell(Op a, Op b);
  void run_case(Cell& cell, const State& state, const Call& a, const Call& b,
                const Verdict& verdict);
  std::vector<Seen> run_once(const State& state, const Call& a, const Call& b,
                             const Verdict& verdict, bool a_first);
  void note(const std::vector<Seen>& conflicts, bool transient, const State& state, const Call& a,
            const Call& b);
  void look_up_names();
  SharedLine line_of(const Seen& seen) const;
  Cell& cell(Op a, Op b) { return cells_[static_cast<size_t>(a)][static_cast<size_t>(b)]; }

  Rig& rig_;
  const MatrixOptions options_;
  Cell cells_[kOps][kOps];
  std::map<Raw, Found> found_;
  std::vector<Conflicting> conflicting_;
  std::vector<std::string> differences_;
};

}  // namespace scalefs::matrix
