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

std::string cell_name(Op a, Op b) { return fmt::format("{},{}", op_name(a), op_name(b)); }

}  // namespace

void Matrix::run() {
  for (size_t a = 0; a < kOps; ++a)
    for (size_t b = a; b < kOps; ++b) {
      if (!options_.only.empty() &&
          options_.only != cell_name(static_cast<Op>(a), static_cast<Op>(b)))
        continue;
      run_cell(static_cast<Op>(a), static_cast<Op>(b));
    }
}

void Matrix::run_cell(Op a, Op b) {
  Cell& cell = cells_[static_cast<size_t>(a)][static_cast<size_t>(b)];
  std::set<std::string> seen;
  const std::string name = cell_name(a, b);
  for (uint64_t i = 0; i < options_.attempts_a_cell && cell.commuting < options_.cases_a_cell;
       ++i) {
    Random random(siphash24(HashKey{options_.seed, i}, name));
    const State state = make_state(random);
    const auto first = make_call(random, a, state);
    const auto second = make_call(random, b, state);
    if (!first || !second) continue;
    if (!seen.insert(text_of(*first) + text_of(*second) + state.world.state()).second) continue;
    const Verdict verdict = judge(state.world, *first, *second);
    if (verdict.undecided) continue;
    ++cell.judged;
    if (!verdict.commutes) continue;
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
  rig_.build(state.script, state.made);
  rig_.warm(state.warmed, state.freshen);
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

uint64_t Matrix::cases() const {
  uint64_t sum = 0;
  for (const auto& row : cells_)
    for (const Cell& c : row) sum += c.commuting;
  return sum;
}
size_t Matrix::cells() const {
  size_t count = 0;
  for (const auto& row : cells_)
    for (const Cell& c : row) count += c.commuting > 0;
  return count;
}
uint64_t Matrix::conflicting() const {
  uint64_t sum = 0;
  for (const auto& row : cells_)
    for (const Cell& c : row) sum += c.conflicting;
  return sum;
}
uint64_t Matrix::transient() const {
  uint64_t sum = 0;
  for (const auto& row : cells_)
    for (const Cell& c : row) sum += c.transient;
  return sum;
}

std::vector<Sharing> Matrix::sharings() {
  std::vector<record::Access> all;
  for (const auto& [raw, found] : found_) {
    all.push_back(found.seen.conflict.a);
    all.push_back(found.seen.conflict.b);
    record::Access block;
    block.pc = found.seen.block.pc;
    std::copy(std::begin(found.seen.block.callers), std::end(found.seen.block.callers),
              block.callers);
    all.push_back(block);
  }
  record::prefetch(all);
  std::map<std::string, Sharing> merged;
  for (const auto& [raw, found] : found_) {
    Sharing s;
    s.first = record::place_of(found.seen.conflict.a);
    s.second = record::place_of(found.seen.conflict.b);
    // The pair is not in order: the smaller name goes first.
    if (s.second < s.first) std::swap(s.first, s.second);
    s.object = found.seen.in_block ? record::name_of(found.seen.block)
                                   : record::object_of(found.seen.conflict.line);
    Sharing& into = merged.emplace(s.first + "\n" + s.second + "\n" + s.object, s).first->second;
    into.cases += found.cases;
    into.transient += found.transient;
    for (const auto& [cell, count] : found.cells) into.cells[cell] += count;
    if (into.example.empty() && found.cases > 0)
      into.example = fmt::format("    {}{}\n    {}\n{}",
                                 found.seen.conflict.same_bytes ? "" : "(false sharing) ",
                                 record::describe(found.seen.conflict.a),
                                 record::describe(found.seen.conflict.b), found.example);
  }
  std::vector<Sharing> list;
  for (auto& [key, s] : merged) list.push_back(std::move(s));
  std::stable_sort(list.begin(), list.end(),
                   [](const Sharing& a, const Sharing& b) { return a.cases > b.cases; });
  return list;
}

std::string Matrix::table() {
  uint64_t changing = 0;
  uint64_t changing_conflicting = 0;
  for (const auto& row : cells_)
    for (const Cell& c : row) {
      changing += c.changing;
      changing_conflicting += c.changing_conflicting;
    }
  std::string text = fmt::format(
      "{} commuting cases of {} pairs of calls, {} share a written line, {} now and then\n"
      "{} of them change state, {} share a written line\n\n",
      cases(), cells(), conflicting(), transient(), changing, changing_conflicting);
  text += "pair                          judged commuting changing conflicting now-and-then\n";
  for (size_t a = 0; a < kOps; ++a)
    for (size_t b = a; b < kOps; ++b) {
      const Cell& c = cells_[a][b];
      if (c.judged == 0) continue;
      text += fmt::format("{:30}{:6}{:10}{:9}{:12}{:13}\n",
                          cell_name(static_cast<Op>(a), static_cast<Op>(b)), c.judged, c.commuting,
                          c.changing, c.conflicting, c.transient);
    }
  text += "\nlines shared, most frequent first\n";
  for (const Sharing& s : sharings()) {
    text += fmt::format("\n{} cases, {} now and then, {} pairs of calls\n  {}\n  {}\n  on {}\n",
                        s.cases, s.transient, s.cells.size(), s.first, s.second, s.object);
    size_t shown = 0;
    for (const auto& [cell, count] : s.cells)
      if (shown++ < 12) text += (shown == 1 ? "  in " : " ") + cell;
    text += "\n  for example\n" + s.example;
  }
  return text;
}

std::string Matrix::heat_map() const {
  constexpr size_t kSide = 22;
  constexpr size_t kMargin = 110;
  const size_t width = kMargin + kOps * kSide + 20;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{0}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"{0}\" height=\"{0}\" "
      "fill=\"white\"/>\n",
      width);
  for (size_t a = 0; a < kOps; ++a) {
    const size_t at = kMargin + a * kSide;
    svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", kMargin - 6,
                       at + 15, op_name(static_cast<Op>(a)));
    svg += fmt::format("<text transform=\"translate({},{}) rotate(-90)\">{}</text>\n", at + 15,
                       kMargin - 6, op_name(static_cast<Op>(a)));
    for (size_t b = a; b < kOps; ++b) {
      const Cell& c = cells_[a][b];
      std::string fill = "#eeeeee";  // nothing commutes
      if (c.commuting > 0) {
        const double share = static_cast<double>(c.conflicting) / static_cast<double>(c.commuting);
        fill = c.conflicting == 0
                   ? "#9fd89f"
                   : fmt::format("rgb(255,{0},{0})", static_cast<int>(190 - 150 * share));
      }
      for (const auto& [row, column] : {std::pair{a, b}, std::pair{b, a}}) {
        svg += fmt::format(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\">"
            "<title>{}: {} of {} share a line</title></rect>\n",
            kMargin + column * kSide, kMargin + row * kSide, kSide - 1, kSide - 1, fill,
            cell_name(static_cast<Op>(a), static_cast<Op>(b)), c.conflicting, c.commuting);
        if (c.conflicting > 0)
          svg += fmt::format(
              "<text x=\"{}\" y=\"{}\" font-size=\"8\" text-anchor=\"middle\">{}</text>\n",
              kMargin + column * kSide + kSide / 2, kMargin + row * kSide + 14, c.conflicting);
      }
    }
  }
  return svg + "</svg>\n";
}

}  // namespace scalefs::matrix
