#include "fuse/mount_users.h"

#include <dirent.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace scalefs::fuse {
namespace {

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;
using File = std::unique_ptr<FILE, int (*)(FILE*)>;

bool is_below(std::string_view path, const std::string& mountpoint) {
  return path.starts_with(mountpoint) &&
         (path.size() == mountpoint.size() || path[mountpoint.size()] == '/');
}

bool link_is_below(const std::string& link, const std::string& mountpoint) {
  char target[PATH_MAX];
  const ssize_t length = ::readlink(link.c_str(), target, sizeof(target));
  return length > 0 && is_below({target, static_cast<size_t>(length)}, mountpoint);
}

bool maps_below(const std::string& maps, const std::string& mountpoint) {
  const File file(std::fopen(maps.c_str(), "re"), &std::fclose);
  if (file == nullptr) return false;
  char* line = nullptr;
  size_t capacity = 0;
  bool found = false;
  ssize_t length;
  while (!found && (length = ::getline(&line, &capacity, file.get())) > 0) {
    std::string_view text(line, static_cast<size_t>(length));
    if (text.ends_with('\n')) text.remove_suffix(1);
    const size_t path = text.find('/');
    found = path != std::string_view::npos && is_below(text.substr(path), mountpoint);
  }
  std::free(line);
  return found;
}

bool uses(const std::string& process, const std::string& mountpoint) {
  for (const char* link : {"/cwd", "/root", "/exe"}) {
    if (link_is_below(process + link, mountpoint)) return true;
  }
  const Folder files(::opendir((process + "/fd").c_str()), &::closedir);
  if (files == nullptr) return false;
  while (const dirent* entry = ::readdir(files.get())) {
    if (link_is_below(process + "/fd/" + entry->d_name, mountpoint)) return true;
  }
  return maps_below(process + "/maps", mountpoint);
}

std::string name_of(const std::string& process) {
  const File file(std::fopen((process + "/comm").c_str(), "re"), &std::fclose);
  char name[64] = "";
  if (file == nullptr || std::fscanf(file.get(), "%63[^\n]", name) != 1) return "?";
  return name;
}

}  // namespace

std::vector<pid_t> all_processes() {
  std::vector<pid_t> processes;
  const Folder folder(::opendir("/proc"), &::closedir);
  if (folder == nullptr) return processes;
  while (const dirent* entry = ::readdir(folder.get())) {
    const int number = std::atoi(entry->d_name);
    if (number > 0) processes.push_back(number);
  }
  return processes;
}

std::vector<MountUser> mount_users(const std::string& mountpoint, size_t most) {
  std::vector<MountUser> users;
  for (const pid_t number : all_processes()) {
    if (users.size() == most) break;
    const std::string process = "/proc/" + std::to_string(number);
    if (uses(process, mountpoint)) users.push_back({number, name_of(process)});
  }
  return users;
}

std::string describe_users(const std::vector<MountUser>& users) {
  std::string text;
  for (const MountUser& user : users) {
    if (!text.empty()) text += ", ";
    text += "process " + std::to_string(user.process) + " (" + user.program + ")";
  }
  return text;
}

}  // namespace scalefs::fuse
