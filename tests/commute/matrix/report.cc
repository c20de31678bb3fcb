// What a matrix found: names of places, totals, table and heat map.
#include <fmt/format.h>

#include <algorithm>

#include "tests/commute/matrix/matrix.h"

namespace scalefs::matrix {
namespace {

std::string free_share(uint64_t conflicting, uint64_t cases) {
  if (cases == 0) return "none";
  const auto free = static_cast<double>(cases - conflicting);
  return fmt::format("{:.2f} %", 100 * free / static_cast<double>(cases));
}

}  // namespace

Cell& Cell::operator+=(const Cell& other) {
  judged += other.judged;
  commuting += other.commuting;
  changing += other.changing;
  conflicting += other.conflicting;
  changing_conflicting += other.changing_conflicting;
  excused += other.excused;
  transient += other.transient;
  return *this;
}

std::vector<std::pair<std::string, Cell>> Matrix::cells() const {
  std::vector<std::pair<std::string, Cell>> list;
  for (size_t a = 0; a < kOps; ++a)
    for (size_t b = a; b < kOps; ++b)
      if (wanted(static_cast<Op>(a), static_cast<Op>(b)))
        list.emplace_back(cell_name(static_cast<Op>(a), static_cast<Op>(b)), cells_[a][b]);
  return list;
}

Cell Matrix::total() const {
  Cell sum;
  for (const auto& [name, cell] : cells()) sum += cell;
  return sum;
}

void Matrix::look_up_names() {
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
}

SharedLine Matrix::line_of(const Seen& seen) const {
  SharedLine line;
  line.first = record::place_of(seen.conflict.a);
  line.second = record::place_of(seen.conflict.b);
  // The pair is not in order: the smaller name goes first.
  if (line.second < line.first) std::swap(line.first, line.second);
  line.object =
      seen.in_block ? record::name_of(seen.block) : record::object_of(seen.conflict.line);
  return line;
}

void Matrix::review(Exceptions& exceptions) {
  look_up_names();
  for (const Conflicting& found : conflicting_) {
    const std::string pair = cell_name(found.a, found.b);
    bool all = true;
    for (const Raw& raw : found.lines)
      all = exceptions.excuse(line_of(found_.at(raw).seen), pair, found.excusable) && all;
    if (all) ++cell(found.a, found.b).excused;
  }
}

std::vector<Sharing> Matrix::sharings() {
  look_up_names();
  std::map<std::string, Sharing> merged;
  for (const auto& [raw, found] : found_) {
    Sharing s;
    s.line = line_of(found.seen);
    const std::string key = s.line.first + "\n" + s.line.second + "\n" + s.line.object;
    Sharing& into = merged.emplace(key, s).first->second;
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

std::map<std::string, Cell> Matrix::calls() const {
  std::map<std::string, Cell> calls;
  for (size_t a = 0; a < kOps; ++a)
    for (size_t b = a; b < kOps; ++b) {
      if (!wanted(static_cast<Op>(a), static_cast<Op>(b))) continue;
      std::string first = call_name(static_cast<Op>(a));
      std::string second = call_name(static_cast<Op>(b));
      if (second < first) first.swap(second);
      calls[first + "," + second] += cells_[a][b];
    }
  return calls;
}

std::string Matrix::totals() const {
  const Cell sum = total();
  const auto worse = [](const auto& of) {
    return std::count_if(of.begin(), of.end(), [](const auto& named) {
      return named.second.changing_conflicting * 50 > named.second.changing;
    });
  };
  const auto all = cells();
  const auto by_call = calls();
  return fmt::format(
      "{} commuting cases: {} share a written line, {} excused, {} now and then\n"
      "{} of them change state: {} share a written line, {} free\n"
      "{} pairs of calls, {} under 98 %; by the ways of making them {} pairs, {} under 98 %\n",
      sum.commuting, sum.conflicting, sum.excused, sum.transient, sum.changing, sum.changing_conflicting,
      free_share(sum.changing_conflicting, sum.changing), by_call.size(), worse(by_call), all.size(), worse(all));
}

std::string Matrix::table() {
  std::string text = totals();
  text += "\npair                          judged commuting changing conflicting of-changing "
          "excused now-and-then\n";
  for (const auto& [name, c] : cells())
    text += fmt::format("{:30}{:6}{:10}{:9}{:12}{:12}{:8}{:13}\n", name, c.judged, c.commuting,
                        c.changing, c.conflicting, c.changing_conflicting, c.excused, c.transient);
  text += "\nlines shared, most frequent first\n";
  for (const Sharing& s : sharings()) {
    text += fmt::format("\n{} cases, {} now and then, {} pairs of calls\n  {}\n  {}\n  on {}\n",
                        s.cases, s.transient, s.cells.size(), s.line.first, s.line.second,
                        s.line.object);
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
