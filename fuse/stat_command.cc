#include "fuse/stat_command.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "fuse/inquiry.h"
#include "fuse/mount_table.h"
#include "fuse/startup.h"

namespace scalefs::fuse {

int stat_command(const std::string& mountpoint, bool json) {
  std::string why;
  std::string text;
  if (const auto root = open_volume_root(mountpoint, &why); root.ok()) {
    const auto answer = inquire(*root, json ? kInquiryStatisticsJson : kInquiryStatistics);
    if (answer.ok()) {
      text = *answer;
    } else if (answer.code() == EPERM) {
      why = "statistics are for root and the user who mounted it";
    } else {
      why = std::strerror(answer.code());
    }
    ::close(*root);
  }
  if (why.empty()) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return kExitOk;
    why = std::strerror(errno);
  }
  std::fprintf(stderr, "scalefs: %s: %s\n", mountpoint.c_str(), why.c_str());
  return kExitUsage;
}

}  // namespace scalefs::fuse
