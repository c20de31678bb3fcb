// Extended attributes and access control lists in memory mode.
#include <initializer_list>

#include "memfs/acl.h"
#include "tests/unit/memfs/memory_fs.h"

namespace scalefs::memfs {
namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto* p = reinterpret_cast<const std::byte*>(text.data());
  return {p, p + text.size()};
}

struct AclEntry {
  uint16_t tag, permissions;
  uint32_t id = UINT32_MAX;
};
constexpr uint16_t kUserObj = 1, kUser = 2, kGroupObj = 4, kGroup = 8, kMask = 16, kOther = 32;

std::vector<std::byte> acl_of(std::initializer_list<AclEntry> entries, uint32_t version = 2) {
  std::vector<std::byte> value(4 + 8 * entries.size());
  store_le<uint32_t>(value.data(), version);
  size_t at = 4;
  for (const AclEntry& e : entries) {
    store_le<uint16_t>(&value[at], e.tag);
    store_le<uint16_t>(&value[at + 2], e.permissions);
    store_le<uint32_t>(&value[at + 4], e.id);
    at += 8;
  }
  return value;
}

class XattrTest : public MemoryFsTest {
 protected:
  int set(MnodeNo m, std::string_view name, const std::vector<std::byte>& value,
          XattrMode mode = XattrMode::set) {
    return fs_.setxattr(m, name, value, mode).code();
  }
  // The value, or the error in brackets.
  std::string get(MnodeNo m, std::string_view name) {
    const auto value = fs_.getxattr(m, name);
    if (!value.ok()) return "[" + std::to_string(value.code()) + "]";
    return {reinterpret_cast<const char*>(value->data()), value->size()};
  }
  std::string missing() { return "[" + std::to_string(ENODATA) + "]"; }
  bool has(MnodeNo m, std::string_view name, const std::vector<std::byte>& value) {
    const auto found = fs_.getxattr(m, name);
    return found.ok() && *found == value;
  }
  uint32_t mode(MnodeNo m) { return stat(m).mode & 07777; }
  void chmod(MnodeNo m, uint32_t bits) {
    SetAttr change;
    change.mode = bits;
    EXPECT_EQ(fs_.setattr(m, change).code(), 0);
  }
};

TEST_F(XattrTest, SetGetListRemove) {
  const MnodeNo f = file(kRootMnode, "f");
  EXPECT_EQ(set(f, "user.b", bytes_of("2")), 0);
  EXPECT_EQ(set(f, "user.a", bytes_of("")), 0);
  EXPECT_EQ(set(f, "trusted.t", bytes_of("x")), 0);
  EXPECT_EQ(set(f, "security.selinux", bytes_of("y")), 0);
  EXPECT_EQ(get(f, "user.b"), "2");
  EXPECT_EQ(get(f, "user.a"), "");
  EXPECT_EQ(get(f, "user.c"), missing());
  EXPECT_EQ(*fs_.listxattr(f),
            (std::vector<std::string>{"security.selinux", "trusted.t", "user.a", "user.b"}));
  EXPECT_EQ(set(f, "user.b", bytes_of("3"), XattrMode::create), EEXIST);
  EXPECT_EQ(set(f, "user.c", bytes_of("3"), XattrMode::replace), ENODATA);
  EXPECT_EQ(set(f, "user.b", bytes_of("3"), XattrMode::replace), 0);
  EXPECT_EQ(set(f, "user.c", bytes_of("4"), XattrMode::create), 0);
  EXPECT_EQ(get(f, "user.b"), "3");
  EXPECT_EQ(fs_.removexattr(f, "user.a").code(), 0);
  EXPECT_EQ(fs_.removexattr(f, "user.a").code(), ENODATA);
  EXPECT_EQ(fs_.listxattr(f)->size(), 4u);
}

// More names than buckets: several stand in one, and the list is of all.
TEST_F(XattrTest, ManyNames) {
  const MnodeNo f = file(kRootMnode, "f");
  std::vector<std::string> names;
  for (int i = 10; i < 60; ++i) {
    names.push_back("user.n" + std::to_string(i));
    EXPECT_EQ(set(f, names.back(), bytes_of(names.back())), 0);
  }
  EXPECT_EQ(*fs_.listxattr(f), names);
  for (const std::string& name : names) EXPECT_EQ(get(f, name), name);
  for (size_t i = 0; i < names.size(); i += 2) EXPECT_EQ(fs_.removexattr(f, names[i]).code(), 0);
  for (size_t i = 0; i < names.size(); ++i)
    EXPECT_EQ(get(f, names[i]), i % 2 == 0 ? missing() : names[i]);
  EXPECT_EQ(fs_.listxattr(f)->size(), names.size() / 2);
}

TEST_F(XattrTest, TheSameValueAgainIsAChangeOfTheCtime) {
  set_wall_for_test(1000);
  const MnodeNo f = file(kRootMnode, "f");
  EXPECT_EQ(set(f, "user.a", bytes_of("1")), 0);
  set_wall_for_test(2000);
  EXPECT_EQ(set(f, "user.a", bytes_of("1")), 0);
  EXPECT_EQ(stat(f).ctime_ns, 2000);
  set_wall_for_test(3000);
  EXPECT_EQ(set(f, "user.a", bytes_of("1"), XattrMode::create), EEXIST);
  EXPECT_EQ(fs_.removexattr(f, "user.b").code(), ENODATA);
  EXPECT_EQ(stat(f).ctime_ns, 2000);
  EXPECT_EQ(set(f, "user.a", bytes_of("1"), XattrMode::replace), 0);
  EXPECT_EQ(stat(f).ctime_ns, 3000);
  set_wall_for_test(-1);
}

TEST_F(XattrTest, NamesAndSizes) {
  const MnodeNo f = file(kRootMnode, "f");
  const MnodeNo s = made(fs_.symlink(kRootMnode, "s", "t", caller_));
  const struct {
    MnodeNo object;
    std::string name;
    size_t size;
    int expected;
  } cases[] = {
      {f, "", 1, ERANGE},
      {f, "user." + std::string(250, 'x'), 1, 0},
      {f, "user." + std::string(251, 'x'), 1, ERANGE},
      {f, "user.", 1, EINVAL},
      {f, "security.", 1, EINVAL},
      {f, "other.x", 1, EOPNOTSUPP},
      {f, "system.x", 1, EOPNOTSUPP},
      {f, "user", 1, EOPNOTSUPP},
      {f, std::string("user.a\0b", 8), 1, EINVAL},
      {f, "user.big", 65536, 0},
      {f, "user.big", 65537, E2BIG},
      {s, "user.x", 1, EPERM},
      {s, "trusted.x", 1, 0},
      {s, "system.posix_acl_access", 0, EOPNOTSUPP},
      {MnodeNo(99 << kCoreBits), "user.x", 1, ESTALE},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name.substr(0, 20));
    EXPECT_EQ(set(c.object, c.name, std::vector<std::byte>(c.size)), c.expected);
  }
  EXPECT_EQ(fs_.getxattr(s, "user.x").code(), ENODATA);
  EXPECT_EQ(fs_.getxattr(f, "other.x").code(), EOPNOTSUPP);
  EXPECT_EQ(fs_.removexattr(f, "other.x").code(), EOPNOTSUPP);
  EXPECT_EQ(fs_.removexattr(s, "user.x").code(), EPERM);
}

TEST_F(XattrTest, ChangesTheChangeTimeOnly) {
  set_wall_for_test(1000);
  const MnodeNo f = file(kRootMnode, "f");
  set_wall_for_test(2000);
  EXPECT_EQ(set(f, "user.a", bytes_of("1")), 0);
  EXPECT_EQ(stat(f).ctime_ns, 2000);
  EXPECT_EQ(stat(f).mtime_ns, 1000);
  set_wall_for_test(-1);
}

TEST_F(XattrTest, BadAclsAreRefused) {
  const MnodeNo f = file(kRootMnode, "f");
  const AclEntry u{kUserObj, 7}, g{kGroupObj, 5}, o{kOther, 4}, m{kMask, 7}, n{kUser, 6, 3};
  const std::vector<std::vector<std::byte>> bad = {
      acl_of({u, g, o}, 1),                    // version
      acl_of({u, g}),                          // no other
      acl_of({g, o}),                          // no user
      acl_of({u, o}),                          // no group
      acl_of({u, n, g, o}),                    // named without a mask
      acl_of({u, g, n, m, o}),                 // out of order
      acl_of({u, u, g, o}),                    // twice
      acl_of({u, g, m, m, o}),                 //
      acl_of({u, {kUser, 6}, g, m, o}),        // no id
      acl_of({{kUserObj, 8}, g, o}),           // unknown permission
      acl_of({u, g, {0x40, 1}, o}),            // unknown tag
      {std::byte{2}, std::byte{0}},            // short
      std::vector<std::byte>(4 + 8 * 3 + 1),   // no whole entries
  };
  for (size_t i = 0; i < bad.size(); ++i) {
    EXPECT_EQ(set(f, kAccessAclName, bad[i]), EINVAL) << i;
  }
  EXPECT_EQ(mode(f), 0644u);
  EXPECT_TRUE(fs_.listxattr(f)->empty());
}

TEST_F(XattrTest, AccessAclAndModeFollowEachOther) {
  const MnodeNo f = file(kRootMnode, "f", 0640);
  // An ACL that a mode can express becomes the mode.
  EXPECT_EQ(set(f, kAccessAclName, acl_of({{kUserObj, 6}, {kGroupObj, 6}, {kOther, 4}})), 0);
  EXPECT_EQ(mode(f), 0664u);
  EXPECT_EQ(get(f, kAccessAclName), missing());
  // Otherwise the mask is what the group bits show.
  const auto acl = acl_of({{kUserObj, 7}, {kUser, 6, 42}, {kGroupObj, 4}, {kMask, 6}, {kOther, 1}});
  EXPECT_EQ(set(f, kAccessAclName, acl), 0);
  EXPECT_EQ(mode(f), 0761u);
  EXPECT_TRUE(has(f, kAccessAclName, acl));
  chmod(f, 04650);
  EXPECT_EQ(mode(f), 04650u);
  EXPECT_TRUE(has(f, kAccessAclName, acl_of({{kUserObj, 6},
                                             {kUser, 6, 42},
                                             {kGroupObj, 4},
                                             {kMask, 5},
                                             {kOther, 0}})));
  // Removing it leaves the mode.
  EXPECT_EQ(fs_.removexattr(f, kAccessAclName).code(), 0);
  EXPECT_EQ(fs_.removexattr(f, kAccessAclName).code(), 0);
  EXPECT_EQ(mode(f), 04650u);
  EXPECT_EQ(get(f, kAccessAclName), missing());
  // The set-gid bit goes where the caller is not in the group, whatever the list becomes.
  chmod(f, 06650);
  EXPECT_EQ(fs_.setxattr(f, kAccessAclName, acl, XattrMode::set, true).code(), 0);
  EXPECT_EQ(mode(f), 04761u);
  chmod(f, 06650);
  EXPECT_EQ(set(f, kAccessAclName, acl), 0);
  EXPECT_EQ(mode(f), 06761u);
  const auto minimal = acl_of({{kUserObj, 6}, {kGroupObj, 5}, {kOther, 0}});
  EXPECT_EQ(fs_.setxattr(f, kAccessAclName, minimal, XattrMode::set, true).code(), 0);
  EXPECT_EQ(mode(f), 04650u);
  // So does an empty one.
  EXPECT_EQ(set(f, kAccessAclName, acl), 0);
  EXPECT_EQ(set(f, kAccessAclName, acl_of({})), 0);
  EXPECT_EQ(get(f, kAccessAclName), missing());
  EXPECT_EQ(mode(f), 04761u);
}

TEST_F(XattrTest, DefaultAclIsInheritedInsteadOfTheUmask) {
  const MnodeNo d = dir(kRootMnode, "d");
  const MnodeNo f = file(kRootMnode, "f");
  const auto acl = acl_of({{kUserObj, 7}, {kUser, 7, 42}, {kGroupObj, 5}, {kMask, 7}, {kOther, 0}});
  EXPECT_EQ(set(f, kDefaultAclName, acl), EACCES);
  EXPECT_EQ(set(f, kDefaultAclName, acl_of({})), 0);
  EXPECT_EQ(set(d, kDefaultAclName, acl), 0);
  EXPECT_EQ(mode(d), 0755u);

  const auto restricted = [](uint16_t user, uint16_t mask, uint16_t other) {
    return acl_of({{kUserObj, user}, {kUser, 7, 42}, {kGroupObj, 5}, {kMask, mask}, {kOther, other}});
  };
  const MnodeNo g = file(d, "g", 0666);
  EXPECT_EQ(mode(g), 0660u);
  EXPECT_TRUE(has(g, kAccessAclName, restricted(6, 6, 0)));
  EXPECT_EQ(get(g, kDefaultAclName), missing());
  const MnodeNo e = dir(d, "e", 0777);
  EXPECT_EQ(mode(e), 0770u);
  EXPECT_TRUE(has(e, kDefaultAclName, acl));
  EXPECT_TRUE(has(e, kAccessAclName, restricted(7, 7, 0)));
  const MnodeNo t = made(fs_.tmpfile(d, 0606, caller_));
  EXPECT_EQ(mode(t), 0600u);
  EXPECT_TRUE(has(t, kAccessAclName, restricted(6, 0, 0)));
  const MnodeNo n = made(fs_.mknod(d, "n", S_IFIFO | 0666, 0, caller_));
  EXPECT_EQ(mode(n), 0660u);
  EXPECT_EQ(mode(made(fs_.symlink(d, "s", "t", caller_))), 0777u);
  // What a rename leaves is made like any other.
  EXPECT_EQ(fs_.rename(d, "n", d, "moved", RenameMode::whiteout, caller_).code(), 0);
  const MnodeNo w = made(fs_.lookup(d, "n"));
  EXPECT_EQ(mode(w), 0u);
  EXPECT_TRUE(has(w, kAccessAclName, restricted(0, 0, 0)));

  // A default ACL that is only bits makes only bits.
  const MnodeNo p = dir(kRootMnode, "p");
  EXPECT_EQ(set(p, kDefaultAclName, acl_of({{kUserObj, 7}, {kGroupObj, 6}, {kOther, 6}})), 0);
  const MnodeNo q = file(p, "q", 0666);
  EXPECT_EQ(mode(q), 0666u);  // the umask of 022 does not count
  EXPECT_TRUE(fs_.listxattr(q)->empty());
  EXPECT_EQ(fs_.removexattr(p, kDefaultAclName).code(), 0);
  EXPECT_EQ(mode(file(p, "r", 0666)), 0644u);
}

}  // namespace
}  // namespace scalefs::memfs
