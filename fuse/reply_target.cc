#include "fuse/reply_target.h"

namespace scalefs::fuse {
namespace {

thread_local ReplyTarget served;
thread_local const ReplyTarget* answering = nullptr;

}  // namespace

ReplyTarget current_reply_target() { return served; }

ServedTarget::ServedTarget(const ReplyTarget& target) { served = target; }
ServedTarget::~ServedTarget() { served = {}; }

AnsweredTarget::AnsweredTarget(const ReplyTarget& target) : before_(answering) { answering = &target; }
AnsweredTarget::~AnsweredTarget() { answering = before_; }

ReplyTarget answered_target() { return answering != nullptr ? *answering : served; }

}  // namespace scalefs::fuse
