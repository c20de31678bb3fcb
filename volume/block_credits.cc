#include "volume/block_credits.h"

#include <algorithm>
#include <utility>

namespace scalefs::volume {

namespace {

// Leaves of a batch's own: marks of mnode numbers, a few bytes for each core, side by side.
constexpr uint64_t kBatchPlaces = 6;
// Refills a core that must be there for one look to take the half of them.
constexpr uint64_t kLookShares = 4;

uint64_t fixed_of(uint64_t total_blocks) {
  const uint64_t fixed = std::clamp(total_blocks / 32, BlockCredits::kReserveBlocksMin,
                                    BlockCredits::kReserveBlocksMax);
  return std::min(fixed, total_blocks / 8);  // of a volume that only tests make
}

// Every third place an item; nothing is known of their sizes.
diskfs::PendingWork work_of(uint64_t places) {
  diskfs::PendingWork work;
  work.places = places;
  work.items = (places + 2) / 3;
  work.item_bytes = work.items * kBlockBytes;
  return work;
}

}  // namespace

BlockCredits::BlockCredits(Room& room, uint64_t total_blocks)
    : room_(room), fixed_(fixed_of(total_blocks)) {}

bool BlockCredits::take_fast(uint64_t blocks, uint64_t places) {
  Pool& pool = pools_.mine();
  SpinLock lock(pool.lock);
  if (pool.blocks < blocks || pool.places < places) return false;
  pool.blocks -= blocks;
  pool.places -= places;
  pool.under_way += static_cast<int64_t>(places);
  return true;
}

// In the order in which a record goes: calls, log, batches, blocks. What moves on meanwhile is counted
// twice rather than not at all.
int64_t BlockCredits::available(uint64_t places, Reserve reserve) {
  places += kBatchPlaces + reserved_places();
  places += room_.logged_places();
  const uint64_t checkpoint = room_.checkpoint_bound(work_of(places));
  const uint64_t kept = reserve == Reserve::kept ? this->reserve() + places / kInodesABlock : 0;
  const int64_t promised =
      granted_ + (granted_ + static_cast<int64_t>(kCreditsABlock) - 1) /
                     static_cast<int64_t>(kCreditsABlock);
  return static_cast<int64_t>(room_.free_blocks()) - promised - static_cast<int64_t>(checkpoint) -
         static_cast<int64_t>(kept);
}

uint64_t BlockCredits::reserve() { return fixed_ + room_.inodes_bound() / kInodesABlock; }

uint64_t BlockCredits::reserved_places() {
  auto sum = static_cast<int64_t>(spare_places_);
  for (uint32_t core = 0; core < pools_.size(); ++core) {
    Pool& pool = pools_.at(core);
    SpinLock lock(pool.lock);
    sum += static_cast<int64_t>(pool.places) + pool.under_way;
  }
  return static_cast<uint64_t>(std::max<int64_t>(sum, 0));
}

void BlockCredits::fill(uint64_t blocks, uint64_t places, uint64_t used_places) {
  Pool& pool = pools_.mine();
  SpinLock lock(pool.lock);
  pool.blocks += blocks;
  pool.places += places;
  pool.under_way += static_cast<int64_t>(used_places);
}

bool BlockCredits::take_spare(uint64_t blocks, uint64_t places) {
  const uint64_t block_bulk = blocks == 0 ? 0 : kBlockBulk;
  if (spare_blocks_ < blocks + block_bulk || spare_places_ < places + kPlaceBulk) return false;
  spare_blocks_ -= blocks + block_bulk;
  spare_places_ -= places + kPlaceBulk;
  fill(block_bulk, kPlaceBulk, places);
  return true;
}

bool BlockCredits::take(uint64_t blocks, uint64_t places) {
  MutexLock lock(mutex_);
  if (take_spare(blocks, places)) return true;
  // A page's share of the tree is the credit's too.
  const auto wanted = static_cast<int64_t>(blocks + blocks / kCreditsABlock + 1);
  const uint64_t shares = kLookShares * pools_.size();
  uint64_t place_bulk = kPlaceBulk;
  int64_t room = available(places + shares * place_bulk, Reserve::kept);
  if (room < wanted) {
    place_bulk = 0;
    room = available(places, Reserve::kept);
  }
  if (room < wanted) return false;
  const uint64_t spare = static_cast<uint64_t>(room - wanted) / shares;
  const uint64_t block_bulk = blocks == 0 ? 0 : std::min(spare, kBlockBulk);
  granted_ += static_cast<int64_t>(blocks + block_bulk);
  fill(block_bulk, place_bulk, places);
  if (place_bulk == 0) return true;
  // The half of what was found, less this refill, for whoever comes next.
  spare_places_ = std::max(spare_places_, (shares / 2 - 1) * place_bulk);
  if (block_bulk < kBlockBulk) return true;
  const uint64_t spare_blocks = std::max(spare_blocks_, (shares / 2 - 1) * block_bulk);
  granted_ += static_cast<int64_t>(spare_blocks - spare_blocks_);
  spare_blocks_ = spare_blocks;
  return true;
}

bool BlockCredits::take_reserved(uint64_t blocks, uint64_t places) {
  MutexLock lock(mutex_);
  const auto wanted =
      blocks == 0 ? int64_t{0} : static_cast<int64_t>(blocks + blocks / kCreditsABlock + 1);
  if (available(places, Reserve::used) < wanted) return false;
  granted_ += static_cast<int64_t>(blocks);
  fill(0, 0, places);
  return true;
}

void BlockCredits::end_places(uint64_t places) {
  if (places == 0) return;
  Pool& pool = pools_.mine();
  SpinLock lock(pool.lock);
  pool.under_way -= static_cast<int64_t>(places);
}

void BlockCredits::pages_hold(int64_t blocks) { pools_.mine().in_pages.fetch_add(blocks, relaxed); }

void BlockCredits::unspend(uint64_t blocks) {
  pages_hold(static_cast<int64_t>(blocks));
  MutexLock lock(mutex_);
  granted_ += static_cast<int64_t>(blocks);
}

void BlockCredits::give_back(uint64_t blocks) {
  if (blocks == 0) return;
  uint64_t surplus = 0;
  {
    Pool& pool = pools_.mine();
    SpinLock lock(pool.lock);
    pool.blocks += blocks;
    if (pool.blocks > 2 * kBlockBulk) {
      surplus = pool.blocks - kBlockBulk;
      pool.blocks = kBlockBulk;
    }
  }
  if (surplus != 0) lower_granted(surplus);
}

void BlockCredits::spend(uint64_t blocks) {
  pages_hold(-static_cast<int64_t>(blocks));
  lower_granted(blocks);
}

void BlockCredits::lower_granted(uint64_t blocks) {
  MutexLock lock(mutex_);
  granted_ -= static_cast<int64_t>(blocks);
}

void BlockCredits::gather() {
  MutexLock all(mutex_);
  uint64_t sum = std::exchange(spare_blocks_, 0);
  spare_places_ = 0;
  for (uint32_t core = 0; core < pools_.size(); ++core) {
    Pool& pool = pools_.at(core);
    SpinLock lock(pool.lock);
    sum += pool.blocks;
    pool.blocks = 0;
    pool.places = 0;
  }
  granted_ -= static_cast<int64_t>(sum);
}

uint64_t BlockCredits::pooled() {
  uint64_t sum = spare_blocks_;
  for (uint32_t core = 0; core < pools_.size(); ++core) {
    Pool& pool = pools_.at(core);
    SpinLock lock(pool.lock);
    sum += pool.blocks;
  }
  return sum;
}

uint64_t BlockCredits::held_by_pages() const {
  int64_t sum = 0;
  for (uint32_t core = 0; core < pools_.size(); ++core) sum += pools_.at(core).in_pages.load(relaxed);
  return static_cast<uint64_t>(std::max<int64_t>(sum, 0));
}

uint64_t BlockCredits::available_for_users() {
  const uint64_t held = held_by_pages();
  const uint64_t taken = held + held / kCreditsABlock + reserve();
  const uint64_t free = room_.free_blocks();
  return free > taken ? free - taken : 0;
}

uint64_t BlockCredits::held() {
  MutexLock lock(mutex_);
  const auto idle = static_cast<int64_t>(pooled());
  return static_cast<uint64_t>(std::max<int64_t>(granted_ - idle, 0));
}

}  // namespace scalefs::volume
