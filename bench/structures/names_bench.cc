// The names of a directory: DirectoryNode, beside a mutex around std::unordered_map, and liburcu's lock-free hash table.
// find: names that are there, of all threads' 64 Ki. change: each thread makes and removes names of its own among them.
#include <charconv>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/epoch.h"
#include "base/hash.h"
#include "base/mutex.h"
#include "bench/structures/threads.h"
#include "memfs/directory.h"

#ifdef SCALEFS_HAVE_URCU
#include <urcu.h>

#include <urcu/rculfhash.h>
#endif

namespace scalefs::bench {
namespace {

using namespace memfs;

constexpr int64_t kNames = 1 << 16;
constexpr HashKey kKey{1, 2};
const NameValue kValue(MnodeNo(77), Mnode::kTypeFile);

class Name {
 public:
  explicit Name(char prefix) { text_[0] = prefix; }
  std::string_view of(int64_t number) {
    return {text_, static_cast<size_t>(std::to_chars(text_ + 1, text_ + sizeof text_, number).ptr - text_)};
  }

 private:
  char text_[32];
};

struct Ours {
  Ours() {
    Name name('n');
    for (int64_t i = 0; i < kNames; ++i) insert(name.of(i));
  }
  ~Ours() { epoch::drain(); }
  bool find(std::string_view name) {
    EpochGuard guard;
    return static_cast<bool>(directory.find(siphash24(kKey, name), name).value);
  }
  void insert(std::string_view name) {
    const uint64_t hash = siphash24(kKey, name);
    NameItemPtr item(NameItem::make(hash, name, kValue));
    bool grow = false;
    {
      EpochGuard guard;
      NameLocks locks;
      locks.add(directory, hash).lock();
      directory.insert(item.release());
      grow = directory.wants_growth(hash);
    }
    if (grow) directory.grow();
  }
  void remove(std::string_view name) {
    const uint64_t hash = siphash24(kKey, name);
    NameItem* removed = nullptr;
    {
      EpochGuard guard;
      NameLocks locks;
      locks.add(directory, hash).lock();
      removed = directory.remove(directory.item(hash, name), 1);
    }
    NameItem::retire(removed);
  }
  DirectoryNode directory{MnodeNo(2), MnodeNo(1), true};
};

// The hash is the same, so that what is compared is the table.
struct Hash {
  size_t operator()(std::string_view name) const { return siphash24(kKey, name); }
  using is_transparent = void;
};
struct Locked {
  Locked() {
    Name name('n');
    for (int64_t i = 0; i < kNames; ++i) insert(name.of(i));
  }
  bool find(std::string_view name) {
    MutexLock lock(mutex);
    return map.find(name) != map.end();
  }
  void insert(std::string_view name) {
    MutexLock lock(mutex);
    map.emplace(name, 77);
  }
  void remove(std::string_view name) {
    MutexLock lock(mutex);
    map.erase(map.find(name));
  }
  Mutex mutex;
  std::unordered_map<std::string, uint64_t, Hash, std::equal_to<>> map GUARDED_BY(mutex);
};

#ifdef SCALEFS_HAVE_URCU
struct Urcu {
  struct Item {
    cds_lfht_node node;
    rcu_head head;
    uint64_t value;
    std::string name;
  };
  // Of the calling thread; a table's end needs one too.
  struct Registered {
    Registered() { rcu_register_thread(); }
    ~Registered() { rcu_unregister_thread(); }
  };
  Urcu() : table(cds_lfht_new(kNames, 1, 0, CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, nullptr)) {
    Registered registered;
    Name name('n');
    for (int64_t i = 0; i < kNames; ++i) insert(name.of(i));
  }
  ~Urcu() {
    Registered registered;
    cds_lfht_iter iter;
    cds_lfht_node* node;
    rcu_read_lock();
    cds_lfht_for_each(table, &iter, node) {
      if (cds_lfht_del(table, node) == 0) drop(node);
    }
    rcu_read_unlock();
    rcu_barrier();
    cds_lfht_destroy(table, nullptr);
  }
  static int same(cds_lfht_node* node, const void* name) {
    return caa_container_of(node, Item, node)->name == *static_cast<const std::string_view*>(name);
  }
  static void drop(cds_lfht_node* node) {
    call_rcu(&caa_container_of(node, Item, node)->head, [](rcu_head* head) { delete caa_container_of(head, Item, head); });
  }
  cds_lfht_node* look(std::string_view name) {
    cds_lfht_iter iter;
    cds_lfht_lookup(table, siphash24(kKey, name), same, &name, &iter);
    return cds_lfht_iter_get_node(&iter);
  }
  bool find(std::string_view name) {
    rcu_read_lock();
    const bool found = look(name) != nullptr;
    rcu_read_unlock();
    return found;
  }
  void insert(std::string_view name) {
    auto* item = new Item{{}, {}, 77, std::string(name)};
    rcu_read_lock();
    cds_lfht_add_unique(table, siphash24(kKey, name), same, &name, &item->node);
    rcu_read_unlock();
  }
  void remove(std::string_view name) {
    rcu_read_lock();
    cds_lfht_node* node = look(name);
    if (cds_lfht_del(table, node) == 0) drop(node);
    rcu_read_unlock();
  }
  cds_lfht* table;
};
using UrcuThread = Urcu::Registered;
#endif

struct Nothing {};

template <class Table, class Thread>
void find(benchmark::State& state) {
  [[maybe_unused]] Thread thread;
  Name name('n');
  int64_t i = state.thread_index() * 7919;
  for (auto _ : state) {
    if (!shared<Table>->find(name.of(i))) return state.SkipWithError("a name is gone");
    i = (i + 12289) & (kNames - 1);
  }
  state.SetItemsProcessed(state.iterations());
}

template <class Table, class Thread>
void change(benchmark::State& state) {
  [[maybe_unused]] Thread thread;
  Name name(static_cast<char>('A' + state.thread_index() % 26));
  int64_t i = state.thread_index() / 26 * kNames * 100;
  for (auto _ : state) {
    shared<Table>->insert(name.of(i));
    shared<Table>->remove(name.of(i));
    ++i;
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(find<Ours, Nothing>)->Name("names_find/scalefs")->Apply(with_shared<Ours>);
BENCHMARK(find<Locked, Nothing>)->Name("names_find/mutex_unordered_map")->Apply(with_shared<Locked>);
BENCHMARK(change<Ours, Nothing>)->Name("names_make_remove/scalefs")->Apply(with_shared<Ours>);
BENCHMARK(change<Locked, Nothing>)->Name("names_make_remove/mutex_unordered_map")->Apply(with_shared<Locked>);
#ifdef SCALEFS_HAVE_URCU
BENCHMARK(find<Urcu, UrcuThread>)->Name("names_find/urcu_lfht")->Apply(with_shared<Urcu>);
BENCHMARK(change<Urcu, UrcuThread>)->Name("names_make_remove/urcu_lfht")->Apply(with_shared<Urcu>);
#endif

}  // namespace
}  // namespace scalefs::bench
