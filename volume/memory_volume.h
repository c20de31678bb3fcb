// A volume without a device: MemFS alone. Nothing is logged, fsync and sync succeed at once.
#pragma once

#include <memory>

#include "base/atomic.h"
#include "base/core.h"
#include "volume/volume.h"
#include "volume/worker.h"

namespace scalefs::volume {

class MemoryVolume final : public Volume {
 public:
  explicit MemoryVolume(const VolumeOptions& options);
  ~MemoryVolume() override;

  memfs::MemFs& fs() override { return *fs_; }
  Status fsync(MnodeNo mnode, bool data_only) override;
  void fsync_async(MnodeNo mnode, bool data_only, std::function<void(Status)> done) override;
  Status sync() override { return {}; }
  StatFs statfs() override;
  Statistics statistics() override;
  Status unmount() override;
  void shutdown() override { (void)unmount(); }
  void refuse_changes(std::string_view) override {}
  bool read_only() const override { return false; }
  bool failed() const override { return false; }
  const diskfs::VolumeInfo& info() const override { return info_; }

  bool step_commit() override { return false; }
  bool step_checkpoint() override { return false; }
  bool step_writeback() override { return false; }
  bool step_maintenance() override { return fs_->maintain(); }

 private:
  const VolumeOptions options_;
  diskfs::VolumeInfo info_;
  std::unique_ptr<memfs::MemFs> fs_;
  PerCore<RelaxedCounter> fsyncs_;
  Worker maintenance_;
};

}  // namespace scalefs::volume
