// Library functions of the list in wrapped.txt, as the linker's --wrap puts them in between:
// recorded, then done. Not instrumented.
#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include <initializer_list>

#include "tests/commute/recorder/access.h"

using scalefs::record::Kind;
namespace runtime = scalefs::record::runtime;

#define SCALEFS_PC reinterpret_cast<uintptr_t>(__builtin_return_address(0))
#define SCALEFS_READ(at, size) runtime::note(at, size, Kind::read, SCALEFS_PC)
#define SCALEFS_WRITE(at, size) runtime::note(at, size, Kind::write, SCALEFS_PC)
#define SCALEFS_LOCK(at) runtime::note(at, sizeof(*(at)), Kind::lock, SCALEFS_PC)

extern "C" {

// --- random bytes: the same in each run, so that keys of hashes, and with them places, repeat.
ssize_t __wrap_getrandom(void* to, size_t size, unsigned) {
  SCALEFS_WRITE(to, size);
  static uint64_t state = 0x5ca1ef5;
  for (size_t i = 0; i < size; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    static_cast<unsigned char*>(to)[i] = static_cast<unsigned char>(state >> 56);
  }
  return static_cast<ssize_t>(size);
}

// --- memory. What is compared or searched is recorded up to the byte that ends it.
void* __real_memcpy(void*, const void*, size_t);
void* __wrap_memcpy(void* to, const void* from, size_t size) {
  SCALEFS_READ(from, size);
  SCALEFS_WRITE(to, size);
  return __real_memcpy(to, from, size);
}
void* __real_memmove(void*, const void*, size_t);
void* __wrap_memmove(void* to, const void* from, size_t size) {
  SCALEFS_READ(from, size);
  SCALEFS_WRITE(to, size);
  return __real_memmove(to, from, size);
}
void* __real_memset(void*, int, size_t);
void* __wrap_memset(void* to, int value, size_t size) {
  SCALEFS_WRITE(to, size);
  return __real_memset(to, value, size);
}
int __real_memcmp(const void*, const void*, size_t);
int __wrap_memcmp(const void* a, const void* b, size_t size) {
  size_t same = 0;
  while (same < size && static_cast<const char*>(a)[same] == static_cast<const char*>(b)[same])
    ++same;
  if (same < size) ++same;
  SCALEFS_READ(a, same);
  SCALEFS_READ(b, same);
  return __real_memcmp(a, b, size);
}
void* __real_memchr(const void*, int, size_t);
void* __wrap_memchr(const void* from, int value, size_t size) {
  void* found = __real_memchr(from, value, size);
  const size_t seen =
      found == nullptr
          ? size
          : static_cast<size_t>(static_cast<const char*>(found) - static_cast<const char*>(from)) +
                1;
  SCALEFS_READ(from, seen);
  return found;
}
size_t __real_strlen(const char*);
size_t __wrap_strlen(const char* text) {
  const size_t length = __real_strlen(text);
  SCALEFS_READ(text, length + 1);
  return length;
}

// --- locks. Taking and giving back write the lock, whatever the kind.
int __real_pthread_mutex_lock(pthread_mutex_t*);
int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex) {
  SCALEFS_LOCK(mutex);
  return __real_pthread_mutex_lock(mutex);
}
int __real_pthread_mutex_trylock(pthread_mutex_t*);
int __wrap_pthread_mutex_trylock(pthread_mutex_t* mutex) {
  SCALEFS_LOCK(mutex);
  return __real_pthread_mutex_trylock(mutex);
}
int __real_pthread_mutex_unlock(pthread_mutex_t*);
int __wrap_pthread_mutex_unlock(pthread_mutex_t* mutex) {
  SCALEFS_LOCK(mutex);
  return __real_pthread_mutex_unlock(mutex);
}
int __real_pthread_rwlock_rdlock(pthread_rwlock_t*);
int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
  SCALEFS_LOCK(lock);
  return __real_pthread_rwlock_rdlock(lock);
}
int __real_pthread_rwlock_wrlock(pthread_rwlock_t*);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t* lock) {
  SCALEFS_LOCK(lock);
  return __real_pthread_rwlock_wrlock(lock);
}
int __real_pthread_rwlock_tryrdlock(pthread_rwlock_t*);
int __wrap_pthread_rwlock_tryrdlock(pthread_rwlock_t* lock) {
  SCALEFS_LOCK(lock);
  return __real_pthread_rwlock_tryrdlock(lock);
}
int __real_pthread_rwlock_trywrlock(pthread_rwlock_t*);
int __wrap_pthread_rwlock_trywrlock(pthread_rwlock_t* lock) {
  SCALEFS_LOCK(lock);
  return __real_pthread_rwlock_trywrlock(lock);
}
int __real_pthread_rwlock_unlock(pthread_rwlock_t*);
int __wrap_pthread_rwlock_unlock(pthread_rwlock_t* lock) {
  SCALEFS_LOCK(lock);
  return __real_pthread_rwlock_unlock(lock);
}

// --- std::condition_variable. Waking nobody reads the word that counts who waits; waiting writes.
void __real__ZNSt18condition_variable10notify_oneEv(pthread_cond_t*);
void __wrap__ZNSt18condition_variable10notify_oneEv(pthread_cond_t* condition) {
  SCALEFS_READ(condition, sizeof *condition);
  __real__ZNSt18condition_variable10notify_oneEv(condition);
}
void __real__ZNSt18condition_variable10notify_allEv(pthread_cond_t*);
void __wrap__ZNSt18condition_variable10notify_allEv(pthread_cond_t* condition) {
  SCALEFS_READ(condition, sizeof *condition);
  __real__ZNSt18condition_variable10notify_allEv(condition);
}
void __real__ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE(pthread_cond_t*, void*);
void __wrap__ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE(pthread_cond_t* condition,
                                                                      void* lock) {
  SCALEFS_WRITE(condition, sizeof *condition);
  __real__ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE(condition, lock);
}

int __real_pthread_cond_clockwait(pthread_cond_t*, pthread_mutex_t*, clockid_t,
                                  const struct timespec*);
int __wrap_pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                  clockid_t clock, const struct timespec* until) {
  SCALEFS_WRITE(condition, sizeof *condition);
  SCALEFS_LOCK(mutex);
  return __real_pthread_cond_clockwait(condition, mutex, clock, until);
}

// --- the linked list of std::list.
struct ListNode {
  ListNode* next;
  ListNode* previous;
};
void __real__ZNSt8__detail15_List_node_base7_M_hookEPS0_(ListNode*, ListNode*);
void __wrap__ZNSt8__detail15_List_node_base7_M_hookEPS0_(ListNode* node, ListNode* position) {
  SCALEFS_WRITE(node, sizeof *node);
  SCALEFS_WRITE(position, sizeof *position);
  SCALEFS_WRITE(position->previous, sizeof *position);
  __real__ZNSt8__detail15_List_node_base7_M_hookEPS0_(node, position);
}
void __real__ZNSt8__detail15_List_node_base9_M_unhookEv(ListNode*);
void __wrap__ZNSt8__detail15_List_node_base9_M_unhookEv(ListNode* node) {
  SCALEFS_READ(node, sizeof *node);
  SCALEFS_WRITE(node->next, sizeof *node);
  SCALEFS_WRITE(node->previous, sizeof *node);
  __real__ZNSt8__detail15_List_node_base9_M_unhookEv(node);
}
void __real__ZNSt8__detail15_List_node_base11_M_transferEPS0_S1_(ListNode*, ListNode*, ListNode*);
void __wrap__ZNSt8__detail15_List_node_base11_M_transferEPS0_S1_(ListNode* to, ListNode* first,
                                                                 ListNode* last) {
  for (ListNode* near : {to, to->previous, first, first->previous, last, last->previous})
    SCALEFS_WRITE(near, sizeof *near);
  __real__ZNSt8__detail15_List_node_base11_M_transferEPS0_S1_(to, first, last);
}

size_t __real__ZSt11_Hash_bytesPKvmm(const void*, size_t, size_t);
size_t __wrap__ZSt11_Hash_bytesPKvmm(const void* bytes, size_t size, size_t seed) {
  SCALEFS_READ(bytes, size);
  return __real__ZSt11_Hash_bytesPKvmm(bytes, size, seed);
}

// --- the red-black tree of std::map and std::set: colour, parent, left, right of the node, and the
// header. Rebalancing also writes neighbours of the node: all nodes of one tree, under that tree's
// lock.
struct RbNode {
  int colour;
  RbNode* parent;
  RbNode* left;
  RbNode* right;
};
void __real__ZSt29_Rb_tree_insert_and_rebalancebPSt18_Rb_tree_node_baseS0_RS_(bool, RbNode*,
                                                                              RbNode*, RbNode*);
void __wrap__ZSt29_Rb_tree_insert_and_rebalancebPSt18_Rb_tree_node_baseS0_RS_(bool left,
                                                                              RbNode* node,
                                                                              RbNode* parent,
                                                                              RbNode* header) {
  SCALEFS_WRITE(node, sizeof *node);
  SCALEFS_WRITE(parent, sizeof *parent);
  SCALEFS_WRITE(header, sizeof *header);
  __real__ZSt29_Rb_tree_insert_and_rebalancebPSt18_Rb_tree_node_baseS0_RS_(left, node, parent,
                                                                           header);
}
RbNode* __real__ZSt28_Rb_tree_rebalance_for_erasePSt18_Rb_tree_node_baseRS_(RbNode*, RbNode*);
RbNode* __wrap__ZSt28_Rb_tree_rebalance_for_erasePSt18_Rb_tree_node_baseRS_(RbNode* node,
                                                                            RbNode* header) {
  SCALEFS_WRITE(node, sizeof *node);
  SCALEFS_WRITE(header, sizeof *header);
  for (RbNode* near : {node->parent, node->left, node->right})
    if (near != nullptr) SCALEFS_WRITE(near, sizeof *near);
  return __real__ZSt28_Rb_tree_rebalance_for_erasePSt18_Rb_tree_node_baseRS_(node, header);
}

}  // extern "C"
