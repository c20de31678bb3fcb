# The library for programs that embed a volume: one archive of the engine's rooms with their headers, found by
# find_package(scalefs) and pkg-config. Static: the engine promises no binary interface.
add_library(scalefs_library STATIC)
foreach(room base oplog memfs diskfs volume)
  target_sources(scalefs_library PRIVATE $<TARGET_OBJECTS:scalefs_${room}>)
endforeach()
set_target_properties(scalefs_library PROPERTIES OUTPUT_NAME scalefs EXPORT_NAME scalefs LINKER_LANGUAGE CXX)
# What the headers ask of a compiler.
set(SCALEFS_LIBRARY_OPTIONS "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
  set(SCALEFS_LIBRARY_OPTIONS -msse4.2 -mcx16)
endif()
target_compile_features(scalefs_library INTERFACE cxx_std_20)
target_compile_options(scalefs_library INTERFACE ${SCALEFS_LIBRARY_OPTIONS})
target_include_directories(scalefs_library INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/scalefs>)
target_link_libraries(scalefs_library INTERFACE fmt::fmt Threads::Threads)

set(library_cmake ${CMAKE_INSTALL_LIBDIR}/cmake/scalefs)
install(TARGETS scalefs_library EXPORT scalefs-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(EXPORT scalefs-targets NAMESPACE scalefs:: DESTINATION ${library_cmake} COMPONENT development)
# A program that installs without symbols (as the package) has them taken from its archives too.
install(CODE "
  if(CMAKE_INSTALL_DO_STRIP)
    execute_process(COMMAND \"${CMAKE_STRIP}\" --strip-debug --enable-deterministic-archives
      \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/libscalefs.a\" COMMAND_ERROR_IS_FATAL ANY)
  endif()" COMPONENT development)
foreach(room base oplog memfs diskfs volume)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/scalefs COMPONENT development
    FILES_MATCHING PATTERN "*.h")
endforeach()

include(CMakePackageConfigHelpers)
file(WRITE ${CMAKE_BINARY_DIR}/scalefs-config.cmake [[
include(CMakeFindDependencyMacro)
find_dependency(fmt)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/scalefs-targets.cmake)
]])
write_basic_package_version_file(${CMAKE_BINARY_DIR}/scalefs-config-version.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/scalefs-config.cmake ${CMAKE_BINARY_DIR}/scalefs-config-version.cmake
  DESTINATION ${library_cmake} COMPONENT development)

# The prefix is the one that is installed to, which CMake learns then alone.
string(JOIN " " library_flags ${SCALEFS_LIBRARY_OPTIONS})
install(CODE "
  file(WRITE \"${CMAKE_BINARY_DIR}/scalefs.pc\" \"prefix=\${CMAKE_INSTALL_PREFIX}
libdir=\\\${prefix}/${CMAKE_INSTALL_LIBDIR}
includedir=\\\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}/scalefs

Name: scalefs
Description: POSIX file system for many cores, to be embedded
Version: ${PROJECT_VERSION}
Requires: fmt
Cflags: -I\\\${includedir} ${library_flags} -pthread
Libs: -L\\\${libdir} -lscalefs -pthread
\")
  file(INSTALL \"${CMAKE_BINARY_DIR}/scalefs.pc\" DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig\")"
  COMPONENT development)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/examples DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libscalefs-dev COMPONENT development)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libscalefs-dev RENAME copyright
  COMPONENT development)
