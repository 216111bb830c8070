"""What works and what does not, before the first SMS: checks that send nothing and cost nothing."""
