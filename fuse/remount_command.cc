#include "fuse/remount_command.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "fuse/inquiry.h"
#include "fuse/mount_table.h"
#include "fuse/privileges.h"
#include "fuse/startup.h"
#include "fuse/sync_command.h"

namespace scalefs::fuse {
namespace {

int refuse(const std::string& text) {
  std::fprintf(stderr, "scalefs: %s\n", text.c_str());
  return kExitMountFailed;
}

// What stands against it; empty: nothing that is known.
std::string objection(const Options& options, const std::map<std::string, std::string>& facts) {
  const auto fact = [&](const char* name) {
    const auto found = facts.find(name);
    return found == facts.end() ? std::string() : found->second;
  };
  if (!options.volume.read_only && fact("read_only") == "1") {
    return fmt::format("{} was mounted read-only, and its daemon cannot write to it: unmount it, and mount it again with rw",
                       options.mountpoint);
  }
  if (!options.volume.read_only && fact("failed") == "1") {
    return fmt::format("{} has become read-only after an error: unmount it, run fsck.scalefs on {}, and mount it again",
                       options.mountpoint, fact("image"));
  }
  std::string names;
  for (const std::string& name : changed_options(fact("options"), options.remount_options)) {
    if (!names.empty()) names += ", ";
    names += name;
  }
  if (names.empty()) return {};
  return fmt::format("{} cannot be changed while {} is mounted: unmount it, and mount it again", names,
                     options.mountpoint);
}

}  // namespace

std::vector<std::string> changed_options(const std::string& running, const std::string& wanted) {
  std::string error;
  const std::vector<std::string> before_words = {"-o", running, "image", "mountpoint"};
  const auto before = parse_options("mount.scalefs", before_words, &error);
  const std::vector<std::string> after_words = {"-s", "-o", running, "-o", wanted, "image", "mountpoint"};
  const auto after = parse_options("mount.scalefs", after_words, &error);
  std::vector<std::string> names;
  if (!before || !after) return names;
  const auto differs = [&](bool different, const char* name) {
    if (different) names.emplace_back(name);
  };
  const volume::VolumeOptions& a = before->volume;
  const volume::VolumeOptions& b = after->volume;
  differs(a.commit_interval_ms != b.commit_interval_ms, "commit");
  differs(a.cache_bytes != b.cache_bytes, "cache_size");
  differs(before->threads != after->threads, "threads");
  differs(before->io_uring != after->io_uring, "io_uring");
  differs(before->queue_depth != after->queue_depth, "q_depth");
  differs(before->strict_open != after->strict_open, "strict_open");
  differs(before->writeback_cache != after->writeback_cache, "writeback_cache");
  differs(before->fuseblk != after->fuseblk, "fuseblk");
  differs(a.discard != b.discard, "discard");
  differs(before->on_errors != after->on_errors, "errors");
  differs(a.recover != b.recover, "norecovery");
  differs(!before->sync_names && after->sync_names, "sync");
  // The kernel's table names relatime for every mount, so that it says nothing; these do.
  differs(!a.noatime && b.noatime, "noatime");
  differs(!a.nodiratime && b.nodiratime, "nodiratime");
  differs((a.relatime || a.noatime) && !b.relatime && !b.noatime, "strictatime");
  return names;
}

int remount_command(const Options& options) {
  const auto entry = find_mount(options.mountpoint);
  if (!entry || !entry->is_scalefs()) {
    return refuse(fmt::format("{} is not the mount point of a scalefs volume", options.mountpoint));
  }
  std::string why;
  const auto root = open_volume_root(entry->mountpoint, &why);
  if (!root.ok()) return refuse(fmt::format("{}: {}", entry->mountpoint, why));
  if (const auto facts = inquire_daemon(*root); facts.ok()) why = objection(options, *facts);
  ::close(*root);
  if (!why.empty()) return refuse(why);
  const int status =
      run_program({"mount", "-i", "-o", options.remount_options, "--", entry->mountpoint});
  if (status == kCannotRun) return refuse("cannot run mount");
  if (status != 0 || !options.volume.read_only) return status;
  return sync_command(entry->mountpoint);
}

}  // namespace scalefs::fuse
