// scalefs-bench-worker: runs one workload once and prints, as one JSON object, what was counted. For scalefs-bench, which
// knows what the settings mean and shows the results.
//
//   scalefs-bench-worker run SETTING=VALUE...    see kHelp
//   scalefs-bench-worker list                    the workloads
//   scalefs-bench-worker load FILE               what operations a load file has
//   scalefs-bench-worker about                   how this program was built
//
// Exit status: 0; 1 the workload failed, standard error says why; 2 wrong arguments or load file; 130 interrupted. What was made in
// the directory is removed in every case.
#include <signal.h>
#include <sys/prctl.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "bench/worker/runner.h"
#include "diskfs/file_device.h"
#include "volume/volume.h"

namespace scalefs::bench {
namespace {

constexpr const char* kHelp =
    "scalefs-bench-worker run workload=NAME target=dir|memory|image [path=DIR|IMAGE] [threads=N] [processes=0|1] [pin=0|1]\n"
    "    seconds=S|count=N [warmup=S] [seed=N] [files=N] [branch=N] [size=BYTES] [sync_open=0|1] [sync_dir=0|1] [fsync=0|1]\n"
    "    [direct=0|1] [xattr=0|1] [no_resolve=0|1] [load_file=FILE] [server=PID]...\n"
    "scalefs-bench-worker list | about | load FILE\n";

struct UsageError {
  std::string text;
};

double to_number(const std::string& key, const std::string& value, double low, double high) {
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  if (value.empty() || *end != '\0' || !(number >= low && number <= high)) {
    throw UsageError{key + "=" + value + ": no number from " + std::to_string(low) + " to " + std::to_string(high)};
  }
  return number;
}

void set(Settings* to, const std::string& key, const std::string& value) {
  constexpr double kMost = 1e15;
  const auto whole = [&](double low, double high) { return static_cast<uint64_t>(to_number(key, value, low, high)); };
  const auto yes = [&] { return whole(0, 1) == 1; };
  if (key == "workload") to->workload = value;
  else if (key == "target") to->target = value;
  else if (key == "path") to->path = value;
  else if (key == "threads") to->threads = static_cast<unsigned>(whole(1, 1024));
  else if (key == "processes") to->processes = yes();
  else if (key == "pin") to->pin = yes();
  else if (key == "seconds") to->seconds = to_number(key, value, 0.001, 1e6);
  else if (key == "count") to->count = whole(1, kMost);
  else if (key == "warmup") to->warmup = to_number(key, value, 0, 1e6);
  else if (key == "seed") to->seed = whole(0, kMost);
  else if (key == "files") to->files = whole(1, 1e8);
  else if (key == "branch") to->branch = static_cast<unsigned>(whole(1, 10));
  else if (key == "size") to->size = whole(kPageBytes, kMost);
  else if (key == "sync_open") to->sync_open = yes();
  else if (key == "sync_dir") to->sync_dir = yes();
  else if (key == "fsync") to->fsync = yes();
  else if (key == "direct") to->direct = yes();
  else if (key == "xattr") to->xattr = yes();
  else if (key == "no_resolve") to->no_resolve = yes();
  else if (key == "load_file") to->load_file = value;
  else if (key == "server") to->servers.push_back(static_cast<pid_t>(whole(1, 1e9)));
  else throw UsageError{key + ": no such setting"};
}

const char* word(Sharing sharing) {
  constexpr const char* kWords[] = {"low", "medium", "high"};
  return kWords[static_cast<size_t>(sharing)];
}

void print_list() {
  const char* separator = "[";
  for (const WorkloadInfo* info : all_workloads()) {
    std::printf("%s\n {\"name\": \"%s\", \"family\": \"%s\", \"sharing\": \"%s\", \"unit\": \"%s\", \"background\": %s, "
                "\"uses_up\": %s, \"on_null\": %s, \"what\": \"%s\", \"kinds\": [",
                separator, info->name, info->family, word(info->sharing), info->unit, info->background ? "true" : "false",
                info->uses_up ? "true" : "false", info->on_null ? "true" : "false", info->what);
    for (size_t i = 0; info->kinds[i] != nullptr; ++i) std::printf("%s\"%s\"", i == 0 ? "" : ", ", info->kinds[i]);
    std::printf("]}");
    separator = ",";
  }
  std::printf("\n]\n");
}

void print_about() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr const char* kBuild = "sanitized";
#elif defined(NDEBUG) && defined(__OPTIMIZE__)
  constexpr const char* kBuild = "release";
#else
  constexpr const char* kBuild = "debug";
#endif
  std::printf("{\"build\": \"%s\"}\n", kBuild);
}

bool load_of(const std::string& file, DbenchLoad* load) {
  LoadProblems problems;
  if (read_load(file, load, &problems)) return true;
  for (const std::string& line : problems.lines) std::fprintf(stderr, "%s\n", line.c_str());
  if (problems.more > 0) std::fprintf(stderr, "and %zu more\n", problems.more);
  return false;
}

int print_load(const std::string& file) {
  DbenchLoad load;
  if (!load_of(file, &load)) return 2;
  std::printf("{\"total\": %zu, \"operations\": {", load.lines.size());
  const char* separator = "";
  for (size_t i = 0; i < kDbenchCalls; ++i) {
    if (load.counts[i] == 0) continue;
    std::printf("%s\"%s\": %" PRIu64, separator, dbench_workloads()[0].kinds[i], load.counts[i]);
    separator = ", ";
  }
  std::printf("}}\n");
  return 0;
}

void print_kind(const char* separator, const char* name, const Histogram& histogram) {
  std::printf("%s\n  \"%s\": {\"count\": %" PRIu64 ", \"mean_ns\": %" PRIu64 ", \"p50_ns\": %" PRIu64 ", \"p90_ns\": %" PRIu64
              ", \"p99_ns\": %" PRIu64 ", \"p999_ns\": %" PRIu64 ", \"max_ns\": %" PRIu64 ", \"histogram\": [",
              separator, name, histogram.count, histogram.sum_ns / histogram.count, histogram.quantile_ns(0.5),
              histogram.quantile_ns(0.9), histogram.quantile_ns(0.99), histogram.quantile_ns(0.999), histogram.max_ns);
  const char* comma = "";
  for (size_t i = 0; i < Histogram::kBuckets; ++i) {
    if (histogram.buckets[i] == 0) continue;
    std::printf("%s[%" PRIu64 ", %" PRIu64 "]", comma, Histogram::upper_ns(i), histogram.buckets[i]);
    comma = ", ";
  }
  std::printf("]}");
}

void print_outcome(const Settings& settings, const WorkloadInfo& info, const Outcome& outcome) {
  std::printf("{\"workload\": \"%s\", \"sharing\": \"%s\", \"unit\": \"%s\", \"threads\": %u, \"items\": %" PRIu64
              ", \"bytes\": %" PRIu64 ", \"unexpected\": %" PRIu64 ", \"seconds\": %.9f, \"rounds\": %" PRIu64
              ", \"cpu_ns\": %" PRIu64 ", \"server_cpu_ns\": %" PRIu64 ",\n \"items_of_workers\": [",
              info.name, word(info.sharing), info.unit, settings.threads, outcome.total.items, outcome.total.bytes,
              outcome.total.unexpected, outcome.seconds, outcome.rounds, outcome.cpu_ns, outcome.server_cpu_ns);
  const char* separator = "";
  for (const uint64_t items : outcome.items_of_workers) {
    std::printf("%s%" PRIu64, separator, items);
    separator = ", ";
  }
  std::printf("],\n \"operations\": {");
  separator = "";
  for (size_t i = 0; i < kKindsMax && info.kinds[i] != nullptr; ++i) {
    if (outcome.total.kinds[i].count == 0) continue;
    print_kind(separator, info.kinds[i], outcome.total.kinds[i]);
    separator = ",";
  }
  std::printf("}}\n");
}

const WorkloadInfo* find(const std::string& name) {
  for (const WorkloadInfo* info : all_workloads()) {
    if (name == info->name) return info;
  }
  throw UsageError{"no workload '" + name + "'; see scalefs-bench-worker list"};
}

void check(const Settings& settings, const WorkloadInfo& info) {
  const bool engine = settings.target == "memory" || settings.target == "image";
  if (!engine && settings.target != "dir") throw UsageError{"target=" + settings.target + ": dir, memory or image"};
  if (settings.target != "memory" && settings.path.empty()) throw UsageError{"target=" + settings.target + " needs path="};
  if ((settings.seconds > 0) == (settings.count > 0)) throw UsageError{"one of seconds= and count= is needed"};
  if (engine && settings.processes) throw UsageError{"a volume in this process has threads, not processes"};
  if (std::strcmp(info.name, "dbench") == 0 && settings.load_file.empty()) throw UsageError{"dbench needs load_file="};
}

std::unique_ptr<volume::Volume> open_volume(const Settings& settings, std::unique_ptr<diskfs::FileDevice>* device) {
  if (settings.target == "memory") return volume::Volume::memory({});
  std::string why;
  auto opened = diskfs::FileDevice::open(settings.path, {}, &why);
  if (!opened.ok()) throw Failure{why};
  *device = std::move(*opened);
  auto mounted = volume::Volume::mount(**device, {}, &why);
  if (!mounted.ok()) throw Failure{why};
  return std::move(*mounted);
}

void run_on_volume(const Settings& settings, const WorkloadInfo& info, const DbenchLoad* load, Outcome* outcome) {
  std::unique_ptr<diskfs::FileDevice> device;
  const std::unique_ptr<volume::Volume> volume = open_volume(settings, &device);
  need(make_engine_files(*volume)->mkdir("/bench", 0755), "mkdir", "/bench");
  run_workload(settings, info, load, volume.get(), outcome);
  if (!volume->unmount().ok() && outcome->end == Outcome::End::done) throw Failure{"the volume could not be unmounted"};
}

int run(const Settings& settings) {
  const WorkloadInfo& info = *find(settings.workload);
  check(settings, info);
  DbenchLoad load;
  const bool loads = std::strcmp(info.name, "dbench") == 0;
  if (loads && !load_of(settings.load_file, &load)) return 2;
  const auto outcome = std::make_unique<Outcome>();
  try {
    if (settings.target == "dir") {
      run_workload(settings, info, loads ? &load : nullptr, nullptr, outcome.get());
      make_system_files()->remove_tree(settings.path, false);
    } else {
      run_on_volume(settings, info, loads ? &load : nullptr, outcome.get());
    }
  } catch (const Failure& failure) {
    outcome->end = Outcome::End::failed;
    outcome->error = failure.text;
  }
  if (outcome->end == Outcome::End::interrupted) return 130;
  if (outcome->end == Outcome::End::failed) {
    std::fprintf(stderr, "%s: %s\n", info.name, outcome->error.c_str());
    return 1;
  }
  print_outcome(settings, info, *outcome);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

int run(int argc, char** argv) {
  Settings settings;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = word.find('=');
    if (equals == std::string::npos) throw UsageError{"'" + word + "': SETTING=VALUE is needed"};
    set(&settings, word.substr(0, equals), word.substr(equals + 1));
  }
  struct sigaction action = {};
  action.sa_handler = [](int) { request_stop(); };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  return run(settings);
}

}  // namespace
}  // namespace scalefs::bench

int main(int argc, char** argv) {
  using namespace scalefs::bench;
  const std::string command = argc > 1 ? argv[1] : "";
  try {
    if (command == "run") return run(argc, argv);
    if (command == "load" && argc == 3) return print_load(argv[2]);
    if (argc == 2 && (command == "list" || command == "about")) {
      if (command == "list") print_list();
      if (command == "about") print_about();
      return 0;
    }
    std::fputs(kHelp, stderr);
  } catch (const UsageError& error) {
    std::fprintf(stderr, "scalefs-bench-worker: %s\n", error.text.c_str());
  }
  return 2;
}
