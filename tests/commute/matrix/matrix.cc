#include "tests/commute/matrix/matrix.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"

namespace scalefs::matrix {
namespace {

// A conflict counts when it is there each time, on fresh objects: what happens once in many calls
// (a refill, an epoch, two objects that meet in one way of a cache) is told apart by that, and
// counted apart.
constexpr int kRepeats = 3;
constexpr size_t kDifferencesMax = 20;

bool takes_names(Op op) {
  switch (op) {
    case Op::lookup:
    case Op::create:
    case Op::create_exclusive:
    case Op::mkdir:
    case Op::mknod:
    case Op::symlink:
    case Op::link:
    case Op::unlink:
    case Op::rmdir:
    case Op::rename:
    case Op::rename_exchange:
    case Op::rename_noreplace: return true;
    default: return false;
  }
}

}  // namespace

std::string cell_name(Op a, Op b) { return fmt::format("{},{}", op_name(a), op_name(b)); }

bool Matrix::wanted(Op a, Op b) const {
  if (options_.names && !(takes_names(a) && takes_names(b))) return false;
  if (options_.twice && !(a == b && sets_something(a))) return false;
  return options_.only.empty() || options_.only == cell_name(a, b);
}

void Matrix::run() {
  for (size_t a = 0; a < kOps; ++a)
    for (size_t b = a; b < kOps; ++b)
      if (wanted(static_cast<Op>(a), static_cast<Op>(b)))
        run_cell(static_cast<Op>(a), static_cast<Op>(b));
}

void Matrix::run_cell(Op a, Op b) {
  Cell& cell = cells_[static_cast<size_t>(a)][static_cast<size_t>(b)];
  std::set<std::string> seen;
  const std::string name = cell_name(a, b);
  for (uint64_t i = 0; i < options_.attempts_a_cell && cell.changing < options_.cases_a_cell; ++i) {
    Random random(siphash24(HashKey{options_.seed, i}, name));
    State state = make_state(random);
    if (options_.durable) state.world.keep_promises();
    if (state.synced) state.world.sync();
    const auto first = make_call(random, a, state);
    auto second = make_call(random, b, state);
    if (!first || !second) continue;
    if (options_.twice) second = first;
    if (!seen.insert(text_of(*first) + text_of(*second) + state.world.state()).second) continue;
    const Verdict verdict = judge(state.world, *first, *second);
    if (verdict.undecided) continue;
    ++cell.judged;
    if (!verdict.commutes) continue;
    if (!options_.twice && verdict.changes && same_change(*first, *second)) continue;
    // Cases that change nothing are half as many at most.
    if (!verdict.changes && (cell.commuting - cell.changing) * 2 >= options_.cases_a_cell) continue;
    ++cell.commuting;
    if (verdict.changes) ++cell.changing;
    run_case(cell, state, *first, *second, verdict);
  }
}

Matrix::Raw Matrix::Seen::raw() const {
  return {{conflict.a.pc, conflict.b.pc}, in_block ? block.pc : conflict.line};
}

void Matrix::run_case(Cell& cell, const State& state, const Call& a, const Call& b,
                      const Verdict& verdict) {
  bool always = false;
  bool sometimes = false;
  for (const bool a_first : {true, false}) {
    std::vector<Seen> each_time = run_once(state, a, b, verdict, a_first);
    for (int i = 1; i < kRepeats && !each_time.empty(); ++i) {
      std::set<Raw> now;
      for (const auto& c : run_once(state, a, b, verdict, a_first)) now.insert(c.raw());
      const auto rare =
          std::stable_partition(each_time.begin(), each_time.end(),
                                [&](const auto& c) { return now.count(c.raw()) != 0; });
      if (rare != each_time.end()) {
        note({rare, each_time.end()}, true, state, a, b);
        each_time.erase(rare, each_time.end());
        sometimes = true;
      }
    }
    if (each_time.empty()) continue;
    note(each_time, false, state, a, b);
    Conflicting found{a.op, b.op,
                      excusable(state.world, a) && excusable(state.world, b), {}};
    for (const Seen& c : each_time) found.lines.insert(c.raw());
    conflicting_.push_back(std::move(found));
    always = true;
    break;  // one order is enough
  }
  if (always) {
    ++cell.conflicting;
    if (verdict.changes) ++cell.changing_conflicting;
  } else if (sometimes) {
    ++cell.transient;
  }
}

std::vector<Matrix::Seen> Matrix::run_once(const State& state, const Call& a, const Call& b,
                                           const Verdict& verdict, bool a_first) {
  rig_.build(state.script, state.made, state.synced,
             static_cast<int>(siphash24(HashKey{}, text_of(a) + text_of(b)) % Rig::kBuilders));
  rig_.warm(state.warmed, state.freshen, a, b);
  record::clear();
  Answer got[2];
  const auto run_a = [&] { got[0] = rig_.run_recorded(0, a, 'A'); };
  const auto run_b = [&] { got[1] = rig_.run_recorded(1, b, 'B'); };
  if (a_first) run_a();
  run_b();
  if (!a_first) run_a();
  std::vector<Seen> conflicts;
  for (const record::Conflict& c : record::conflicts(0, 1)) {
    Seen seen{c, {}, false};
    seen.in_block = record::runtime::find_block(c.a.address, &seen.block);
    conflicts.push_back(seen);
  }
  const Answer* want = a_first ? verdict.first : verdict.second;
  std::string difference;
  for (int i = 0; i < 2; ++i) {
    // Which of two errors wins is left open.
    if (got[i].error != want[i].error && !(got[i].error != 0 && want[i].error != 0))
      difference += fmt::format("errno {}, expected {}; ", got[i].error, want[i].error);
    else if (got[i].checked != want[i].checked)
      difference += fmt::format("'{}', expected '{}'; ", got[i].checked, want[i].checked);
  }
  World world = state.world;
  (void)world.run(a_first ? a : b, a_first ? 'A' : 'B');
  (void)world.run(a_first ? b : a, a_first ? 'B' : 'A');
  if (difference.empty()) difference = rig_.compare(world);
  if (!difference.empty() && differences_.size() < kDifferencesMax)
    differences_.push_back(fmt::format("{}\n  {}\n  {}\n{}", difference, text_of(a_first ? a : b),
                                       text_of(a_first ? b : a), state.text()));
  rig_.clean();
  return conflicts;
}

void Matrix::note(const std::vector<Seen>& conflicts, bool transient, const State& state,
                  const Call& a, const Call& b) {
  std::set<Raw> counted;
  for (const Seen& c : conflicts) {
    if (!counted.insert(c.raw()).second) continue;
    Found& found = found_[c.raw()];
    if (found.cases == 0) {
      found.seen = c;
      found.example = fmt::format("  {}\n  {}\n{}", text_of(a), text_of(b), state.text());
    }
    ++(transient ? found.transient : found.cases);
    if (!transient) ++found.cells[cell_name(a.op, b.op)];
  }
}

}  // namespace scalefs::matrix
