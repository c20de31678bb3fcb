#include "base/check.h"

#include <syslog.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#ifdef SCALEFS_SCHEDULE
#include "base/schedule.h"
#endif

namespace scalefs {

// Uses neither the heap nor a lock of the project: either may be what is broken.
void check_failed(const char* file, int line, const char* expression) {
  char text[512];
  int size = std::snprintf(text, sizeof text, "scalefs: %s:%d: check failed: %s\n", file, line,
                           expression);
  if (size > static_cast<int>(sizeof text) - 1) size = sizeof text - 1;
  if (size > 0) (void)!::write(STDERR_FILENO, text, static_cast<size_t>(size));
#ifdef SCALEFS_SCHEDULE
  if (schedule::active()) {
    size = std::snprintf(text, sizeof text, "scalefs: schedule seed %llu\n",
                         static_cast<unsigned long long>(schedule::running_seed()));
    if (size > 0) (void)!::write(STDERR_FILENO, text, static_cast<size_t>(size));
  }
#endif
  ::syslog(LOG_CRIT, "%s:%d: check failed: %s", file, line, expression);
  std::abort();
}

}  // namespace scalefs
