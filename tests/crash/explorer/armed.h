// A mistake of the engine for as long as the object lives. Only for programs that link the canaries (cmake/tests.cmake).
#pragma once

#include "base/canary.h"

namespace scalefs::testing {

class Armed {
 public:
  explicit Armed(Canary which) { set_canary(which); }
  ~Armed() { set_canary(Canary::none); }
  Armed(const Armed&) = delete;
  Armed& operator=(const Armed&) = delete;
};

}  // namespace scalefs::testing
