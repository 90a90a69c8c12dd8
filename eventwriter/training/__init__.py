"""What drives callbacks: one training run, its loop, its metrics and its model."""
