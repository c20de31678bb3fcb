#include "tools/uuid_text.h"

#include <uuid/uuid.h>

namespace scalefs::tools {

std::optional<diskfs::Uuid> parse_uuid(const std::string& text) {
  diskfs::Uuid uuid;
  if (uuid_parse(text.c_str(), uuid.data()) != 0) return {};
  return uuid;
}

std::string format_uuid(const diskfs::Uuid& uuid) {
  char text[37];
  uuid_unparse_lower(uuid.data(), text);
  return text;
}

}  // namespace scalefs::tools
