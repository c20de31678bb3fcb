// What a tool's library function printed.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace scalefs {

inline std::string text_of(FILE* file) {
  std::string text(static_cast<size_t>(ftell(file)), '\0');
  rewind(file);
  EXPECT_EQ(fread(text.data(), 1, text.size(), file), text.size());
  fclose(file);
  return text;
}

// Calls `tool(out, err)`, which answers an exit status, and takes in what it printed.
template <class Tool>
int captured(Tool tool, std::string* out, std::string* err) {
  FILE* out_file = tmpfile();
  FILE* err_file = tmpfile();
  const int code = tool(out_file, err_file);
  *out = text_of(out_file);
  *err = text_of(err_file);
  return code;
}

}  // namespace scalefs
