// What the command lines of the tools have in common: help, version, and usage errors with a hint.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <string>

namespace scalefs::tools {

// Tells a usage error; the exit status is the tool's own.
inline int usage_error(const CLI::App& app, const std::string& text, int exit_status) {
  fprintf(stderr, "%s: %s\nTry '%s -h'.\n", app.get_name().c_str(), text.c_str(),
          app.get_name().c_str());
  return exit_status;
}

// Parses the options that were added, and help and version. An exit status when the tool is to end here:
// 0 for help and version, `exit_status` for a usage error.
inline std::optional<int> parse(CLI::App& app, int argc, char** argv, int exit_status) {
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_version_flag("-V,--version", app.get_name() + " " + SCALEFS_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    return usage_error(app, error.what(), exit_status);
  }
  return std::nullopt;
}

}  // namespace scalefs::tools
