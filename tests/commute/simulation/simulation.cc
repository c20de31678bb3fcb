#include "tests/commute/simulation/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/check.h"
#include "base/clock.h"
#include "base/core.h"
#include "base/epoch.h"
#include "diskfs/memory_device.h"
#include "tests/support/volumes.h"

namespace scalefs::simulation {
namespace {

constexpr uint64_t kDiskBytes = uint64_t{8} << 30;  // sparse
constexpr int kList = 0;  // of accesses: a call's are used up before the next call
constexpr uint64_t kCacheBytesACore = uint64_t{32} << 20;  // a larger machine has more
constexpr int64_t kRoundNs = 1'000'000;
// For which the shared directory has room. Buckets become four times as many when there are three names each somewhere;
// with 8 and 128 cores this makes 256 buckets a core, and is so far from what makes fewer or more that chance
// (names are hashed with a key of the volume's own) changes nothing.
constexpr int kNamesACore = 230;

// A volume, mounted and maintained by a core that takes no part, and what the cores share, made by the first of them: what
// looks for it must not meet what that core writes.
class Stage {
 public:
  Stage(const Workload& workload, On on, int cores)
      : builder_(cores), cores_before_(core_count()) {
    shared_.cores = cores;
    shared_.calls = kWarmCalls + workload.counted;
    set_core_count_for_test(static_cast<uint32_t>(cores) + 1);
    use_tsc_for_test(true);
    move_clock();
    record::run_on(builder_, [&] { mount(on); });
    record::run_on(0, [&] { make_shared(); });
    record::run_on(builder_, [&] {
      if (workload.fills_dir) grow_directory(volume_->fs(), shared_.dir, shared_.cores * kNamesACore);
      settle_here();
    });
  }
  ~Stage() {
    record::run_on(builder_, [&] {
      volume_->shutdown();
      volume_.reset();
      device_.reset();
    });
    set_wall_for_test(-1);
    set_core_count_for_test(cores_before_);
  }
  const Shared& shared() const { return shared_; }
  // Commits and reclaims what was prepared, so that no counted call has to make room.
  void settle() {
    record::run_on(builder_, [&] { settle_here(); });
  }
  void move_clock() {
    now_ += kRoundNs;
    set_wall_for_test(now_);
  }

 private:
  void mount(On on) {
    volume::VolumeOptions options;
    options.threads = false;
    options.cache_bytes = kCacheBytesACore * static_cast<uint64_t>(shared_.cores);
    if (on == On::memory) {
      volume_ = volume::Volume::memory(options);
    } else {
      device_ = testing::formatted_device(kDiskBytes);
      std::string why;
      auto mounted = volume::Volume::mount(*device_, options, &why);
      SCALEFS_CHECK(mounted.ok());
      volume_ = std::move(*mounted);
    }
    shared_.volume = volume_.get();
  }
  void make_shared() {
    auto& fs = volume_->fs();
    auto dir = fs.mkdir(kRootMnode, "shared", 0755, {});
    auto file = fs.create(kRootMnode, "shared-file", 0644, true, {});
    SCALEFS_CHECK(dir.ok() && file.ok());
    shared_.dir = dir->attr.mnode;
    shared_.file = file->attr.mnode;
  }
  void settle_here() {
    for (int i = 0; i < 8 && volume_->step_maintenance(); ++i) {
    }
    if (device_ == nullptr) return;
    SCALEFS_CHECK(volume_->sync().ok());
    while (volume_->step_checkpoint()) {
    }
  }

  const int builder_;
  const uint32_t cores_before_;
  std::unique_ptr<diskfs::MemoryDevice> device_;
  std::unique_ptr<volume::Volume> volume_;
  Shared shared_;
  int64_t now_ = 10'000'000'000;
};

// The core's next step of an epoch is one as they are in the long run: one core's looks at all others.
void bring_epochs_to_steps() {
  for (uint32_t i = 0; i < 2 * epoch::kRetiresAStep; ++i) epoch::retire(new int(0));
}

bool more_misses(const MissedLine& a, const MissedLine& b) { return a.misses > b.misses; }

}  // namespace

double Outcome::worst_share() const {
  return misses == 0 ? 0 : static_cast<double>(lines.front().misses) / static_cast<double>(misses);
}

void Outcome::add(const Outcome& other) {
  calls += other.calls;
  misses += other.misses;
  lines.insert(lines.end(), other.lines.begin(), other.lines.end());
  std::stable_sort(lines.begin(), lines.end(), more_misses);
}

Outcome simulate(const Workload& workload, On on, int cores) {
  Stage stage(workload, on, cores);
  std::vector<std::unique_ptr<Work>> works;
  for (int core = 0; core < cores; ++core) {
    record::run_on(core, [&] {
      works.push_back(workload.make(stage.shared(), core));  // in the core's own memory
      works.back()->prepare();
    });
  }
  stage.settle();
  Caches caches;
  record::clear();
  for (int i = 0; i < stage.shared().calls; ++i) {
    stage.move_clock();
    if (i == kWarmCalls && workload.counted >= int{epoch::kRetiresAStep}) {
      for (int core = 0; core < cores; ++core) record::run_on(core, bring_epochs_to_steps);
    }
    for (int core = 0; core < cores; ++core) {
      Work& work = *works[static_cast<size_t>(core)];
      record::run_on(core, [&] {
        work.ready(i);
        record::start(kList);
        work.call();
        record::stop();
        work.done();
      });
      caches.call(core, record::accesses(kList), i >= kWarmCalls);
      record::clear();
    }
  }
  Outcome outcome;
  outcome.calls = static_cast<uint64_t>(cores) * static_cast<uint64_t>(workload.counted);
  outcome.misses = caches.misses();
  std::vector<record::Access> examples;
  for (const auto& [line, missed] : caches.missed()) examples.push_back(missed.example);
  record::prefetch(examples);
  for (const auto& [line, missed] : caches.missed()) {
    outcome.lines.push_back({missed.misses, record::object_of(line * record::kLineBytes),
                             record::place_of(missed.example)});
  }
  std::stable_sort(outcome.lines.begin(), outcome.lines.end(), more_misses);
  for (int core = 0; core < cores; ++core)
    record::run_on(core, [&] { works[static_cast<size_t>(core)].reset(); });
  return outcome;
}

std::string table(const std::vector<int>& cores, const std::vector<Row>& rows) {
  std::string text = "Remote misses a call, by number of cores\n\n        ";
  for (const int count : cores) text += fmt::format("{:>8}", count);
  text += "   worst line\n";
  for (const Row& row : rows) {
    text += fmt::format("{:<8}", row.name);
    for (const Outcome& outcome : row.outcomes)
      text += fmt::format("{:>8.2f}", outcome.misses_a_call());
    text += fmt::format("{:>11.1f} %\n", 100 * row.outcomes.back().worst_share());
  }
  // Lines of one kind (one place, one sort of object) together, for the largest number of cores.
  constexpr size_t kPlaces = 8;
  for (const Row& row : rows) {
    const Outcome& last = row.outcomes.back();
    if (last.misses == 0) continue;
    text += fmt::format("\n{} on {} cores: {} misses in {} calls\n", row.name, cores.back(),
                        last.misses, last.calls);
    std::map<std::string, std::pair<uint64_t, uint64_t>> kinds;
    for (const MissedLine& line : last.lines) {
      auto& kind = kinds[line.place + " on " + line.object];
      kind.first += line.misses;
      ++kind.second;
    }
    std::vector<std::pair<std::string, std::pair<uint64_t, uint64_t>>> sorted(kinds.begin(),
                                                                              kinds.end());
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
      return a.second.first > b.second.first;
    });
    for (size_t i = 0; i < sorted.size() && i < kPlaces; ++i) {
      text += fmt::format("{:>8} on {} lines: {}\n", sorted[i].second.first, sorted[i].second.second,
                          sorted[i].first);
    }
  }
  return text;
}

std::string picture(const std::vector<int>& cores, const std::vector<Row>& rows) {
  constexpr int kColumns = 4, kWidth = 220, kHeight = 150, kLeft = 40, kTop = 28, kBottom = 26;
  const int lines = (static_cast<int>(rows.size()) + kColumns - 1) / kColumns;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" "
      "font-family=\"sans-serif\" font-size=\"10\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"8\" y=\"16\" font-size=\"13\">Remote misses a call, by number of simulated cores</text>\n",
      kColumns * kWidth + 10, lines * kHeight + 30);
  const double decades = std::log2(static_cast<double>(cores.back()));
  for (size_t i = 0; i < rows.size(); ++i) {
    const int x0 = static_cast<int>(i) % kColumns * kWidth + kLeft;
    const int y0 = static_cast<int>(i) / kColumns * kHeight + 24 + kTop;
    const int width = kWidth - kLeft - 14, height = kHeight - kTop - kBottom;
    double top = 1;
    for (const Outcome& outcome : rows[i].outcomes) top = std::max(top, outcome.misses_a_call());
    svg += fmt::format("<text x=\"{}\" y=\"{}\" font-weight=\"bold\">{}</text>\n", x0, y0 - 6,
                       rows[i].name);
    svg += fmt::format("<path d=\"M{0} {1}V{2}H{3}\" fill=\"none\" stroke=\"black\"/>\n", x0, y0,
                       y0 + height, x0 + width);
    svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:.0f}</text>\n", x0 - 4, y0 + 8,
                       std::ceil(top));
    svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">0</text>\n", x0 - 4, y0 + height);
    std::string points;
    for (size_t j = 0; j < cores.size(); ++j) {
      const double x =
          x0 + width * (decades == 0 ? 0 : std::log2(static_cast<double>(cores[j])) / decades);
      const double y =
          y0 + height * (1 - rows[i].outcomes[j].misses_a_call() / std::ceil(top));
      points += fmt::format("{:.1f},{:.1f} ", x, y);
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2\"/>\n", x, y);
      if (j == 0 || j + 1 == cores.size() || j == cores.size() / 2) {
        svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x,
                           y0 + height + 14, cores[j]);
      }
    }
    svg += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"black\"/>\n", points);
  }
  return svg + "</svg>\n";
}

}  // namespace scalefs::simulation
