// MemFs' calls on file data: they find the object and hand on to FileAccess.
#include "memfs/file_access.h"

namespace scalefs::memfs {
namespace {

// A regular file, kept in memory. EISDIR for a directory, EINVAL for other types.
Result<Pin> pin_file(MemFs::Impl& impl, MnodeNo number) {
  SCALEFS_TRY(Pin pin, Pin::of(impl, number));
  if (pin->is_directory()) return Errno(EISDIR);
  if (!pin->is_file()) return Errno(EINVAL);
  return pin;
}

}  // namespace

Result<size_t> MemFs::read(MnodeNo file, uint64_t offset, Bytes to) {
  SCALEFS_TRY(Pin pin, pin_file(*impl_, file));
  SCALEFS_TRY(const size_t got, FileAccess(*impl_, *pin).read(offset, to));
  if (!to.empty()) impl_->touch_atime(*pin);
  return got;
}

Result<size_t> MemFs::write(MnodeNo file, uint64_t offset, ConstBytes from, bool kill_suid_sgid) {
  SCALEFS_TRY(Pin pin, pin_file(*impl_, file));
  if (kill_suid_sgid && !from.empty()) SCALEFS_TRY_VOID(impl_->kill_set_id(*pin));
  return FileAccess(*impl_, *pin).write(offset, from);
}

Result<uint64_t> MemFs::append(MnodeNo file, ConstBytes from) {
  SCALEFS_TRY(Pin pin, pin_file(*impl_, file));
  return FileAccess(*impl_, *pin).append(from);
}

}  // namespace scalefs::memfs
