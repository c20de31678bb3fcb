#include "fuse/mount_table.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/units.h"

namespace scalefs::fuse {
namespace {

constexpr std::string_view kBlockType = "fuseblk.scalefs";  // which root alone can mount

// Blanks and backslashes stand as \ooo.
std::string unescape(std::string_view text) {
  const auto digit = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0'));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// The image that a loop device stands for; else the source itself, which of a mount of no block device may be any
// text that a user has chosen.
std::string behind_loop(const std::string& source) {
  constexpr std::string_view kLoop = "/dev/loop";
  if (!source.starts_with(kLoop) ||
      source.find_first_not_of("0123456789", kLoop.size()) != std::string::npos) {
    return source;
  }
  const std::string path = "/sys/block/" + source.substr(std::strlen("/dev/")) + "/loop/backing_file";
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  char text[PATH_MAX + 1];
  if (file == nullptr || std::fgets(text, sizeof(text), file.get()) == nullptr) return source;
  std::string image = text;
  if (image.ends_with('\n')) image.pop_back();
  return image;
}

// ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAG...] - TYPE SOURCE OPTIONS
std::optional<MountEntry> parse(char* line) {
  std::vector<std::string_view> words;
  char* rest = nullptr;
  for (char* word = ::strtok_r(line, " \n", &rest); word != nullptr;
       word = ::strtok_r(nullptr, " \n", &rest)) {
    words.emplace_back(word);
  }
  const auto dash = std::find(words.begin(), words.end(), "-");
  unsigned major_number = 0, minor_number = 0;
  if (words.end() - dash < 3 || dash - words.begin() < 5 ||
      std::sscanf(words[2].data(), "%u:%u", &major_number, &minor_number) != 2) {
    return std::nullopt;
  }
  MountEntry entry{.device = makedev(major_number, minor_number),
                    .mountpoint = unescape(words[4]),
                    .type = std::string(dash[1]),
                    .source = unescape(dash[2])};
  if (entry.type == kBlockType) entry.source = behind_loop(entry.source);
  return entry;
}

std::string resolved(const std::string& path) {
  char buffer[PATH_MAX];
  return ::realpath(path.c_str(), buffer) != nullptr ? std::string(buffer) : path;
}

}  // namespace

bool MountEntry::is_scalefs() const { return type == "fuse.scalefs" || type == kBlockType; }

std::vector<MountEntry> mount_table(pid_t process) {
  const std::string path =
      "/proc/" + (process == 0 ? std::string("self") : std::to_string(process)) + "/mountinfo";
  std::vector<MountEntry> table;
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (file == nullptr) return table;
  char* line = nullptr;
  size_t capacity = 0;
  while (::getline(&line, &capacity, file.get()) > 0) {
    if (auto entry = parse(line)) table.push_back(std::move(*entry));
  }
  std::free(line);
  return table;
}

std::optional<MountEntry> find_mount(const std::string& operand) {
  const std::vector<MountEntry> table = mount_table();
  const auto search = [&](auto&& matches) -> std::optional<MountEntry> {
    const auto found = std::find_if(table.rbegin(), table.rend(), matches);
    return found == table.rend() ? std::nullopt : std::optional(*found);
  };
  if (auto found = search([&](const MountEntry& e) { return e.mountpoint == operand; })) return found;
  const std::string path = resolved(operand);
  if (auto found = search([&](const MountEntry& e) { return e.mountpoint == path; })) return found;
  return search([&](const MountEntry& e) {
    return e.is_scalefs() && (e.source == operand || (e.source[0] == '/' && e.source == path));
  });
}

Result<int> open_volume_root(const std::string& mountpoint, std::string* why) {
  const int root = ::open(mountpoint.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat status;
  if (root < 0 || ::fstat(root, &status) != 0) {
    const Errno error(errno);
    *why = error.code() == ENOTCONN ? "its daemon is gone: umount it, and mount it again"
                                    : std::strerror(error.code());
    if (root >= 0) ::close(root);
    return error;
  }
  const std::vector<MountEntry> table = mount_table();
  const bool ours = std::any_of(table.begin(), table.end(), [&](const MountEntry& entry) {
    return entry.device == status.st_dev && entry.is_scalefs();
  });
  if (ours && status.st_ino == kRootMnode.v) return root;
  *why = "not the mount point of a scalefs volume";
  ::close(root);
  return Errno(EINVAL);
}

}  // namespace scalefs::fuse
