"""scalefs-bench: runs workloads on file systems, keeps what they took, draws and compares it."""
