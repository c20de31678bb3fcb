#include "fuse/options.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "fuse/option_table.h"
#include "fuse/remount_command.h"
#include "fuse/umount_command.h"

namespace scalefs::fuse {
namespace {

using Action = Options::Action;

struct Parsed {
  std::optional<Options> options;
  std::string error;
};

Parsed parse(const std::vector<std::string>& words, std::string_view program = "scalefs") {
  Parsed parsed;
  parsed.options = parse_options(program, words, &parsed.error);
  return parsed;
}

bool has(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

TEST(Options, OperandsAloneMountWithDefaults) {
  const auto [options, error] = parse({"disk.img", "/mnt"});
  ASSERT_TRUE(options) << error;
  EXPECT_EQ(options->action, Action::mount);
  EXPECT_EQ(options->source, "disk.img");
  EXPECT_EQ(options->mountpoint, "/mnt");
  EXPECT_FALSE(options->foreground);
  EXPECT_FALSE(options->volume.read_only);
  EXPECT_TRUE(options->volume.relatime);
  EXPECT_EQ(options->volume.commit_interval_ms, 5000u);
}

TEST(Options, OptionsStandBeforeBetweenOrAfterTheOperands) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"-o", "ro,commit=7", "-f", "a.img", "/mnt"},
        std::vector<std::string>{"a.img", "-oro,commit=7", "/mnt", "-f"},
        std::vector<std::string>{"a.img", "/mnt", "-fo", "ro", "-o", "commit=7"}}) {
    const auto [options, error] = parse(words);
    ASSERT_TRUE(options) << error;
    EXPECT_EQ(options->source, "a.img");
    EXPECT_EQ(options->mountpoint, "/mnt");
    EXPECT_TRUE(options->foreground);
    EXPECT_TRUE(options->volume.read_only);
    EXPECT_EQ(options->volume.commit_interval_ms, 7000u);
  }
}

TEST(Options, GenericMountOptionsAreAccepted) {
  const auto [options, error] =
      parse({"a", "/m", "-o",
             "defaults,nofail,_netdev,auto,noauto,user,users,x-systemd.automount,"
             "X-mount.mkdir=0755,comment=hello,lazytime,nodiratime,noatime,rw,exec"});
  ASSERT_TRUE(options) << error;
  EXPECT_TRUE(options->volume.noatime);
  EXPECT_TRUE(options->volume.nodiratime);
}

TEST(Options, TheLastOfContraryOptionsHolds) {
  EXPECT_FALSE(parse({"a", "/m", "-o", "ro,rw"}).options->volume.read_only);
  EXPECT_TRUE(parse({"a", "/m", "-o", "rw,ro"}).options->volume.read_only);
  EXPECT_FALSE(parse({"a", "/m", "-o", "discard,nodiscard"}).options->volume.discard);
  const auto strict = parse({"a", "/m", "-o", "noatime,strictatime"}).options;
  EXPECT_FALSE(strict->volume.noatime);
  EXPECT_FALSE(strict->volume.relatime);
}

TEST(Options, ATypoIsRefusedWithTheNearestKnownName) {
  EXPECT_EQ(parse({"a", "/m", "-o", "noatmie"}).error,
            "unknown option 'noatmie'; did you mean 'noatime'?");
  EXPECT_EQ(parse({"a", "/m", "-o", "comit=3"}).error,
            "unknown option 'comit'; did you mean 'commit'?");
  EXPECT_EQ(parse({"a", "/m", "-o", "cache-size=1G"}).error,
            "unknown option 'cache-size'; did you mean 'cache_size'?");
  EXPECT_EQ(parse({"a", "/m", "-o", "zzzzzzzzzzzz"}).error, "unknown option 'zzzzzzzzzzzz'");
}

TEST(Options, EveryValueIsChecked) {
  EXPECT_EQ(parse({"a", "/m", "-o", "commit"}).error, "option 'commit' needs a value");
  EXPECT_EQ(parse({"a", "/m", "-o", "ro=1"}).error, "option 'ro' takes no value");
  EXPECT_EQ(parse({"a", "/m", "-o", "commit=fast"}).error,
            "'fast' is not a number for option 'commit'");
  EXPECT_EQ(parse({"a", "/m", "-o", "commit=0"}).error,
            "option 'commit' is at least 1 and at most 86400");
  EXPECT_EQ(parse({"a", "/m", "-o", "commit=-1"}).error,
            "'-1' is not a number for option 'commit'");
  EXPECT_EQ(parse({"a", "/m", "-o", "cache_size=12Q"}).error,
            "'12Q' is not a size for option 'cache_size'");
  EXPECT_EQ(parse({"a", "/m", "-o", "cache_size=1M"}).error,
            "option 'cache_size' is at least 16777216");
  EXPECT_EQ(parse({"a", "/m", "-o", "io_uring=yes"}).error,
            "'yes' is not a value of option 'io_uring': auto|on|off");
  EXPECT_EQ(parse({"a", "/m", "-o", "q_depth=0"}).error,
            "option 'q_depth' is at least 1 and at most 1024");
  EXPECT_EQ(parse({"a", "/m", "-o", "allow_other,allow_root"}).error,
            "allow_other and allow_root exclude each other");
}

TEST(Options, SizesHaveSuffixes) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("64k"), 65536u);
  EXPECT_EQ(parse_size("64M"), 64u << 20);
  EXPECT_EQ(parse_size("2G"), uint64_t{2} << 30);
  EXPECT_EQ(parse_size("16777215T"), uint64_t{16777215} << 40);
  for (const char* bad : {"", "M", "16777216T", "99999999999999999999", "1MB", "1 M", "-1", "0x10"}) {
    EXPECT_FALSE(parse_size(bad)) << bad;
  }
}

TEST(Options, OperandsAreCounted) {
  EXPECT_EQ(parse({}).error, "no image and no mount point given");
  EXPECT_EQ(parse({"a"}).error, "no mount point given");
  EXPECT_EQ(parse({"a", "b", "c"}).error, "'c' is one operand too many");
  EXPECT_EQ(parse({"--memory"}).error, "no mount point given");
  EXPECT_EQ(parse({"--memory", "a", "b"}).error, "'b' is one operand too many");
  EXPECT_EQ(parse({"", "/m"}).error, "the image's name is empty");
  EXPECT_EQ(parse({"a", ""}).error, "the mount point's name is empty");
  EXPECT_EQ(parse({"a", "/m", "-o"}).error, "-o needs a value");
  EXPECT_EQ(parse({"a", "/m", "-x"}).error, "unknown option '-x'");
  EXPECT_EQ(parse({"a", "/m", "--memroy"}).error, "unknown option '--memroy'");
}

TEST(Options, MemoryNeedsNoImage) {
  const auto [options, error] = parse({"--memory", "/mnt"});
  ASSERT_TRUE(options) << error;
  EXPECT_TRUE(options->memory);
  EXPECT_EQ(options->mountpoint, "/mnt");
  EXPECT_TRUE(options->source.empty());
}

TEST(Options, AFirstOperandThatNamesACommandIsOne) {
  const auto sync = parse({"sync", "/mnt"}).options;
  ASSERT_TRUE(sync);
  EXPECT_EQ(sync->action, Action::sync);
  EXPECT_EQ(sync->mountpoint, "/mnt");
  EXPECT_EQ(parse({"sync"}).error, "sync takes one mount point");
  EXPECT_EQ(parse({"sync", "a", "b"}).error, "sync takes one mount point");
  EXPECT_EQ(parse({"sync", ""}).error, "the mount point's name is empty");
  EXPECT_EQ(parse({"sync", "--json", "/mnt"}).error, "sync takes no --json");
  const auto stat = parse({"stat", "/mnt", "--json"}).options;
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->action, Action::stat);
  EXPECT_TRUE(stat->json);
  EXPECT_FALSE(parse({"stat", "/mnt"}).options->json);
  EXPECT_EQ(parse({"stat"}).error, "stat takes one mount point");
  EXPECT_EQ(parse({"a", "/mnt", "--json"}).error, "--json is for scalefs stat");
  const auto file = parse({"./sync", "/mnt"}).options;
  ASSERT_TRUE(file);
  EXPECT_EQ(file->action, Action::mount);
  EXPECT_EQ(file->source, "./sync");
  // mount(8) has no commands.
  EXPECT_EQ(parse({"sync", "/mnt"}, "/sbin/mount.scalefs").options->action, Action::mount);
}

TEST(Options, HelpAndVersionNeedNothingElse) {
  EXPECT_EQ(parse({"-h"}).options->action, Action::help);
  EXPECT_EQ(parse({"--help"}).options->action, Action::help);
  EXPECT_EQ(parse({"-V"}).options->action, Action::version);
  EXPECT_EQ(parse({"--version"}).options->action, Action::version);
}

TEST(Options, OperandsAfterADoubleDashMayBeginWithADash) {
  const auto [options, error] = parse({"-o", "ro", "--", "-a.img", "/mnt"});
  ASSERT_TRUE(options) << error;
  EXPECT_EQ(options->source, "-a.img");
}

TEST(Options, MountsOwnLettersMeanWhatMountSays) {
  const auto helper = parse({"a", "/m", "-sfnv", "-o", "rw,dev,nonsense", "-t", "fuse.scalefs"},
                            "/sbin/mount.fuse.scalefs");
  ASSERT_TRUE(helper.options) << helper.error;
  EXPECT_EQ(helper.options->action, Action::nothing);  // -f: only pretend
  const auto strict = parse({"a", "/m", "-o", "nonsense"}, "/sbin/mount.scalefs");
  EXPECT_FALSE(strict.options);
  EXPECT_EQ(parse({"a", "/m", "-n"}).error, "unknown option '-n'");
}

TEST(Options, WhatDamageDoesIsOneOfTwo) {
  using OnErrors = Options::OnErrors;
  EXPECT_EQ(parse({"a", "/m"}).options->on_errors, OnErrors::go_on);
  EXPECT_EQ(parse({"a", "/m", "-o", "errors=continue"}).options->on_errors, OnErrors::go_on);
  EXPECT_EQ(parse({"a", "/m", "-o", "errors=remount-ro"}).options->on_errors, OnErrors::remount_read_only);
  EXPECT_EQ(parse({"a", "/m", "-o", "errors=panic"}).error,
            "'panic' is not a value of option 'errors': continue|remount-ro");
}

TEST(Options, WithoutRecoveryAVolumeIsReadOnly) {
  for (const char* name : {"norecovery", "noload"}) {
    EXPECT_FALSE(parse({"a", "/m", "-o", name}).options);
    const auto read_only = parse({"a", "/m", "-o", name, "-o", "ro"}).options;
    ASSERT_TRUE(read_only);
    EXPECT_FALSE(read_only->volume.recover);
  }
}

TEST(Options, WhatTheDaemonWasStartedWithIsTold) {
  for (const char* list :
       {"rw", "ro,norecovery,noatime", "commit=7,cache_size=64M,threads=3,io_uring=off,q_depth=5",
        "strictatime,nodiratime,discard,strict_open,dirsync,errors=remount-ro", "writeback_cache,nofuseblk",
        "io_uring=on"}) {
    const auto first = parse({"a", "/m", "-o", list}).options;
    ASSERT_TRUE(first) << list;
    const auto again = parse({"a", "/m", "-o", own_options(*first)}).options;
    ASSERT_TRUE(again) << own_options(*first);
    EXPECT_EQ(own_options(*again), own_options(*first));
    EXPECT_EQ(changed_options(own_options(*first), list), std::vector<std::string>()) << list;
  }
}

TEST(Options, ARemountNamesWhatItCannotChange) {
  using Names = std::vector<std::string>;
  const std::string plain = own_options(*parse({"a", "/m"}).options);
  EXPECT_EQ(changed_options(plain, "remount,ro,nosuid,relatime,user,x-y=1,user_id=0"), Names());
  EXPECT_EQ(changed_options(plain, "remount,commit=5,io_uring=auto,rw"), Names());
  EXPECT_EQ(changed_options(plain, "remount,commit=6,discard"), (Names{"commit", "discard"}));
  EXPECT_EQ(changed_options(plain, "noatime"), Names{"noatime"});
  EXPECT_EQ(changed_options(plain, "strictatime"), Names{"strictatime"});
  const std::string other = own_options(*parse({"a", "/m", "-o", "noatime,commit=6"}).options);
  EXPECT_EQ(changed_options(other, "remount,ro,relatime"), Names());  // what the kernel's table has
  EXPECT_EQ(changed_options(other, "remount,noatime,strictatime"), Names{"strictatime"});
}

TEST(Options, UmountsLettersMeanWhatUmountSays) {
  std::string error;
  const auto umount = [&](const std::vector<std::string>& words) { return parse_umount(words, &error); };
  const auto plain = umount({"/mnt"});
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->operand, "/mnt");
  EXPECT_FALSE(plain->lazy || plain->force || plain->read_only || plain->verbose || plain->no_table);
  const auto all = umount({"/mnt", "-flnrv", "-N", "1", "-t", "fuse.scalefs"});
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->lazy && all->force && all->read_only && all->verbose && all->no_table);
  EXPECT_EQ(umount({"--", "-mnt"})->operand, "-mnt");
  EXPECT_FALSE(umount({}));
  EXPECT_EQ(error, "no mount point given");
  EXPECT_FALSE(umount({"a", "b"}));
  EXPECT_EQ(error, "'b' is one operand too many");
  EXPECT_FALSE(umount({"-x", "a"}));
  EXPECT_EQ(error, "unknown option '-x'");
  EXPECT_FALSE(umount({"a", "-t"}));
  EXPECT_EQ(error, "-t needs a value");
  EXPECT_TRUE(is_umount_helper("/sbin/umount.fuse.scalefs"));
  EXPECT_FALSE(is_umount_helper("/umount.d/scalefs"));
}

TEST(Options, RemountIsHandedOnWithItsWholeList) {
  const auto options = parse({"a", "/m", "-o", "remount,ro", "-o", "noatime"}).options;
  ASSERT_TRUE(options);
  EXPECT_EQ(options->action, Action::remount);
  EXPECT_EQ(options->remount_options, "remount,ro,noatime");
}

TEST(Options, ABackslashAtTheEndOfAListTakesNotTheNextList) {
  const auto options = parse({"a", "/m", "-o", "remount,fsname=a\\", "-o", "noatime"}).options;
  ASSERT_TRUE(options);
  EXPECT_EQ(options->fsname, "a\\");
  EXPECT_EQ(options->remount_options, "remount,fsname=a\\\\,noatime");
}

TEST(Options, RootMountsAreForAllAndOthersPrivate) {
  const auto plain = *parse({"a.img", "/m"}).options;
  const auto root = mount_options(plain, true, false);
  EXPECT_TRUE(has(root, "allow_other"));
  EXPECT_TRUE(has(root, "default_permissions"));
  EXPECT_TRUE(has(root, "rw"));
  EXPECT_TRUE(has(root, "fsname=a.img"));
  EXPECT_TRUE(has(root, "subtype=scalefs"));
  const auto user = mount_options(plain, false, false);
  EXPECT_FALSE(has(user, "allow_other"));
  EXPECT_TRUE(has(user, "default_permissions"));
  EXPECT_FALSE(has(mount_options(*parse({"a", "/m", "-o", "noallow_other"}).options, true, false),
                   "allow_other"));
  const auto only_root = mount_options(*parse({"a", "/m", "-o", "allow_root"}).options, true, false);
  EXPECT_TRUE(has(only_root, "allow_root"));
  EXPECT_FALSE(has(only_root, "allow_other"));
}

TEST(Options, AReadOnlyVolumeIsMountedReadOnlyWhateverWasAsked) {
  const auto options = *parse({"a", "/m", "-o", "rw,nosuid,max_read=65536"}).options;
  const auto list = mount_options(options, true, true);
  EXPECT_TRUE(has(list, "ro"));
  EXPECT_FALSE(has(list, "rw"));
  EXPECT_TRUE(has(list, "nosuid"));
  EXPECT_TRUE(has(list, "max_read=65536"));
}

TEST(Options, ABackslashKeepsAComma) {
  const auto options = parse({"a", "/m", "-o", R"(fsname=x\,y,ro)"}).options;
  ASSERT_TRUE(options);
  EXPECT_EQ(options->fsname, "x,y");
  EXPECT_TRUE(options->volume.read_only);
}

TEST(Options, SyncOptionsMakeNamesSynchronous) {
  EXPECT_TRUE(parse({"a", "/m", "-o", "dirsync"}).options->sync_names);
  const auto options = parse({"a", "/m", "-o", "sync"}).options;
  EXPECT_TRUE(options->sync_names);
  EXPECT_TRUE(has(options->pass_on, "sync"));
}

}  // namespace
}  // namespace scalefs::fuse
