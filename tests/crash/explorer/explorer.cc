#include "tests/crash/explorer/explorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/aligned_buffer.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/random.h"
#include "diskfs/fault_device.h"
#include "tests/crash/explorer/judge.h"
#include "tests/support/skewed_cores.h"
#include "tests/support/volumes.h"

namespace scalefs::testing {

using diskfs::CrashImages;
using diskfs::MemoryDevice;
using diskfs::RecordedEvent;

struct Explorer::Run {
  std::unique_ptr<MemoryDevice> medium = formatted_device(16u << 20);
  std::unique_ptr<MemoryDevice> start;
  diskfs::RecordingDevice recording{*medium};
  CrashOracle oracle;
  uint64_t script_events = 0;     // when the script's last call had returned
  std::vector<uint64_t> touched;  // blocks
  std::set<std::tuple<uint64_t, size_t, size_t>> seen;
  Random random{0};
};

std::string Explorer::record(const std::string& script, Run* run) {
  run->random = Random(siphash24(HashKey{options_.seed, 0x65787031}, script));
  SkewedCores cores(4, options_.seed);
  diskfs::FaultDevice device(run->recording);
  device.lose_flushes(options_.canary == CrashCanary::flush_left_out);
  volume::VolumeOptions options;
  options.threads = false;
  options.cache_bytes = 4u << 20;
  if (run->random.percent(50)) options.inline_bytes_max = 0;
  std::string why;
  auto volume = volume::Volume::mount(device, options, &why);
  if (!volume.ok()) return "mount: " + why;
  CrashScript calls(**volume, run->recording, options_.canary);
  if (auto wrong = calls.prepare(); !wrong.empty()) return wrong;
  run->start = run->medium->clone();
  run->recording.forget();
  calls.begin();
  if (auto wrong = calls.run(script); !wrong.empty()) return wrong;
  run->script_events = run->recording.event_count();
  // What the engine does by itself afterwards, a checkpoint last.
  while ((*volume)->step_writeback()) {
  }
  (*volume)->step_commit();
  (*volume)->step_checkpoint();
  (*volume)->shutdown();
  run->oracle = calls.oracle();
  std::set<uint64_t> touched;
  for (uint64_t i = 0; i < run->recording.event_count(); i++) {
    RecordedEvent event = run->recording.event(i);
    for (uint64_t b = 0; b < event.count; b++) touched.insert(event.first.v + b);
  }
  run->touched.assign(touched.begin(), touched.end());
  return "";
}

uint64_t Explorer::content_of(const Run& run, MemoryDevice& image) const {
  AlignedBuffer block(kBlockBytes);
  uint64_t hash = 0;
  for (uint64_t at : run.touched) {
    SCALEFS_CHECK(image.read(BlockNo(at), block.span()).ok());
    hash = siphash24(HashKey{hash, at}, block.data(), kBlockBytes);
  }
  return hash;
}

std::string Explorer::judged_as(MemoryDevice& image, const Run& run, uint64_t cut, bool thorough) {
  judged_++;
  std::string wrong = judge(image, run.oracle, cut, thorough);
  return options_.accept_all ? "" : wrong;
}

std::string Explorer::cut_recovery(Run& run, const MemoryDevice& image, uint64_t cut) {
  auto medium = image.clone();
  diskfs::RecordingDevice recording(*medium);
  volume::VolumeOptions options;
  options.threads = false;
  std::string why;
  auto volume = volume::Volume::mount(recording, options, &why);
  if (!volume.ok()) return "mount: " + why;
  (*volume)->step_commit();
  (*volume)->step_checkpoint();
  (*volume)->shutdown();
  CrashImages again(image, recording);
  for (uint64_t events = 0; events <= recording.event_count(); events++) {
    again.advance(events);
    for (uint64_t kind = 0; kind < (again.undecided().empty() ? 1u : 3u); kind++) {
      uint64_t choice = run.random.next();
      auto left = again.build(kind == 0   ? CrashImages::keep_all()
                              : kind == 1 ? CrashImages::keep_none()
                                          : CrashImages::keep_random(choice));
      distinct_.insert(content_of(run, *left));
      auto wrong = judged_as(*left, run, cut, true);
      if (!wrong.empty()) return fmt::format("its recovery cut after event {}: {}", events, wrong);
    }
  }
  return "";
}

std::string Explorer::try_state(Run& run, const CrashImages& images,
                                const CrashImages::KeepSector& keep, const std::string& choice) {
  auto image = images.build(keep);
  uint64_t content = content_of(run, *image);
  auto [returned, begun] = run.oracle.calls_at(images.cut());
  if (!run.seen.insert({content, returned, begun}).second) return "";
  distinct_.insert(content);
  std::string wrong;
  if (run.random.percent(options_.again_percent)) wrong = cut_recovery(run, *image, images.cut());
  if (wrong.empty()) wrong = judged_as(*image, run, images.cut(), true);
  if (wrong.empty()) return "";
  return fmt::format("cut after event {} of {}, {}: {}", images.cut(),
                     run.recording.event_count(), choice, wrong);
}

std::string Explorer::explore(const std::string& script) {
  Run run;
  if (auto wrong = record(script, &run); !wrong.empty()) return wrong;
  CrashImages images(*run.start, run.recording);
  for (uint64_t cut = 0; cut <= run.recording.event_count(); cut++) {
    images.advance(cut);
    const auto& open = images.undecided();
    std::vector<std::pair<std::string, CrashImages::KeepSector>> choices;
    choices.emplace_back("all kept", CrashImages::keep_all());
    if (!open.empty()) choices.emplace_back("none kept", CrashImages::keep_none());
    for (size_t i = 0; i < open.size() && open.size() > 1; i++) {
      uint64_t one = open[i];
      choices.emplace_back(fmt::format("event {} dropped", one),
                           [one](uint64_t event, uint64_t) { return event != one; });
      choices.emplace_back(fmt::format("event {} alone", one),
                           [one](uint64_t event, uint64_t) { return event == one; });
    }
    for (uint64_t i = 0; i < options_.subsets && open.size() > 2; i++) {
      uint64_t choice = run.random.next();
      choices.emplace_back(fmt::format("events by {}", choice), [choice](uint64_t event, uint64_t) {
        return Random(choice + event).below(2) == 0;
      });
    }
    if (!open.empty()) {
      uint64_t last = open.back();
      uint64_t sectors = run.recording.event(last).count * 8;
      uint64_t torn = 1 + run.random.below(sectors);
      choices.emplace_back(fmt::format("event {} torn at sector {}", last, torn),
                           [=](uint64_t event, uint64_t s) { return event != last || s < torn; });
      uint64_t choice = run.random.next();
      choices.emplace_back(fmt::format("blocks by {}", choice), [=](uint64_t event, uint64_t s) {
        return Random(choice + event * 1009 + s / 8).below(2) == 0;
      });
      choices.emplace_back(fmt::format("sectors by {}", choice), CrashImages::keep_random(choice));
    }
    for (const auto& [choice, keep] : choices) {
      if (auto wrong = try_state(run, images, keep, choice); !wrong.empty()) return wrong;
    }
  }
  return "";
}

Explorer::Lost Explorer::lose_each_write(const std::string& script) {
  Run run;
  if (!record(script, &run).empty()) return {};
  Lost lost;
  for (uint64_t event = 0; event < run.script_events; event++) {
    if (run.recording.event(event).kind != RecordedEvent::Kind::write) continue;
    CrashImages images(*run.start, run.recording);
    images.lose(event);
    images.advance(run.script_events);
    auto image = images.build(CrashImages::keep_all());
    lost.writes++;
    lost.found += judged_as(*image, run, run.script_events, false).empty() ? 0 : 1;
  }
  return lost;
}

std::string Explorer::explore_forbidden(const std::string& script) {
  Run run;
  if (auto wrong = record(script + "; sync", &run); !wrong.empty()) return wrong;
  uint64_t end = run.recording.event_count();
  auto lost = run.start->clone();
  if (judged_as(*lost, run, end, false).empty()) return "all lost, and accepted";
  CrashImages images(*run.start, run.recording);
  images.advance(end);
  auto image = images.build(CrashImages::keep_all());
  std::string why;
  volume::VolumeOptions options;
  options.threads = false;
  auto volume = volume::Volume::mount(*image, options, &why);
  if (!volume.ok()) return "mount: " + why;
  auto file = (*volume)->fs().lookup(kRootMnode, "f");
  if (!file.ok() || file->attr.size < 5000) return "no /f to be damaged";
  const std::byte changed[1] = {std::byte{'!'}};
  for (uint64_t at = 4000; at < 4010; at++) {
    auto written = (*volume)->fs().write(file->attr.mnode, at, changed);
    if (!written.ok()) return "the damage was not written";
  }
  if (!(*volume)->unmount().ok()) return "unmount";
  volume->reset();
  if (judged_as(*image, run, end, false).empty()) return "bytes changed, and accepted";
  return "";
}

}  // namespace scalefs::testing
