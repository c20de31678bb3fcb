// Prints the operations of a batch of the journal.
#pragma once

#include "base/bytes.h"
#include "tools/record_printer.h"

namespace scalefs::tools {

// Operations of the batch `sequence`, a row each, up to the first that does not decode; false then.
bool show_operations(ConstBytes payload, uint64_t sequence, RecordPrinter& printer);

// UTC, with all nine digits of the nanoseconds.
std::string time_text(int64_t ns);

}  // namespace scalefs::tools
