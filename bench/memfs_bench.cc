// What one call costs in MemFS without a backend, from one thread and from two: names and attributes.
// Threads work on names of their own in one directory, which is what has to scale.
#include <benchmark/benchmark.h>
#include <sys/stat.h>

#include <charconv>
#include <memory>
#include <string>

#include "base/epoch.h"
#include "memfs/memfs.h"

namespace scalefs::memfs {
namespace {

constexpr int64_t kFiles = 1 << 18;  // names a thread works with
constexpr int64_t kLookedUp = 1024;  // names that are looked up over and over, as in tmpfs_bench.cc

// The file system of the benchmark that runs; made and ended by its first thread.
std::unique_ptr<MemFs> fs;
const Caller kCaller{1000, 1000, 022};

std::unique_ptr<MemFs> make_fs() {
  auto made = std::make_unique<MemFs>(MemFsOptions{.hash_key = {1, 2}}, nullptr, nullptr);
  LoadedObject root;
  root.attr.mnode = kRootMnode;
  root.attr.mode = S_IFDIR | 0755;
  root.attr.nlink = 2;
  root.parent = kRootMnode;
  made->install_root(root);
  return made;
}

// "<thread>-<number>", in place.
class Name {
 public:
  explicit Name(int thread) {
    text_[0] = static_cast<char>('a' + thread);
    text_[1] = '-';
  }
  std::string_view of(int64_t number) {
    const auto end = std::to_chars(text_ + 2, text_ + sizeof text_, number);
    return {text_, static_cast<size_t>(end.ptr - text_)};
  }

 private:
  char text_[32];
};

void start(const benchmark::State& state, bool with_files) {
  fs = make_fs();
  if (!with_files) return;
  for (int thread = 0; thread < state.threads(); ++thread) {
    Name name(thread);
    for (int64_t i = 0; i < kFiles; ++i)
      benchmark::DoNotOptimize(fs->create(kRootMnode, name.of(i), 0644, true, kCaller).ok());
  }
}
void start_empty(const benchmark::State& state) { start(state, false); }
void start_full(const benchmark::State& state) { start(state, true); }
void stop(const benchmark::State&) {
  fs.reset();
  epoch::drain();
}

void fail(benchmark::State& state, int code) {
  if (code != 0) state.SkipWithError(("errno " + std::to_string(code)).c_str());
}

void BM_Create(benchmark::State& state) {
  Name name(state.thread_index());
  int64_t i = 0;
  for (auto _ : state) fail(state, fs->create(kRootMnode, name.of(i++), 0644, true, kCaller).code());
}

void BM_Unlink(benchmark::State& state) {
  Name name(state.thread_index());
  int64_t i = 0;
  for (auto _ : state) fail(state, fs->unlink(kRootMnode, name.of(i++)).code());
}

void BM_Lookup(benchmark::State& state) {
  Name name(state.thread_index());
  int64_t i = 0;
  for (auto _ : state) {
    const auto entry = fs->lookup(kRootMnode, name.of(i++ % kLookedUp));
    fail(state, entry.code());
    fs->forget(entry->attr.mnode, 1);
  }
}

void BM_LookupSameName(benchmark::State& state) {
  for (auto _ : state) {
    const auto entry = fs->lookup(kRootMnode, "a-7");
    fail(state, entry.code());
    fs->forget(entry->attr.mnode, 1);
  }
}

void BM_Stat(benchmark::State& state) {
  const MnodeNo file = fs->lookup(kRootMnode, Name(state.thread_index()).of(7))->attr.mnode;
  for (auto _ : state) benchmark::DoNotOptimize(fs->getattr(file).ok());
}

void BM_Rename(benchmark::State& state) {
  Name from(state.thread_index());
  Name to(state.thread_index() + state.threads());
  int64_t i = 0;
  for (auto _ : state) {
    fail(state, fs->rename(kRootMnode, from.of(i), kRootMnode, to.of(i), RenameMode::replace,
                           kCaller)
                    .code());
    ++i;
  }
}

BENCHMARK(BM_Create)->Setup(start_empty)->Teardown(stop)->Iterations(kFiles)->ThreadRange(1, 2)
    ->UseRealTime();
BENCHMARK(BM_Unlink)->Setup(start_full)->Teardown(stop)->Iterations(kFiles)->ThreadRange(1, 2)
    ->UseRealTime();
BENCHMARK(BM_Rename)->Setup(start_full)->Teardown(stop)->Iterations(kFiles)->ThreadRange(1, 2)
    ->UseRealTime();
BENCHMARK(BM_Lookup)->Setup(start_full)->Teardown(stop)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(BM_LookupSameName)->Setup(start_full)->Teardown(stop)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(BM_Stat)->Setup(start_full)->Teardown(stop)->ThreadRange(1, 2)->UseRealTime();

}  // namespace
}  // namespace scalefs::memfs
