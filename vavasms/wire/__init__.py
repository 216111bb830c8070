"""The gateway's language: values to bytes and bytes to values, without I/O."""
