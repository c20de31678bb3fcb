# The daemon, the tools and the benchmarks, and where they are installed. A folder that has no
# sources yet makes no target.
include(GNUInstallDirs)
find_package(PkgConfig REQUIRED)

# The allocator of the daemon, of what is measured, and of tests; the sanitizers bring one of their own.
if(NOT SCALEFS_SANITIZE)
  pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc)
endif()
function(scalefs_use_jemalloc target)
  if(NOT SCALEFS_SANITIZE)
    # Needed even where nothing names a symbol of it.
    target_link_options(${target} PRIVATE LINKER:--no-as-needed)
    target_link_libraries(${target} PRIVATE PkgConfig::JEMALLOC)
  endif()
endfunction()

if(SCALEFS_TOOLS)
  # tools/: <x>_main.cc are thin mains, all else is the library scalefs_tools.
  file(GLOB tools_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/*.cc)
  list(FILTER tools_sources EXCLUDE REGEX "_main\\.cc$")
  pkg_check_modules(BLKID REQUIRED IMPORTED_TARGET blkid)
  pkg_check_modules(UUID REQUIRED IMPORTED_TARGET uuid)
  find_package(CLI11 REQUIRED)
  find_package(nlohmann_json REQUIRED)
  set(tools_libraries scalefs_diskfs scalefs_base CLI11::CLI11 nlohmann_json::nlohmann_json
    PkgConfig::BLKID PkgConfig::UUID)
  if(tools_sources)
    add_library(scalefs_tools STATIC ${tools_sources})
    target_link_libraries(scalefs_tools PUBLIC ${tools_libraries})
    if(SCALEFS_COMPILE_TOGETHER OR SCALEFS_SANITIZE)
      scalefs_compile_together(scalefs_tools)
    else()
      scalefs_use_precompiled(scalefs_tools engine)
    endif()
  else()
    add_library(scalefs_tools INTERFACE)
    target_link_libraries(scalefs_tools INTERFACE ${tools_libraries})
  endif()

  # mkfs and fsck bear the names that mkfs(8) and fsck(8) look for; others are scalefs-<x>.
  file(GLOB tools_mains CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/*_main.cc)
  set(tools_programs "")
  foreach(main ${tools_mains})
    get_filename_component(program ${main} NAME_WE)
    string(REGEX REPLACE "_main$" "" program ${program})
    if(program MATCHES "^(mkfs|fsck)$")
      set(program ${program}.scalefs)
    else()
      set(program scalefs-${program})
    endif()
    add_executable(${program} ${main})
    # Reads a command line, once: as tests, nothing that needs optimising.
    target_link_libraries(${program} PRIVATE scalefs_test_flags)
    target_link_libraries(${program} PRIVATE scalefs_tools)
    target_compile_definitions(${program} PRIVATE SCALEFS_VERSION="${PROJECT_VERSION}")
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
    list(APPEND tools_programs ${program})
  endforeach()

  # fuse/: main.cc is the daemon's, null_*.cc the one's that stores nothing, all else is the library scalefs_fuse.
  file(GLOB fuse_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/fuse/*.cc)
  set(null_sources ${fuse_sources})
  list(FILTER null_sources INCLUDE REGEX "/null_[a-z_]+\\.cc$")
  list(REMOVE_ITEM fuse_sources ${CMAKE_SOURCE_DIR}/fuse/main.cc ${null_sources})
  pkg_check_modules(FUSE3 REQUIRED IMPORTED_TARGET fuse3>=3.14)
  pkg_check_modules(URING REQUIRED IMPORTED_TARGET liburing)
  if(fuse_sources)
    add_library(scalefs_fuse STATIC ${fuse_sources})
    target_compile_definitions(scalefs_fuse PUBLIC
      FUSE_USE_VERSION=314 SCALEFS_VERSION="${PROJECT_VERSION}")
    target_link_libraries(scalefs_fuse PUBLIC
      scalefs_volume scalefs_base CLI11::CLI11 PkgConfig::FUSE3 PkgConfig::URING)
    scalefs_use_precompiled(scalefs_fuse engine)
  endif()
  if(EXISTS ${CMAKE_SOURCE_DIR}/fuse/main.cc AND fuse_sources)
    add_executable(scalefs fuse/main.cc)
    target_link_libraries(scalefs PRIVATE scalefs_fuse)
    scalefs_use_jemalloc(scalefs)
    install(TARGETS scalefs RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    # mount(8) looks for mount.<type>, and mount.fuse3 for the name after "fuse.".
    foreach(link mount.scalefs mount.fuse.scalefs)
      install(CODE "
        set(sbin \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}\")
        file(MAKE_DIRECTORY \"\${sbin}\")
        file(CREATE_LINK ../${CMAKE_INSTALL_BINDIR}/scalefs \"\${sbin}/${link}\" SYMBOLIC)")
    endforeach()
  endif()
endif()

# What a mount is measured against, not installed.
if(SCALEFS_TOOLS AND SCALEFS_BENCH AND TARGET scalefs_fuse)
  add_executable(scalefs-null ${null_sources})
  target_link_libraries(scalefs-null PRIVATE scalefs_fuse)
  scalefs_use_precompiled(scalefs-null engine)
  scalefs_use_jemalloc(scalefs-null)
endif()

foreach(section 5 8)
  file(GLOB manual_pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/man/*.${section})
  install(FILES ${manual_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

if(SCALEFS_BENCH)
  file(GLOB bench_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*_bench.cc)
  if(bench_sources)
    find_package(benchmark REQUIRED)
    add_executable(scalefs-microbench ${bench_sources})
    target_link_libraries(scalefs-microbench PRIVATE
      scalefs_volume scalefs_memfs scalefs_diskfs scalefs_base benchmark::benchmark_main)
    scalefs_use_jemalloc(scalefs-microbench)
  endif()
  # The calls of scripts/speed_rows.py: one source, no library.
  add_executable(scalefs-calls ${CMAKE_SOURCE_DIR}/bench/calls_main.cc)
  target_link_libraries(scalefs-calls PRIVATE scalefs_base scalefs_flags)
endif()

# Everything but tests and benchmarks: what a compiler's analysis of the sources needs.
add_custom_target(libraries)
foreach(target scalefs_base scalefs_oplog scalefs_memfs scalefs_diskfs scalefs_volume
               scalefs_base_sched scalefs_tools scalefs_fuse scalefs ${tools_programs})
  if(TARGET ${target})
    get_target_property(type ${target} TYPE)
    if(NOT type STREQUAL "INTERFACE_LIBRARY")
      add_dependencies(libraries ${target})
    endif()
  endif()
endforeach()
