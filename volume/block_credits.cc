#include "volume/block_credits.h"

#include <algorithm>

namespace scalefs::volume {

namespace {

uint64_t reserve_of(uint64_t total_blocks) {
  return std::clamp<uint64_t>(total_blocks / 32, 128, 16384);
}

}  // namespace

BlockCredits::BlockCredits(Room& room, uint64_t total_blocks)
    : room_(room), reserve_(reserve_of(total_blocks)) {}

bool BlockCredits::take_fast(uint64_t blocks, uint64_t operations) {
  Pool& pool = pools_.mine();
  SpinLock lock(pool.lock);
  if (pool.blocks < blocks || pool.operations < operations) return false;
  pool.blocks -= blocks;
  pool.operations -= operations;
  return true;
}

int64_t BlockCredits::available(uint64_t unseen_operations) {
  const uint64_t operations = room_.log_operations() + unseen_operations;
  const uint64_t metadata = room_.checkpoint_bound() + operations * kBlocksAnOperation;
  return static_cast<int64_t>(room_.free_blocks()) - granted_ - static_cast<int64_t>(metadata) -
         static_cast<int64_t>(reserve_);
}

uint64_t BlockCredits::pooled_operations() {
  uint64_t sum = 0;
  for (uint32_t core = 0; core < pools_.size(); ++core) {
    Pool& pool = pools_.at(core);
    SpinLock lock(pool.lock);
    sum += pool.operations;
  }
  return sum;
}

bool BlockCredits::take(uint64_t blocks, uint64_t operations) {
  uint64_t block_bulk = 0;
  uint64_t operation_bulk = 0;
  {
    MutexLock lock(mutex_);
    const auto wanted = static_cast<int64_t>(blocks);
    int64_t room = available(pools_.size() * kOperationBulk);
    if (room < wanted) room = available(pooled_operations() + operations);
    if (room < wanted) return false;
    const uint64_t spare = static_cast<uint64_t>(room - wanted) / (16 * pools_.size());
    block_bulk = blocks == 0 ? 0 : std::min(spare, kBlockBulk);
    operation_bulk = std::min(spare / kBlocksAnOperation, kOperationBulk);
    granted_ += static_cast<int64_t>(blocks + block_bulk);
  }
  Pool& pool = pools_.mine();
  SpinLock lock(pool.lock);
  pool.blocks += block_bulk;
  pool.operations = operation_bulk;
  return true;
}

void BlockCredits::overdraw(uint64_t blocks) {
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
  if (surplus != 0) spend(surplus);
}

void BlockCredits::spend(uint64_t blocks) {
  MutexLock lock(mutex_);
  granted_ -= static_cast<int64_t>(blocks);
}

void BlockCredits::gather() {
  uint64_t sum = 0;
  for (uint32_t core = 0; core < pools_.size(); ++core) {
    Pool& pool = pools_.at(core);
    SpinLock lock(pool.lock);
    sum += pool.blocks;
    pool.blocks = 0;
    pool.operations = 0;
  }
  spend(sum);
}

uint64_t BlockCredits::pooled() {
  uint64_t sum = 0;
  for (uint32_t core = 0; core < pools_.size(); ++core) {
    Pool& pool = pools_.at(core);
    SpinLock lock(pool.lock);
    sum += pool.blocks;
  }
  return sum;
}

bool BlockCredits::checkpoint_due() {
  MutexLock lock(mutex_);
  return available(pooled_operations()) < 0;
}

uint64_t BlockCredits::available_for_users() {
  const auto free = static_cast<int64_t>(room_.free_blocks());
  const int64_t taken = static_cast<int64_t>(held() + reserve_);
  return free > taken ? static_cast<uint64_t>(free - taken) : 0;
}

uint64_t BlockCredits::held() {
  const auto idle = static_cast<int64_t>(pooled());
  MutexLock lock(mutex_);
  return static_cast<uint64_t>(std::max<int64_t>(granted_ - idle, 0));
}

}  // namespace scalefs::volume
