"""What `eval.forgetting` reads and asks, and whom."""
