// The argument of the shutdown ioctl. Its number says that it only reads from us, so the kernel does not hand over what
// the caller's argument points to: it is read from the caller's memory. The daemon, without capabilities, may not do
// that; a run of its own program may, where root runs it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace scalefs::fuse {

// False: there is nothing to be read at `argument` of process `pid`, or it must not be.
bool read_shutdown_mode(int pid, const void* argument, uint32_t* mode);

// The name under which the program is run for that, and what it does then: prints the 32-bit number at an address of a process'
// memory. Exit status 0, or 1.
inline constexpr char kReadMemoryProgram[] = "scalefs: read memory";
int read_memory_command(std::span<const std::string> arguments);

}  // namespace scalefs::fuse
