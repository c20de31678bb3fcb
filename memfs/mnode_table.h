// mnode number -> Mnode*. Lookups take no lock and write nothing (an EpochGuard is the caller's). One
// shard for each value of the number's core field, so that cores inserting numbers of their own do not meet; in a
// shard a chained hash over the counter, laid out so that neighbouring counters stand on different
// cache lines.
//
// Resize: under the shard's lock, into a new array and over the other one of the two next pointers, so
// that readers of the old array walk on undisturbed; the next resize waits until no reader can be left on
// the old one (Herbert Xu's resizable hash table in Linux, lib/rhashtable.c in its first form). A miss counts only
// when the array is still the current one.
#pragma once

#include <functional>
#include <memory>

#include "memfs/mnode.h"

namespace scalefs::memfs {

class MnodeTable {
 public:
  MnodeTable();
  ~MnodeTable();  // deletes the objects too; nothing else runs
  MnodeTable(const MnodeTable&) = delete;
  MnodeTable& operator=(const MnodeTable&) = delete;

  // Under an EpochGuard; null when there is none.
  Mnode* find(MnodeNo number) const;
  // Of objects that will be asked for soon: fetches what find() reads first, and then, what it has found and what shows
  // its attributes. Under an EpochGuard.
  void prefetch_head(MnodeNo number) const;
  void prefetch_object(MnodeNo number) const;
  // Makes room for the number: may allocate and take time. Before the calls below, holding no lock; they neither
  // allocate nor fail, so that they may be called under bucket locks.
  void prepare(MnodeNo number);
  // Publishes a new object: its number is not in the table.
  void insert(Mnode* mnode) { put(mnode, false); }
  // Publishes `mnode` unless the number is there already; answers who is there now.
  Mnode* insert_or_find(Mnode* mnode) { return put(mnode, true); }
  // The caller retires it.
  void remove(Mnode* mnode);
  uint64_t size() const;
  // Every object, in no order; for statistics and tests, and when nothing else runs.
  void for_each(const std::function<void(Mnode&)>& visit) const;

 private:
  struct Table;
  struct Shard;
  Shard& shard_of(MnodeNo number) const;
  Mnode* put(Mnode* mnode, bool may_be_there);
  static std::unique_ptr<Table> relink(const Table& from, std::unique_ptr<Table> to);

  std::unique_ptr<Shard[]> shards_;
};

}  // namespace scalefs::memfs
