// A ring for each processor (fuse/ring.h), and one for those on which this process may not run.
#pragma once

#include <memory>
#include <vector>

#include "fuse/ring.h"

namespace scalefs::fuse {

class Rings {
 public:
  struct Config {
    int fuse_fd = -1;
    unsigned depth = 0;
    size_t payload_bytes = 0;
  };
  // See Ring::create. ENOENT: the kernel does not say which processors there may be.
  static Result<std::unique_ptr<Rings>> create(RequestHandler& handler, const Config& config);

  // After the kernel was told that rings are used. EAGAIN: the connection cannot be served.
  Status start();
  void stop();
  size_t count() const { return rings_.size(); }

 private:
  std::vector<std::unique_ptr<Ring>> rings_;
};

}  // namespace scalefs::fuse
