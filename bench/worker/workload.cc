#include "bench/worker/workload.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

namespace scalefs::bench {

int64_t need(int64_t result, const char* call, const std::string& path) {
  if (result < 0) throw Failure{std::string(call) + " " + path + ": " + std::strerror(static_cast<int>(-result))};
  return result;
}

void Workload::make_folder(const std::string& path) {
  const int result = files_.mkdir(path.c_str(), 0755);
  if (result != -EEXIST) need(result, "mkdir", path);
}

void Workload::make_file(const std::string& path, uint64_t bytes) {
  const int fd = open(path, O_CREAT | O_RDWR);
  for (uint64_t left = bytes; left > 0;) {
    left -= static_cast<uint64_t>(need(files_.write(fd, kZeros, std::min<uint64_t>(left, sizeof(kZeros))), "write", path));
  }
  close(fd);
}

int Workload::open(const std::string& path, int flags) {
  return static_cast<int>(need(files_.open(path.c_str(), flags, 0644), "open", path));
}

void Workload::close(int fd) { need(files_.close(fd), "close", ""); }

std::vector<const WorkloadInfo*> all_workloads() {
  std::vector<const WorkloadInfo*> all;
  for (const auto part : {fxmark_data_workloads(), fxmark_name_workloads(), dbench_workloads(), application_workloads(),
                          tree_workloads()}) {
    for (const WorkloadInfo& info : part) all.push_back(&info);
  }
  return all;
}

}  // namespace scalefs::bench
