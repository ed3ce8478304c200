"""What engines write into their logs about memory, read back and compared with an estimate."""
