#include "bench/worker/runner.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "base/atomic.h"

namespace scalefs::bench {
namespace {

constexpr uint64_t kPollNs = 200'000;
constexpr uint64_t kHeadStartNs = 1'000'000;  // from the opening of a gate to the start of the round
constexpr double kPatience = 10;              // rounds may take so many times the time that is asked for
constexpr double kPatienceSeconds = 20;

// In memory that all workers share. What is not atomic is written before a gate opens, or before a worker arrives at one
// (release), and read behind it (acquire).
struct Shared {
  Atomic<uint32_t> arrived{0};
  Atomic<uint32_t> gate{0};
  Atomic<bool> stop{false};        // relaxed: seen soon
  Atomic<bool> round_over{false};  // relaxed: seen soon
  Atomic<uint32_t> errors{0};
  bool finished = false;
  uint64_t start_ns = 0, measure_ns = 0, end_ns = 0;
  char error[512] = {};
};

Atomic<Shared*> running{nullptr};  // relaxed: set before a signal can mean it

std::vector<unsigned> processors() {
  cpu_set_t set;
  std::vector<unsigned> found;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return found;
  for (unsigned i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) found.push_back(i);
  }
  return found;
}

class Worker {
 public:
  Worker(const Settings& settings, const WorkloadInfo& info, Shared& shared, Context context, int processor)
      : settings_(settings), info_(info), shared_(shared), context_(std::move(context)), processor_(processor) {}

  void run() {
    if (processor_ >= 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(static_cast<unsigned>(processor_), &one);
      (void)::sched_setaffinity(0, sizeof(one), &one);
    }
    try {
      const std::unique_ptr<Workload> work = info_.make(context_);
      work->prepare();
      if (!pass_gate()) return;
      work->begin();
      left_ = settings_.count == 0 ? UINT64_MAX : settings_.count * work->steps_of_one();
      while (true) {
        work->refill(left_);
        if (!pass_gate()) return;
        round(*work);
        if (!pass_gate() || shared_.finished) return;
      }
    } catch (const Failure& failure) {
      // The first one to fail tells why.
      if (shared_.errors.fetch_add(1, acq_rel) == 0) {
        std::snprintf(shared_.error, sizeof(shared_.error), "%s", failure.text.c_str());
      }
      shared_.stop.store(true, release);  // pairs with the acquire of whoever reads the error
    }
  }

 private:
  bool pass_gate() {
    const uint32_t wanted = ++gates_;
    shared_.arrived.fetch_add(1, release);
    while (shared_.gate.load(acquire) < wanted) {
      if (shared_.stop.load(relaxed)) return false;
      pause_ns(kPollNs);
    }
    return !shared_.stop.load(relaxed);
  }

  void round(Workload& work) {
    Record& record = context_.record;
    const bool timed = settings_.count == 0;
    // Those in the background go on as long as the others.
    const bool counts = !timed && !context_.background();
    uint64_t now = now_ns();
    for (; now < shared_.start_ns; now = now_ns()) pause_ns(shared_.start_ns - now);
    uint64_t cpu_ns = 0;
    while (!shared_.stop.load(relaxed) && !shared_.round_over.load(relaxed) && left_ > 0) {
      if (timed && now >= shared_.end_ns) break;
      if (!context_.recording && now >= shared_.measure_ns) {
        context_.recording = true;
        cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
      }
      context_.made = 1;
      context_.wanted = left_;
      const int kind = work.step();
      const uint64_t then = now_ns();
      if (kind < 0) {
        if (timed) shared_.round_over.store(true, relaxed);
        break;
      }
      if (context_.recording) {
        record.kinds[kind].add(then - now);
        record.items += context_.made;
        record.last_ns = then;
        if (counts) left_ -= context_.made;
      }
      now = then;
    }
    if (context_.recording) record.cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
    context_.recording = false;
  }

  const Settings& settings_;
  const WorkloadInfo& info_;
  Shared& shared_;
  Context context_;
  const int processor_;
  uint32_t gates_ = 0;
  uint64_t left_ = 0;
};

void* run_thread(void* worker) {
  static_cast<Worker*>(worker)->run();
  return nullptr;
}

class Coordinator {
 public:
  Coordinator(const Settings& settings, const WorkloadInfo& info, const DbenchLoad* load, volume::Volume* volume)
      : settings_(settings), info_(info), count_(settings.threads + (info.background ? 1 : 0)),
        bytes_(sizeof(Shared) + count_ * sizeof(Record)) {
    void* const memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw Failure{std::string("mmap: ") + std::strerror(errno)};
    shared_ = new (memory) Shared;
    records_ = new (shared_ + 1) Record[count_];
    const std::vector<unsigned> cpus = processors();
    for (unsigned i = 0; i < count_; ++i) {
      files_.push_back(volume != nullptr ? make_engine_files(*volume) : make_system_files());
      Context context = {settings, *files_.back(), records_[i], load, i, settings.threads,
                         volume != nullptr ? "/bench" : settings.path, false, UINT64_MAX, 1, Random(settings.seed + i)};
      const bool pinned = settings.pin && !cpus.empty();
      workers_.emplace_back(settings, info, *shared_, std::move(context), pinned ? static_cast<int>(cpus[i % cpus.size()]) : -1);
    }
    running.store(shared_, relaxed);
  }
  ~Coordinator() {
    running.store(nullptr, relaxed);
    ::munmap(shared_, bytes_);
  }
  Coordinator(const Coordinator&) = delete;

  void run(Outcome* outcome) {
    began_ns_ = now_ns();
    start();
    if (wait_for_all()) {
      open_gate();
      while (one_round(outcome)) {
      }
    }
    end(outcome);
  }

 private:
  void start() {
    if (!settings_.processes) {
      threads_.resize(count_);
      for (unsigned i = 0; i < count_; ++i) {
        if (::pthread_create(&threads_[i], nullptr, run_thread, &workers_[i]) != 0) {
          threads_.resize(i);
          return give_up("a thread could not be started");
        }
      }
      return;
    }
    for (unsigned i = 0; i < count_; ++i) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        workers_[i].run();
        ::_exit(0);
      }
      if (pid < 0) return give_up("a process could not be started");
      pids_.push_back(pid);
    }
  }
  void give_up(const char* why) {
    if (shared_->errors.fetch_add(1, acq_rel) == 0) std::snprintf(shared_->error, sizeof(shared_->error), "%s", why);
    shared_->stop.store(true, release);
  }

  // At the next gate. False: they will not come.
  bool wait_for_all() {
    const uint32_t wanted = (gates_ + 1) * count_;
    while (shared_->arrived.load(acquire) < wanted) {
      if (shared_->stop.load(relaxed)) return false;
      reap(WNOHANG);
      pause_ns(kPollNs);
    }
    return !shared_->stop.load(relaxed);
  }
  void open_gate() { shared_->gate.store(++gates_, release); }
  void reap(int flags) {
    for (pid_t& pid : pids_) {
      int status = 0;
      if (pid == 0 || ::waitpid(pid, &status, flags) != pid) continue;
      pid = 0;
      if (WIFSIGNALED(status)) give_up("a worker's process was killed");
    }
  }

  uint64_t servers_ns() const {
    uint64_t sum = 0;
    for (const pid_t pid : settings_.servers) {
      clockid_t clock;
      if (::clock_getcpuclockid(pid, &clock) == 0) sum += clock_ns(clock);
    }
    return sum;
  }
  // True when there is another round.
  bool one_round(Outcome* outcome) {
    if (!wait_for_all()) return false;
    const uint64_t start = now_ns() + kHeadStartNs;
    if (first_start_ns_ == 0) first_start_ns_ = start;
    const double warmup = info_.uses_up ? 0 : settings_.warmup;
    const uint64_t measure = std::max(start, first_start_ns_ + static_cast<uint64_t>(warmup * 1e9));
    shared_->start_ns = start;
    shared_->measure_ns = measure;
    shared_->end_ns = measure + static_cast<uint64_t>(std::max(0.0, settings_.seconds - outcome->seconds) * 1e9);
    shared_->round_over.store(false, relaxed);
    const uint64_t items_before = items();
    open_gate();
    for (uint64_t now = now_ns(); now < measure && !shared_->round_over.load(relaxed) && !shared_->stop.load(relaxed);
         now = now_ns()) {
      pause_ns(std::min<uint64_t>(measure - now, 20 * kPollNs));
    }
    const uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), servers = servers_ns();
    if (settings_.count != 0 && info_.background) end_background();
    if (!wait_for_all()) return false;
    if (items() != items_before) {
      uint64_t last = measure;
      for (unsigned i = 0; i < settings_.threads; ++i) last = std::max(last, records_[i].last_ns);
      outcome->seconds += static_cast<double>(last - measure) / 1e9;
      outcome->cpu_ns += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
      outcome->server_cpu_ns += servers_ns() - servers;
    }
    ++outcome->rounds;
    shared_->finished = finished(*outcome);
    open_gate();
    return !shared_->finished;
  }
  // Ends the background worker when the others have made their numbers.
  void end_background() {
    const uint32_t wanted = (gates_ + 1) * count_ - 1;
    while (shared_->arrived.load(acquire) < wanted && !shared_->stop.load(relaxed)) {
      reap(WNOHANG);
      pause_ns(kPollNs);
    }
    shared_->round_over.store(true, relaxed);
  }
  uint64_t items() const {
    uint64_t sum = 0;
    for (unsigned i = 0; i < settings_.threads; ++i) sum += records_[i].items;
    return sum;
  }
  bool finished(const Outcome& outcome) const {
    if (settings_.count != 0) {
      for (unsigned i = 0; i < settings_.threads; ++i) {
        if (records_[i].items < per_worker_) return false;
      }
      return true;
    }
    const double patience = kPatience * (settings_.seconds + settings_.warmup) + kPatienceSeconds;
    return outcome.seconds >= settings_.seconds * 0.98 ||
           static_cast<double>(now_ns() - began_ns_) / 1e9 > patience;
  }

  void end(Outcome* outcome) {
    for (const pthread_t thread : threads_) ::pthread_join(thread, nullptr);
    reap(0);
    for (unsigned i = 0; i < count_; ++i) {
      const Record& record = records_[i];
      for (size_t kind = 0; kind < kKindsMax; ++kind) outcome->total.kinds[kind].add(record.kinds[kind]);
      if (i < settings_.threads) {
        outcome->items_of_workers.push_back(record.items);
        outcome->total.items += record.items;
        outcome->total.bytes += record.bytes;
        outcome->total.unexpected += record.unexpected;
      }
      outcome->total.cpu_ns += record.cpu_ns;
    }
    if (settings_.processes) outcome->cpu_ns = outcome->total.cpu_ns;
    if (shared_->errors.load(acquire) != 0) {
      outcome->end = Outcome::End::failed;
      outcome->error = shared_->error;
    } else if (shared_->stop.load(acquire)) {
      outcome->end = Outcome::End::interrupted;
    } else if (outcome->total.items == 0 || outcome->seconds <= 0) {
      outcome->end = Outcome::End::failed;
      outcome->error = "no operation ended in the time that was measured";
    }
  }

 public:
  void set_count(uint64_t per_worker) { per_worker_ = per_worker; }

 private:
  const Settings& settings_;
  const WorkloadInfo& info_;
  const unsigned count_;
  const size_t bytes_;
  Shared* shared_ = nullptr;
  Record* records_ = nullptr;
  std::vector<std::unique_ptr<Files>> files_;
  std::vector<Worker> workers_;
  std::vector<pthread_t> threads_;
  std::vector<pid_t> pids_;
  uint32_t gates_ = 0;
  uint64_t began_ns_ = 0, first_start_ns_ = 0, per_worker_ = 0;
};

}  // namespace

void request_stop() {
  Shared* const shared = running.load(relaxed);
  if (shared != nullptr) shared->stop.store(true, relaxed);
}

void run_workload(const Settings& settings, const WorkloadInfo& info, const DbenchLoad* load, volume::Volume* volume,
                  Outcome* outcome) {
  try {
    Coordinator coordinator(settings, info, load, volume);
    coordinator.set_count(settings.count * (load != nullptr ? load->lines.size() : 1));
    coordinator.run(outcome);
  } catch (const Failure& failure) {
    outcome->end = Outcome::End::failed;
    outcome->error = failure.text;
  }
}

}  // namespace scalefs::bench
