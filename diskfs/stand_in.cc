#include "diskfs/stand_in.h"

#include "base/hash.h"

namespace scalefs::diskfs {

namespace {

constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr size_t kLettersOfWord = 10;  // 6 bits each

}  // namespace

std::string stand_in_name(uint64_t hash, size_t length) {
  std::string name;
  name.reserve(length);
  uint64_t word = 0;
  for (size_t i = 0; i < length; ++i) {
    if (i % kLettersOfWord == 0) {
      const uint64_t counter = i / kLettersOfWord;
      word = siphash24(HashKey{hash, 0}, &counter, sizeof counter);
    }
    name += kLetters[word & 63];
    word >>= 6;
  }
  return name;
}

std::string stand_in_xattr_name(uint64_t hash, std::string_view name) {
  const size_t dot = name.find('.');
  const size_t kept = dot == std::string_view::npos ? 0 : dot + 1;
  return std::string(name.substr(0, kept)) + stand_in_name(hash, name.size() - kept);
}

bool dirent_has_hash(const Superblock& sb, std::string_view name, uint64_t hash) {
  if (is_metadata_image(sb)) return name == stand_in_name(hash, name.size());
  return siphash24(sb.hash_key, name) == hash;
}

bool xattr_has_hash(const Superblock& sb, std::string_view name, uint64_t hash) {
  if (is_metadata_image(sb)) return name == stand_in_xattr_name(hash, name);
  return siphash24(sb.hash_key, name) == hash;
}

}  // namespace scalefs::diskfs
