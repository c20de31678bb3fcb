# Debian packages, by `cpack --config build/release/CPackConfig.cmake`: scalefs (daemon, tools, what mount(8) and systemd look for),
# scalefs-bench, libscalefs-dev. Nothing of them stands in /etc, so that none has conffiles.
if(SCALEFS_TOOLS)
  # bash-completion looks for a file with the command's name.
  set(completions ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${CMAKE_SOURCE_DIR}/system/completion.bash DESTINATION ${completions} RENAME scalefs)
  install(FILES ${CMAKE_SOURCE_DIR}/system/completion.bash DESTINATION ${completions} RENAME scalefs-bench COMPONENT bench)
  foreach(command mkfs.scalefs fsck.scalefs scalefs-dump scalefs-image mount.scalefs umount.scalefs)
    install(CODE "file(CREATE_LINK scalefs \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${completions}/${command}\" SYMBOLIC)")
  endforeach()
endif()
install(FILES ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/DESIGN.md ${CMAKE_SOURCE_DIR}/FORMAT.md
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/scalefs)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/scalefs RENAME copyright)

# Which commit scalefs-bench measures, for env.json: known where the source is, not where the program is installed.
configure_file(${CMAKE_SOURCE_DIR}/cmake/note_commit.cmake.in ${CMAKE_BINARY_DIR}/note_commit.cmake @ONLY)
install(SCRIPT ${CMAKE_BINARY_DIR}/note_commit.cmake COMPONENT bench)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME scalefs)
set(CPACK_PACKAGE_VENDOR scalefs)
set(CPACK_PACKAGE_CONTACT "The scalefs authors")
set(CPACK_STRIP_FILES ON)
# The prefix that installed files name is the one that they are unpacked to, not where they are gathered.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL scalefs bench development)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)

set(CPACK_DEBIAN_SCALEFS_PACKAGE_NAME scalefs)
set(CPACK_DEBIAN_SCALEFS_PACKAGE_SECTION admin)
# fusermount3 lets users mount; mount(8) finds us by the links in /usr/sbin.
set(CPACK_DEBIAN_SCALEFS_PACKAGE_DEPENDS "fuse3, mount")
set(CPACK_DEBIAN_SCALEFS_PACKAGE_SUGGESTS "scalefs-bench, bash-completion")
set(CPACK_DEBIAN_SCALEFS_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/system/debian/postinst ${CMAKE_SOURCE_DIR}/system/debian/postrm)
set(CPACK_DEBIAN_SCALEFS_DESCRIPTION
  "POSIX file system for many cores, in user space
Calls that commute touch no common cache line, fsync of any number of files costs one journal write and one flush, and a crash leaves a state that existed.
Has the daemon, mkfs, fsck, and what mount(8), systemd and udev look for.")

set(CPACK_DEBIAN_BENCH_PACKAGE_NAME scalefs-bench)
set(CPACK_DEBIAN_BENCH_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_BENCH_PACKAGE_DEPENDS "python3 (>= 3.11)")
set(CPACK_DEBIAN_BENCH_PACKAGE_SUGGESTS "scalefs, librsvg2-bin, libbenchmark-tools")
set(CPACK_DEBIAN_BENCH_DESCRIPTION
  "scalability benchmarks of file systems
Runs the workloads of FxMark, dbench and others on any directory, on scalefs and its peers; draws and compares what they took.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libscalefs-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS libfmt-dev)
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION
  "POSIX file system for many cores, as a library
Static library and headers for programs that embed a volume: in memory, in an image file or on a block device.")
include(CPack)
