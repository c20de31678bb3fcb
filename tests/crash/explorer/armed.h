// A mistake of the engine for as long as the object lives. Only for programs that link the canaries (cmake/tests.cmake).
#pragma once

#include "base/canary.h"

namespace scalefs::testing {

class Armed {
 public:
  explicit Armed(Canary which) { canary_of_test.store(which, relaxed); }
  ~Armed() { canary_of_test.store(Canary::none, relaxed); }
  Armed(const Armed&) = delete;
  Armed& operator=(const Armed&) = delete;
};

}  // namespace scalefs::testing
