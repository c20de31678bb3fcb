#include "fuse/rings.h"

#include <algorithm>
#include <cerrno>

#include "fuse/processors.h"

namespace scalefs::fuse {
namespace {

// Of processors that do not run, or not for us.
constexpr unsigned kDepthElsewhere = 2;
constexpr unsigned kThreadsMax = 32;

}  // namespace

Result<std::unique_ptr<Rings>> Rings::create(RequestHandler& handler, const Config& config) {
  const std::vector<unsigned> processors = possible_processors();
  if (processors.empty()) return Errno(ENOENT);
  const std::vector<unsigned> ours = our_processors();
  if (ours.empty()) return Errno(ENOENT);

  auto rings = std::make_unique<Rings>();
  Ring::Config elsewhere;
  for (const unsigned processor : processors) {
    const auto queue = static_cast<uint16_t>(processor);
    if (!std::ranges::binary_search(ours, processor)) {
      elsewhere.queues.push_back(queue);
      continue;
    }
    Ring::Config wanted;
    wanted.fuse_fd = config.fuse_fd;
    wanted.queues = {queue};
    wanted.pinned = processor;
    wanted.depth = config.depth;
    wanted.payload_bytes = config.payload_bytes;
    wanted.threads_max = std::min(config.depth, kThreadsMax);
    SCALEFS_TRY(auto ring, Ring::create(handler, wanted));
    rings->rings_.push_back(std::move(ring));
  }
  if (!elsewhere.queues.empty()) {
    elsewhere.fuse_fd = config.fuse_fd;
    elsewhere.depth = std::min(config.depth, kDepthElsewhere);
    elsewhere.payload_bytes = config.payload_bytes;
    elsewhere.threads_max = kThreadsMax;
    SCALEFS_TRY(auto ring, Ring::create(handler, elsewhere));
    rings->rings_.push_back(std::move(ring));
  }
  return rings;
}

Status Rings::start() {
  for (auto& ring : rings_) SCALEFS_TRY_VOID(ring->start());
  return {};
}

void Rings::stop() {
  for (auto& ring : rings_) ring->stop();
}

}  // namespace scalefs::fuse
