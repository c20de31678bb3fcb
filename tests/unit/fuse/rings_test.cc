#include "fuse/rings.h"

#include <gtest/gtest.h>
#include <linux/fuse.h>

#include "fuse/negotiate.h"
#include "fuse/processors.h"

namespace scalefs::fuse {
namespace {

using List = std::vector<unsigned>;

TEST(Processors, ListsOfTheKernelAreRead) {
  EXPECT_EQ(parse_processors("0"), (List{0}));
  EXPECT_EQ(parse_processors("0-3"), (List{0, 1, 2, 3}));
  EXPECT_EQ(parse_processors("0-1,8,10-11"), (List{0, 1, 8, 10, 11}));
}

TEST(Processors, AnythingElseIsNoList) {
  for (const char* text : {"", "a", "1-", "3-1", "0,", ",1", "0-99999999", "0;1", "-1"})
    EXPECT_EQ(parse_processors(text), List{}) << text;
}

TEST(Negotiate, RingsAreAskedForWhereTheKernelOffersThemAndTheyAreThere) {
  const uint64_t all = ~uint64_t{0};
  EXPECT_NE(negotiated_beyond_libfuse(all, true) & ring::kInitOverRings, 0u);
  EXPECT_EQ(negotiated_beyond_libfuse(all, false) & ring::kInitOverRings, 0u);
  EXPECT_EQ(negotiated_beyond_libfuse(all & ~ring::kInitOverRings, true) >> 32, 0u);
  EXPECT_EQ(negotiated_beyond_libfuse(0, true), 0u);
  EXPECT_NE(negotiated_beyond_libfuse(all, false) & FUSE_PARALLEL_DIROPS, 0u);
}

// A reply is for the request that the thread answers; everything else belongs to /dev/fuse.
TEST(RingAnswer, NothingIsOnARingWithoutARequestFromOne) {
  fuse_out_header header = {.len = sizeof(header), .error = 0, .unique = 7};
  const iovec part = {&header, sizeof(header)};
  EXPECT_FALSE(answer_on_ring(&part, 1));
  EXPECT_EQ(current_reply_target().entry, nullptr);
  EXPECT_TRUE(ring_payload({}, 10).empty());
}

TEST(ReplyTarget, AnAnswerGoesToWhereItsRequestCameFromWhateverIsServed) {
  EXPECT_EQ(answered_target().channel, -1);
  const ReplyTarget parked = {.channel = 5, .unique = 10};
  {
    const ServedTarget served({.channel = 7, .unique = 12});
    EXPECT_EQ(answered_target().channel, 7);
    {
      const AnsweredTarget answered(parked);
      EXPECT_EQ(answered_target().channel, 5);
      EXPECT_EQ(current_reply_target().unique, 12u);
    }
    EXPECT_EQ(answered_target().unique, 12u);
  }
  EXPECT_EQ(answered_target().unique, 0u);
}

}  // namespace
}  // namespace scalefs::fuse
