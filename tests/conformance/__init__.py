"""What the package writes, asked back from stock TensorBoard over HTTP, value by value."""
