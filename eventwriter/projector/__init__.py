"""Embeddings on disk, as the Projector of TensorBoard reads them."""
