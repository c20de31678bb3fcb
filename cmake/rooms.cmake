# One target a room, linked PRIVATE along the arrows of DESIGN.md. A room's sources are all *.cc of
# its folder (and of diskfs/check), except mains, which stand in fuse/main.cc and tools/*.cc. Each
# engine room is built a second time, as _sched, with SCALEFS_SCHEDULE for the seeded-interleaving tests (for the
# sanitizers only those of memory and below), and a third time, as _record, with the hooks of -fsanitize=thread for the tests that record every access
# (tests/commute/recorder); no thread sanitizer is linked, and the engine must not think that one is.

# Also for whoever includes the engine's headers: an inline function has one copy in a program.
set(SCALEFS_RECORD_OPTIONS
  -fsanitize=thread -U__SANITIZE_THREAD__ -D_GLIBCXX_EXTERN_TEMPLATE=0 -Wno-tsan
  # The standard library's headers name the built-in ones, which the compiler would expand behind the hooks.
  "SHELL:-include string.h" -D__builtin_memcpy=memcpy -D__builtin_memmove=memmove
  -D__builtin_memset=memset -D__builtin_memcmp=memcmp
  -fno-builtin-memcpy -fno-builtin-memmove -fno-builtin-memset -fno-builtin-memcmp
  -fno-builtin-memchr -fno-builtin-strlen -fno-builtin-bcmp)
set(SCALEFS_VARIANTS "" "_sched")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT SCALEFS_SANITIZE AND NOT SCALEFS_FUZZ)
  list(APPEND SCALEFS_VARIANTS "_record")
endif()

# Sources that ask for a canary (base/canary.h). They stay objects of their own, so that a test can bring its copies of them.
set(SCALEFS_CANARY_SOURCES
  oplog/op_log.cc memfs/writeback.cc
  diskfs/diskfs.cc diskfs/diskfs_checkpoint.cc diskfs/journal_reader.cc diskfs/node_format.cc
  diskfs/recovery.cc diskfs/tree_write_out.cc
  volume/commit_pipeline.cc volume/disk_volume.cc volume/translator.cc)
list(TRANSFORM SCALEFS_CANARY_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/)

function(scalefs_room name)
  cmake_parse_arguments(ROOM "UNSCHEDULED" "" "NEEDS;LIBRARIES;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/${name}/*.cc ${CMAKE_SOURCE_DIR}/${name}/check/*.cc)
  foreach(excluded ${ROOM_EXCLUDE})
    list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/${name}/${excluded})
  endforeach()
  foreach(variant IN LISTS SCALEFS_VARIANTS)
    if(ROOM_UNSCHEDULED AND variant STREQUAL "_sched" AND SCALEFS_SANITIZE)
      continue()
    endif()
    set(target scalefs_${name}${variant})
    if(NOT sources)
      add_library(${target} INTERFACE)
      set(visibility INTERFACE)
    else()
      add_library(${target} STATIC ${sources})
      set(visibility PUBLIC)
    endif()
    target_include_directories(${target} ${visibility} ${CMAKE_SOURCE_DIR})
    foreach(needed ${ROOM_NEEDS})
      target_link_libraries(${target} ${visibility} scalefs_${needed}${variant})
    endforeach()
    target_link_libraries(${target} ${visibility} ${ROOM_LIBRARIES} scalefs_flags)
    if(sources AND (SCALEFS_SANITIZE OR NOT variant STREQUAL ""))
      scalefs_compile_together(${target})
    elseif(sources AND SCALEFS_COMPILE_TOGETHER)
      scalefs_use_precompiled(${target} engine)
      scalefs_compile_together_but(${target} "${SCALEFS_CANARY_SOURCES}")
    elseif(sources)
      scalefs_use_precompiled(${target} engine)
    endif()
    if(sources AND variant STREQUAL "_sched")
      target_link_libraries(${target} PRIVATE scalefs_schedule_flags)
    endif()
    if(variant STREQUAL "_sched")
      target_compile_definitions(${target} ${visibility} SCALEFS_SCHEDULE=1 SCALEFS_CANARIES=1)
      set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL TRUE)
    endif()
    if(variant STREQUAL "_record")
      target_compile_definitions(${target} ${visibility} SCALEFS_RECORD=1)
      target_compile_options(${target} ${visibility} ${SCALEFS_RECORD_OPTIONS})
      set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL TRUE)
    endif()
  endforeach()
endfunction()

scalefs_room(base LIBRARIES fmt::fmt Threads::Threads)
scalefs_room(oplog NEEDS base)
scalefs_room(memfs NEEDS oplog base)
scalefs_room(diskfs UNSCHEDULED NEEDS base)
scalefs_room(volume UNSCHEDULED NEEDS memfs oplog diskfs base)
