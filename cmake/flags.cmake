# Flags of every target of the project, as an interface library.
add_library(scalefs_flags INTERFACE)
target_compile_options(scalefs_flags INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wundef -fno-omit-frame-pointer
  $<$<BOOL:${SCALEFS_WERROR}>:-Werror>
  # Two words read as one vector right after each was stored alone wait for the stores: a third of a stat.
  $<$<CXX_COMPILER_ID:GNU>:-fno-tree-slp-vectorize>
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


# What makes builds of everything several times faster. Off (as in the debug preset), each source is
# compiled alone, which shows one that lacks an include.
option(SCALEFS_FAST_BUILD "Precompile common headers, compile sources together where nobody edits" ON)

# What nobody edits between two builds is compiled together in larger pieces, which takes half the time: what is built to be
# tested once (scripts/test.sh).
option(SCALEFS_COMPILE_TOGETHER "Compile the sources of each library together" OFF)

# Tests are not what is measured or searched for undefined behaviour; compiling them is the larger part
# of a build.
add_library(scalefs_test_flags INTERFACE)
target_link_libraries(scalefs_test_flags INTERFACE scalefs_flags)
if(SCALEFS_FAST_BUILD)
  if(SCALEFS_SANITIZE)
    target_compile_options(scalefs_test_flags INTERFACE -O0)
    if(SCALEFS_SANITIZE MATCHES "undefined")
      target_compile_options(scalefs_test_flags INTERFACE -fno-sanitize=undefined)
    endif()
  else()
    target_compile_options(scalefs_test_flags INTERFACE -O1 -g1)
  endif()
endif()

# The engine of the seeded-interleaving tests: its threads run one at a time, it measures nothing, and the
# same sources are checked for undefined behaviour in the other variant.
add_library(scalefs_schedule_flags INTERFACE)
target_link_libraries(scalefs_schedule_flags INTERFACE scalefs_flags)
if(SCALEFS_FAST_BUILD)
  target_compile_options(scalefs_schedule_flags INTERFACE -O1 -g1)
  if(SCALEFS_SANITIZE MATCHES "undefined")
    target_compile_options(scalefs_schedule_flags INTERFACE -fno-sanitize=undefined)
  endif()
endif()

# scalefs_precompiled(KIND FLAGS HEADER...): headers that are parsed once for the targets of this kind,
# all of which have the flags of the interface library FLAGS.
function(scalefs_precompiled kind flags)
  if(NOT SCALEFS_FAST_BUILD)
    return()
  endif()
  set(source ${CMAKE_BINARY_DIR}/precompiled_${kind}.cc)
  if(NOT EXISTS ${source})
    file(WRITE ${source} "")
  endif()
  add_library(scalefs_precompiled_${kind} OBJECT EXCLUDE_FROM_ALL ${source})
  target_link_libraries(scalefs_precompiled_${kind} PRIVATE ${flags} fmt::fmt Threads::Threads)
  target_precompile_headers(scalefs_precompiled_${kind} PRIVATE ${ARGN})
endfunction()

function(scalefs_use_precompiled target kind)
  if(TARGET scalefs_precompiled_${kind})
    target_precompile_headers(${target} REUSE_FROM scalefs_precompiled_${kind})
  endif()
endfunction()

# Compiles the target's sources together.
function(scalefs_compile_together target)
  if(NOT SCALEFS_FAST_BUILD)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # A type with a member of an anonymous namespace's type still belongs to one source.
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  endif()
endfunction()

# The same, but for some sources.
function(scalefs_compile_together_but target alone)
  get_target_property(sources ${target} SOURCES)
  list(REMOVE_ITEM sources ${alone})
  set(number 0)
  foreach(source ${sources})
    math(EXPR group "${number} / 16")
    math(EXPR number "${number} + 1")
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${target}_${group})
  endforeach()
  scalefs_compile_together(${target})
  set_target_properties(${target} PROPERTIES UNITY_BUILD_MODE GROUP)
endfunction()

find_package(fmt REQUIRED)
find_package(Threads REQUIRED)
set(SCALEFS_COMMON_HEADERS
  <algorithm> <array> <atomic> <bit> <cstring> <deque> <functional> <map> <memory> <mutex> <optional>
  <set> <span> <string> <string_view> <thread> <tuple> <unordered_map> <utility> <variant> <vector>
  <fmt/format.h>)
scalefs_precompiled(engine scalefs_flags ${SCALEFS_COMMON_HEADERS})
