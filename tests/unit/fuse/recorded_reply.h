// A Reply that keeps what it was answered, for tests. Unlike a transport's it outlives the answer.
#pragma once

#include <string>
#include <vector>

#include "base/mutex.h"
#include "fuse/request.h"
#include "fuse/wire.h"

namespace scalefs::fuse {

class RecordedReply final : public Reply {
 public:
  enum class Kind { nothing, error, none, entry, no_entry, created, attr, opened, filled, listing,
                    data, written, xattr_size, offset, statfs };

  // A handle for one request; the next one begins a new record.
  Responder responder() {
    MutexLock lock(mutex_);
    kind_ = Kind::nothing;
    code = 0;
    bytes.clear();
    names.clear();
    cookies.clear();
    attrs.clear();
    used_ = 0;
    return Responder(this);
  }
  // Waits for the answer of the last request.
  Kind kind() {
    MutexLock lock(mutex_);
    while (kind_ == Kind::nothing) answered_.wait(mutex_);
    return kind_;
  }
  bool answered() {
    MutexLock lock(mutex_);
    return kind_ != Kind::nothing;
  }
  // The code of an answer that is an error; -1 of another.
  int error_code() { return kind() == Kind::error ? code : -1; }

  // What was answered.
  int code = 0;
  Attr given;
  OpenMode mode;
  std::string bytes;
  uint64_t number = 0;
  volume::StatFs space;
  std::vector<std::string> names;  // of a listing
  std::vector<uint64_t> cookies;
  std::vector<bool> attrs;  // whether the entry carried attributes
  // What entry(), created() and listing() say of the answer's arrival.
  bool arrives = true;
  // buffer() fails.
  bool out_of_memory = false;

  Bytes buffer(size_t size) override {
    if (out_of_memory) throw std::bad_alloc();
    buffer_.assign(size, std::byte{0xee});
    return buffer_;
  }
  bool pack_entry(const memfs::DirectoryEntry& entry, size_t bytes_max) override {
    return pack(entry, false, nullptr, bytes_max);
  }
  bool pack_entry_plus(const memfs::DirectoryEntry& entry, const Attr* attr,
                       size_t bytes_max) override {
    return pack(entry, true, attr, bytes_max);
  }
  void error(int with) override {
    code = with;
    answer(Kind::error);
  }
  void none() override { answer(Kind::none); }
  bool entry(const Attr& with) override {
    given = with;
    answer(Kind::entry);
    return arrives;
  }
  void no_entry() override { answer(Kind::no_entry); }
  bool created(const Attr& with, const OpenMode& open) override {
    given = with;
    mode = open;
    answer(Kind::created);
    return arrives;
  }
  void attr(const Attr& with) override {
    given = with;
    answer(Kind::attr);
  }
  void opened(const OpenMode& with) override {
    mode = with;
    answer(Kind::opened);
  }
  void filled(size_t size) override {
    bytes.assign(reinterpret_cast<const char*>(buffer_.data()), size);
    answer(Kind::filled);
  }
  bool listing() override {
    answer(Kind::listing);
    return arrives;
  }
  void data(ConstBytes with) override {
    bytes.assign(reinterpret_cast<const char*>(with.data()), with.size());
    answer(Kind::data);
  }
  void written(size_t size) override {
    number = size;
    answer(Kind::written);
  }
  void xattr_size(size_t size) override {
    number = size;
    answer(Kind::xattr_size);
  }
  void offset(uint64_t at) override {
    number = at;
    answer(Kind::offset);
  }
  void statfs(const volume::StatFs& with) override {
    space = with;
    answer(Kind::statfs);
  }

 private:
  bool pack(const memfs::DirectoryEntry& entry, bool plus, const Attr* with, size_t bytes_max) {
    listing_.resize(bytes_max);
    const size_t end = wire::pack_entry(listing_, used_, entry, plus, with);
    if (end == 0) return false;
    used_ = end;
    names.emplace_back(entry.name);
    cookies.push_back(entry.next_cookie);
    attrs.push_back(with != nullptr);
    return true;
  }
  void answer(Kind kind) {
    MutexLock lock(mutex_);
    SCALEFS_CHECK(kind_ == Kind::nothing);
    kind_ = kind;
    answered_.notify_all();
  }

  Mutex mutex_;
  CondVar answered_;
  Kind kind_ = Kind::nothing;
  std::vector<std::byte> buffer_;
  std::vector<std::byte> listing_;
  size_t used_ = 0;
};

}  // namespace scalefs::fuse
