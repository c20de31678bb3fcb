#include "tests/support/listing.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "tests/support/sha256.h"

namespace scalefs::testing {

namespace {

// JSON, each byte as the character of that number.
std::string quoted(const std::string& bytes) {
  std::string text = "\"";
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    switch (c) {
      case '"': text += "\\\""; break;
      case '\\': text += "\\\\"; break;
      case '\b': text += "\\b"; break;
      case '\f': text += "\\f"; break;
      case '\n': text += "\\n"; break;
      case '\r': text += "\\r"; break;
      case '\t': text += "\\t"; break;
      default:
        if (byte < 0x20 || byte > 0x7e) {
          text += fmt::format("\\u{:04x}", byte);
        } else {
          text += c;
        }
    }
  }
  return text + '"';
}

const char* type_name(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFIFO: return "fifo";
    case S_IFCHR: return "chr";
    case S_IFDIR: return "dir";
    case S_IFBLK: return "blk";
    case S_IFREG: return "file";
    case S_IFLNK: return "symlink";
    case S_IFSOCK: return "sock";
    default: return "?";
  }
}

std::string to_line(const std::string& path, const ListedObject& object) {
  const bool file = S_ISREG(object.mode);
  const bool link = S_ISLNK(object.mode);
  std::string xattrs;
  for (const auto& [name, value] : object.xattrs) {
    xattrs += fmt::format("{}{}:\"{}\"", xattrs.empty() ? "" : ",", quoted(name), to_hex(value));
  }
  return fmt::format(
      R"({{"path":{},"type":"{}","mode":"{:04o}","uid":{},"gid":{},"nlink":{},"rdev":{},"size":{},)"
      R"("mtime_ns":{},"ctime_ns":{},"mnode":{},"target":{},"xattrs":{{{}}},"sha256":{}}})",
      quoted(path), type_name(object.mode), object.mode & 07777, object.uid, object.gid,
      object.nlink, object.rdev, object.data.size(), object.mtime_ns, object.ctime_ns, object.mnode,
      link ? quoted(object.data) : "null", xattrs, file ? quoted(sha256_hex(object.data)) : "null");
}

}  // namespace

std::vector<std::string> to_lines(const Listing& listing) {
  std::vector<std::string> lines;
  for (const auto& [path, object] : listing) lines.push_back(to_line(path, object));
  return lines;
}

std::string difference(const std::vector<std::string>& got, const std::vector<std::string>& want) {
  const auto [one, other] = std::mismatch(got.begin(), got.end(), want.begin(), want.end());
  if (one == got.end() && other == want.end()) return "";
  return fmt::format("line {}:\n  got      {}\n  expected {}", one - got.begin() + 1,
                     one == got.end() ? "(end)" : *one, other == want.end() ? "(end)" : *other);
}

}  // namespace scalefs::testing
