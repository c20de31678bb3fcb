#include "fuse/option_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <vector>

namespace scalefs::fuse {
namespace {

// What a value must be like.
enum class Takes { nothing, anything, text, count, size, choice };

struct Value {
  std::string_view text;
  uint64_t number = 0;
};

struct Known {
  std::string_view name;
  Takes takes;
  void (*apply)(Options&, const Value&);  // null: accepted, nothing to do
  uint64_t least = 0;
  uint64_t most = std::numeric_limits<uint64_t>::max();
  std::string_view choices = {};  // divided by '|'; Value::number is the place in it
};

// For libfuse, which hands it to the kernel.
template <const char* Name>
void pass(Options& options, const Value&) {
  options.pass_on.emplace_back(Name);
}

constexpr char kDev[] = "dev", kNodev[] = "nodev", kSuid[] = "suid", kNosuid[] = "nosuid";
constexpr char kExec[] = "exec", kNoexec[] = "noexec", kAsync[] = "async";
constexpr char kAutoUnmount[] = "auto_unmount";

constexpr uint64_t kCacheBytesMin = 16u << 20;

constexpr Known kKnown[] = {
    // --- mount(8)
    {"defaults", Takes::nothing, nullptr},
    {"rw", Takes::nothing, [](Options& o, const Value&) { o.volume.read_only = false; }},
    {"ro", Takes::nothing, [](Options& o, const Value&) { o.volume.read_only = true; }},
    {"dev", Takes::nothing, pass<kDev>},
    {"nodev", Takes::nothing, pass<kNodev>},
    {"suid", Takes::nothing, pass<kSuid>},
    {"nosuid", Takes::nothing, pass<kNosuid>},
    {"exec", Takes::nothing, pass<kExec>},
    {"noexec", Takes::nothing, pass<kNoexec>},
    {"async", Takes::nothing, pass<kAsync>},
    {"sync", Takes::nothing,
     [](Options& o, const Value&) {
       o.sync_names = true;
       o.pass_on.emplace_back("sync");
     }},
    {"dirsync", Takes::nothing, [](Options& o, const Value&) { o.sync_names = true; }},
    {"atime", Takes::nothing, [](Options& o, const Value&) { o.volume.noatime = false; }},
    {"noatime", Takes::nothing, [](Options& o, const Value&) { o.volume.noatime = true; }},
    {"relatime", Takes::nothing,
     [](Options& o, const Value&) {
       o.volume.relatime = true;
       o.volume.noatime = false;
     }},
    {"norelatime", Takes::nothing, [](Options& o, const Value&) { o.volume.relatime = false; }},
    {"strictatime", Takes::nothing,
     [](Options& o, const Value&) {
       o.volume.relatime = false;
       o.volume.noatime = false;
     }},
    {"diratime", Takes::nothing, [](Options& o, const Value&) { o.volume.nodiratime = false; }},
    {"nodiratime", Takes::nothing, [](Options& o, const Value&) { o.volume.nodiratime = true; }},
    {"lazytime", Takes::nothing, nullptr},
    {"nolazytime", Takes::nothing, nullptr},
    {"nostrictatime", Takes::nothing, nullptr},
    {"iversion", Takes::nothing, nullptr},
    {"noiversion", Takes::nothing, nullptr},
    {"mand", Takes::nothing, nullptr},
    {"nomand", Takes::nothing, nullptr},
    {"silent", Takes::nothing, nullptr},
    {"loud", Takes::nothing, nullptr},
    {"auto", Takes::nothing, nullptr},
    {"noauto", Takes::nothing, nullptr},
    {"nofail", Takes::nothing, [](Options& o, const Value&) { o.nofail = true; }},
    {"fail", Takes::nothing, [](Options& o, const Value&) { o.nofail = false; }},
    {"_netdev", Takes::nothing, nullptr},
    {"user", Takes::anything, nullptr},
    {"uhelper", Takes::text, nullptr},
    {"nouser", Takes::nothing, nullptr},
    {"users", Takes::nothing, nullptr},
    {"nousers", Takes::nothing, nullptr},
    {"owner", Takes::nothing, nullptr},
    {"group", Takes::nothing, nullptr},
    {"comment", Takes::text, nullptr},
    {"remount", Takes::nothing,
     [](Options& o, const Value&) { o.action = Options::Action::remount; }},
    // --- mount.fuse3(8)
    {"allow_other", Takes::nothing, [](Options& o, const Value&) { o.allow_other = true; }},
    {"noallow_other", Takes::nothing, [](Options& o, const Value&) { o.allow_other = false; }},
    {"allow_root", Takes::nothing, [](Options& o, const Value&) { o.allow_root = true; }},
    // There is no mount without it: scalefs leaves the permissions to the kernel.
    {"default_permissions", Takes::nothing, nullptr},
    {"kernel", Takes::nothing,
     [](Options& o, const Value&) {
       o.allow_other = true;
       o.pass_on.emplace_back("suid");
       o.pass_on.emplace_back("dev");
     }},
    {"fsname", Takes::text, [](Options& o, const Value& v) { o.fsname = v.text; }},
    {"subtype", Takes::text, [](Options& o, const Value& v) { o.subtype = v.text; }},
    {"context", Takes::text,
     [](Options& o, const Value& v) { o.pass_on.push_back(fmt::format("context={}", v.text)); }},
    {"max_read", Takes::count,
     [](Options& o, const Value& v) { o.pass_on.push_back(fmt::format("max_read={}", v.number)); },
     4096, 1u << 20},
    {"max_threads", Takes::count,
     [](Options& o, const Value& v) { o.threads = static_cast<unsigned>(v.number); }, 1, 4096},
    {"max_idle_threads", Takes::count, nullptr},
    {"clone_fd", Takes::nothing, nullptr},  // always
    {"auto_unmount", Takes::nothing, pass<kAutoUnmount>},
    {"nonempty", Takes::nothing, nullptr},
    // What mount(8) finds in the table of mounts and hands over with a remount.
    {"user_id", Takes::text, nullptr},
    {"group_id", Takes::text, nullptr},
    {"rootmode", Takes::text, nullptr},
    {"blksize", Takes::text, nullptr},
    {"debug", Takes::nothing,
     [](Options& o, const Value&) {
       o.debug = true;
       o.foreground = true;
     }},
    // --- our own
    {"commit", Takes::count,
     [](Options& o, const Value& v) { o.volume.commit_interval_ms = v.number * 1000; }, 1, 86400},
    {"cache_size", Takes::size, [](Options& o, const Value& v) { o.volume.cache_bytes = v.number; },
     kCacheBytesMin},
    {"threads", Takes::count,
     [](Options& o, const Value& v) { o.threads = static_cast<unsigned>(v.number); }, 1, 4096},
    {"strict_open", Takes::nothing, [](Options& o, const Value&) { o.strict_open = true; }},
    {"nostrict_open", Takes::nothing, [](Options& o, const Value&) { o.strict_open = false; }},
    {"writeback_cache", Takes::nothing, [](Options& o, const Value&) { o.writeback_cache = true; }},
    {"nowriteback_cache", Takes::nothing, [](Options& o, const Value&) { o.writeback_cache = false; }},
    {"io_uring", Takes::choice,
     [](Options& o, const Value& v) { o.io_uring = static_cast<RingUse>(v.number); }, 0, 0,
     "auto|on|off"},
    {"fuseblk", Takes::nothing, [](Options& o, const Value&) { o.fuseblk = true; }},
    {"nofuseblk", Takes::nothing, [](Options& o, const Value&) { o.fuseblk = false; }},
    {"errors", Takes::choice,
     [](Options& o, const Value& v) { o.on_errors = static_cast<Options::OnErrors>(v.number); }, 0, 0,
     "continue|remount-ro"},
    {"norecovery", Takes::nothing, [](Options& o, const Value&) { o.volume.recover = false; }},
    {"noload", Takes::nothing, [](Options& o, const Value&) { o.volume.recover = false; }},
    {"q_depth", Takes::count,
     [](Options& o, const Value& v) { o.queue_depth = static_cast<unsigned>(v.number); }, 1, 1024},
    {"discard", Takes::nothing, [](Options& o, const Value&) { o.volume.discard = true; }},
    {"nodiscard", Takes::nothing, [](Options& o, const Value&) { o.volume.discard = false; }},
};

// For other programs: systemd, udisks, gvfs.
bool is_foreign(std::string_view name) {
  return name.starts_with("x-") || name.starts_with("X-");
}

// Edits (insert, delete, replace, swap of neighbours) that turn one word into the other.
size_t distance(std::string_view from, std::string_view to) {
  std::vector<size_t> before(to.size() + 1), last(to.size() + 1), now(to.size() + 1);
  for (size_t j = 0; j <= to.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= from.size(); ++i) {
    now[0] = i;
    for (size_t j = 1; j <= to.size(); ++j) {
      const size_t replaced = last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
        now[j] = std::min(now[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(now);
  }
  return last[to.size()];
}

std::optional<uint64_t> parse_count(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

// The place of `text` in a list divided by '|'.
std::optional<uint64_t> find_choice(std::string_view choices, std::string_view text) {
  for (uint64_t place = 0;; ++place) {
    const size_t end = choices.find('|');
    if (choices.substr(0, end) == text) return place;
    if (end == std::string_view::npos) return std::nullopt;
    choices.remove_prefix(end + 1);
  }
}

}  // namespace

std::string nearest_option(std::string_view name) {
  std::string_view best;
  // One edit in a short word, more in a long one: beyond that it is a guess.
  size_t limit = name.size() / 4 + 2;
  for (const Known& known : kKnown) {
    const size_t edits = distance(name, known.name);
    if (edits < limit) {
      limit = edits;
      best = known.name;
    }
  }
  return std::string(best);
}

std::optional<std::string> apply_option(std::string_view option, Options& options) {
  const size_t equals = option.find('=');
  const std::string_view name = option.substr(0, equals);
  if (is_foreign(name)) return std::nullopt;
  const auto* known =
      std::find_if(std::begin(kKnown), std::end(kKnown),
                   [&](const Known& candidate) { return candidate.name == name; });
  if (known == std::end(kKnown)) {
    const std::string near = nearest_option(name);
    return near.empty() ? fmt::format("unknown option '{}'", name)
                        : fmt::format("unknown option '{}'; did you mean '{}'?", name, near);
  }
  Value value;
  if (known->takes == Takes::anything) {
    // With a value or without.
  } else if (known->takes == Takes::nothing) {
    if (equals != std::string_view::npos) return fmt::format("option '{}' takes no value", name);
  } else {
    if (equals == std::string_view::npos) return fmt::format("option '{}' needs a value", name);
    value.text = option.substr(equals + 1);
    if (known->takes == Takes::choice) {
      const auto place = find_choice(known->choices, value.text);
      if (!place) {
        return fmt::format("'{}' is not a value of option '{}': {}", value.text, name,
                           known->choices);
      }
      value.number = *place;
    } else if (known->takes != Takes::text) {
      const bool size = known->takes == Takes::size;
      const auto number = size ? parse_size(value.text) : parse_count(value.text);
      if (!number) {
        return fmt::format("'{}' is not a {} for option '{}'", value.text,
                           size ? "size" : "number", name);
      }
      if (*number < known->least || *number > known->most) {
        return fmt::format("option '{}' is at least {}{}", name, known->least,
                           known->most == std::numeric_limits<uint64_t>::max()
                               ? std::string()
                               : fmt::format(" and at most {}", known->most));
      }
      value.number = *number;
    }
  }
  if (known->apply != nullptr) known->apply(options, value);
  return std::nullopt;
}

}  // namespace scalefs::fuse
