// racy_store and racy_load as a seqlock uses them: no race for the thread sanitizer, and a copy
// that the sequence number accepts is whole.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/mutex.h"

namespace scalefs {
namespace {

constexpr size_t kBytes = 4096;

struct Page {
  SpinBit writer;
  Atomic<uint32_t> sequence{0};  // odd while a writer is inside
  alignas(8) unsigned char bytes[kBytes] = {};
};

void write_page(Page& page, const unsigned char* from) {
  SpinLock lock(page.writer);
  const uint32_t sequence = page.sequence.load(relaxed);
  // An exchange, whose acquire side keeps the stores of the bytes behind it.
  page.sequence.exchange(sequence + 1, acq_rel);
  racy_store(page.bytes, from, kBytes);
  page.sequence.store(sequence + 2, release);  // pairs with the acquire in read_page
}

// True when `to` holds one state of the page.
bool read_page(Page& page, unsigned char* to) {
  const uint32_t before = page.sequence.load(acquire);  // pairs with the release in write_page
  if (before % 2 != 0) return false;
  racy_load(to, page.bytes, kBytes);
  // An addition of nothing, whose release side keeps the loads of the bytes before it.
  return page.sequence.fetch_add(0, acq_rel) == before;
}

TEST(SeqlockStress, AcceptedCopiesAreWhole) {
  Page page;
  constexpr int kWrites = 1000;
  std::vector<std::thread> threads;
  for (int w = 0; w < 2; ++w) {
    threads.emplace_back([&page, w] {
      std::vector<unsigned char> bytes(kBytes);
      for (int i = 0; i < kWrites; ++i) {
        std::fill(bytes.begin(), bytes.end(), static_cast<unsigned char>(2 * i + w));
        write_page(page, bytes.data());
      }
    });
  }
  int torn = 0;
  int accepted = 0;
  threads.emplace_back([&] {
    std::vector<unsigned char> copy(kBytes);
    for (int i = 0; i < 2 * kWrites; ++i) {
      if (!read_page(page, copy.data())) continue;
      ++accepted;
      for (unsigned char byte : copy) torn += byte != copy[0];
    }
  });
  for (auto& thread : threads) thread.join();
  std::vector<unsigned char> copy(kBytes);
  EXPECT_TRUE(read_page(page, copy.data()));
  EXPECT_EQ(torn, 0) << "of " << accepted << " accepted copies";
}

}  // namespace
}  // namespace scalefs
