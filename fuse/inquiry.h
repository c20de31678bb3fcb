// What a mounted volume's daemon tells of itself, to root and to the user who mounted: asked for as an extended
// attribute of the root directory that no listing shows. So it comes through the mount and needs no socket, no path and no
// permission of its own; and who may not ask gets EPERM.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace scalefs::fuse {

// Names of such attributes begin so; none can be set.
inline constexpr std::string_view kInquiryPrefix = "scalefs.";
// Lines NAME=VALUE: the daemon, and how it was mounted.
inline constexpr char kInquiryDaemon[] = "scalefs.daemon";
// Statistics, for people and as JSON.
inline constexpr char kInquiryStatistics[] = "scalefs.statistics";
inline constexpr char kInquiryStatisticsJson[] = "scalefs.statistics.json";

// The answer of the daemon behind the open root directory. EPERM: not for this user; ENOTCONN: the daemon is gone;
// EOPNOTSUPP: it does not know the question.
Result<std::string> inquire(int root, const char* name);

// kInquiryDaemon, taken apart.
Result<std::map<std::string, std::string>> inquire_daemon(int root);

// When the process began, in the kernel's ticks since its start; 0: no such process. With its number it names one
// process for good.
uint64_t process_start(pid_t process);

}  // namespace scalefs::fuse
