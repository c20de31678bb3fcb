// The yardstick of the in-process benchmarks: the same operations on tmpfs through system calls, in the
// same run. Needs a tmpfs at /dev/shm (or SCALEFS_BENCH_TMPFS names another one).
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace {

// A directory of the benchmark's thread, removed at the end with what is in it.
class Scratch {
 public:
  Scratch() {
    const char* base = std::getenv("SCALEFS_BENCH_TMPFS");
    std::string text = fmt::format("{}/scalefs-bench-XXXXXX", base ? base : "/dev/shm");
    usable_ = ::mkdtemp(text.data()) != nullptr;
    path_ = text;
  }
  ~Scratch() {
    if (usable_) ::rmdir(path_.c_str());
  }
  bool usable() const { return usable_; }
  std::string file(uint64_t index) const { return fmt::format("{}/f{}", path_, index); }

 private:
  std::string path_;
  bool usable_ = false;
};

constexpr uint64_t kFiles = 1024;

bool prepare(benchmark::State& state, const Scratch& scratch) {
  if (!scratch.usable()) state.SkipWithError("no tmpfs to compare with");
  return scratch.usable();
}

void make(const std::string& path) {
  int fd = ::open(path.c_str(), O_CREAT | O_RDWR, 0644);
  if (fd >= 0) ::close(fd);
}

void tmpfs_create(benchmark::State& state) {
  Scratch scratch;
  if (!prepare(state, scratch)) return;
  uint64_t next = 0;
  for (auto _ : state) {
    make(scratch.file(next++));
    if (next % kFiles == 0) {
      state.PauseTiming();
      for (uint64_t i = next - kFiles; i < next; i++) ::unlink(scratch.file(i).c_str());
      state.ResumeTiming();
    }
  }
  for (uint64_t i = next - next % kFiles; i < next; i++) ::unlink(scratch.file(i).c_str());
  state.SetItemsProcessed(state.iterations());
}

void tmpfs_unlink(benchmark::State& state) {
  Scratch scratch;
  if (!prepare(state, scratch)) return;
  uint64_t left = 0;
  for (auto _ : state) {
    if (left == 0) {
      state.PauseTiming();
      while (left < kFiles) make(scratch.file(left++));
      state.ResumeTiming();
    }
    ::unlink(scratch.file(--left).c_str());
  }
  while (left > 0) ::unlink(scratch.file(--left).c_str());
  state.SetItemsProcessed(state.iterations());
}

// Calls `call` on files that exist, over and over.
template <class Call>
void on_files(benchmark::State& state, Call call) {
  Scratch scratch;
  if (!prepare(state, scratch)) return;
  std::vector<std::string> names;
  for (uint64_t i = 0; i < kFiles; i++) names.push_back(scratch.file(i));
  for (const auto& name : names) make(name);
  uint64_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(call(names[i++ % kFiles].c_str()));
  for (const auto& name : names) ::unlink(name.c_str());
  state.SetItemsProcessed(state.iterations());
}

// The name is looked up and nothing else is done: no attributes, no file.
void tmpfs_lookup(benchmark::State& state) {
  on_files(state, [](const char* name) { return ::access(name, F_OK); });
}

void tmpfs_stat(benchmark::State& state) {
  on_files(state, [](const char* name) {
    struct stat attributes;
    return ::stat(name, &attributes);
  });
}

void tmpfs_rename(benchmark::State& state) {
  Scratch scratch;
  if (!prepare(state, scratch)) return;
  make(scratch.file(0));
  uint64_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(::rename(scratch.file(i).c_str(), scratch.file(i + 1).c_str()));
    i++;
  }
  ::unlink(scratch.file(i).c_str());
  state.SetItemsProcessed(state.iterations());
}

void transfer(benchmark::State& state, bool write) {
  Scratch scratch;
  if (!prepare(state, scratch)) return;
  int fd = ::open(scratch.file(0).c_str(), O_CREAT | O_RDWR, 0644);
  std::vector<char> page(4096, 'x');
  for (uint64_t i = 0; i < kFiles; i++) {
    if (::pwrite(fd, page.data(), page.size(), static_cast<off_t>(i * 4096)) != 4096) {
      state.SkipWithError("pwrite failed");
    }
  }
  uint64_t i = 0;
  for (auto _ : state) {
    auto offset = static_cast<off_t>(i++ * 7919 % kFiles * 4096);
    benchmark::DoNotOptimize(write ? ::pwrite(fd, page.data(), page.size(), offset)
                                   : ::pread(fd, page.data(), page.size(), offset));
  }
  ::close(fd);
  ::unlink(scratch.file(0).c_str());
  state.SetItemsProcessed(state.iterations());
}

void tmpfs_read_4k(benchmark::State& state) { transfer(state, false); }
void tmpfs_write_4k(benchmark::State& state) { transfer(state, true); }

BENCHMARK(tmpfs_create)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(tmpfs_unlink)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(tmpfs_lookup)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(tmpfs_stat)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(tmpfs_rename)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(tmpfs_read_4k)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(tmpfs_write_4k)->ThreadRange(1, 2)->UseRealTime();

}  // namespace
