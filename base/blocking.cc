#include "base/blocking.h"

namespace scalefs {

constinit thread_local BlockingHook* blocking_hook = nullptr;

}  // namespace scalefs
