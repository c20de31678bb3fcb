// Crash states of several threads: seeded interleavings (base/schedule.h) of calls, fsyncs, and the engine's own steps
// beside them, on a recording device; cut after every event with all, none and random parts of the unflushed writes on the
// medium, recovered, and judged by the contract.
//
// Each thread works in a directory of its own and on names of its own in one that all share, and has an oracle that looks
// at these alone. What is there must be, of each thread, the state after some of its calls: of every one that had
// returned when an fsync began, whoever's, that had itself returned; and of none that had not begun. And together they
// are a prefix of one order: where a call is there, so is every other thread's that had returned before it began. (That
// last only where the cores' clocks agree: elsewhere the order of calls that met in no lock is the clocks', P1.)
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>

#include "base/random.h"
#include "base/schedule.h"
#include "diskfs/crash_image.h"
#include "tests/crash/explorer/armed.h"
#include "tests/crash/explorer/crash_script.h"
#include "tests/crash/explorer/judge.h"
#include "tests/support/seeds.h"
#include "tests/support/skewed_cores.h"
#include "tests/support/volumes.h"

namespace scalefs::testing {
namespace {

constexpr size_t kThreads = 3;
constexpr uint64_t kCalls = 24;  // of each thread
using Counts = std::array<size_t, kThreads>;

std::string own_directory(size_t thread) { return fmt::format("/d.{}", thread); }

CrashOracle::View view_of(size_t thread) {
  const std::string suffix = fmt::format(".{}", thread);
  auto looked_at = [suffix](const std::string& path) {
    if (path == "/s") return true;
    const bool shared = path.starts_with("/s/");
    const std::string name = path.substr(shared ? 3 : 1);
    return name.substr(0, name.find('/')).ends_with(suffix);
  };
  return {looked_at, {"", "/s"}};
}

// A call of a thread, as a script.
std::string draw_call(size_t thread, Random& random) {
  const std::string own = own_directory(thread);
  const std::string files[] = {own + "/a", own + "/b", own + "/m/x", fmt::format("/s/a.{}", thread),
                               fmt::format("/s/b.{}", thread)};
  const std::string directories[] = {own + "/m", own + "/k", fmt::format("/s/m.{}", thread)};
  const std::string file = files[random.below(5)];
  const std::string other = files[random.below(5)];
  const std::string directory = directories[random.below(3)];
  switch (random.below(20)) {
    case 0:
    case 1: return "create " + file;
    case 2: return fmt::format("append {} {}", file, random.between(1, 9000));
    case 3: return fmt::format("write {} {} {}", file, random.below(9000), random.between(1, 5000));
    case 4: return fmt::format("truncate {} {}", file, random.below(9000));
    case 5: return "unlink " + file;
    case 6: return "link " + file + " " + other;
    case 7:
    case 8: return "rename " + file + " " + other;
    case 9: return "mkdir " + directory;
    case 10: return "rmdir " + directory;
    case 11: return "rename " + directory + " " + directories[random.below(3)];
    case 12: return "setxattr " + file;
    case 13: return "sync";
    case 14: return "fsync " + own;
    case 15: return "fsync /s";
    case 16: return "fdatasync " + file;
    default: return "fsync " + file;
  }
}

struct World {
  explicit World(uint64_t number) : seed(number) {}

  // Of one thread.
  struct Caller {
    std::unique_ptr<CrashScript> script;
    std::unique_ptr<CrashOracle> oracle;
    std::vector<Counts> began;  // what had returned when each call began
    std::string text, wrong;
  };

  void prepare();
  void call(size_t thread);
  void step(Random& random);
  void run();
  std::string check(volume::Volume& volume, uint64_t events, bool in_order, std::string* seen) const;

  const uint64_t seed;
  std::unique_ptr<diskfs::MemoryDevice> medium = formatted_device(16u << 20);
  std::unique_ptr<diskfs::MemoryDevice> start;
  diskfs::RecordingDevice recording{*medium};
  std::unique_ptr<volume::Volume> volume;
  std::array<Caller, kThreads> callers;
  std::string wrong;

  Mutex mutex;
  CondVar changed;
  bool prepared GUARDED_BY(mutex) = false;
  Counts returned GUARDED_BY(mutex) = {};
  size_t working GUARDED_BY(mutex) = kThreads;
};

// The tree that all start from, durable.
void World::prepare() {
  volume::VolumeOptions options;
  options.threads = false;
  options.cache_bytes = 4u << 20;
  if (seed % 3 == 0) options.inline_bytes_max = 0;
  std::string why;
  auto mounted = volume::Volume::mount(recording, options, &why);
  if (!mounted.ok()) {
    wrong = "mount: " + why;
    return;
  }
  volume = std::move(*mounted);
  auto made = volume->fs().mkdir(kRootMnode, "s", 0040755, {});
  if (!made.ok()) wrong = "no shared directory";
  for (size_t i = 0; i < kThreads && wrong.empty(); i++) {
    Caller& caller = callers[i];
    caller.script = std::make_unique<CrashScript>(*volume, recording);
    caller.script->look_only_at(view_of(i));
    wrong = caller.script->share("/s");
    const std::string own = own_directory(i);
    if (wrong.empty()) {
      wrong = caller.script->run(fmt::format("mkdir {0}; create {0}/a; append {0}/a 6000; create /s/a.{1}", own, i));
    }
  }
  if (!volume->sync().ok()) wrong = "the first sync";
  while (volume->step_checkpoint()) {
  }
  start = medium->clone();
  recording.forget();
  for (auto& caller : callers) {
    caller.script->begin();
    caller.began.push_back({});
  }
}

void World::call(size_t thread) {
  Caller& caller = callers[thread];
  {
    MutexLock lock(mutex);
    while (!prepared) changed.wait(mutex);
  }
  Random random(seed * kThreads + thread);
  for (uint64_t i = 0; i < kCalls && wrong.empty() && caller.wrong.empty(); i++) {
    const std::string text = draw_call(thread, random);
    caller.text += text + "; ";
    {
      MutexLock lock(mutex);
      caller.began.push_back(returned);
    }
    caller.wrong = caller.script->run(text);
    MutexLock lock(mutex);
    returned[thread] = caller.began.size() - 1;
  }
  MutexLock lock(mutex);
  working--;
}

void World::step(Random& random) {
  switch (random.below(5)) {
    case 0: volume->step_writeback(); break;
    case 1: volume->step_commit(); break;
    case 2: volume->step_checkpoint(); break;
    case 3: volume->step_maintenance(); break;
    default: schedule::yield();
  }
}

void World::run() {
  std::vector<std::function<void()>> bodies;
  for (size_t i = 0; i < kThreads; i++) bodies.push_back([this, i] { call(i); });
  bodies.push_back([this] {
    prepare();
    {
      MutexLock lock(mutex);
      prepared = true;
      changed.notify_all();
    }
    Random random(seed);
    for (bool more = wrong.empty(); more;) {
      for (uint64_t i = random.below(30); i > 0; i--) schedule::yield();
      step(random);
      MutexLock lock(mutex);
      more = working != 0;
    }
  });
  schedule::Options options;
  options.seed = seed;
  options.switch_percent = 4;
  options.steps_max = 50'000'000;
  schedule::run(options, bodies);
  for (size_t i = 0; i < kThreads; i++) {
    if (wrong.empty()) wrong = callers[i].wrong;
    if (callers[i].script) callers[i].oracle = std::make_unique<CrashOracle>(callers[i].script->oracle());
  }
  if (!volume || !wrong.empty()) return;
  volume->shutdown();
  // What each one's fsyncs promised to the others.
  for (size_t j = 0; j < kThreads; j++) {
    for (const auto& promise : callers[j].oracle->promises()) {
      for (size_t i = 0; i < kThreads; i++) {
        const size_t had_returned = callers[j].began[promise.call][i];
        if (i != j) callers[i].oracle->durable_elsewhere(had_returned + 1, promise.events, promise.all);
      }
    }
  }
}

std::string World::check(volume::Volume& recovered, uint64_t events, bool in_order,
                         std::string* seen) const {
  std::array<std::vector<size_t>, kThreads> matches;
  for (size_t i = 0; i < kThreads; i++) {
    std::string part;
    auto bad = callers[i].oracle->check(recovered, events, &part, &matches[i]);
    if (!bad.empty()) return fmt::format("thread {}: {}", i, bad);
    *seen += part;
  }
  if (!in_order) return "";
  // The least prefix that could be it.
  Counts prefix;
  for (size_t i = 0; i < kThreads; i++) prefix[i] = matches[i].front();
  for (bool moved = true; moved;) {
    moved = false;
    for (size_t j = 0; j < kThreads; j++) {
      for (size_t i = 0; i < kThreads; i++) {
        const size_t needed = callers[j].began[prefix[j]][i];
        if (i == j || prefix[i] >= needed) continue;
        auto at = std::lower_bound(matches[i].begin(), matches[i].end(), needed);
        if (at == matches[i].end()) {
          return fmt::format("call {} of thread {} is there, call {} of thread {}, which had returned before, is not",
                             prefix[j], j, needed, i);
        }
        prefix[i] = *at;
        moved = true;
      }
    }
  }
  return "";
}

struct Tried {
  uint64_t judged = 0, calls = 0, events = 0;
};

// One interleaving, cut everywhere. Empty when all was allowed.
std::string explore(uint64_t seed, Tried* tried, Canary canary = Canary::none) {
  const bool skewed = (seed & 1) != 0;
  SkewedCores cores(kThreads + 1, skewed ? seed : 0, skewed ? 1000 : 1);
  World world(seed);
  {
    Armed armed(canary);
    world.run();
  }
  if (!world.wrong.empty()) return world.wrong;
  Random random(seed);
  diskfs::CrashImages images(*world.start, world.recording);
  const uint64_t events = world.recording.event_count();
  tried->calls += kThreads * kCalls;
  tried->events += events;
  for (uint64_t cut = 0; cut <= events; cut++) {
    images.advance(cut);
    const uint64_t kinds = images.undecided().empty() ? 1 : 4;
    for (uint64_t kind = 0; kind < kinds; kind++) {
      const uint64_t choice = random.next();
      auto image = images.build(kind == 0   ? diskfs::CrashImages::keep_all()
                                : kind == 1 ? diskfs::CrashImages::keep_none()
                                            : diskfs::CrashImages::keep_random(choice));
      auto compare = [&](volume::Volume& volume, std::string* seen) {
        return world.check(volume, cut, !skewed, seen);
      };
      tried->judged++;
      auto wrong = judge(*image, compare, true);
      if (wrong.empty()) continue;
      std::string calls;
      for (const auto& caller : world.callers) calls += caller.text + "\n";
      return fmt::format("cut after event {} of {}, choice {} {}: {}\n{}", cut, events, kind, choice, wrong, calls);
    }
  }
  return "";
}

TEST(ThreadsCrash, EveryCutOfSeededInterleavings) {
  uint64_t given = 0;
  const bool one = seed_given(&given);
  const uint64_t runs = one ? 1 : count_from("SCALEFS_CRASH_THREADS", 100);
  Tried tried;
  for (uint64_t i = 0; i < runs; i++) {
    const uint64_t seed = one ? given : i % 4 < 2 ? i : commit_seed(i);
    SCOPED_TRACE(fmt::format("reproduce: SCALEFS_SEED={} crash_threads --gtest_filter='ThreadsCrash.*'", seed));
    ASSERT_EQ(explore(seed, &tried), "");
  }
  fmt::print("{} interleavings, {} calls, {} device events, {} crash states\n", runs, tried.calls, tried.events,
             tried.judged);
}

void expect_found(Canary canary) {
  Tried tried;
  for (uint64_t seed = 0; seed < 40; seed++) {
    const std::string wrong = explore(seed, &tried, canary);
    if (wrong.empty()) continue;
    fmt::print("{:.300}\n", wrong);
    return;
  }
  ADD_FAILURE() << "not found in " << tried.judged << " states";
}

TEST(ThreadsCrashCanary, FsyncWithoutCommit) { expect_found(Canary::fsync_without_commit); }
TEST(ThreadsCrashCanary, MergeSkipsLog) { expect_found(Canary::merge_skips_log); }
TEST(ThreadsCrashCanary, JournalFlushLeftOut) { expect_found(Canary::journal_flush_left_out); }
TEST(ThreadsCrashCanary, CheckpointFlushLeftOut) { expect_found(Canary::checkpoint_flush_left_out); }
TEST(ThreadsCrashCanary, RenameInTwo) { expect_found(Canary::rename_in_two); }

}  // namespace
}  // namespace scalefs::testing
