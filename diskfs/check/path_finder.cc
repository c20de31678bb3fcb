#include "diskfs/check/path_finder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <unordered_set>

#include "diskfs/items.h"
#include "diskfs/tree_walk.h"

namespace scalefs::diskfs {

namespace {

class Names final : public TreeWalkVisitor {
 public:
  using Found = std::function<void(uint64_t dir, const Dirent& entry)>;
  explicit Names(Found found) : found_(std::move(found)) {}
  bool node(const NodeInfo& info) override { return info.fault == NodeFault::none; }
  bool item(const Key& key, ConstBytes value, BlockNo) override {
    if (key.type != static_cast<uint8_t>(ItemType::dirent)) return true;
    if (!decode_dirents(key.offset, value, &entries_).ok()) return true;
    for (const Dirent& entry : entries_) found_(key.ino, entry);
    return true;
  }

 private:
  Found found_;
  std::vector<Dirent> entries_;
};

}  // namespace

PathFinder::PathFinder(NodeStore& store, const TreeRoot& root,
                       const std::vector<uint64_t>& inodes) {
  const std::unordered_set<uint64_t> wanted(inodes.begin(), inodes.end());
  Names names([&](uint64_t dir, const Dirent& entry) {
    const uint64_t ino = entry.target.ino.v;
    if (entry.target.type != S_IFDIR >> 12 && wanted.count(ino) == 0) return;
    places_.emplace(ino, Place{dir, entry.name});
  });
  (void)walk_tree(store, root, names);  // a bad root leaves no paths
}

std::string PathFinder::path(uint64_t ino) const {
  std::string text;
  uint64_t at = ino;
  for (int depth = 0; at != kRootIno.v; ++depth) {
    const auto place = places_.find(at);
    if (place == places_.end() || depth == 1024) return fmt::format("inode {}{}", ino, text);
    text.insert(0, "/" + place->second.name);
    at = place->second.dir;
  }
  return text.empty() ? "/" : text;
}

}  // namespace scalefs::diskfs
