// Takes out of metadata what users would not want to show: names, targets of symbolic links, content, extended
// attributes. Nothing changes its size or place, so that all else stays as it is.
//
// What cannot be decoded may hold anything: it becomes zeros, which cannot be decoded either.
#pragma once

#include "base/hash.h"
#include "diskfs/node_format.h"

namespace scalefs::tools {

class Blank {
 public:
  // `key`: of the hashes in the volume.
  explicit Blank(const HashKey& key) : key_(key) {}

  // A leaf that verify_node accepted, or one whose keys alone are wrong.
  void leaf(Bytes page) const;
  // The operations of a batch, in so many blocks of the journal as before. Changes of extended attributes are
  // left out. False when they do not decode: then it is as many zeros.
  bool batch(ConstBytes payload, std::vector<std::byte>* to, uint32_t* op_count) const;

 private:
  void value(const diskfs::Key& key, Bytes value) const;

  const HashKey key_;
};

// The checksum of a block of a file in the copy: it is a hole.
uint32_t zero_block_crc();

}  // namespace scalefs::tools
