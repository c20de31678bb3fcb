// What the daemon may do once the image is open and the mount is made: nothing beyond a user's permissions. Its
// threads hold no capability; the few things that need one are done by programs that it runs, which root's get anew.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace scalefs::fuse {

// Drops all capabilities of the calling thread, and so of the threads that it makes afterwards. Nothing for whoever has
// none. A failure is logged and changes nothing else.
void drop_capabilities();

// Calls `call` on a thread that has no capabilities, and waits for it; threads that it makes have none either.
void call_without_capabilities(const std::function<void()>& call);

// Runs a program, found by PATH, with /dev/null as its standard input. Returns its exit status; kCannotRun, or
// kEndedBySignal. With `output`, takes what it writes to standard output, up to 4 KiB.
inline constexpr int kCannotRun = 127;
inline constexpr int kEndedBySignal = 128;
int run_program(const std::string& program, const std::vector<std::string>& words,
                std::string* output = nullptr);
inline int run_program(const std::vector<std::string>& words) { return run_program(words[0], words); }

}  // namespace scalefs::fuse
