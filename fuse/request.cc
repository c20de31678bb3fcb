#include "fuse/request.h"

#include <cerrno>
#include <exception>

namespace scalefs::fuse {

int Responder::unwinding() { return std::uncaught_exceptions(); }

Responder::~Responder() {
  if (reply_ == nullptr) return;
  SCALEFS_CHECK(unwinding() > unwinding_);  // a request was dropped without an answer
  take()->error(ENOMEM);
}

}  // namespace scalefs::fuse
