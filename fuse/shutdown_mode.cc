#include "fuse/shutdown_mode.h"

#include <sys/uio.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "fuse/privileges.h"

namespace scalefs::fuse {
namespace {

bool read_number(int pid, const void* address, uint32_t* number) {
  iovec local = {number, sizeof(*number)};
  iovec remote = {const_cast<void*>(address), sizeof(*number)};
  return process_vm_readv(pid, &local, 1, &remote, 1, 0) == ssize_t{sizeof(*number)};
}

}  // namespace

bool read_shutdown_mode(int pid, const void* argument, uint32_t* mode) {
  if (read_number(pid, argument, mode)) return true;
  std::string output;
  const std::string address = std::to_string(reinterpret_cast<uintptr_t>(argument));
  const int status = run_program("/proc/self/exe", {kReadMemoryProgram, std::to_string(pid), address}, &output);
  if (status != 0 || output.empty()) return false;
  *mode = static_cast<uint32_t>(std::strtoul(output.c_str(), nullptr, 10));
  return true;
}

int read_memory_command(std::span<const std::string> arguments) {
  if (arguments.size() != 2) return 1;
  const auto address = std::strtoull(arguments[1].c_str(), nullptr, 10);
  uint32_t number = 0;
  if (!read_number(std::atoi(arguments[0].c_str()), reinterpret_cast<const void*>(address), &number)) return 1;
  std::printf("%u\n", number);
  return 0;
}

}  // namespace scalefs::fuse
