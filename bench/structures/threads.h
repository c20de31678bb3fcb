// What the benchmarks of structures have in common. A structure is one for all threads of a run; it is made before them and
// ended behind them (Setup and Teardown), each benchmark's own by the name of its type.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <thread>

namespace scalefs::bench {

template <class T>
inline std::unique_ptr<T> shared;

template <class T>
void start_shared(const benchmark::State&) {
  shared<T> = std::make_unique<T>();
}
template <class T>
void stop_shared(const benchmark::State&) {
  shared<T>.reset();
}

// With 1, 2, 4, ... threads, up to one a processor. Times are wall time by operations of all threads.
inline void on_all_processors(benchmark::internal::Benchmark* what) {
  what->ThreadRange(1, static_cast<int>(std::max(1u, std::thread::hardware_concurrency())))->UseRealTime();
}

template <class T>
void with_shared(benchmark::internal::Benchmark* what) {
  on_all_processors(what);
  what->Setup(start_shared<T>)->Teardown(stop_shared<T>);
}

}  // namespace scalefs::bench
