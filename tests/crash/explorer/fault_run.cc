#include "tests/crash/explorer/fault_run.h"

#include <fmt/format.h>

#include <array>

#include "base/epoch.h"
#include "base/memory.h"
#include "diskfs/recording_device.h"
#include "tests/crash/explorer/judge.h"
#include "tests/support/memory_faults.h"
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

// What devices of tests allocate is not the engine's.
class HostDevice final : public diskfs::BlockDevice {
 public:
  explicit HostDevice(diskfs::BlockDevice& base) : base_(base) {}
  uint64_t block_count() const override { return base_.block_count(); }
  bool read_only() const override { return base_.read_only(); }
  Status read(BlockNo first, Bytes to) override { return outside([&] { return base_.read(first, to); }); }
  Status write(BlockNo first, ConstBytes from) override {
    return outside([&] { return base_.write(first, from); });
  }
  Status flush() override { return outside([&] { return base_.flush(); }); }
  Status discard(BlockNo first, uint64_t count) override {
    return outside([&] { return base_.discard(first, count); });
  }
  Status write_zeroes(BlockNo first, uint64_t count) override {
    return outside([&] { return base_.write_zeroes(first, count); });
  }

 private:
  template <class Call>
  Status outside(Call call) {
    const MemoryFaults::Outside outside;
    return call();
  }
  diskfs::BlockDevice& base_;
};

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
  HostDevice host{device};
  std::set<int> tolerated = {EIO, EROFS, EUCLEAN};
  std::unique_ptr<volume::Volume> volume;
  std::unique_ptr<CrashScript> calls;

  std::string mount(std::string* why) {
    const auto mount = [&]() -> Result<std::unique_ptr<volume::Volume>> {
      const MemoryFaults::InEngine in;
      try {
        return volume::Volume::mount(host, options_of_run(), why);
      } catch (const std::bad_alloc&) {
        return Errno(ENOMEM);
      }
    };
    auto mounted = mount();
    if (mounted.code() == ENOMEM) *why = "no memory";
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
  life.calls->tolerate(life.tolerated);

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
  allocations_ = MemoryFaults::count();
  MemoryFaults::clear();
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

// Memory is back, and the volume has not failed.
std::string FaultRun::use_and_unmount(Life& life) {
  auto& volume = *life.volume;
  // Unwritten pages hold room only until the unmount, so the scripts' are written.
  const char* kUse = "create /last; write /last 0 9000; fsync /last; write /n 0 100000; sync";
  if (auto wrong = life.calls->run(kUse); !wrong.empty()) return "afterwards: " + wrong;
  for (int i = 0; i < 100 && (volume.step_maintenance() || volume.step_checkpoint()); ++i) {
  }
  const uint64_t left = volume.statfs().blocks_free;
  if (int code = volume.unmount().code()) return fmt::format("unmount: errno {}", code);
  life.volume.reset();
  std::string why;
  if (auto wrong = life.mount(&why); !wrong.empty()) return "the next mount: " + wrong;
  const uint64_t free = life.volume->statfs().blocks_free;
  life.volume->shutdown();
  if (free > left) return fmt::format("{} blocks were free, and {} are for the next mount", left, free);
  return check_image(*life.medium);
}

std::string FaultRun::run_without_memory(const std::string& script, uint64_t n, bool later_too) {
  static char before_all;
  const auto counted = [] {
    epoch::drain();
    std::array<int64_t, static_cast<size_t>(MemoryClass::count)> bytes;
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = memory_bytes(static_cast<MemoryClass>(i));
    return bytes;
  };
  {
    // What epochs remember of this thread then needs no memory: else retired objects are leaked (epoch.h), and stay counted.
    const EpochGuard guard;
    for (int i = 0; i < 4096; ++i) epoch::retire(&before_all, [](void*) {});
  }
  const auto before = counted();
  Life life;
  life.tolerated.insert(ENOMEM);
  std::string wrong = live(life, script, [&](FaultDevice&) { MemoryFaults::fail(n, later_too); });
  if (wrong.empty()) wrong = end_of(life);
  if (wrong.empty() && mounted_ && !failed_) wrong = use_and_unmount(life);
  if (life.volume) life.volume->shutdown();
  life.volume.reset();
  if (wrong.empty()) wrong = judge(*life.medium, life.calls->oracle(), UINT64_MAX, false);
  const auto after = counted();
  for (size_t i = 0; i < after.size() && wrong.empty(); ++i) {
    if (after[i] == before[i]) continue;
    wrong = fmt::format("{} bytes of {} are counted that are no more", after[i] - before[i],
                        memory_class_name(static_cast<MemoryClass>(i)));
  }
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
