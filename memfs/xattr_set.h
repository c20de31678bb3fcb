// Some extended attributes of one object, those of one bucket (xattr_table.h): an immutable set of names, so that
// readers take no lock. A change of the names makes a new set, which shares the cells that stay, publishes it and retires
// the old one. A new value of a name that is there goes into the name's cell, on a line of its own: who asks for names
// alone does not meet it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/line_allocator.h"

namespace scalefs::memfs {

using XattrValue = std::vector<std::byte>;
using XattrPairs = std::vector<std::pair<std::string, XattrValue>>;

// A value as it is kept. Like all of a set it is read by many cores for long, and has its lines to itself.
class alignas(64) StoredXattr {
 public:
  explicit StoredXattr(ConstBytes value) : bytes_(value.begin(), value.end()) {}
  ConstBytes bytes() const { return bytes_; }

 private:
  const std::vector<std::byte, LineAllocator<std::byte>> bytes_;
};

// The value of one name.
class alignas(64) XattrCell {
 public:
  explicit XattrCell(ConstBytes value);
  ~XattrCell();
  XattrCell(const XattrCell&) = delete;
  XattrCell& operator=(const XattrCell&) = delete;

  // Under an EpochGuard, or under the lock of the name's changes.
  const StoredXattr& value() const { return *value_.load(acquire); }  // pairs with replace()
  // Under that lock. The caller retires what was there.
  const StoredXattr* replace(std::unique_ptr<const StoredXattr> value);

 private:
  Atomic<const StoredXattr*> value_;
};

class alignas(64) XattrSet {
 public:
  XattrSet() = default;
  ~XattrSet();
  XattrSet& operator=(const XattrSet&) = delete;

  // Null when there is none of that name.
  const StoredXattr* find(std::string_view name) const;
  XattrCell* cell(std::string_view name) const;
  void append_names(std::vector<std::string>* names) const;
  bool empty() const { return items_.empty(); }

  // A copy with `name` set, in a cell that no other set has; or without it.
  std::unique_ptr<XattrSet> with(std::string_view name, ConstBytes value) const;
  std::unique_ptr<XattrSet> without(std::string_view name) const;

 private:
  using Name = std::basic_string<char, std::char_traits<char>, LineAllocator<char>>;
  struct Item {
    Name name;
    std::shared_ptr<XattrCell> cell;
  };
  using Items = std::vector<Item, LineAllocator<Item>>;
  XattrSet(const XattrSet& other);
  Items::iterator place(std::string_view name);
  void count();

  Items items_;  // ascending by name
  int64_t counted_ = 0;
};

}  // namespace scalefs::memfs
