"""What is known of one gateway beyond the vendor's documentation, as a value and as a file."""
