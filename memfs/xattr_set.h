// Some extended attributes of one object, those of one bucket (xattr_table.h): an immutable set, so that readers
// take no lock. A change makes a new set, which shares the values that stay, publishes it and retires the old one.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace scalefs::memfs {

using XattrValue = std::vector<std::byte>;
using XattrPairs = std::vector<std::pair<std::string, XattrValue>>;

class XattrSet {
 public:
  XattrSet() = default;
  ~XattrSet();
  XattrSet& operator=(const XattrSet&) = delete;

  // Null when there is none of that name.
  const XattrValue* find(std::string_view name) const;
  void append_names(std::vector<std::string>* names) const;
  bool empty() const { return items_.empty(); }

  // A copy with `name` set, or without it.
  std::unique_ptr<XattrSet> with(std::string_view name, ConstBytes value) const;
  std::unique_ptr<XattrSet> without(std::string_view name) const;

 private:
  struct Item {
    std::string name;
    std::shared_ptr<const XattrValue> value;
  };
  XattrSet(const XattrSet& other);
  std::vector<Item>::iterator place(std::string_view name);
  void count();

  std::vector<Item> items_;  // ascending by name
  int64_t counted_ = 0;
};

}  // namespace scalefs::memfs
