#include "fuse/request.h"

#include <gtest/gtest.h>

#include "tests/unit/fuse/recorded_reply.h"

namespace scalefs::fuse {
namespace {

using Kind = RecordedReply::Kind;

TEST(Responder, PassesOneAnswerOn) {
  RecordedReply reply;
  Responder first = reply.responder();
  Responder second = std::move(first);
  EXPECT_FALSE(reply.answered());
  second.written(17);
  EXPECT_EQ(reply.kind(), Kind::written);
  EXPECT_EQ(reply.number, 17u);
}

TEST(Responder, MemoryThatRanOutIsAnsweredWhileTheExceptionUnwinds) {
  RecordedReply reply;
  const auto serve = [](Responder responder) {
    responder.buffer(100);
    responder.filled(100);
  };
  reply.out_of_memory = true;
  EXPECT_THROW(serve(reply.responder()), std::bad_alloc);
  EXPECT_EQ(reply.error_code(), ENOMEM);
}

TEST(Responder, AParkedAnswerThatIsThrownAwayByAnExceptionIsGiven) {
  RecordedReply reply;
  try {
    auto parked = std::make_shared<Responder>(reply.responder());
    throw std::bad_alloc();
  } catch (const std::bad_alloc&) {
  }
  EXPECT_EQ(reply.error_code(), ENOMEM);
}

TEST(ResponderDeathTest, AForgottenAnswerStopsTheProcess) {
  RecordedReply reply;
  EXPECT_DEATH({ Responder dropped = reply.responder(); }, "");
}

TEST(ResponderDeathTest, ASecondAnswerStopsTheProcess) {
  RecordedReply reply;
  EXPECT_DEATH(
      {
        Responder responder = reply.responder();
        responder.error(0);
        responder.error(0);
      },
      "");
}

}  // namespace
}  // namespace scalefs::fuse
