#include "memfs/xattr_set.h"

#include <algorithm>

#include "base/memory.h"

namespace scalefs::memfs {

XattrCell::XattrCell(ConstBytes value) : value_(new StoredXattr(value)) {
  memory_count(MemoryClass::xattr, static_cast<int64_t>(sizeof(XattrCell) + value.size()));
}

XattrCell::~XattrCell() {
  const StoredXattr* value = value_.load(relaxed);
  memory_count(MemoryClass::xattr, -static_cast<int64_t>(sizeof(XattrCell) + value->bytes().size()));
  delete value;
}

const StoredXattr* XattrCell::replace(std::unique_ptr<const StoredXattr> value) {
  const auto size = static_cast<int64_t>(value->bytes().size());
  const StoredXattr* old = value_.exchange(value.release(), acq_rel);  // pairs with value()
  memory_count(MemoryClass::xattr, size - static_cast<int64_t>(old->bytes().size()));
  return old;
}

XattrSet::XattrSet(const XattrSet& other) : items_(other.items_) {}

XattrSet::~XattrSet() { memory_count(MemoryClass::xattr, -counted_); }

void XattrSet::count() {
  for (const Item& item : items_) counted_ += static_cast<int64_t>(sizeof(Item) + item.name.size());
  memory_count(MemoryClass::xattr, counted_);
}

XattrSet::Items::iterator XattrSet::place(std::string_view name) {
  return std::lower_bound(items_.begin(), items_.end(), name,
                          [](const Item& item, std::string_view n) { return item.name < n; });
}

XattrCell* XattrSet::cell(std::string_view name) const {
  const auto at =
      std::lower_bound(items_.begin(), items_.end(), name,
                       [](const Item& item, std::string_view n) { return item.name < n; });
  return at != items_.end() && at->name == name ? at->cell.get() : nullptr;
}

const StoredXattr* XattrSet::find(std::string_view name) const {
  const XattrCell* found = cell(name);
  return found != nullptr ? &found->value() : nullptr;
}

void XattrSet::append_names(std::vector<std::string>* names) const {
  for (const Item& item : items_) names->emplace_back(item.name);
}

std::unique_ptr<XattrSet> XattrSet::with(std::string_view name, ConstBytes value) const {
  std::unique_ptr<XattrSet> copy(new XattrSet(*this));
  auto cell = std::make_shared<XattrCell>(value);
  const auto at = copy->place(name);
  if (at != copy->items_.end() && at->name == name) {
    at->cell = std::move(cell);
  } else {
    copy->items_.insert(at, Item{Name(name), std::move(cell)});
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
