// Embeds a volume: makes it in an image file, writes a file, makes that durable, and reads it after another mount.
//   embed IMAGE
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

#include "diskfs/file_device.h"
#include "diskfs/format.h"
#include "volume/volume.h"

int main(int argc, char** argv) {
  const std::string image = argc > 1 ? argv[1] : "embed.img";
  std::string why;
  const auto need = [&why](bool done, const char* what) {
    if (!done) std::fprintf(stderr, "embed: %s failed. %s\n", what, why.c_str()), std::exit(1);
  };
  std::FILE* made = std::fopen(image.c_str(), "w");
  need(made != nullptr && ::ftruncate(::fileno(made), 64 << 20) == 0 && std::fclose(made) == 0, "making the image file");
  auto device = scalefs::diskfs::FileDevice::open(image, {}, &why);
  need(device.ok() && scalefs::diskfs::format(**device, {}, &why).ok(), "formatting");

  const std::string text = "kept\n";
  auto volume = scalefs::volume::Volume::mount(**device, {}, &why);
  need(volume.ok(), "mounting");
  scalefs::memfs::MemFs* fs = &(*volume)->fs();
  auto file = fs->create(scalefs::kRootMnode, "file", 0644, true, {});
  need(file.ok() && fs->write(file->attr.mnode, 0, std::as_bytes(std::span(text))).ok(), "writing");
  need((*volume)->fsync(file->attr.mnode, false).ok(), "fsync");  // durable from here on
  fs->forget(file->attr.mnode, 1);                                // each Entry counts a lookup
  need((*volume)->unmount().ok(), "unmounting");

  volume = scalefs::volume::Volume::mount(**device, {}, &why);
  need(volume.ok(), "mounting");
  file = (*volume)->fs().lookup(scalefs::kRootMnode, "file");
  std::string found(text.size(), '\0');
  need(file.ok() && (*volume)->fs().read(file->attr.mnode, 0, std::as_writable_bytes(std::span(found))).ok(), "reading");
  std::fputs(found.c_str(), stdout);
  return found == text && (*volume)->unmount().ok() ? 0 : 1;
}
