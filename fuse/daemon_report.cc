#include "fuse/daemon_report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iterator>

#include "base/memory.h"
#include "base/units.h"
#include "fuse/inquiry.h"

namespace scalefs::fuse {
namespace {

std::string name_of(const Options& options) { return options.memory ? "memory" : options.source; }

// Bytes that are no UTF-8 stay as they are.
std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out.push_back(c);
    }
  }
  return out + '"';
}

double microseconds(uint64_t ns) { return static_cast<double>(ns) / 1000; }

std::string size_text(uint64_t bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  auto size = static_cast<double>(bytes);
  while (size >= 1024 && unit + 1 < std::size(units)) {
    size /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", size, units[unit]);
}

// Calls `call(name, bytes)` for each class that holds any.
template <class Call>
void each_memory_class(Call&& call) {
  for (unsigned i = 0; i < static_cast<unsigned>(MemoryClass::count); ++i) {
    const auto which = static_cast<MemoryClass>(i);
    const int64_t bytes = memory_bytes(which);
    if (bytes > 0) call(memory_class_name(which), static_cast<uint64_t>(bytes));
  }
}

uint64_t memory_total() {
  const int64_t bytes = memory_bytes_total();
  return bytes > 0 ? static_cast<uint64_t>(bytes) : 0;
}

}  // namespace

std::string daemon_facts(const Options& options, const std::string& image, const volume::Volume& volume) {
  return fmt::format("process={}\nstart={}\nread_only={}\nfailed={}\noptions={}\nimage={}\n", ::getpid(),
                     process_start(::getpid()), volume.read_only() ? 1 : 0, volume.failed() ? 1 : 0,
                     own_options(options), image);
}

std::string report_text(const Report& report) {
  const volume::Statistics s = report.volume.statistics();
  const diskfs::VolumeInfo& info = report.volume.info();
  std::string out;
  const auto line = [&]<class... Args>(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
    out.push_back('\n');
  };
  line("{} on {}, process {}, {:.0f} s, {}{}", name_of(report.options), report.mountpoint, ::getpid(),
       static_cast<double>(report.requests.age_ms()) / 1000, report.over_rings ? "over io_uring" : "over /dev/fuse",
       report.volume.failed()      ? ", FAILED: takes no changes"
       : report.volume.read_only() ? ", read-only"
                                   : "");
  line("\n{:<18}{:>12}{:>12}{:>12}{:>12}{:>12}", "requests", "count", "mean us", "half <= us", "99% <= us",
       "all <= us");
  for (const RequestStats::Kind& kind : report.requests.kinds()) {
    line("{:<18}{:>12}{:>12.1f}{:>12.1f}{:>12.1f}{:>12.1f}", kind.name, kind.count, microseconds(kind.mean_ns),
         microseconds(kind.p50_ns), microseconds(kind.p99_ns), microseconds(kind.max_ns));
  }
  line("\nfsyncs {}, commits {} of {} operations ({} absorbed), flushes {}", s.fsyncs, s.commits,
       s.operations_committed, s.absorbed, s.disk.flushes);
  line("journal {} of {} in use, {} batches, {} written", size_text(static_cast<uint64_t>(
           s.journal_fill * static_cast<double>(info.journal_blocks * kBlockBytes))),
       size_text(info.journal_blocks * kBlockBytes), s.disk.batches, size_text(s.disk.batch_bytes));
  line("checkpoints {}, {} written, {} without room", s.disk.checkpoints,
       size_text(s.disk.checkpoint_blocks * kBlockBytes), s.disk.checkpoints_without_room);
  std::string depths;
  for (uint64_t depth : s.log_depth_of_cores) fmt::format_to(std::back_inserter(depths), " {}", depth);
  line("log {} operations, {}; a core:{}", s.log_depth, size_text(s.log_bytes), depths.empty() ? " -" : depths);
  line("damage found {} times", s.disk.corruptions);
  line("\nmemory {} (cache_size {}), {} dirty, {} objects", size_text(memory_total()),
       size_text(report.options.volume.cache_bytes), size_text(s.memory.dirty_bytes), s.memory.mnodes);
  each_memory_class([&](const char* name, uint64_t bytes) { line("  {:<16}{:>14}", name, size_text(bytes)); });
  return out;
}

std::string report_json(const Report& report) {
  const volume::Statistics s = report.volume.statistics();
  const diskfs::VolumeInfo& info = report.volume.info();
  std::string out = "{";
  // A key and its value, behind a comma where one is needed.
  const auto put = [&](std::string_view key, std::string_view value) {
    if (out.back() != '{') out += ", ";
    fmt::format_to(std::back_inserter(out), "\"{}\": {}", key, value);
  };
  const auto number = [&](std::string_view key, uint64_t value) { put(key, std::to_string(value)); };
  const auto open = [&](std::string_view key) { put(key, "{"); };
  const auto flag = [&](std::string_view key, bool value) { put(key, value ? "true" : "false"); };
  put("version", json_string(SCALEFS_VERSION));
  put("source", json_string(name_of(report.options)));
  put("mountpoint", json_string(report.mountpoint));
  number("process", static_cast<uint64_t>(::getpid()));
  put("uptime_s", fmt::format("{:.3f}", static_cast<double>(report.requests.age_ms()) / 1000));
  put("transport", report.over_rings ? "\"io_uring\"" : "\"/dev/fuse\"");
  flag("read_only", report.volume.read_only());
  flag("failed", report.volume.failed());
  open("requests");
  for (const RequestStats::Kind& kind : report.requests.kinds()) {
    put(kind.name, fmt::format("{{\"count\": {}, \"mean_us\": {:.1f}, \"p50_us\": {:.1f}, \"p99_us\": {:.1f}, \"max_us\": {:.1f}}}",
                               kind.count, microseconds(kind.mean_ns), microseconds(kind.p50_ns),
                               microseconds(kind.p99_ns), microseconds(kind.max_ns)));
  }
  out += "}";
  open("commits");
  number("fsyncs", s.fsyncs);
  number("commits", s.commits);
  number("operations", s.operations_committed);
  number("absorbed", s.absorbed);
  number("flushes", s.disk.flushes);
  out += "}";
  open("journal");
  number("bytes", info.journal_blocks * kBlockBytes);
  put("fill", fmt::format("{:.4f}", s.journal_fill));
  number("batches", s.disk.batches);
  number("batch_bytes", s.disk.batch_bytes);
  out += "}";
  open("checkpoints");
  number("count", s.disk.checkpoints);
  number("blocks", s.disk.checkpoint_blocks);
  number("without_room", s.disk.checkpoints_without_room);
  out += "}";
  open("log");
  number("operations", s.log_depth);
  number("bytes", s.log_bytes);
  put("depth_of_cores", fmt::format("[{}]", fmt::join(s.log_depth_of_cores, ", ")));
  out += "}";
  open("memory");
  number("limit_bytes", report.options.volume.cache_bytes);
  number("total_bytes", memory_total());
  number("dirty_bytes", s.memory.dirty_bytes);
  number("page_bytes", s.memory.page_bytes);
  number("objects", s.memory.mnodes);
  open("classes");
  each_memory_class([&](const char* name, uint64_t bytes) { number(name, bytes); });
  out += "}}";
  number("damage_found", s.disk.corruptions);
  return out + "}\n";
}

}  // namespace scalefs::fuse
