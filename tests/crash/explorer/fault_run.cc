#include "tests/crash/explorer/fault_run.h"

#include <fmt/format.h>

#include "diskfs/recording_device.h"
#include "tests/crash/explorer/judge.h"
#include "tests/support/volumes.h"

namespace scalefs::testing {

using diskfs::FaultDevice;

namespace {

volume::VolumeOptions options_of_run() {
  volume::VolumeOptions options;
  options.threads = false;
  options.cache_bytes = 4u << 20;
  return options;
}

// An error that says that a device has lost or changed something, rather than one that a sound volume has.
bool tells_damage(const std::string& wrong) {
  return wrong.ends_with(fmt::format("errno {}", EUCLEAN)) || wrong.ends_with(fmt::format("errno {}", EIO));
}

// Until there is room for `left` blocks of data, which is then durable.
std::string fill(volume::Volume& volume, uint64_t left) {
  auto& fs = volume.fs();
  auto file = fs.create(kRootMnode, "fill", 0100644, true, {});
  if (!file.ok()) return fmt::format("create: errno {}", file.code());
  const std::string text(256 << 10, 'f');
  uint64_t size = 0;
  for (size_t step = text.size(); step >= kBlockBytes;) {
    auto written = fs.write(file->attr.mnode, size, std::as_bytes(std::span(text.data(), step)));
    if (written.ok()) {
      size += *written;
    } else if (written.code() == ENOSPC) {
      step /= 2;
    } else {
      return fmt::format("filling: errno {}", written.code());
    }
  }
  memfs::SetAttr change;
  change.size = size - std::min(size, left * kBlockBytes);
  if (int code = fs.setattr(file->attr.mnode, change).code()) return fmt::format("truncate: errno {}", code);
  if (int code = volume.sync().code()) return fmt::format("sync: errno {}", code);
  while (volume.step_checkpoint()) {
  }
  return "";
}

}  // namespace

struct FaultRun::Life {
  std::unique_ptr<diskfs::MemoryDevice> medium = formatted_device(16u << 20);
  diskfs::RecordingDevice recording{*medium};
  FaultDevice device{recording};
  std::unique_ptr<volume::Volume> volume;
  std::unique_ptr<CrashScript> calls;

  std::string mount(std::string* why) {
    auto mounted = volume::Volume::mount(device, options_of_run(), why);
    if (!mounted.ok()) return fmt::format("mount: errno {}", mounted.code());
    volume = std::move(*mounted);
    return "";
  }
};

// The script's own faults are its findings; a mount that fails is none.
std::string FaultRun::live(Life& life, const std::string& script, const Faults& faults) {
  mounted_ = failed_ = damage_told_ = false;
  refused_ = 0;
  std::string why;
  if (auto wrong = life.mount(&why); !wrong.empty()) return wrong;
  life.calls = std::make_unique<CrashScript>(*life.volume, life.recording);
  if (auto wrong = life.calls->prepare(); !wrong.empty()) return wrong;
  if (!life.volume->unmount().ok()) return "the first unmount failed";
  life.volume.reset();
  life.recording.forget();
  life.calls->begin();
  life.calls->tolerate({EIO, EROFS, EUCLEAN});

  uint64_t before[FaultDevice::kCalls];
  for (size_t i = 0; i < FaultDevice::kCalls; i++) {
    before[i] = life.device.calls(static_cast<FaultDevice::Call>(i));
  }
  faults(life.device);
  mounted_ = life.mount(&why).empty();
  std::string wrong;
  if (mounted_) {
    life.calls->remounted(*life.volume);
    wrong = life.calls->run(script);
  } else if (why.empty()) {
    wrong = "mount says no reason";
  }
  for (size_t i = 0; i < FaultDevice::kCalls; i++) {
    calls_[i] = life.device.calls(static_cast<FaultDevice::Call>(i)) - before[i];
  }
  failed_ = mounted_ && life.volume->failed();
  refused_ = life.calls->refused();
  life.device.clear();
  return wrong;
}

// The faults have passed, the volume is still mounted.
std::string FaultRun::end_of(Life& life) {
  if (!mounted_) return "";
  if (auto wrong = life.calls->compare(); !wrong.empty()) return "in memory: " + wrong;
  if (!failed_) return "";
  auto& fs = life.volume->fs();
  if (int code = life.volume->sync().code(); code != EIO) return fmt::format("sync: errno {}", code);
  if (int code = life.volume->fsync(kRootMnode, false).code(); code != EIO) {
    return fmt::format("fsync: errno {}", code);
  }
  if (int code = fs.create(kRootMnode, "late", 0100644, true, {}).code(); code != EROFS) {
    return fmt::format("create on a failed volume: errno {}", code);
  }
  if (int code = fs.unlink(kRootMnode, "f").code(); code != EROFS && code != ENOENT) {
    return fmt::format("unlink on a failed volume: errno {}", code);
  }
  return "";
}

std::string FaultRun::run(const std::string& script, const Faults& faults) {
  Life life;
  std::string wrong = live(life, script, faults);
  if (wrong.empty()) wrong = end_of(life);
  if (life.volume) life.volume->shutdown();
  life.volume.reset();
  if (wrong.empty()) wrong = judge(*life.medium, life.calls->oracle(), UINT64_MAX, /*thorough=*/true);
  return wrong;
}

std::string FaultRun::run_full(const std::string& script, uint64_t left) {
  Life life;
  std::string why;
  if (auto wrong = life.mount(&why); !wrong.empty()) return wrong;
  CrashScript calls(*life.volume, life.recording);
  calls.look_only_at({[](const std::string& path) { return path != "/fill"; }, {}});
  if (auto wrong = calls.prepare(); !wrong.empty()) return wrong;
  if (auto wrong = fill(*life.volume, left); !wrong.empty()) return wrong;
  life.recording.forget();
  calls.begin();
  calls.tolerate({ENOSPC});
  if (auto wrong = calls.run(script); !wrong.empty()) return wrong;
  refused_ = calls.refused();
  if (life.volume->failed()) return "the volume has failed";
  if (auto wrong = calls.compare(); !wrong.empty()) return "in memory: " + wrong;
  life.volume->shutdown();
  life.volume.reset();
  if (auto wrong = judge(*life.medium, calls.oracle(), UINT64_MAX, false); !wrong.empty()) return wrong;
  return check_image(*life.medium);
}

std::string FaultRun::run_lies(const std::string& script, const Faults& faults) {
  Life life;
  std::string wrong = live(life, script, faults);
  if (!wrong.empty()) return wrong;
  if (life.volume) life.volume->shutdown();
  life.volume.reset();
  std::string why;
  auto again = volume::Volume::mount(*life.medium, options_of_run(), &why);
  if (!again.ok()) {
    damage_told_ = true;
    return again.code() == EUCLEAN ? "" : fmt::format("mount: errno {}: {}", again.code(), why);
  }
  wrong = life.calls->oracle().check_unpromised(**again);
  damage_told_ = refused_ != 0 || failed_ || tells_damage(wrong);
  (*again)->shutdown();
  again->reset();
  (void)check_image(*life.medium);  // finds it or not, and ends
  return tells_damage(wrong) ? "" : wrong;
}

}  // namespace scalefs::testing
