// scalefs-calls: makes one kind of call again and again on a mounted file system and prints, in one line of JSON, what
// processor time that took here and in the processes that serve it. For scripts/speed_rows.py, which knows what the
// options mean; the loops that are timed do nothing but the calls.
//
//   scalefs-calls CALL FOLDER MOUNTPOINT THREADS COUNT RUN SYNC [PID...]
//
// FOLDER: in which each thread makes one of its own, and takes it away afterwards. COUNT: calls of each thread. RUN: a number
// that no other run on this mount has. SYNC 1: an fsync of the mount point behind the calls, which is counted as
// processor time but not as wall time. PID: whose processor time is counted besides.
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr size_t kBlock = 4096;
constexpr size_t kLarge = size_t{1} << 20;
constexpr size_t kFileBits = 26;
constexpr size_t kFile = size_t{1} << kFileBits;
constexpr long kSettleNs = 12'000'000;  // what comes behind the last reply: FORGETs, mostly

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "scalefs-calls: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}
int need(int result, const char* what) {
  if (result < 0) fail(what);
  return result;
}

uint64_t clock_ns(clockid_t clock) {
  timespec now;
  if (::clock_gettime(clock, &now) != 0) fail("clock");
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

struct Settings {
  std::string call, folder, mountpoint;
  unsigned threads = 1;
  uint64_t count = 1;
  uint64_t run = 0;
  bool sync = false;
  std::vector<clockid_t> servers;
};

uint64_t servers_ns(const Settings& settings) {
  uint64_t sum = 0;
  for (const clockid_t clock : settings.servers) sum += clock_ns(clock);
  return sum;
}

void pause_ns(long ns) {
  const timespec time = {0, ns};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
}

// What one thread does: prepare, call(0), call(1), ..., clean.
class Work {
 public:
  Work(const Settings& settings, unsigned thread)
      : settings_(settings), top_(settings.folder + "/t" + std::to_string(thread)), random_(thread * 7919 + settings.run + 1) {}
  virtual ~Work() = default;
  virtual void prepare() = 0;
  virtual void call(uint64_t i) = 0;
  virtual void clean() = 0;

 protected:
  const std::string& name(const char* kind, uint64_t i) {
    name_ = top_;
    name_ += '/';
    name_ += kind;
    char digits[24];
    int n = 0;
    for (uint64_t rest = i; n == 0 || rest != 0; rest /= 10) digits[n++] = static_cast<char>('0' + rest % 10);
    while (n > 0) name_ += digits[--n];
    return name_;
  }
  // A folder of this run, so that the kernel knows no name in it.
  void make_folder() {
    top_ += "-" + std::to_string(settings_.run);
    need(::mkdir(top_.c_str(), 0755), "mkdir");
  }
  void remove_folder() { need(::rmdir(top_.c_str()), "rmdir"); }
  void create(const std::string& path) {
    need(::close(need(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644), "create")), "close");
  }
  uint64_t random(uint64_t bound) {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return random_ % bound;
  }

  const Settings& settings_;
  std::string top_;
  std::string name_;
  uint64_t random_;
};

// Calls on names, each in a folder of its own.
class Names final : public Work {
 public:
  enum class Kind { create, unlink, mkdir, rename, chmod, missing, open };
  Names(const Settings& settings, unsigned thread, Kind kind) : Work(settings, thread), kind_(kind) {}

  void prepare() override {
    make_folder();
    if (kind_ == Kind::unlink) each([&](uint64_t i) { create(name("n", i)); });
    if (kind_ == Kind::rename) create(name("r", 0));
    if (kind_ == Kind::chmod || kind_ == Kind::open) create(one_ = name("o", 0));
  }
  void call(uint64_t i) override {
    switch (kind_) {
      case Kind::create: return create(name("n", i));
      case Kind::unlink: return void(need(::unlink(name("n", i).c_str()), "unlink"));
      case Kind::mkdir: return void(need(::mkdir(name("d", i).c_str(), 0755), "mkdir"));
      case Kind::rename:
        one_ = name("r", i);
        return void(need(::rename(one_.c_str(), name("r", i + 1).c_str()), "rename"));
      case Kind::chmod: return void(need(::chmod(one_.c_str(), i % 2 != 0 ? 0640 : 0600), "chmod"));
      case Kind::missing: {
        struct stat status;
        if (::stat(name("m", i).c_str(), &status) == 0 || errno != ENOENT) fail("stat of a missing name");
        return;
      }
      case Kind::open:
        return void(need(::close(need(::open(one_.c_str(), O_RDONLY), "open")), "close"));
    }
  }
  void clean() override {
    if (kind_ == Kind::create) each([&](uint64_t i) { need(::unlink(name("n", i).c_str()), "unlink"); });
    if (kind_ == Kind::mkdir) each([&](uint64_t i) { need(::rmdir(name("d", i).c_str()), "rmdir"); });
    if (kind_ == Kind::rename) need(::unlink(name("r", settings_.count).c_str()), "unlink");
    if (kind_ == Kind::chmod || kind_ == Kind::open) need(::unlink(one_.c_str()), "unlink");
    remove_folder();
  }

 private:
  template <class Call>
  void each(Call call) {
    for (uint64_t i = 0; i < settings_.count; ++i) call(i);
  }
  const Kind kind_;
  std::string one_;
};

// Reads and writes of a file that stays for the next run.
class Data final : public Work {
 public:
  Data(const Settings& settings, unsigned thread, bool write, bool direct, size_t bytes)
      : Work(settings, thread), thread_(thread), write_(write), direct_(direct), bytes_(bytes) {}
  ~Data() override { std::free(memory_); }

  void prepare() override {
    memory_ = static_cast<char*>(std::aligned_alloc(kBlock, kLarge));
    if (memory_ == nullptr) fail("memory");
    std::memset(memory_, 'x', kLarge);
    name_ = settings_.folder + "/have-" + std::to_string(kFileBits) + "-" + std::to_string(thread_);
    fd_ = need(::open(name_.c_str(), O_CREAT | O_RDWR, 0644), "open");
    struct stat status;
    need(::fstat(fd_, &status), "fstat");
    for (uint64_t at = static_cast<uint64_t>(status.st_size); at < kFile; at += kLarge) transfer(true, kLarge, at);
    need(::close(fd_), "close");
    fd_ = need(::open(name_.c_str(), O_RDWR | (direct_ ? O_DIRECT : 0)), "open");
    transfer(write_, bytes_, 0);  // what the kernel asks once of a file
  }
  void call(uint64_t i) override {
    const uint64_t places = kFile / bytes_;
    transfer(write_, bytes_, (bytes_ == kBlock ? random(places) : i % places) * bytes_);
  }
  void clean() override { need(::close(fd_), "close"); }

 private:
  void transfer(bool write, size_t bytes, uint64_t at) {
    const auto offset = static_cast<off_t>(at);
    const ssize_t done = write ? ::pwrite(fd_, memory_, bytes, offset) : ::pread(fd_, memory_, bytes, offset);
    if (done != static_cast<ssize_t>(bytes)) fail(write ? "write" : "read");
  }
  const unsigned thread_;
  const bool write_, direct_;
  const size_t bytes_;
  char* memory_ = nullptr;
  int fd_ = -1;
};

// Small files made durable one by one.
class Durable final : public Work {
 public:
  Durable(const Settings& settings, unsigned thread, bool append) : Work(settings, thread), append_(append) {}
  void prepare() override {
    make_folder();
    std::memset(block_, 'x', kBlock);
    if (append_) fd_ = need(::open(name("a", 0).c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644), "open");
    if (append_) write_and_sync(fd_);
  }
  void call(uint64_t i) override {
    if (append_) return write_and_sync(fd_);
    const int fd = need(::open(name("n", i).c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644), "create");
    write_and_sync(fd);
    need(::close(fd), "close");
  }
  void clean() override {
    if (append_) need(::close(fd_), "close");
    if (append_) need(::unlink(name("a", 0).c_str()), "unlink");
    for (uint64_t i = 0; !append_ && i < settings_.count; ++i) need(::unlink(name("n", i).c_str()), "unlink");
    remove_folder();
  }

 private:
  void write_and_sync(int fd) {
    if (::write(fd, block_, kBlock) != static_cast<ssize_t>(kBlock)) fail("write");
    need(::fsync(fd), "fsync");
  }
  const bool append_;
  int fd_ = -1;
  char block_[kBlock];
};

// A listing and a stat of each entry, the kernel knowing nothing of it before: remounting drops what it had cached of
// this file system.
class List final : public Work {
 public:
  List(const Settings& settings, unsigned thread, unsigned digits) : Work(settings, thread), digits_(digits) {
    for (unsigned i = 0; i < digits; ++i) entries_ *= 10;
  }
  void prepare() override {
    top_ = settings_.folder + "/list-" + std::to_string(digits_) + "-x";
    if (::mkdir(top_.c_str(), 0755) != 0 && errno != EEXIST) fail("mkdir");
    struct stat status;
    if (::stat(name("n", entries_ - 1).c_str(), &status) == 0) return;
    for (uint64_t i = 0; i < entries_; ++i) create(name("n", i));
  }
  void forget() {
    need(::mount(nullptr, settings_.mountpoint.c_str(), nullptr, MS_REMOUNT, nullptr), "remount");
    uint64_t before = 0;
    for (uint64_t now = servers_ns(settings_); now != before; now = servers_ns(settings_)) {
      before = now;
      pause_ns(kSettleNs);
    }
    struct stat status;
    need(::stat(top_.c_str(), &status), "stat");
  }
  void call(uint64_t) override {
    DIR* const dir = ::opendir(top_.c_str());
    if (dir == nullptr) fail("opendir");
    uint64_t found = 0;
    while (const dirent* entry = ::readdir(dir)) {
      struct stat status;
      need(::fstatat(::dirfd(dir), entry->d_name, &status, AT_SYMLINK_NOFOLLOW), "stat");
      ++found;
    }
    ::closedir(dir);
    if (found != entries_ + 2) fail("the listing is not whole");
  }
  void clean() override {}

 private:
  const unsigned digits_;
  uint64_t entries_ = 1;
};

Work* make_work(const Settings& settings, unsigned thread) {
  const std::string& call = settings.call;
  constexpr std::pair<const char*, Names::Kind> kNames[] = {
      {"create", Names::Kind::create}, {"unlink", Names::Kind::unlink}, {"mkdir", Names::Kind::mkdir},
      {"rename", Names::Kind::rename}, {"chmod", Names::Kind::chmod},   {"missing", Names::Kind::missing},
      {"open", Names::Kind::open}};
  for (const auto& [word, kind] : kNames)
    if (call == word) return new Names(settings, thread, kind);
  if (call == "write4k") return new Data(settings, thread, true, false, kBlock);
  if (call == "read4k") return new Data(settings, thread, false, true, kBlock);
  if (call == "write1m") return new Data(settings, thread, true, false, kLarge);
  if (call == "direct1m") return new Data(settings, thread, true, true, kLarge);
  if (call == "read1m") return new Data(settings, thread, false, true, kLarge);
  if (call == "mail") return new Durable(settings, thread, false);
  if (call == "append") return new Durable(settings, thread, true);
  if (call == "list3") return new List(settings, thread, 3);
  if (call == "list5") return new List(settings, thread, 5);
  errno = EINVAL;
  fail(call.c_str());
}

struct Thread {
  Work* work = nullptr;
  const Settings* settings = nullptr;
  pthread_barrier_t* barrier = nullptr;
  unsigned processor = 0;
  std::vector<uint32_t> latencies;  // ns
  uint64_t end_ns = 0;
};

void* run_thread(void* argument) {
  Thread& self = *static_cast<Thread*>(argument);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(self.processor, &one);
  need(::sched_setaffinity(0, sizeof(one), &one), "affinity");
  self.work->prepare();
  const uint64_t count = self.settings->count;
  self.latencies.assign(count, 0);
  ::pthread_barrier_wait(self.barrier);  // all are ready
  ::pthread_barrier_wait(self.barrier);  // and the clocks are read
  uint64_t before = clock_ns(CLOCK_MONOTONIC);
  for (uint64_t i = 0; i < count; ++i) {
    self.work->call(i);
    const uint64_t now = clock_ns(CLOCK_MONOTONIC);
    self.latencies[i] = static_cast<uint32_t>(std::min<uint64_t>(now - before, UINT32_MAX));
    before = now;
  }
  self.end_ns = before;
  ::pthread_barrier_wait(self.barrier);
  ::pthread_barrier_wait(self.barrier);  // the clocks are read again
  self.work->clean();
  return nullptr;
}

struct Result {
  uint64_t wall_ns = 0, client_ns = 0, server_ns = 0;
  std::vector<uint32_t> latencies;
};

void sync_mount(const Settings& settings) {
  const int root = need(::open(settings.mountpoint.c_str(), O_RDONLY | O_DIRECTORY), "open");
  need(::fsync(root), "fsync");
  need(::close(root), "close");
}

std::vector<unsigned> processors() {
  cpu_set_t set;
  need(::sched_getaffinity(0, sizeof(set), &set), "affinity");
  std::vector<unsigned> found;
  for (unsigned i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &set)) found.push_back(i);
  return found;
}

Result run_threads(const Settings& settings) {
  const std::vector<unsigned> cpus = processors();
  pthread_barrier_t barrier;
  ::pthread_barrier_init(&barrier, nullptr, settings.threads + 1);
  std::vector<Thread> threads(settings.threads);
  std::vector<pthread_t> handles(settings.threads);
  for (unsigned i = 0; i < settings.threads; ++i) {
    threads[i].work = make_work(settings, i);
    threads[i].settings = &settings;
    threads[i].barrier = &barrier;
    threads[i].processor = cpus[i % cpus.size()];
    if (::pthread_create(&handles[i], nullptr, run_thread, &threads[i]) != 0) fail("thread");
  }
  Result result;
  ::pthread_barrier_wait(&barrier);
  if (settings.sync) sync_mount(settings);  // what preparing left
  pause_ns(kSettleNs);
  const uint64_t servers = servers_ns(settings), client = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  const uint64_t start = clock_ns(CLOCK_MONOTONIC);
  ::pthread_barrier_wait(&barrier);
  ::pthread_barrier_wait(&barrier);
  if (settings.sync) sync_mount(settings);
  pause_ns(kSettleNs);
  result.client_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - client;
  result.server_ns = servers_ns(settings) - servers;
  ::pthread_barrier_wait(&barrier);
  for (unsigned i = 0; i < settings.threads; ++i) {
    ::pthread_join(handles[i], nullptr);
    result.wall_ns = std::max(result.wall_ns, threads[i].end_ns - start);
    result.latencies.insert(result.latencies.end(), threads[i].latencies.begin(), threads[i].latencies.end());
    delete threads[i].work;
  }
  return result;
}

// Between the listings, which alone are counted, the kernel is made to forget.
Result run_listings(const Settings& settings, unsigned digits) {
  List work(settings, 0, digits);
  work.prepare();
  Result result;
  for (uint64_t i = 0; i < settings.count; ++i) {
    work.forget();
    const uint64_t servers = servers_ns(settings), client = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    const uint64_t start = clock_ns(CLOCK_MONOTONIC);
    work.call(i);
    const uint64_t wall = clock_ns(CLOCK_MONOTONIC) - start;
    result.client_ns += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - client;
    result.server_ns += servers_ns(settings) - servers;
    result.wall_ns += wall;
    result.latencies.push_back(static_cast<uint32_t>(std::min<uint64_t>(wall, UINT32_MAX)));
  }
  return result;
}

uint64_t to_number(const char* text) {
  char* end = nullptr;
  const uint64_t value = std::strtoull(text, &end, 10);
  if (end == text || *end != '\0') {
    errno = EINVAL;
    fail(text);
  }
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 8) {
    std::fputs("usage: scalefs-calls CALL FOLDER MOUNTPOINT THREADS COUNT RUN SYNC [PID...]\n", stderr);
    return 2;
  }
  Settings settings;
  settings.call = argv[1];
  settings.folder = argv[2];
  settings.mountpoint = argv[3];
  settings.threads = static_cast<unsigned>(to_number(argv[4]));
  settings.count = to_number(argv[5]);
  settings.run = to_number(argv[6]);
  settings.sync = to_number(argv[7]) != 0;
  for (int i = 8; i < argc; ++i) {
    clockid_t clock;
    errno = ::clock_getcpuclockid(static_cast<pid_t>(to_number(argv[i])), &clock);
    if (errno != 0) fail("processor time of a process");
    settings.servers.push_back(clock);
  }
  const bool lists = settings.call.starts_with("list");
  Result result = lists ? run_listings(settings, settings.call == "list3" ? 3 : 5) : run_threads(settings);
  const auto middle = result.latencies.begin() + static_cast<std::ptrdiff_t>(result.latencies.size() / 2);
  std::nth_element(result.latencies.begin(), middle, result.latencies.end());
  std::printf("{\"calls\": %zu, \"wall_ns\": %llu, \"client_ns\": %llu, \"server_ns\": %llu, \"p50_ns\": %u}\n",
              result.latencies.size(), static_cast<unsigned long long>(result.wall_ns),
              static_cast<unsigned long long>(result.client_ns),
              static_cast<unsigned long long>(result.server_ns), *middle);
  return 0;
}
