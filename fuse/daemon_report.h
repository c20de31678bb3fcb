// What the daemon answers to who asks it (fuse/inquiry.h), as text.
#pragma once

#include <string>

#include "fuse/options.h"
#include "fuse/request_stats.h"

namespace scalefs::fuse {

// kInquiryDaemon: process, start, image, read_only, failed, options.
// `image`: its path, empty for a volume in memory.
std::string daemon_facts(const Options& options, const std::string& image, const volume::Volume& volume);

struct Report {
  const Options& options;
  const std::string& mountpoint;
  volume::Volume& volume;
  const RequestStats& requests;
  bool over_rings = false;
};
// Statistics for people, a table; and as one JSON object. At most some 20 KiB, and 8 bytes a core.
std::string report_text(const Report& report);
std::string report_json(const Report& report);

}  // namespace scalefs::fuse
