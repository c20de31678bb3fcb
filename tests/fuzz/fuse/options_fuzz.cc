// Any command line of the daemon, words ended by NUL and the program's name first: it is refused with
// a line that names what is wrong, or libfuse takes what it makes of it, and the same options written
// down again mean the same.
#include <algorithm>

#include "fuse/libfuse_transport.h"
#include "fuse/operations.h"
#include "fuse/option_table.h"
#include "fuse/options.h"
#include "tests/fuzz/support/fuzzing.h"

using namespace scalefs;
using namespace scalefs::fuse;
using namespace scalefs::fuzz;

namespace {

using Words = std::vector<std::string>;

Words words_of(const uint8_t* data, size_t size) {
  Words words;
  std::string word;
  for (size_t i = 0; i < size; ++i) {
    if (data[i] != 0) {
      word.push_back(static_cast<char>(data[i]));
    } else {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

// One of the words, or the name of an option in one, or one of the sentences that need none.
bool names_something(const std::string& error, const Words& words) {
  constexpr std::string_view kSentences[] = {
      "-o needs a value",           "-t needs a value",
      "-N needs a value",           "no mount point given",
      "no image and no mount point given", "sync takes one mount point",
      "stat takes one mount point",  "sync takes no --json",
      "--json is for scalefs stat", "fuseblk needs an image or a device",
      "fuseblk and fsname exclude each other",
      "norecovery needs ro: a volume that is not recovered can only be read",
      "the image's name is empty",  "the mount point's name is empty",
      "allow_other and allow_root exclude each other"};
  if (std::ranges::find(kSentences, error) != std::end(kSentences)) return true;
  const size_t open = error.find('\'');
  const size_t close = error.find('\'', open + 1);
  if (open == std::string::npos || close == std::string::npos) return false;
  // The name as it was written, but for backslashes.
  std::string all;
  for (const std::string& word : words) all += word + '\n';
  std::erase(all, '\\');
  std::string named = error.substr(open + 1);
  std::erase(named, '\\');
  for (size_t end = named.find('\''); end != std::string::npos; end = named.find('\'', end + 1)) {
    const std::string name = named.substr(0, end);
    if (all.find(name) != std::string::npos) return true;
    if (name.size() == 2 && name[0] == '-' && all.find(name[1]) != std::string::npos) return true;
  }
  return false;
}

bool same(const Options& a, const Options& b) {
  const auto volume = [](const volume::VolumeOptions& v) {
    return std::tuple(v.read_only, v.threads, v.noatime, v.nodiratime, v.relatime, v.discard, v.recover, v.commit_interval_ms,
                      v.cache_bytes, v.log_bytes_max, v.background_commit_ops,
                      v.background_commit_bytes, v.inline_bytes_max);
  };
  const auto all = [](const Options& o) {
    return std::tie(o.action, o.source, o.mountpoint, o.memory, o.foreground, o.debug, o.verbose,
                    o.sync_names, o.threads, o.fsname, o.subtype, o.allow_other,
                    o.allow_root, o.pass_on, o.remount_options, o.io_uring, o.queue_depth,
                    o.on_errors, o.strict_open, o.writeback_cache, o.json, o.fuseblk);
  };
  return volume(a.volume) == volume(b.volume) && all(a) == all(b);
}

Words written_down(const Options& options) {
  Words words;
  if (!options.remount_options.empty()) words = {"-o", options.remount_options};
  if (options.memory) words.push_back("--memory");
  if (options.foreground) words.push_back("--foreground");
  if (options.verbose) words.push_back("-v");
  if (options.debug) words.push_back("-d");
  if (options.json) words.push_back("--json");
  words.push_back("--");
  if (options.action == Options::Action::sync) words.push_back("sync");
  if (options.action == Options::Action::stat) words.push_back("stat");
  if (!options.source.empty()) words.push_back(options.source);
  words.push_back(options.mountpoint);
  return words;
}

void require_taken(const Options& options) {
  static const auto volume = volume::Volume::memory({.threads = false});
  static Operations operations(*volume, {});
  for (const bool as_root : {false, true}) {
    TransportOptions wanted;
    wanted.mount_options = mount_options(options, as_root, options.volume.read_only);
    require(LibfuseTransport::create(operations, std::move(wanted)).ok(),
            "libfuse does not take what was accepted");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  silence_log();
  Words words = words_of(data, size);
  if (words.empty()) return 0;
  const std::string program = words.front();
  words.erase(words.begin());
  std::string error;
  const auto options = parse_options(program, words, &error);
  if (!options) {
    require(names_something(error, words), "an error that names nothing: " + error);
    return 0;
  }
  using Action = Options::Action;
  if (options->action == Action::help || options->action == Action::version) return 0;
  require(!options->mountpoint.empty(), "no mount point");
  if (options->action == Action::mount) require_taken(*options);
  const bool sloppy = program.find("mount.") != std::string::npos;
  if (sloppy || options->action == Action::nothing) return 0;
  const auto again = parse_options(program, written_down(*options), &error);
  require(again.has_value(), "what was accepted is refused when written down: " + error);
  require(same(*options, *again), "the same options mean something else when written down");
  return 0;
}
