"""Embeddings, from the call to the files that TensorBoard's Projector reads."""
