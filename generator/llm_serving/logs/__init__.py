"""What engines write into their logs about memory, read back and held against an estimate. Standard library only."""
