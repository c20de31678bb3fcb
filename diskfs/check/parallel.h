// Work that several threads share: items of a list, each done by one of them.
#pragma once

#include <cstddef>
#include <functional>

namespace scalefs::diskfs {

// Threads for `asked` of them; 0: one for each CPU that this process may use.
size_t worker_count(size_t asked);

// Calls work(worker, item) once for each item below `items`, in ascending order of beginning, on `workers` threads, of
// which the caller is one; `worker` is below `workers`. Returns when all are done. When a call throws, no
// further item is begun, and what it threw is thrown here. Where the system gives no more threads, fewer do it.
void share_work(size_t workers, size_t items,
                const std::function<void(size_t worker, size_t item)>& work);

}  // namespace scalefs::diskfs
