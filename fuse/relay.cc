#include "fuse/relay.h"

#include <pthread.h>
#include <sched.h>

#include <cerrno>
#include <csignal>
#include <new>
#include <system_error>

namespace scalefs::fuse {
namespace {

constexpr uint64_t kSignalPeriodMs = 10;

thread_local bool* current_drives = nullptr;

}  // namespace

Relay::Turn::Turn(Relay& relay) {
  current_drives = &drives_;
  blocking_hook = &relay;
}

Relay::Turn::~Turn() {
  blocking_hook = nullptr;
  current_drives = nullptr;
}

Status Relay::start() {
  MutexLock lock(mutex_);
  threads_.reserve(config_.threads_max);
  return add_thread();
}

Status Relay::add_thread() {
  sigset_t blocked, before;
  sigfillset(&blocked);
  if (config_.wake_signal != 0) sigdelset(&blocked, config_.wake_signal);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  Status status;
  try {
    threads_.emplace_back([this] { run_thread(); });
    ++running_;
  } catch (const std::system_error&) {
    status = Errno(EAGAIN);
  } catch (const std::bad_alloc&) {
    status = Errno(EAGAIN);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return status;
}

void Relay::end() {
  stopping_.store(true, seq_cst);
  MutexLock lock(mutex_);
  idle_wait_.notify_all();
  ended_wait_.notify_all();
}

void Relay::wait_for_end() {
  MutexLock lock(mutex_);
  while (!stopping_.load(relaxed)) ended_wait_.wait(mutex_);
}

// A signal ends a wait in a system call, unless it comes between the look at stopping_ and the call: therefore again
// and again.
void Relay::stop() {
  end();
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    while (config_.wake_signal != 0 && running_ != 0) {
      for (std::thread& thread : threads_) ::pthread_kill(thread.native_handle(), config_.wake_signal);
      (void)ended_wait_.wait_for(mutex_, kSignalPeriodMs);
    }
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

void Relay::run_thread() {
  if (config_.pinned) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(*config_.pinned, &one);
    (void)::sched_setaffinity(0, sizeof(one), &one);  // it serves wherever it runs
  }
  ::pthread_setname_np(::pthread_self(), config_.name);
  MutexLock lock(mutex_);
  for (;;) {
    while (driven_ && !stopping_.load(relaxed)) {
      ++idle_;
      idle_wait_.wait(mutex_);
      --idle_;
    }
    if (stopping_.load(relaxed)) break;
    driven_ = true;
    mutex_.unlock();
    const bool drives = source_.drive();
    mutex_.lock();
    if (drives) driven_ = false;
  }
  --running_;
  ended_wait_.notify_all();
}

// Runs in a request that this thread serves, maybe as the driver.
void Relay::about_to_block() {
  if (current_drives == nullptr || !*current_drives) return;
  MutexLock lock(mutex_);
  if (stopping_.load(relaxed)) return;
  if (idle_ == 0) {
    if (threads_.size() >= config_.threads_max || !add_thread().ok()) return;
  }
  source_.before_giving();
  *current_drives = false;
  driven_ = false;
  idle_wait_.notify_one();
}

}  // namespace scalefs::fuse
