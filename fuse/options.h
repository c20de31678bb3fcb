// The command line of scalefs, and of the names under which mount(8) calls it.
//
//   scalefs [-fdVh] [-o OPT[,OPT...]] SOURCE MOUNTPOINT
//   scalefs [-fdVh] [-o OPT[,OPT...]] --memory MOUNTPOINT
//   scalefs sync MOUNTPOINT
//   scalefs stat [--json] MOUNTPOINT       (an image of a command's name is given as ./sync)
//   mount.scalefs SOURCE MOUNTPOINT [-sfnv] [-o OPT[,OPT...]] [-t TYPE]
//
// Options may stand before or after the operands. Option names are those of mount(8) and of
// mount.fuse3(8), and a few of our own. A name that is not known is an error that names the nearest
// one that is, so that a typo never silently drops a promise.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fuse/transport_options.h"
#include "volume/volume.h"

namespace scalefs::fuse {

struct Options {
  enum class Action { mount, remount, sync, stat, help, version, nothing };
  Action action = Action::mount;

  std::string source;      // an image or a device; empty with `memory`
  std::string mountpoint;  // also of sync and stat
  bool json = false;       // of stat
  bool memory = false;
  bool foreground = false;
  bool debug = false;
  bool verbose = false;
  bool by_mount = false;  // called by mount(8), which leaves out what its defaults have: suid and dev
  bool nofail = false;    // with by_mount: an image that does not exist is no error

  // cache_bytes 0: of a volume in memory what VolumeOptions has, else by the machine's memory (memory_limit.h).
  volume::VolumeOptions volume{.cache_bytes = 0};
  bool sync_names = false;  // sync, dirsync
  // What damage of one object does to all others: nothing, or the volume takes no more changes.
  enum class OnErrors { go_on, remount_read_only } on_errors = OnErrors::go_on;
  unsigned threads = 0;     // 0: by the number of cores
  bool strict_open = false;
  bool writeback_cache = false;
  // A mount of a block device, which sync(2) reaches and umount(2) waits for. Unset: where it can be had.
  std::optional<bool> fuseblk;
  RingUse io_uring = RingUse::automatic;
  unsigned queue_depth = 32;
  std::string fsname;       // empty: the source
  std::string subtype = "scalefs";
  // allow_other or allow_root was given, or refused: then there is no default.
  std::optional<bool> allow_other;
  bool allow_root = false;
  std::vector<std::string> pass_on;  // for libfuse and the kernel, one each
  std::string remount_options;       // the whole list, for mount -i
};

// `arguments` without the program's name; `program` is that name or a path to it. On an error
// nullopt, and `*error` says what is wrong in one line.
std::optional<Options> parse_options(std::string_view program,
                                     std::span<const std::string> arguments, std::string* error);

// What libfuse is given: `pass_on` and what follows from the other options. As root, everybody may
// use the mount unless the options say otherwise, and mount(8) means suid and dev where it does not say nosuid and nodev. `read_only`: whatever the options say.
std::vector<std::string> mount_options(const Options& options, bool as_root, bool read_only);

// 4096, 64K, 512M, 2G, 1T: powers of 1024. nullopt for anything else, also for what exceeds 64 bits.
std::optional<uint64_t> parse_size(std::string_view text);

// What the daemon was started with, as a list that parse_options takes: its own options, those of the kernel left out.
std::string own_options(const Options& options);

std::string help_text();

}  // namespace scalefs::fuse
