#include "tests/fuzz/support/image_input.h"

#include <algorithm>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/random.h"
#include "tests/fuzz/support/fuzzing.h"
#include "tests/fuzz/support/image_seal.h"

namespace scalefs::fuzz {

namespace {

const BaseImage& base_of(uint8_t flags) {
  return (flags & kUnmounted) != 0 ? unmounted_image() : crashed_image();
}

// The places that a target edits.
std::vector<Place> places_of(const BaseImage& base, const std::vector<PlaceKind>& kinds) {
  std::vector<Place> places;
  std::ranges::copy_if(base.places, std::back_inserter(places), [&](const Place& place) {
    return std::ranges::find(kinds, place.kind) != kinds.end();
  });
  require(!places.empty(), "there is no place to edit");
  return places;
}

class Reader {
 public:
  explicit Reader(ConstBytes from) : from_(from) {}
  bool done() const { return at_ >= from_.size(); }
  uint8_t byte() { return done() ? uint8_t{0} : static_cast<uint8_t>(from_[at_++]); }
  uint16_t word() {
    const uint8_t low = byte();
    return static_cast<uint16_t>(low | byte() << 8);
  }

 private:
  ConstBytes from_;
  size_t at_ = 0;
};

}  // namespace

ImageInput decode_input(ConstBytes bytes) {
  Reader from(bytes);
  ImageInput input;
  input.flags = from.byte();
  while (!from.done() && input.edits.size() < ImageInput::kEditsMax) {
    ImageEdit edit;
    edit.place = from.word();
    edit.offset = from.word() % kBlockBytes;
    const size_t length = from.byte();
    edit.copies = length == 0;
    if (edit.copies) {
      edit.from = from.word();
    } else {
      while (edit.bytes.size() < length && !from.done()) edit.bytes.push_back(from.byte());
    }
    input.edits.push_back(std::move(edit));
  }
  return input;
}

std::vector<uint8_t> encode_input(const ImageInput& input) {
  std::vector<uint8_t> to{input.flags};
  const auto word = [&](uint16_t value) {
    to.push_back(static_cast<uint8_t>(value));
    to.push_back(static_cast<uint8_t>(value >> 8));
  };
  for (const ImageEdit& edit : input.edits) {
    word(edit.place);
    word(edit.offset);
    const size_t length = edit.copies ? 0 : std::min<size_t>(edit.bytes.size(), 255);
    to.push_back(static_cast<uint8_t>(length));
    if (edit.copies) word(edit.from);
    to.insert(to.end(), edit.bytes.begin(), edit.bytes.begin() + static_cast<ptrdiff_t>(length));
  }
  return to;
}

std::unique_ptr<diskfs::OverlayDevice> build_image(const ImageInput& input,
                                                   const std::vector<PlaceKind>& kinds) {
  const BaseImage& base = base_of(input.flags);
  // Only read: an overlay does not write to what lies below.
  auto device =
      std::make_unique<diskfs::OverlayDevice>(const_cast<diskfs::MemoryDevice&>(base.device));
  const std::vector<Place> places = places_of(base, kinds);
  AlignedBuffer page(kBlockBytes);
  for (const ImageEdit& edit : input.edits) {
    const uint64_t block = places[edit.place % places.size()].block;
    const uint64_t source = edit.copies ? places[edit.from % places.size()].block : block;
    require(device->read(BlockNo(source), page.span()).ok(), "a place cannot be read");
    const size_t room = kBlockBytes - edit.offset;
    if (!edit.bytes.empty()) {
      std::memcpy(page.data() + edit.offset, edit.bytes.data(), std::min(edit.bytes.size(), room));
    }
    require(device->write(BlockNo(block), page.span()).ok(), "a place cannot be written");
  }
  if ((input.flags & kSeal) != 0 && sealing_wanted()) {
    seal_image(*device, base.superblock,
               {.chain = (input.flags & kKeepChain) == 0, .count = (input.flags & kKeepCounts) == 0});
  }
  return device;
}

namespace {

class Mutator {
 public:
  Mutator(ImageInput& input, unsigned seed, const std::vector<PlaceKind>& kinds)
      : input_(input),
        random_(seed),
        base_(base_of(input.flags)),
        places_(places_of(base_, kinds)),
        page_(kBlockBytes) {}

  void run() {
    const uint64_t choice = random_.below(100);
    if (input_.edits.empty() || choice < 45) return add();
    ImageEdit& edit = input_.edits[random_.below(input_.edits.size())];
    if (choice < 60) {
      std::swap(edit, input_.edits.back());
      input_.edits.pop_back();
    } else if (choice < 80) {
      change_bytes(edit);
    } else if (choice < 90) {
      edit.offset = static_cast<uint16_t>((edit.offset + random_.between(0, 32) - 16) % kBlockBytes);
    } else if (choice < 95) {
      edit.place = any_place();
    } else {
      input_.flags ^= static_cast<uint8_t>(1u << random_.below(4));
    }
  }

 private:
  // A kind first, so that a single superblock counts as much as many nodes.
  uint16_t any_place() {
    const PlaceKind kind = places_[random_.below(places_.size())].kind;
    constexpr PlaceKind kKinds[] = {PlaceKind::superblock, PlaceKind::table, PlaceKind::map,
                                    PlaceKind::node,       PlaceKind::node,  PlaceKind::node,
                                    PlaceKind::journal,    PlaceKind::data};
    const PlaceKind wanted = random_.percent(50) ? kind : kKinds[random_.below(std::size(kKinds))];
    for (;;) {
      const uint64_t index = random_.below(places_.size());
      if (places_[index].kind == wanted || random_.percent(2)) return static_cast<uint16_t>(index);
    }
  }

  // Where something is said: headers and keys more often than values, which nodes have at the end.
  uint16_t any_offset(const Place& place) {
    const uint64_t choice = random_.below(10);
    size_t low = 0, high = std::max<size_t>(place.used, 1);
    if (choice < 3) high = std::min<size_t>(high, 112);
    if (place.kind == PlaceKind::node && choice > 5) {
      low = std::min<size_t>(high, kBlockBytes - 1);
      high = kBlockBytes;
    }
    return static_cast<uint16_t>(low + random_.below(std::max<size_t>(high - low, 1)));
  }

  void load(const Place& place) {
    require(const_cast<diskfs::MemoryDevice&>(base_.device)
                .read(BlockNo(place.block), page_.span())
                .ok(),
            "a place cannot be read");
  }

  std::vector<uint8_t> page_bytes(size_t offset, size_t count) {
    count = std::min(count, kBlockBytes - offset);
    const auto* from = reinterpret_cast<const uint8_t*>(page_.data()) + offset;
    return {from, from + count};
  }

  void add() {
    if (input_.edits.size() >= ImageInput::kEditsMax) input_.edits.pop_back();
    ImageEdit edit;
    edit.place = any_place();
    const Place& place = places_[edit.place];
    if (random_.percent(6)) {
      edit.copies = true;
      edit.from = any_place();
      input_.edits.push_back(edit);
      return;
    }
    edit.offset = any_offset(place);
    const size_t width = size_t{1} << random_.below(4);
    load(place);
    edit.bytes = page_bytes(edit.offset, width);
    std::vector<uint8_t>& bytes = edit.bytes;
    switch (random_.below(8)) {
      case 0: std::ranges::fill(bytes, uint8_t{0}); break;
      case 1: std::ranges::fill(bytes, uint8_t{0xff}); break;
      case 2: bytes[0] = static_cast<uint8_t>(bytes[0] + 1 + random_.below(16)); break;
      case 3: bytes[0] = static_cast<uint8_t>(bytes[0] - 1 - random_.below(16)); break;
      case 4: bytes[random_.below(bytes.size())] ^= static_cast<uint8_t>(1u << random_.below(8)); break;
      case 5: {
        // What stands elsewhere, in a block of the same kind more often than not.
        const Place& source = places_[random_.percent(60) ? edit.place : any_place()];
        load(source);
        bytes = page_bytes(any_offset(source), random_.percent(80) ? width : random_.between(1, 64));
        break;
      }
      default:
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random_.next());
    }
    input_.edits.push_back(std::move(edit));
  }

  void change_bytes(ImageEdit& edit) {
    if (edit.copies) {
      edit.from = any_place();
      return;
    }
    constexpr size_t kBytesMax = 128;
    const size_t size = std::min(edit.bytes.size(), kBytesMax);
    edit.bytes.resize(kBytesMax);
    edit.bytes.resize(LLVMFuzzerMutate(edit.bytes.data(), size, kBytesMax));
    if (edit.bytes.empty()) edit.bytes.push_back(0);
  }

  ImageInput& input_;
  Random random_;
  const BaseImage& base_;
  const std::vector<Place> places_;
  AlignedBuffer page_;
};

}  // namespace

size_t mutate_input(uint8_t* data, size_t size, size_t size_max, unsigned seed,
                    const std::vector<PlaceKind>& kinds) {
  ImageInput input = decode_input(bytes_of(data, size));
  Mutator(input, seed, kinds).run();
  std::vector<uint8_t> changed = encode_input(input);
  while (changed.size() > size_max && !input.edits.empty()) {
    input.edits.erase(input.edits.begin());
    changed = encode_input(input);
  }
  if (changed.size() > size_max) return 0;
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}

}  // namespace scalefs::fuzz
