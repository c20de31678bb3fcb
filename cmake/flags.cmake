# Flags of every target of the project, as an interface library.
add_library(scalefs_flags INTERFACE)
target_compile_options(scalefs_flags INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wundef -fno-omit-frame-pointer
  $<$<BOOL:${SCALEFS_WERROR}>:-Werror>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
  target_compile_options(scalefs_flags INTERFACE -msse4.2 -mcx16)
endif()
if(SCALEFS_SANITIZE)
  target_compile_options(scalefs_flags INTERFACE
    -fsanitize=${SCALEFS_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(scalefs_flags INTERFACE -fsanitize=${SCALEFS_SANITIZE})
endif()
if(SCALEFS_FUZZ)
  target_compile_options(scalefs_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
