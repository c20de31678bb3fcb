// Random records: translated as one batch, as a few, and one record a batch, they leave the same tree;
// what is called never named is named by no batch.
#include <gtest/gtest.h>

#include <set>

#include "base/random.h"
#include "diskfs/checkpoint_bound.h"
#include "memfs/record_places.h"
#include "tests/support/seeds.h"
#include "tests/unit/volume/model_tree.h"
#include "tests/unit/volume/record_maker.h"

namespace scalefs::volume {
namespace {

// Makes records that MemFS could have logged, keeping the names and counts that it would have.
class RecordStory {
 public:
  explicit RecordStory(uint64_t seed) : random_(seed) { dirs_[1] = Dir{}; }

  RecordMaker::Records tell(size_t count) {
    while (maker_.records.size() < count) step();
    return std::move(maker_.records);
  }
  const std::set<uint64_t>& blocks() const { return blocks_; }

 private:
  struct Dir {
    std::map<std::string, uint64_t> names;
    uint64_t parent = 1;
    std::string own_name;
  };
  struct File {
    uint32_t links = 1;
    bool held = true;
  };

  uint64_t pick_dir() {
    auto at = dirs_.begin();
    std::advance(at, random_.below(dirs_.size()));
    return at->first;
  }
  uint64_t pick_file() {
    if (files_.empty()) return 0;
    auto at = files_.begin();
    std::advance(at, random_.below(files_.size()));
    return at->first;
  }
  std::string fresh_name() { return "n" + std::to_string(random_.below(12)); }

  void step() {
    const int64_t now = ++time_;
    const uint64_t dir = pick_dir();
    const uint64_t file = pick_file();
    const std::string name = fresh_name();
    const bool taken = dirs_[dir].names.contains(name);
    switch (random_.below(13)) {
      case 0: case 1:
        if (taken) return;
        maker_.create(next_, dir, name, now);
        dirs_[dir].names[name] = next_;
        files_[next_++] = File{};
        return;
      case 2:
        if (taken || dirs_.size() > 6) return;
        maker_.mkdir(next_, dir, name, now);
        dirs_[dir].names[name] = next_;
        dirs_[next_++] = Dir{{}, dir, name};
        return;
      case 3:
        if (taken || file == 0) return;
        maker_.link(file, dir, name, now);
        ++files_[file].links;
        dirs_[dir].names[name] = file;
        return;
      case 4: case 5:
        return unlink(dir, now);
      case 6:
        return rename(dir, name, now);
      case 7:
        maker_.create(next_, 0, "", now);
        files_[next_++] = File{0, true};
        return;
      case 8:
        if (file == 0 || files_[file].links != 0) return;
        maker_.reclaim(file);
        files_.erase(file);
        return;
      default:
        if (file != 0) data(file, now);
    }
  }

  void unlink(uint64_t dir, int64_t now) {
    auto& names = dirs_[dir].names;
    if (names.empty()) return;
    const auto [name, target] = *std::next(names.begin(), random_.below(names.size()));
    if (dirs_.contains(target)) {
      if (!dirs_[target].names.empty()) return;
      maker_.unlink(target, dir, name, true, now);
      if (random_.percent(70)) maker_.reclaim(target);
      dirs_.erase(target);
    } else {
      maker_.unlink(target, dir, name, false, now);
      lose(target);
    }
    names.erase(name);
  }

  void lose(uint64_t file) {
    if (--files_[file].links == 0 && random_.percent(60)) {
      maker_.reclaim(file);
      files_.erase(file);
    }
  }

  bool inside(uint64_t dir, uint64_t ancestor) {
    for (; dir != 1; dir = dirs_[dir].parent) {
      if (dir == ancestor) return true;
    }
    return ancestor == 1;
  }

  void rename(uint64_t to_dir, const std::string& to_name, int64_t now) {
    const uint64_t from_dir = pick_dir();
    auto& from = dirs_[from_dir].names;
    if (from.empty()) return;
    const auto [name, moved] = *std::next(from.begin(), random_.below(from.size()));
    auto& to = dirs_[to_dir].names;
    const auto found = to.find(to_name);
    const uint64_t replaced = found == to.end() ? 0 : found->second;
    const bool moved_dir = dirs_.contains(moved);
    const bool replaced_dir = dirs_.contains(replaced);
    if (moved == replaced || (moved_dir && inside(to_dir, moved))) return;
    const bool exchange = replaced != 0 && random_.percent(40);
    if (exchange && replaced_dir && inside(from_dir, replaced)) return;
    if (!exchange && replaced != 0 &&
        (moved_dir != replaced_dir || (replaced_dir && !dirs_[replaced].names.empty()))) {
      return;
    }
    maker_.rename({MnodeNo(from_dir), name, MnodeNo(to_dir), to_name, MnodeNo(moved), type(moved),
                   MnodeNo(replaced), replaced ? type(replaced) : uint8_t{0}, exchange, {}},
                  now);
    const std::string old_name = name;
    if (exchange) {
      from[old_name] = replaced;
      if (replaced_dir) dirs_[replaced].parent = from_dir;
    } else {
      from.erase(old_name);
      if (replaced_dir) dirs_.erase(replaced);
      if (replaced != 0 && !replaced_dir) lose(replaced);
    }
    to[to_name] = moved;
    if (moved_dir) dirs_[moved].parent = to_dir;
  }
  uint8_t type(uint64_t mnode) const {
    return static_cast<uint8_t>(dirs_.contains(mnode) ? DT_DIR : DT_REG);
  }

  void data(uint64_t file, int64_t now) {
    const uint64_t page = random_.below(20);
    const uint64_t count = 1 + random_.below(8);
    const uint64_t size = random_.below(30 * 4096);
    switch (random_.below(9)) {
      case 0: return maker_.truncate(file, size, now);
      case 1: return maker_.punch(file, page, page + count, size);
      case 2: return maker_.allocate(file, page, count, size);
      case 3: return maker_.bytes(file, page, "t" + std::to_string(now), size, now);
      case 4: return maker_.set_mode(file, static_cast<uint32_t>(random_.below(07777)), now);
      case 5: {
        memfs::SetXattrOp op{MnodeNo(file), "user." + std::to_string(random_.below(3)), {}, {}};
        op.value.assign(random_.below(5), std::byte{'v'});
        return maker_.add(std::move(op), now);
      }
      case 6:
        return maker_.add(
            memfs::RemoveXattrOp{MnodeNo(file), "user." + std::to_string(random_.below(3))}, now);
      default: {
        std::vector<uint32_t> crcs(count);
        for (auto& crc : crcs) crc = static_cast<uint32_t>(random_.below(1000));
        for (uint64_t i = 0; i < count; ++i) blocks_.insert(next_block_ + i);
        maker_.extent(file, page, next_block_, crcs, size, now);
        next_block_ += count + random_.below(2);
      }
    }
  }

  Random random_;
  RecordMaker maker_;
  std::map<uint64_t, Dir> dirs_;
  std::map<uint64_t, File> files_;
  std::set<uint64_t> blocks_;
  uint64_t next_ = 1024;
  uint64_t next_block_ = 1000;
  int64_t time_ = 1000;
};

struct Outcome {
  ModelTree tree;
  std::set<uint64_t> never_named;
};

// The records' reservations are enough for what the tree's side says of their batch.
void expect_reserved(RecordList records, const diskfs::Batch& batch) {
  uint64_t places = 0;
  uint64_t items = 0;
  for (const auto& entry : records) {
    const auto& op = static_cast<const memfs::OpRecord&>(*entry).op;
    places += std::visit([](const auto& one) { return memfs::places_of(one); }, op);
    // Each page between two mapped ones counts there, but comes to stand beside them.
    if (const auto* filled = std::get_if<memfs::AllocateOp>(&op)) {
      places += 2 * filled->count;
      items += filled->count / 2;
    }
  }
  diskfs::PendingWork work;
  ASSERT_TRUE(work.add(batch.bytes()).ok());
  EXPECT_LE(work.places, places);
  EXPECT_LE(work.items, items + places / 3);
}

void run(const RecordMaker::Records& records, size_t bytes_max, Outcome* outcome) {
  Translator translator(outcome->tree.key, outcome->tree);
  size_t start = 0;
  for (const size_t end : Translator::split_points(records, bytes_max)) {
    const RecordList group = RecordList(records).subspan(start, end - start);
    auto translation = translator.translate(group);
    ASSERT_TRUE(translation.ok());
    expect_reserved(group, translation->batch);
    if (end - start > 1) {
      ASSERT_LE(translation->batch.size_bytes(), bytes_max);
    }
    outcome->tree.commit(*translation);
    for (const auto& run : translation->never_named) {
      for (uint64_t i = 0; i < run.count; ++i) {
        ASSERT_TRUE(outcome->never_named.insert(run.first.v + i).second) << "given back twice";
      }
    }
    start = end;
  }
}

TEST(TranslatorRandom, BatchesOfAnySizeLeaveTheSameTree) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(60); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RecordStory story(seed);
    const RecordMaker::Records records = story.tell(400);
    Outcome one, some, each;
    run(records, SIZE_MAX, &one);
    run(records, 3000, &some);
    run(records, 1, &each);
    const auto expected = each.tree.describe();
    EXPECT_EQ(one.tree.describe(), expected);
    EXPECT_EQ(some.tree.describe(), expected);
    EXPECT_LT(one.tree.operations, each.tree.operations);
    for (const Outcome* outcome : {&one, &some, &each}) {
      for (const uint64_t block : story.blocks()) {
        EXPECT_NE(outcome->tree.named.contains(block), outcome->never_named.contains(block))
            << "block " << block;
      }
    }
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace scalefs::volume
