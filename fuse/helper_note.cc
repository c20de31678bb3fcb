#include "fuse/helper_note.h"

#include <libmount.h>
#include <unistd.h>

#include <memory>
#include <string_view>

namespace scalefs::fuse {
namespace {

constexpr int kLinesMax = 1000;  // that a mount point may have gathered

using Fs = std::unique_ptr<libmnt_fs, void (*)(libmnt_fs*)>;
using Update = std::unique_ptr<libmnt_update, void (*)(libmnt_update*)>;
using Table = std::unique_ptr<libmnt_table, void (*)(libmnt_table*)>;

// The last line of the mount point, which is what an update removes, is one of ours.
bool has_line(const std::string& mountpoint) {
  const Table table(::mnt_new_table_from_file("/run/mount/utab"), &::mnt_unref_table);
  if (table == nullptr) return false;
  libmnt_fs* const fs = ::mnt_table_find_target(table.get(), mountpoint.c_str(), MNT_ITER_BACKWARD);
  char* value = nullptr;
  size_t length = 0;
  return fs != nullptr && ::mnt_fs_get_option(fs, "uhelper", &value, &length) == 0 &&
         std::string_view(value, length) == "scalefs";
}

}  // namespace

void note_umount_helper(const std::string& source, const std::string& mountpoint) {
  if (::geteuid() != 0) return;
  forget_umount_helper(mountpoint);
  const Fs fs(::mnt_new_fs(), &::mnt_unref_fs);
  const Update update(::mnt_new_update(), &::mnt_free_update);
  if (fs == nullptr || update == nullptr) return;
  if (::mnt_fs_set_source(fs.get(), source.c_str()) != 0 ||
      ::mnt_fs_set_target(fs.get(), mountpoint.c_str()) != 0 ||
      ::mnt_fs_set_options(fs.get(), "uhelper=scalefs") != 0) {
    return;
  }
  // Anything but 0: there is no such table, or nothing to say to it.
  if (::mnt_update_set_fs(update.get(), 0, nullptr, fs.get()) == 0) (void)::mnt_update_table(update.get(), nullptr);
}

void forget_umount_helper(const std::string& mountpoint) {
  if (::geteuid() != 0) return;
  for (int line = 0; line < kLinesMax && has_line(mountpoint); ++line) {
    const Update update(::mnt_new_update(), &::mnt_free_update);
    if (update == nullptr || ::mnt_update_set_fs(update.get(), 0, mountpoint.c_str(), nullptr) != 0 ||
        ::mnt_update_table(update.get(), nullptr) != 0) {
      return;
    }
  }
}

}  // namespace scalefs::fuse
