#include "memfs/link_queue.h"

namespace scalefs::memfs {

void LinkQueue::push(ListLink& link, Mnode& owner) {
  link.owner = &owner;
  Atomic<ListLink*>& stack = stacks_.mine();
  link.next = stack.load(relaxed);
  while (!stack.compare_exchange(link.next, &link, release, relaxed)) {  // pairs with collect
  }
}

void LinkQueue::append(ListLink& link) {
  link.prev = ring_.prev;
  link.next = &ring_;
  ring_.prev->next = &link;
  ring_.prev = &link;
}

void LinkQueue::unlink(ListLink& link) {
  link.prev->next = link.next;
  link.next->prev = link.prev;
}

void LinkQueue::collect() {
  for (uint32_t core = 0; core < stacks_.size(); ++core) {
    Atomic<ListLink*>& stack = stacks_.at(core);
    if (stack.load(relaxed) == nullptr) continue;
    ListLink* youngest = stack.exchange(nullptr, acquire);  // pairs with push
    ListLink* oldest = nullptr;
    while (youngest != nullptr) {
      ListLink* next = youngest->next;
      youngest->next = oldest;
      oldest = youngest;
      youngest = next;
    }
    while (oldest != nullptr) {
      ListLink* next = oldest->next;
      append(*oldest);
      oldest = next;
    }
  }
}

void LinkQueue::remove(ListLink& link) {
  if (!link.listed.load(seq_cst)) return;
  MutexLock lock(mutex_);
  if (!link.listed.load(seq_cst)) return;
  collect();
  unlink(link);
  link.listed.store(false, seq_cst);
}

}  // namespace scalefs::memfs
