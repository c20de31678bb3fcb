#include "tests/support/content.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace scalefs::testing {

namespace {

std::string text_of_bytes(ConstBytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Status names_of(memfs::MemFs& fs, MnodeNo dir, std::map<std::string, MnodeNo>* names) {
  return fs.readdir(dir, 0, [&](const memfs::DirectoryEntry& entry) {
    if (entry.name != "." && entry.name != "..") names->emplace(entry.name, entry.mnode);
    return true;
  });
}

void take(memfs::MemFs& fs, const std::string& path, ContentNode* node) {
  const MnodeNo mnode = node->attr.mnode;
  if (S_ISREG(node->attr.mode)) {
    node->data.resize(node->attr.size);
    const auto read = fs.read(mnode, 0, std::as_writable_bytes(std::span(node->data)));
    ASSERT_TRUE(read.ok() && *read == node->attr.size) << path;
  } else if (S_ISLNK(node->attr.mode)) {
    const auto target = fs.readlink(mnode);
    ASSERT_TRUE(target.ok()) << path;
    node->data = *target;
  }
  const auto attributes = fs.listxattr(mnode);
  ASSERT_TRUE(attributes.ok()) << path;
  for (const std::string& name : *attributes) {
    const auto value = fs.getxattr(mnode, name);
    ASSERT_TRUE(value.ok()) << path << " " << name;
    node->xattrs[name] = text_of_bytes(*value);
  }
  if (!S_ISDIR(node->attr.mode)) return;
  std::map<std::string, MnodeNo> names;
  ASSERT_TRUE(names_of(fs, mnode, &names).ok()) << path;
  for (const auto& [name, number] : names) {
    const auto found = fs.lookup(mnode, name);
    ASSERT_TRUE(found.ok()) << path << "/" << name;
    node->children[name].attr = found->attr;
    take(fs, path + "/" + name, &node->children[name]);
  }
}

class Comparison {
 public:
  Comparison(memfs::MemFs& fs, ContentAnswer& answer) : fs_(fs), answer_(answer) {}

  void object(const std::string& path, const ContentNode& node) {
    attributes(path, node);
    if (S_ISREG(node.attr.mode)) data(path, node);
    if (S_ISLNK(node.attr.mode)) {
      const auto target = fs_.readlink(node.attr.mnode);
      if (has(target, path, "readlink")) check(*target == node.data, path, "its target");
    }
    if (S_ISDIR(node.attr.mode)) children(path, node);
  }

 private:
  void check(bool right, const std::string& path, std::string_view what) {
    if (right) ++answer_.answers;
    if (!right && answer_.wrong.empty()) answer_.wrong = fmt::format("{}: {} is wrong", path, what);
  }
  // Whether there is an answer to compare.
  template <class Answer>
  bool has(const Answer& answer, const std::string& path, const char* call) {
    if (answer.ok()) return true;
    const int code = answer.code();
    if (code == EIO || code == EUCLEAN) {
      ++answer_.errors;
    } else {
      check(false, path, fmt::format("error {} of {}", code, call));
    }
    return false;
  }

  void attributes(const std::string& path, const ContentNode& node) {
    const auto attr = fs_.getattr(node.attr.mnode);
    if (has(attr, path, "getattr")) check(*attr == node.attr, path, "an attribute");
    auto names = fs_.listxattr(node.attr.mnode);
    if (has(names, path, "listxattr")) {
      std::sort(names->begin(), names->end());
      const bool same = std::equal(names->begin(), names->end(), node.xattrs.begin(),
                                   node.xattrs.end(),
                                   [](const auto& a, const auto& b) { return a == b.first; });
      check(same, path, "the list of extended attributes");
    }
    for (const auto& [name, expected] : node.xattrs) {
      const auto value = fs_.getxattr(node.attr.mnode, name);
      if (has(value, path, "getxattr")) check(text_of_bytes(*value) == expected, path, name);
    }
  }

  // Whole, and when that fails page by page: the others are there.
  void data(const std::string& path, const ContentNode& node) {
    if (read(path, node, 0, node.data.size())) return;
    for (uint64_t at = 0; at < node.data.size(); at += kBlockBytes) {
      read(path, node, at, std::min<uint64_t>(kBlockBytes, node.data.size() - at));
    }
  }
  bool read(const std::string& path, const ContentNode& node, uint64_t at, uint64_t size) {
    buffer_.resize(size);
    const auto count = fs_.read(node.attr.mnode, at, buffer_);
    if (!has(count, path, "read")) return false;
    const bool same = *count == size && std::memcmp(buffer_.data(), node.data.data() + at, size) == 0;
    check(same, path, "content");
    return true;
  }

  void children(const std::string& path, const ContentNode& node) {
    std::map<std::string, MnodeNo> names;
    const bool listed = has(names_of(fs_, node.attr.mnode, &names), path, "readdir");
    if (listed) check(names.size() == node.children.size(), path, "the number of its names");
    for (const auto& [name, child] : node.children) {
      const std::string below = path + "/" + name;
      if (listed) {
        const auto found = names.find(name);
        check(found != names.end() && found->second == child.attr.mnode, below, "its entry");
      }
      const auto found = fs_.lookup(node.attr.mnode, name);
      if (!has(found, below, "lookup")) continue;
      check(found->attr == child.attr, below, "an attribute with its name");
      if (found->attr.mnode == child.attr.mnode) object(below, child);
    }
  }

  memfs::MemFs& fs_;
  ContentAnswer& answer_;
  std::vector<std::byte> buffer_;
};

}  // namespace

ContentNode take_content(memfs::MemFs& fs) {
  ContentNode root;
  const auto attr = fs.getattr(kRootMnode);
  EXPECT_TRUE(attr.ok());
  if (attr.ok()) {
    root.attr = *attr;
    take(fs, "", &root);
  }
  return root;
}

ContentAnswer compare_content(memfs::MemFs& fs, const ContentNode& expected) {
  ContentAnswer answer;
  Comparison(fs, answer).object("", expected);
  return answer;
}

}  // namespace scalefs::testing
