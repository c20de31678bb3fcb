#include "fuse/inquiry.h"

#include <linux/limits.h>
#include <sys/xattr.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace scalefs::fuse {

Result<std::string> inquire(int root, const char* name) {
  std::string answer(XATTR_SIZE_MAX, '\0');
  const ssize_t length = ::fgetxattr(root, name, answer.data(), answer.size());
  if (length < 0) return Errno(errno);
  answer.resize(static_cast<size_t>(length));
  return answer;
}

Result<std::map<std::string, std::string>> inquire_daemon(int root) {
  SCALEFS_TRY(const std::string text, inquire(root, kInquiryDaemon));
  std::map<std::string, std::string> facts;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const size_t equals = line.find('=');
    if (equals != std::string_view::npos) {
      facts.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
  }
  return facts;
}

uint64_t process_start(pid_t process) {
  const std::string path = "/proc/" + std::to_string(process) + "/stat";
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  char text[1024];
  if (file == nullptr) return 0;
  text[std::fread(text, 1, sizeof(text) - 1, file.get())] = '\0';
  // The program's name, which may contain anything, ends with the last parenthesis; the start is the 20th field behind it.
  const char* at = std::strrchr(text, ')');
  unsigned long long start = 0;
  if (at == nullptr ||
      std::sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                  &start) != 1) {
    return 0;
  }
  return start;
}

}  // namespace scalefs::fuse
