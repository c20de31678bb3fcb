#include "bench/worker/dbench_load.h"

#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace scalefs::bench {
namespace {

// Parameters: n a name, h a handle, o a handle that is opened, d a number.
struct Form {
  const char* word;
  DbenchCall call;
  const char* parameters;
};
constexpr Form kForms[] = {
    {"NTCreateX", DbenchCall::NTCreateX, "nddo"},
    {"Close", DbenchCall::Close, "h"},
    {"Rename", DbenchCall::Rename, "nn"},
    {"Unlink", DbenchCall::Unlink, "nd"},
    {"Deltree", DbenchCall::Deltree, "n"},
    {"Rmdir", DbenchCall::Rmdir, "n"},
    {"Mkdir", DbenchCall::Mkdir, "n"},
    {"QUERY_PATH_INFORMATION", DbenchCall::Qpathinfo, "nd"},
    {"QUERY_FILE_INFORMATION", DbenchCall::Qfileinfo, "hd"},
    {"QUERY_FS_INFORMATION", DbenchCall::Qfsinfo, "d"},
    {"SET_FILE_INFORMATION", DbenchCall::Sfileinfo, "hd"},
    {"FIND_FIRST", DbenchCall::Find, "nddd"},
    {"WriteX", DbenchCall::WriteX, "hddd"},
    {"ReadX", DbenchCall::ReadX, "hddd"},
    {"LockX", DbenchCall::LockX, "hdd"},
    {"UnlockX", DbenchCall::UnlockX, "hdd"},
    {"Flush", DbenchCall::Flush, "h"},
    {"Sleep", DbenchCall::Sleep, "d"},
};
constexpr uint64_t kTransferMost = 64u << 20;

bool read_text(const std::string& file, std::string* text) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char piece[1u << 16];
  ssize_t got = 0;
  while ((got = ::read(fd, piece, sizeof(piece))) > 0) text->append(piece, static_cast<size_t>(got));
  const int error = errno;
  ::close(fd);
  errno = error;
  return got == 0;
}

}  // namespace

bool DbenchReader::read(std::string_view text, uint32_t number, DbenchOp* op) {
  number_ = number;
  if (!split(text)) return problem("a quote is not closed");
  if (words_.empty() || words_[0].starts_with('#')) return false;
  *op = {};
  op->line = number_;
  size_t at = 0;
  if (words_[0][0] >= '0' && words_[0][0] <= '9') {
    char* end = nullptr;
    const double seconds = std::strtod(words_[0].c_str(), &end);
    if (*end != '\0' || !(seconds < 1e9)) return problem("'" + words_[0] + "' is no time in seconds");
    op->after_us = static_cast<uint64_t>(seconds * 1e6);
    at = 1;
  }
  if (at == words_.size()) return problem("a time, but no operation");
  return read_operation(at, op);
}

bool DbenchReader::problem(const std::string& text) {
  if (problems_.lines.size() == LoadProblems::kShown) {
    ++problems_.more;
  } else {
    problems_.lines.push_back(file_ + ":" + std::to_string(number_) + ": " + text);
  }
  return false;
}

bool DbenchReader::split(std::string_view text) {
  words_.clear();
  while (true) {
    while (!text.empty() && (text[0] == ' ' || text[0] == '\t' || text[0] == '\r')) text.remove_prefix(1);
    if (text.empty()) return true;
    const bool quoted = text[0] == '"';
    if (quoted) text.remove_prefix(1);
    size_t end = text.find_first_of(quoted ? "\"" : " \t\r");
    if (quoted && end == std::string_view::npos) return false;
    end = std::min(end, text.size());
    words_.emplace_back(text.substr(0, end));
    if (quoted) std::replace(words_.back().begin(), words_.back().end(), '\\', '/');
    text.remove_prefix(std::min(end + (quoted ? 1 : 0), text.size()));
  }
}

bool DbenchReader::read_operation(size_t at, DbenchOp* op) {
  const std::string& word = words_[at++];
  const Form* const form = std::find_if(std::begin(kForms), std::end(kForms),
                                        [&](const Form& f) { return ::strcasecmp(f.word, word.c_str()) == 0; });
  if (form == std::end(kForms)) {
    if (word.starts_with("SMB")) return problem("'" + word + "': that is a load file of dbench 1; one of dbench 4 is needed");
    return problem("'" + word + "' is no operation of dbench 4");
  }
  op->call = form->call;
  const size_t parameters = std::strlen(form->parameters);
  if (words_.size() - at != parameters + 1) {
    return problem(word + " takes " + std::to_string(parameters) + (parameters == 1 ? " parameter" : " parameters") +
                   " and a status, here are " + std::to_string(words_.size() - at) + " words");
  }
  const std::string& status = words_.back();
  if (status.starts_with("NT_STATUS_")) {
    op->succeeds = status == "NT_STATUS_OK";
  } else if (status.starts_with("0x")) {
    op->succeeds = std::strtoull(status.c_str(), nullptr, 16) == 0;
  } else {
    return problem("'" + status + "' is no status: NT_STATUS_... or 0x... is needed");
  }
  for (size_t i = 0, numbers = 0, names = 0; i < parameters; ++i) {
    const std::string& parameter = words_[at + i];
    const bool good = form->parameters[i] == 'n' ? read_name(parameter, names++ == 0 ? &op->name : &op->target)
                      : form->parameters[i] == 'd' ? read_value(parameter, &op->numbers[numbers++])
                                                   : read_handle(form->parameters[i], parameter, op);
    if (!good) return false;
  }
  if (op->call == DbenchCall::WriteX || op->call == DbenchCall::ReadX) {
    if (op->numbers[1] > kTransferMost) return problem(word + " of more than 64 MiB");
    tables_.transfer_bytes_max = std::max(tables_.transfer_bytes_max, op->numbers[1]);
  }
  return true;
}

bool DbenchReader::read_name(const std::string& text, uint32_t* index) {
  if (!text.starts_with('/') || text.find("/../") != std::string::npos || text.ends_with("/..")) {
    problem("'" + text + "' is no name: \"\\clients\\client1\\...\" is needed, without ..");
    return false;
  }
  *index = tables_.name_index.emplace(text, tables_.names.size()).first->second;
  if (*index == tables_.names.size()) tables_.names.push_back(text);
  return true;
}
bool DbenchReader::read_value(const std::string& text, uint64_t* number) {
  char* end = nullptr;
  errno = 0;
  *number = std::strtoull(text.c_str(), &end, 0);
  if (text.empty() || text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) {
    problem("'" + text + "' is no number");
    return false;
  }
  return true;
}
bool DbenchReader::read_handle(char kind, const std::string& text, DbenchOp* op) {
  uint64_t number = 0;
  if (!read_value(text, &number)) return false;
  op->handle = tables_.handle_index.emplace(number, tables_.handle_index.size()).first->second;
  if (kind == 'o') {
    if (op->succeeds) open_.insert(op->handle);
    return true;
  }
  if (!open_.contains(op->handle)) {
    problem("the handle " + text + " is not open here");
    return false;
  }
  if (op->call == DbenchCall::Close) open_.erase(op->handle);
  return true;
}

bool read_load(const std::string& file, DbenchLoad* load, LoadProblems* problems) {
  load->file = file;
  if (!read_text(file, &load->text)) {
    problems->lines.push_back(file + ": " + std::strerror(errno));
    return false;
  }
  DbenchReader reader(load->file, &load->tables, problems);
  const std::string_view text = load->text;
  uint32_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = std::min(text.find('\n', at), text.size()) - at;
    DbenchOp op;
    if (reader.read(text.substr(at, bytes), ++number, &op)) {
      load->lines.push_back({at, static_cast<uint32_t>(bytes), number});
      ++load->counts[static_cast<size_t>(op.call)];
    }
    at += bytes + 1;
  }
  if (load->lines.empty() && problems->lines.empty()) reader.problem("there is no operation in the file");
  return problems->lines.empty();
}

}  // namespace scalefs::bench
