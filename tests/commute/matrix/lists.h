// The checked-in lists beside this file: a line an entry, fields with `|` between them, `#` before
// what is for readers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace scalefs::matrix {

// The entries' fields; `*why` says which line has not `fields` of them, or an empty one.
std::vector<std::vector<std::string>> read_list(const std::string& path, size_t fields,
                                                std::string* why);
std::optional<uint64_t> number_of(const std::string& field);

// floors.txt: `pair of calls | commuting cases | of them, changing ones`, at least; a pair that it does
// not name has the floors of the line `*`.
class Floors {
 public:
  struct Floor {
    uint64_t commuting = 0, changing = 0;
  };
  Floors(const std::string& path, std::string* why);
  Floor of(const std::string& pair) const;

 private:
  std::map<std::string, Floor> floors_;
};

}  // namespace scalefs::matrix
