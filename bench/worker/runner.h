// Runs one workload with n workers, threads or processes, each on a processor of its own as far as there are so many.
//
// All workers prepare, then begin, then make rounds of steps until the time or the number that is asked for is reached.
// A round begins for all at once and ends when its time is over or, as one worker has used up what it prepared, for all
// together: only rounds are timed, what is made anew between them is not. Workers meet at gates in memory that all share.
#pragma once

#include <string>
#include <vector>

#include "bench/worker/dbench_load.h"
#include "bench/worker/workload.h"

namespace scalefs::bench {

struct Outcome {
  enum class End : uint8_t { done, failed, interrupted };
  End end = End::done;
  std::string error;
  double seconds = 0;  // of the rounds, without warm-up
  uint64_t rounds = 0;
  uint64_t cpu_ns = 0;         // of the workers, and of the volume in this process
  uint64_t server_cpu_ns = 0;  // of Settings::servers
  std::vector<uint64_t> items_of_workers;  // without those in the background
  Record total;  // of all workers; `items` without those in the background
};

// `volume`: null where the target is a directory. Stops, as interrupted, after request_stop().
void run_workload(const Settings& settings, const WorkloadInfo& info, const DbenchLoad* load, volume::Volume* volume,
                  Outcome* outcome);
// From a signal handler, too.
void request_stop();

}  // namespace scalefs::bench
