# Tests: every tests/<label>/<room>/*_test.cc goes into one GoogleTest executable <label>_<room> and
# carries that ctest label; every tests/<label>/<room>/test_*.{sh,py} is a ctest of its own (exit
# status 0 is a pass, 77 a skip). The label `schedule` is built against the rooms' _sched variants, the
# label `commute` against their _record variants and the recorder.
include(CTest)
if(NOT BUILD_TESTING)
  return()
endif()
find_package(GTest REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
include(GoogleTest)
add_library(scalefs_gtest_flags INTERFACE)
target_link_libraries(scalefs_gtest_flags INTERFACE scalefs_test_flags GTest::gtest)
scalefs_precompiled(tests scalefs_gtest_flags ${SCALEFS_COMMON_HEADERS} <fstream> <gtest/gtest.h>)

set(SCALEFS_TEST_LABELS
    unit model schedule stress commute crash fault fsck fuzz mount posix bench tidy)
set(SCALEFS_TEST_ROOMS base oplog memfs diskfs volume fuse tools canary threads random)
# Labels whose tests mount: one at a time, they share the machine's memory and /dev/fuse.
set(SCALEFS_SERIAL_LABELS mount posix)

set(SCALEFS_TEST_TIMEOUT 300)
if(SCALEFS_SANITIZE)
  set(SCALEFS_TEST_TIMEOUT 900)
endif()

# What tests share, in every variant. It may use every room up to volume; what the schedule variant has of it, up
# to memfs.
file(GLOB all_support_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/support/*.cc)
foreach(variant IN LISTS SCALEFS_VARIANTS)
  set(target scalefs_test_support${variant})
  set(support_sources ${all_support_sources})
  set(support_needs scalefs_volume${variant})
  if(variant STREQUAL "_sched")
    list(FILTER support_sources INCLUDE REGEX "/support/fake_[a-z]+\\.cc$")
    set(support_needs scalefs_memfs_sched)
  endif()
  if(support_sources)
    add_library(${target} STATIC EXCLUDE_FROM_ALL ${support_sources})
    set(visibility PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(visibility INTERFACE)
  endif()
  target_include_directories(${target} ${visibility} ${CMAKE_SOURCE_DIR})
  target_link_libraries(${target} ${visibility} ${support_needs} GTest::gtest)
  if(support_sources)
    target_link_libraries(${target} PRIVATE scalefs_test_flags)
  endif()
  if(support_sources AND
     (SCALEFS_COMPILE_TOGETHER OR SCALEFS_SANITIZE OR NOT variant STREQUAL ""))
    scalefs_compile_together(${target})
  elseif(support_sources)
    scalefs_use_precompiled(${target} tests)
  endif()
endforeach()

# tests/commute/recorder: the run-time that answers the hooks is not instrumented itself; what reads
# its records is.
if("_record" IN_LIST SCALEFS_VARIANTS)
  set(recorder ${CMAKE_SOURCE_DIR}/tests/commute/recorder)
  add_library(scalefs_recorder_runtime OBJECT EXCLUDE_FROM_ALL
    ${recorder}/runtime.cc ${recorder}/hooks.cc ${recorder}/atomics.cc ${recorder}/allocator.cc
    ${recorder}/wraps.cc)
  target_include_directories(scalefs_recorder_runtime PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(scalefs_recorder_runtime PRIVATE scalefs_flags)
  target_compile_options(scalefs_recorder_runtime PRIVATE
    -fno-builtin -fno-tree-loop-distribute-patterns -Wno-builtin-declaration-mismatch)
  add_library(scalefs_recorder STATIC EXCLUDE_FROM_ALL
    ${recorder}/recorder.cc ${recorder}/describe.cc)
  target_compile_definitions(scalefs_recorder PRIVATE SCALEFS_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(scalefs_recorder PUBLIC scalefs_base_record)
  # tests/commute/matrix: what the tests of pairs of calls are made of; tests/commute/simulation: the
  # same of the simulated caches.
  file(GLOB matrix_sources CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/tests/commute/matrix/*.cc ${CMAKE_SOURCE_DIR}/tests/commute/simulation/*.cc)
  add_library(scalefs_commute_matrix STATIC EXCLUDE_FROM_ALL ${matrix_sources})
  scalefs_compile_together(scalefs_commute_matrix)
  target_link_libraries(scalefs_commute_matrix PUBLIC
    scalefs_recorder scalefs_test_support_record scalefs_volume_record)
  file(STRINGS ${recorder}/wrapped.txt wrapped_functions)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${recorder}/wrapped.txt)
  list(TRANSFORM wrapped_functions PREPEND "LINKER:--wrap=")
endif()

# tests/crash/explorer: scripts of calls, the crash states that each may leave, and their judge.
file(GLOB explorer_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/crash/explorer/*.cc)
add_library(scalefs_crash_explorer STATIC EXCLUDE_FROM_ALL ${explorer_sources})
scalefs_compile_together(scalefs_crash_explorer)
target_link_libraries(scalefs_crash_explorer PUBLIC scalefs_test_support scalefs_volume)
target_link_libraries(scalefs_crash_explorer PRIVATE scalefs_test_flags)

# The engine's sources that ask for a canary (base/canary.h), built with them. A program that links these objects
# takes no other copy of them out of the rooms' libraries. (A library compiled together, as for the sanitizers, is taken
# as a whole.)
if(NOT SCALEFS_SANITIZE)
  add_library(scalefs_canary OBJECT EXCLUDE_FROM_ALL ${SCALEFS_CANARY_SOURCES})
  scalefs_compile_together(scalefs_canary)
  target_compile_definitions(scalefs_canary PUBLIC SCALEFS_CANARIES=1)
  target_link_libraries(scalefs_canary PUBLIC scalefs_volume)
  target_link_libraries(scalefs_canary PRIVATE scalefs_test_flags)
endif()

# tests/mount/cut: the daemon over a device that a kill of it cuts off; for tests alone.
if(TARGET scalefs_fuse)
  file(GLOB cut_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/mount/cut/*.cc)
  add_executable(scalefs_cut ${cut_sources})
  target_link_libraries(scalefs_cut PRIVATE scalefs_fuse scalefs_test_flags)
  set_property(GLOBAL APPEND PROPERTY SCALEFS_TEST_TARGETS_mount scalefs_cut)
endif()

# tests/crash/threads: crash states of several threads' calls, interleaved by a seed.
if(TARGET scalefs_volume_sched)
  add_library(scalefs_threads_sched STATIC EXCLUDE_FROM_ALL
    ${CMAKE_SOURCE_DIR}/tests/crash/explorer/crash_script.cc ${CMAKE_SOURCE_DIR}/tests/crash/explorer/judge.cc
    ${CMAKE_SOURCE_DIR}/tests/support/crash_oracle.cc ${CMAKE_SOURCE_DIR}/tests/support/model_fs.cc
    ${CMAKE_SOURCE_DIR}/tests/support/volumes.cc)
  scalefs_compile_together(scalefs_threads_sched)
  target_link_libraries(scalefs_threads_sched PUBLIC scalefs_volume_sched GTest::gtest)
  target_link_libraries(scalefs_threads_sched PRIVATE scalefs_test_flags)
endif()

function(scalefs_test_executable label room)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${label}/${room}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  set(variant "")
  if(label STREQUAL "schedule" OR room STREQUAL "threads")
    set(variant "_sched")
  elseif(label STREQUAL "commute")
    set(variant "_record")
  endif()
  set(library scalefs_${room}${variant})
  if(NOT TARGET ${library})
    # The daemon and the tools are left out when their libraries are not built.
    return()
  endif()
  set(target ${label}_${room})
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE
    ${library} scalefs_test_support${variant} GTest::gtest_main)
  if(NOT variant STREQUAL "_record")
    # Images of volumes are made and dropped by the thousand, which libc's allocator gives back to the system each time.
    scalefs_use_jemalloc(${target})
    target_link_libraries(${target} PRIVATE scalefs_test_flags)
    scalefs_use_precompiled(${target} tests)
  endif()
  target_compile_definitions(${target} PRIVATE
    SCALEFS_SOURCE_DIR="${CMAKE_SOURCE_DIR}" SCALEFS_BIN_DIR="${CMAKE_BINARY_DIR}")
  if(label MATCHES "^(crash|fault)$" AND variant STREQUAL "")
    target_link_libraries(${target} PRIVATE scalefs_crash_explorer)
  endif()
  if(label STREQUAL "commute")
    # At fixed addresses, so that a record's places are the program's lines.
    target_link_libraries(${target} PRIVATE scalefs_commute_matrix scalefs_recorder)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:scalefs_recorder_runtime>)
    target_link_options(${target} PRIVATE -no-pie ${wrapped_functions})
  endif()
  set_property(GLOBAL APPEND PROPERTY SCALEFS_TEST_TARGETS_${label} ${target})
  set(properties LABELS ${label} TIMEOUT ${SCALEFS_TEST_TIMEOUT})
  if(label IN_LIST SCALEFS_SERIAL_LABELS)
    list(APPEND properties RUN_SERIAL TRUE)
  endif()
  gtest_discover_tests(${target}
    TEST_PREFIX ${label}.${room}.
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    DISCOVERY_TIMEOUT 60
    NO_PRETTY_VALUES
    PROPERTIES ${properties})
endfunction()

function(scalefs_test_scripts label folder prefix)
  file(GLOB scripts CONFIGURE_DEPENDS ${folder}/test_*.sh ${folder}/test_*.py)
  foreach(script ${scripts})
    get_filename_component(stem ${script} NAME_WE)
    string(REGEX REPLACE "^test_" "" stem ${stem})
    if(script MATCHES "\\.py$")
      set(interpreter ${Python3_EXECUTABLE} -B)
    else()
      set(interpreter bash)
    endif()
    set(name ${prefix}.${stem})
    add_test(NAME ${name} COMMAND ${interpreter} ${script})
    set_tests_properties(${name} PROPERTIES
      LABELS ${label} TIMEOUT ${SCALEFS_TEST_TIMEOUT} SKIP_RETURN_CODE 77
      WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
      ENVIRONMENT "SCALEFS_BIN_DIR=${CMAKE_BINARY_DIR};SCALEFS_SOURCE_DIR=${CMAKE_SOURCE_DIR}")
    if(label IN_LIST SCALEFS_SERIAL_LABELS)
      set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
    endif()
  endforeach()
endfunction()

# tests/fuzz/<room>/<name>_fuzz.cc defines LLVMFuzzerTestOneInput; its corpus is the folder
# tests/fuzz/<room>/<name>_corpus. Every build replays the corpus, and seeded mutations of it, by
# tests/fuzz/replay_main.cc; SCALEFS_FUZZ links libFuzzer instead. What the targets of a room share is
# its other sources, what all share tests/fuzz/support, whose own branches the fuzzer does not count.
file(GLOB fuzz_support_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/support/*.cc)
add_library(scalefs_fuzz_support STATIC EXCLUDE_FROM_ALL ${fuzz_support_sources})
target_link_libraries(scalefs_fuzz_support PUBLIC scalefs_test_support scalefs_volume)
if(SCALEFS_FUZZ)
  # Of the sources, so that it comes behind what the libraries bring.
  set_source_files_properties(${fuzz_support_sources} PROPERTIES
    COMPILE_OPTIONS "-fno-sanitize=fuzzer-no-link;-fno-sanitize-coverage=trace-cmp,inline-8bit-counters,pc-table")
endif()

function(scalefs_fuzz_targets room)
  file(GLOB shared CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/${room}/*.cc)
  set(sources ${shared})
  list(FILTER sources INCLUDE REGEX "_fuzz\\.cc$")
  list(FILTER shared EXCLUDE REGEX "_fuzz\\.cc$")
  if(NOT TARGET scalefs_${room})
    return()
  endif()
  foreach(source ${sources})
    get_filename_component(stem ${source} NAME_WE)
    string(REGEX REPLACE "_fuzz$" "" stem ${stem})
    set(target fuzzer_${room}_${stem})
    if(SCALEFS_FUZZ)
      add_executable(${target} ${source} ${shared})
      target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    else()
      add_executable(${target} ${source} ${shared} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    endif()
    target_link_libraries(${target} PRIVATE
      scalefs_fuzz_support scalefs_${room} scalefs_test_support)
    set_property(GLOBAL APPEND PROPERTY SCALEFS_TEST_TARGETS_fuzz ${target})
    add_test(NAME fuzz.${room}.${stem}.corpus
      COMMAND ${target} -runs=0 ${CMAKE_SOURCE_DIR}/tests/fuzz/${room}/${stem}_corpus)
    set_tests_properties(fuzz.${room}.${stem}.corpus PROPERTIES
      LABELS fuzz TIMEOUT ${SCALEFS_TEST_TIMEOUT})
  endforeach()
endfunction()

foreach(room ${SCALEFS_TEST_ROOMS})
  scalefs_fuzz_targets(${room})
endforeach()

foreach(label ${SCALEFS_TEST_LABELS})
  foreach(room ${SCALEFS_TEST_ROOMS})
    scalefs_test_executable(${label} ${room})
    scalefs_test_scripts(${label} ${CMAKE_SOURCE_DIR}/tests/${label}/${room} ${label}.${room})
  endforeach()
  scalefs_test_scripts(${label} ${CMAKE_SOURCE_DIR}/tests/${label} ${label})
  # `ninja tests_<label>` builds what one label needs.
  get_property(targets GLOBAL PROPERTY SCALEFS_TEST_TARGETS_${label})
  add_custom_target(tests_${label})
  if(targets)
    add_dependencies(tests_${label} ${targets})
  endif()
  # Scripts run the programs; those of `unit`, which the sanitizers build too, mkfs alone.
  set(programs scalefs ${tools_programs})
  if(label MATCHES "^(unit|model|schedule|stress)$")
    set(programs mkfs.scalefs)
  endif()
  if(label MATCHES "^(bench|mount)$")
    list(APPEND programs scalefs_library scalefs-bench-worker scalefs-null scalefs-microbench scalefs-structures)
  endif()
  foreach(program ${programs})
    if(TARGET ${program})
      add_dependencies(tests_${label} ${program})
    endif()
  endforeach()
endforeach()
