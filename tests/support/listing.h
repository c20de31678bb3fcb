// The canonical listing of a file system's content: the lines that tools/scalefs_reader.py prints.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace scalefs::testing {

// What a path stands for.
struct ListedObject {
  uint32_t mode = 0;  // type and permissions, as st_mode
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t nlink = 0;
  uint64_t rdev = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  uint64_t mnode = 0;
  std::string data;  // of a file, or a symbolic link's target
  std::map<std::string, std::string> xattrs;
};

// By path; the root's is "/". Sorted by the bytes of the paths.
using Listing = std::map<std::string, ListedObject>;

// A line for each path, without line ends.
std::vector<std::string> to_lines(const Listing& listing);

// The first lines that differ, for a failure's message; empty when the listings are equal.
std::string difference(const std::vector<std::string>& got, const std::vector<std::string>& want);

}  // namespace scalefs::testing
