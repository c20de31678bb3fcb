// Pages of a file, guards of readers, counts of references. Beside them a mutex around std::unordered_map, a lock for readers
// and writers or liburcu's read side, and one atomic counter.
#include <sys/stat.h>

#include <unordered_map>

#include "base/epoch.h"
#include "base/mutex.h"
#include "bench/structures/threads.h"
#include "memfs/data_half.h"
#include "memfs/delta_cache.h"
#include "memfs/page_tree.h"

#ifdef SCALEFS_HAVE_URCU
#include <urcu.h>
#endif

namespace scalefs::bench {
namespace {

using namespace memfs;

// --- pages: find, of a file of 1 GiB.
constexpr uint64_t kPages = 1 << 18;

struct OurPages {
  OurPages() {
    for (uint64_t page = 0; page < kPages; page += PageTree::kLeafPages) tree.leaf_of(page);
  }
  const void* find(uint64_t page) {
    EpochGuard guard;
    return tree.find(page);
  }
  PageTree tree;
};
struct LockedPages {
  LockedPages() {
    MutexLock lock(mutex);
    for (uint64_t page = 0; page < kPages; ++page) map.emplace(page, this);
  }
  const void* find(uint64_t page) {
    MutexLock lock(mutex);
    return map.find(page)->second;
  }
  Mutex mutex;
  std::unordered_map<uint64_t, const void*> map GUARDED_BY(mutex);
};

template <class Pages>
void find_page(benchmark::State& state) {
  uint64_t page = static_cast<uint64_t>(state.thread_index()) * 7919;
  for (auto _ : state) {
    benchmark::DoNotOptimize(shared<Pages>->find(page));
    page = (page + 12289) & (kPages - 1);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(find_page<OurPages>)->Name("page_find/scalefs")->Apply(with_shared<OurPages>);
BENCHMARK(find_page<LockedPages>)->Name("page_find/mutex_unordered_map")->Apply(with_shared<LockedPages>);

// --- guards: begin and end of a reader that finds nothing to do.
void epoch_guard(benchmark::State& state) {
  for (auto _ : state) {
    EpochGuard guard;
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(epoch_guard)->Name("guard/scalefs_epoch")->Apply(on_all_processors);

void shared_lock(benchmark::State& state) {
  static SharedMutex mutex;
  for (auto _ : state) {
    mutex.lock_shared();
    benchmark::ClobberMemory();
    mutex.unlock_shared();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(shared_lock)->Name("guard/shared_mutex")->Apply(on_all_processors);

void retire(benchmark::State& state) {
  for (auto _ : state) epoch::retire(new uint64_t(1));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(retire)->Name("retire/scalefs_epoch")->Apply(on_all_processors)->Teardown([](const benchmark::State&) {
  epoch::drain();
});

#ifdef SCALEFS_HAVE_URCU
void urcu_guard(benchmark::State& state) {
  rcu_register_thread();
  for (auto _ : state) {
    rcu_read_lock();
    benchmark::ClobberMemory();
    rcu_read_unlock();
  }
  rcu_unregister_thread();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(urcu_guard)->Name("guard/urcu")->Apply(on_all_processors);

struct Retired {
  rcu_head head;
};
void urcu_retire(benchmark::State& state) {
  rcu_register_thread();
  for (auto _ : state)
    call_rcu(&(new Retired)->head, [](rcu_head* head) { delete caa_container_of(head, Retired, head); });
  rcu_unregister_thread();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(urcu_retire)->Name("retire/urcu")->Apply(on_all_processors)->Teardown([](const benchmark::State&) {
  rcu_barrier();
});
#endif

// --- references: a lookup that is counted and taken back, all threads on one object.
struct OurCount {
  OurCount() : mnode(init()) { cache.set_lists(lists); }
  ~OurCount() {
    cache.flush_all();
    cache.forget(mnode);
  }
  static MnodeInit init() {
    MnodeInit made;
    made.attr.mnode = MnodeNo(77);
    made.attr.mode = S_IFREG | 0644;
    made.attr.nlink = 1;
    made.lookups = 1;
    return made;
  }
  void add(int64_t count) { cache.add_lookups(mnode, count); }
  DataHalf lists;
  DeltaCache cache;
  Mnode mnode;
};
struct AtomicCount {
  void add(int64_t count) { value.fetch_add(count, acq_rel); }
  Atomic<int64_t> value{1};
};

template <class Count>
void count_reference(benchmark::State& state) {
  for (auto _ : state) {
    shared<Count>->add(1);
    shared<Count>->add(-1);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(count_reference<OurCount>)->Name("reference/scalefs_delta_cache")->Apply(with_shared<OurCount>);
BENCHMARK(count_reference<AtomicCount>)->Name("reference/atomic_counter")->Apply(with_shared<AtomicCount>);

}  // namespace
}  // namespace scalefs::bench
