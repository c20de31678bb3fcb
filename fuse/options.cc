#include "fuse/options.h"

#include <fmt/core.h>

#include <charconv>

#include "fuse/option_table.h"

namespace scalefs::fuse {
namespace {

constexpr const char* kIoUringChoices[] = {"auto", "on", "off"};  // by RingUse

std::string_view base_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// Commas separate, a backslash takes the next character as it is.
std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> words(1);
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '\\' && i + 1 < list.size()) {
      words.back().push_back(list[++i]);
    } else if (list[i] == ',') {
      words.emplace_back();
    } else {
      words.back().push_back(list[i]);
    }
  }
  std::erase(words, std::string());
  return words;
}

class Parser {
 public:
  Parser(std::string_view program, std::span<const std::string> arguments)
      : arguments_(arguments), name_(base_name(program)), helper_(name_.starts_with("mount.")) {}

  std::optional<Options> run(std::string* error) {
    while (error_.empty() && at_ < arguments_.size()) argument(arguments_[at_++]);
    if (error_.empty()) finish();
    if (error_.empty()) return std::move(options_);
    *error = error_;
    return std::nullopt;
  }

 private:
  void fail(std::string text) {
    if (error_.empty()) error_ = std::move(text);
  }

  void argument(const std::string& word) {
    if (only_operands_ || word.size() < 2 || word[0] != '-') {
      operands_.push_back(word);
    } else if (word == "--") {
      only_operands_ = true;
    } else if (word.starts_with("--")) {
      long_option(word);
    } else {
      letters(std::string_view(word).substr(1));
    }
  }

  void long_option(const std::string& word) {
    if (word == "--memory") {
      options_.memory = true;
    } else if (word == "--help") {
      options_.action = Options::Action::help;
    } else if (word == "--version") {
      options_.action = Options::Action::version;
    } else if (word == "--json") {
      options_.json = true;
    } else if (word == "--foreground") {
      options_.foreground = true;
    } else {
      fail(fmt::format("unknown option '{}'", word));
    }
  }

  void letters(std::string_view word) {
    for (size_t i = 0; i < word.size() && error_.empty(); ++i) {
      const char letter = word[i];
      if (letter == 'o' || (helper_ && (letter == 't' || letter == 'N'))) {
        std::string value(word.substr(i + 1));
        if (value.empty()) {
          if (at_ == arguments_.size()) return fail(fmt::format("-{} needs a value", letter));
          value = arguments_[at_++];
        }
        if (letter == 'o') option_list(value);
        return;
      }
      one_letter(letter);
    }
  }

  void one_letter(char letter) {
    switch (letter) {
      case 'h':
        options_.action = Options::Action::help;
        return;
      case 'V':
        options_.action = Options::Action::version;
        return;
      case 'v':
        options_.verbose = true;
        return;
      case 'd':
        options_.debug = true;
        options_.foreground = true;
        return;
      case 'f':
        // mount(8) means "only pretend".
        if (helper_) {
          options_.action = Options::Action::nothing;
        } else {
          options_.foreground = true;
        }
        return;
      case 's':
        if (helper_) {
          sloppy_ = true;
          return;
        }
        break;
      case 'n':
        if (helper_) return;
        break;
      default:
        break;
    }
    fail(fmt::format("unknown option '-{}'", letter));
  }

  void option_list(const std::string& list) {
    if (!options_.remount_options.empty()) options_.remount_options.push_back(',');
    options_.remount_options.append(list);
    // A backslash that has nothing to take must not take the comma of the next list.
    const size_t kept = list.find_last_not_of('\\') + 1;
    if ((list.size() - kept) % 2 != 0) options_.remount_options.push_back('\\');
    for (const std::string& word : split_list(list)) {
      const auto error = apply_option(word, options_);
      if (error && !sloppy_) return fail(*error);
    }
  }

  void finish() {
    using Action = Options::Action;
    options_.by_mount = helper_;
    options_.nofail = options_.nofail && helper_;
    if (options_.action == Action::help || options_.action == Action::version) return;
    if (!helper_ && !options_.memory && !operands_.empty() &&
        (operands_[0] == "sync" || operands_[0] == "stat")) {
      options_.action = operands_[0] == "sync" ? Action::sync : Action::stat;
      if (operands_.size() != 2) return fail(operands_[0] + " takes one mount point");
      if (options_.json && options_.action == Action::sync) return fail("sync takes no --json");
      options_.mountpoint = operands_[1];
      if (options_.mountpoint.empty()) fail("the mount point's name is empty");
      return;
    }
    if (options_.json) return fail("--json is for scalefs stat");
    const size_t wanted = options_.memory ? 1 : 2;
    if (operands_.size() < wanted) {
      return fail(options_.memory || !operands_.empty() ? "no mount point given"
                                                        : "no image and no mount point given");
    }
    if (operands_.size() > wanted) {
      return fail(fmt::format("'{}' is one operand too many", operands_[wanted]));
    }
    if (!options_.memory) options_.source = operands_[0];
    options_.mountpoint = operands_.back();
    if (options_.source.empty() && !options_.memory) return fail("the image's name is empty");
    if (options_.mountpoint.empty()) return fail("the mount point's name is empty");
    if (!options_.volume.recover && !options_.volume.read_only && options_.action == Action::mount) {
      return fail("norecovery needs ro: a volume that is not recovered can only be read");
    }
    if (options_.fuseblk.value_or(false)) {
      if (options_.memory) return fail("fuseblk needs an image or a device");
      if (!options_.fsname.empty()) return fail("fuseblk and fsname exclude each other");
    }
    // Whoever names the type means it.
    if (!options_.fuseblk && options_.action == Action::mount) {
      if (name_ == "mount.fuse.scalefs") options_.fuseblk = false;
      if (name_ == "mount.fuseblk.scalefs" && !options_.memory && options_.fsname.empty()) options_.fuseblk = true;
    }
    if (options_.allow_root && options_.allow_other.value_or(false)) {
      return fail("allow_other and allow_root exclude each other");
    }
  }

  std::span<const std::string> arguments_;
  const std::string name_;  // of the program
  const bool helper_;
  size_t at_ = 0;
  bool only_operands_ = false;
  bool sloppy_ = false;
  std::vector<std::string> operands_;
  Options options_;
  std::string error_;
};

}  // namespace

std::optional<uint64_t> parse_size(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view suffix(end, static_cast<size_t>(text.data() + text.size() - end));
  if (suffix.empty()) return number;
  if (suffix.size() != 1) return std::nullopt;
  unsigned shift = 0;
  switch (suffix[0] | 0x20) {
    case 'k':
      shift = 10;
      break;
    case 'm':
      shift = 20;
      break;
    case 'g':
      shift = 30;
      break;
    case 't':
      shift = 40;
      break;
    default:
      return std::nullopt;
  }
  if (number > (UINT64_MAX >> shift)) return std::nullopt;
  return number << shift;
}

std::optional<Options> parse_options(std::string_view program,
                                     std::span<const std::string> arguments, std::string* error) {
  return Parser(program, arguments).run(error);
}

std::vector<std::string> mount_options(const Options& options, bool as_root, bool read_only) {
  std::vector<std::string> list;
  if (options.by_mount && as_root) list = {"suid", "dev"};
  list.insert(list.end(), options.pass_on.begin(), options.pass_on.end());
  list.push_back(read_only ? "ro" : "rw");
  list.push_back("default_permissions");
  if (options.allow_root) {
    list.push_back("allow_root");
  } else if (options.allow_other.value_or(as_root)) {
    list.push_back("allow_other");
  }
  std::string name = options.fsname;
  if (name.empty()) name = options.memory ? "scalefs-memory" : options.source;
  list.push_back("fsname=" + name);
  list.push_back("subtype=" + options.subtype);
  return list;
}

std::string own_options(const Options& options) {
  const volume::VolumeOptions& v = options.volume;
  std::string list = fmt::format("{},commit={},q_depth={},io_uring={}", v.read_only ? "ro" : "rw",
                                 v.commit_interval_ms / 1000, options.queue_depth,
                                 kIoUringChoices[static_cast<int>(options.io_uring)]);
  if (v.cache_bytes != 0) list += fmt::format(",cache_size={}", v.cache_bytes);
  if (options.threads != 0) list += fmt::format(",threads={}", options.threads);
  if (!v.relatime) list += ",strictatime";
  if (v.noatime) list += ",noatime";
  if (v.nodiratime) list += ",nodiratime";
  if (v.discard) list += ",discard";
  if (options.strict_open) list += ",strict_open";
  if (options.writeback_cache) list += ",writeback_cache";
  if (options.fuseblk) list += *options.fuseblk ? ",fuseblk" : ",nofuseblk";
  if (options.sync_names) list += ",dirsync";
  if (options.on_errors == Options::OnErrors::remount_read_only) list += ",errors=remount-ro";
  if (!v.recover) list += ",norecovery";
  return list;
}

std::string help_text() {
  return
      R"(usage: scalefs [-fdv] [-o OPTION[,OPTION...]] IMAGE MOUNTPOINT
       scalefs [-fdv] [-o OPTION[,OPTION...]] --memory MOUNTPOINT
       scalefs sync MOUNTPOINT
       scalefs stat [--json] MOUNTPOINT

Mounts the volume in IMAGE (a file or a block device made by mkfs.scalefs), or
one that lives in memory only. Returns when the mount is there.

  -o OPTION   mount options, before or after the operands
  -f          stay in the foreground
  -d          print every request (implies -f)
  -V, -h      version, this help

  commit=SECONDS     make everything durable at least this often (5)
  cache_size=SIZE    memory for cached data, with suffix K, M or G (a sixteenth of
                     the machine's, at least 512M; a volume in memory 512M)
  io_uring=WHEN      take requests over io_uring: auto, on or off (auto)
  q_depth=N          requests of a processor at a time, over io_uring (32)
  strict_open        tell the daemon of each open and close
  writeback_cache    leave what is written with the kernel until close or fsync
  threads=N          threads that serve requests, over /dev/fuse
  discard            tell the device about freed blocks
  errors=WHAT        what damage does that is found: continue, or remount-ro
  fuseblk, nofuseblk whether sync(2) and umount(2) reach the daemon, for which an
                     image gets a loop device (root alone; where it can be had)
  norecovery         with ro: leave out what the journal holds
  ro, noatime, relatime, strictatime, sync, dirsync, allow_other, allow_root,
  fsname=, subtype=, max_read=, clone_fd and the other options of mount(8) and
  mount.fuse3(8)

scalefs sync makes everything durable that was done on the mounted volume.
scalefs stat shows what the mounted volume's daemon has counted.
)";
}

}  // namespace scalefs::fuse
