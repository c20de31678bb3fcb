#include "memfs/xattr_set.h"

#include <algorithm>

#include "base/memory.h"

namespace scalefs::memfs {

XattrSet::XattrSet(const XattrSet& other) : items_(other.items_) {}

XattrSet::~XattrSet() { memory_count(MemoryClass::xattr, -counted_); }

// Values that two sets share are counted in both for as long as both live, which is short.
void XattrSet::count() {
  for (const Item& item : items_)
    counted_ += static_cast<int64_t>(sizeof(Item) + item.name.size() + item.value->size());
  memory_count(MemoryClass::xattr, counted_);
}

std::vector<XattrSet::Item>::iterator XattrSet::place(std::string_view name) {
  return std::lower_bound(items_.begin(), items_.end(), name,
                          [](const Item& item, std::string_view n) { return item.name < n; });
}

const XattrValue* XattrSet::find(std::string_view name) const {
  const auto at =
      std::lower_bound(items_.begin(), items_.end(), name,
                       [](const Item& item, std::string_view n) { return item.name < n; });
  return at != items_.end() && at->name == name ? at->value.get() : nullptr;
}

void XattrSet::append_names(std::vector<std::string>* names) const {
  for (const Item& item : items_) names->push_back(item.name);
}

std::unique_ptr<XattrSet> XattrSet::with(std::string_view name, ConstBytes value) const {
  std::unique_ptr<XattrSet> copy(new XattrSet(*this));
  auto bytes = std::make_shared<const XattrValue>(value.begin(), value.end());
  const auto at = copy->place(name);
  if (at != copy->items_.end() && at->name == name) {
    at->value = std::move(bytes);
  } else {
    copy->items_.insert(at, Item{std::string(name), std::move(bytes)});
  }
  copy->count();
  return copy;
}

std::unique_ptr<XattrSet> XattrSet::without(std::string_view name) const {
  std::unique_ptr<XattrSet> copy(new XattrSet(*this));
  const auto at = copy->place(name);
  if (at != copy->items_.end() && at->name == name) copy->items_.erase(at);
  copy->count();
  return copy;
}

}  // namespace scalefs::memfs
