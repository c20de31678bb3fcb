// umount.scalefs, which umount(8) calls for a mounted volume (as umount.fuse.scalefs) with its own options:
//
//   umount.scalefs [-flnrv] [-N NAMESPACE] [-t TYPE] MOUNTPOINT|IMAGE
//
// Over FUSE, umount(2) returns when the mount is gone, and the daemon writes on. This returns when everything is
// durable and the daemon has ended, so that the image may be copied, checked or mounted elsewhere. With -l and -f it
// waits for nobody, as they are for daemons that do not answer.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace scalefs::fuse {

struct UmountOptions {
  std::string operand;
  bool force = false;
  bool lazy = false;
  bool no_table = false;   // -n
  bool read_only = false;  // -r: remount read-only when it is busy
  bool verbose = false;
};

bool is_umount_helper(std::string_view program);
// nullopt: `*error` says what is wrong in one line.
std::optional<UmountOptions> parse_umount(std::span<const std::string> arguments, std::string* error);
// Returns the exit status, one of umount(8); a failure is told on standard error.
int umount_command(const UmountOptions& options);

}  // namespace scalefs::fuse
