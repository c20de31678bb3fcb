#include "tests/support/crash_oracle.h"

#include <fmt/format.h>

#include <algorithm>

namespace scalefs::testing {
namespace {

constexpr size_t kBlock = 4096;

std::string line_of(const std::string& path, ModelId id, uint32_t mode, uint32_t uid, uint32_t gid,
                    uint32_t nlink, uint64_t rdev, const std::string& target,
                    const std::map<std::string, std::string>& xattrs) {
  std::string line = fmt::format("{} #{} {:o} {}:{} links {} dev {} -> {}", path, id, mode, uid, gid,
                                 nlink, rdev, target);
  for (const auto& [name, value] : xattrs) line += fmt::format(" {}={}", name, value);
  return line + "\n";
}

}  // namespace

void CrashOracle::describe(const ModelFs& model, const std::string& path, ModelId id,
                           std::string* text) const {
  const ModelNode& node = model.node(id);
  uint32_t links = view_.shared.contains(path) ? 0 : node.nlink;
  *text += line_of(path, node.nlink && node.mode != 0020000 ? id : 0, node.mode, node.uid, node.gid,
                   links, node.rdev, node.is_link() ? node.data : "", node.xattrs);
  for (const auto& [name, child] : node.children) {
    std::string below = path + "/" + name;
    if (looked_at(below)) describe(model, below, child, text);
  }
}

std::string CrashOracle::describe(const ModelFs& model) const {
  std::string text;
  describe(model, "", 1, &text);
  return text;
}

void CrashOracle::observe(const History& history, uint64_t events_before, uint64_t events_after) {
  std::map<ModelId, MnodeNo> known;
  for (const auto& [id, node] : history.model().nodes()) {
    if (const MnodeNo* mnode = history.known(id)) known[id] = *mnode;
  }
  observe(history.model(), known, events_before, events_after);
}

void CrashOracle::withdraw() {
  durable_now_.clear();
  renamed_now_ = 0;
}

void CrashOracle::observe(const ModelFs& model, const std::map<ModelId, MnodeNo>& known,
                          uint64_t events_before, uint64_t events_after) {
  CallInfo call;
  call.events_before = events_before;
  call.events_after = events_after;
  call.names = describe(model);
  call.durable = std::move(durable_now_);
  call.renamed_over = renamed_now_;
  durable_now_.clear();
  renamed_now_ = 0;
  for (const auto& [id, mnode] : known) ids_[mnode.v] = id;
  for (const auto& [id, node] : model.nodes()) {
    if (!node.is_file()) continue;
    auto& versions = versions_[id];
    if (versions.empty() || versions.back().data != node.data) {
      versions.push_back({calls_.size(), node.data});
    }
  }
  calls_.push_back(std::move(call));
}

std::string CrashOracle::describe_object(volume::Volume& volume, const std::string& path,
                                         const memfs::Attr& attr, std::map<ModelId, Found>* files,
                                         std::string* error) const {
  auto& fs = volume.fs();
  auto known = ids_.find(attr.mnode.v);
  ModelId id = known == ids_.end() || attr.mode == 0020000 ? 0 : known->second;
  std::map<std::string, std::string> xattrs;
  auto names = fs.listxattr(attr.mnode);
  if (!names.ok()) {
    *error = fmt::format("{}: listxattr: errno {}", path, names.code());
    return "";
  }
  for (const auto& name : *names) {
    auto value = fs.getxattr(attr.mnode, name);
    if (!value.ok()) {
      *error = fmt::format("{}: getxattr: errno {}", path, value.code());
      return "";
    }
    xattrs[name] = std::string(reinterpret_cast<const char*>(value->data()), value->size());
  }
  std::string target;
  if ((attr.mode & 0170000) == 0120000) {
    auto got = fs.readlink(attr.mnode);
    if (!got.ok()) *error = fmt::format("{}: readlink: errno {}", path, got.code());
    if (got.ok()) target = *got;
  }
  if ((attr.mode & 0170000) == 0100000) {
    std::string data(attr.size, '\0');
    auto got = fs.read(attr.mnode, 0, std::as_writable_bytes(std::span(data.data(), data.size())));
    if (!got.ok() || *got != attr.size) {
      *error = fmt::format("{}: read: errno {}", path, got.code());
    }
    (*files)[id] = {path, data};
  }
  uint32_t links = view_.shared.contains(path) ? 0 : attr.nlink;
  return line_of(path, id, attr.mode, attr.uid, attr.gid, links, attr.rdev, target, xattrs);
}

std::string CrashOracle::describe(volume::Volume& volume, std::map<ModelId, Found>* files,
                                  std::string* error) const {
  std::string text;
  auto& fs = volume.fs();
  std::function<void(const std::string&, MnodeNo, int)> visit = [&](const std::string& path,
                                                                   MnodeNo mnode, int depth) {
    if (depth > 200) *error = "a loop of directories at " + path.substr(0, 200);
    auto attr = fs.getattr(mnode);
    if (!attr.ok()) *error = fmt::format("{}: getattr: errno {}", path, attr.code());
    if (!error->empty()) return;
    text += describe_object(volume, path, *attr, files, error);
    if ((attr->mode & 0170000) != 0040000) return;
    std::map<std::string, MnodeNo> names;
    auto status = fs.readdir(mnode, 0, [&](const memfs::DirectoryEntry& entry) {
      if (entry.name != "." && entry.name != "..") names[std::string(entry.name)] = entry.mnode;
      return true;
    });
    if (!status.ok()) *error = fmt::format("{}: readdir: errno {}", path, status.code());
    for (const auto& [name, child] : names) {
      if (!error->empty()) return;
      if (!looked_at(path + "/" + name)) continue;
      auto entry = fs.lookup(mnode, name);
      if (!entry.ok()) {
        *error = fmt::format("{}/{}: lookup: errno {}", path, name, entry.code());
        return;
      }
      visit(path + "/" + name, entry->attr.mnode, depth + 1);
      fs.forget(entry->attr.mnode, 1);
    }
  };
  visit("", kRootMnode, 0);
  return text;
}

bool CrashOracle::block_allowed(const std::vector<Version>& versions, const std::string& data,
                                size_t block, size_t since, size_t upto) const {
  size_t from = block * kBlock;
  size_t size = std::min(kBlock, data.size() - from);
  for (size_t i = 0; i < versions.size(); i++) {
    size_t ends = i + 1 < versions.size() ? versions[i + 1].call : SIZE_MAX;
    if (versions[i].call > upto || ends <= since) continue;
    const std::string& had = versions[i].data;
    if (had.size() >= from + size && had.compare(from, size, data, from, size) == 0) return true;
  }
  return false;
}

std::string CrashOracle::check_file(ModelId id, const Found& found, size_t since,
                                    size_t upto) const {
  const auto& versions = versions_.at(id);
  bool size_allowed = false;
  for (size_t i = 0; i < versions.size(); i++) {
    size_t ends = i + 1 < versions.size() ? versions[i + 1].call : SIZE_MAX;
    if (versions[i].call > upto || ends <= since) continue;
    size_allowed |= versions[i].data.size() == found.data.size();
    // An append may be there in part: with the bytes of whole blocks that are in place.
    size_allowed |= versions[i].data.size() > found.data.size() && found.data.size() % kBlock == 0;
  }
  if (!size_allowed) {
    return fmt::format("{}: size {} at no moment of calls {}..{}", found.path, found.data.size(),
                       since, upto);
  }
  for (size_t block = 0; block * kBlock < found.data.size(); block++) {
    if (!block_allowed(versions, found.data, block, since, upto)) {
      return fmt::format("{}: block {} of {} bytes has a content of no moment of calls {}..{}",
                         found.path, block, found.data.size(), since, upto);
    }
  }
  return "";
}

std::pair<size_t, size_t> CrashOracle::calls_at(uint64_t events) const {
  std::pair<size_t, size_t> calls;
  for (const auto& call : calls_) {
    calls.first += call.events_after <= events;
    calls.second += call.events_before < events;
  }
  return calls;
}

std::vector<CrashOracle::Promise> CrashOracle::promises() const {
  std::vector<Promise> all;
  for (size_t i = 1; i < calls_.size(); i++) {
    const auto& durable = calls_[i].durable;
    if (durable.empty()) continue;
    all.push_back({i, calls_[i].events_after, std::count(durable.begin(), durable.end(), 0u) != 0});
  }
  return all;
}

std::string CrashOracle::check(volume::Volume& recovered, uint64_t events, std::string* seen,
                               std::vector<size_t>* matches) const {
  Limits limits;
  for (size_t i = 0; i < calls_.size(); i++) {
    if (calls_[i].events_before < events) limits.upper = i;
    if (!calls_[i].durable.empty() && calls_[i].events_after <= events) limits.lower = i;
  }
  for (const Elsewhere& promise : elsewhere_) {
    if (promise.events > events) continue;
    limits.lower = std::max(limits.lower, promise.call);
    if (promise.data) limits.data_since = std::max(limits.data_since, promise.call);
  }
  limits.upper = std::max(limits.upper, limits.lower);
  limits.promised = [events](const CallInfo& call) { return call.events_after <= events; };
  return check_between(recovered, limits, seen, matches);
}

std::string CrashOracle::check_unpromised(volume::Volume& recovered) const {
  Limits limits;
  limits.upper = calls_.size() - 1;
  limits.promised = [](const CallInfo&) { return false; };
  return check_between(recovered, limits, nullptr, nullptr);
}

std::string CrashOracle::check_between(volume::Volume& recovered, const Limits& limits,
                                       std::string* seen, std::vector<size_t>* matches) const {
  const auto [lower, upper] = std::pair(limits.lower, limits.upper);
  std::map<ModelId, Found> files;
  std::string error;
  std::string names = describe(recovered, &files, &error);
  if (!error.empty()) return error;
  if (seen) {
    *seen = names;
    for (const auto& [id, file] : files) *seen += fmt::format("#{} {}\n", id, file.data);
  }

  size_t match = SIZE_MAX;
  for (size_t i = lower; i <= upper; i++) {
    if (calls_[i].names != names) continue;
    if (match == SIZE_MAX) match = i;
    if (matches) matches->push_back(i);
  }
  if (match == SIZE_MAX) {
    return fmt::format("the names are those after no call of {}..{}:\n{}\nafter call {}:\n{}\n"
                       "after call {}:\n{}",
                       lower, upper, names, lower, calls_[lower].names, upper, calls_[upper].names);
  }
  for (const auto& file : files) {
    const ModelId id = file.first;
    if (!id) continue;
    size_t since = limits.data_since;
    for (size_t i = 0; i <= upper; i++) {
      bool fsynced = std::any_of(calls_[i].durable.begin(), calls_[i].durable.end(),
                                 [&](ModelId durable) { return durable == 0 || durable == id; });
      if (fsynced && limits.promised(calls_[i])) since = std::max(since, i);
      if (calls_[i].renamed_over == id && i <= match) since = std::max(since, i);
    }
    if (auto wrong = check_file(id, file.second, since, upper); !wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace scalefs::testing
